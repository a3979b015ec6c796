//! The accident, scaled down: a constant rate over P/T with a short T, so that exhaustion, dead time, recovery and two
//! recurrences fit into seconds. What it is, what the P/T law predicts, and how a run of it reads. Pure.

use std::time::Duration;

use super::rows;
use crate::diagnose::ports::budget::Budget;
use crate::model::rehearsal::{Accident, AccidentSecond, Course};
use crate::model::result::{FailureSpan, RunResult, SeriesPoint};

/// What is set up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// ports of the pool
    pub ports: u32,
    /// connections per second
    pub rate: f64,
    /// length
    pub duration: Duration,
    /// T
    pub hold: Duration,
    /// T by tcp_tw_reuse_delay (Linux 6.14); otherwise it is the kernel's 60 s
    pub by_reuse_delay: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self { ports: 100, rate: 100.0, duration: Duration::from_millis(10_500), hold: rows::SHORT_HOLD, by_reuse_delay: true }
    }
}

impl Setting {
    /// Settings of its namespace.
    pub fn sysctls(&self) -> Vec<(String, String)> {
        let mut all = vec![("net.ipv4.ip_local_port_range".to_owned(), rows::range(self.ports))];
        if self.by_reuse_delay {
            all.push(("net.ipv4.tcp_tw_reuse".into(), "1".into()));
            all.push(("net.ipv4.tcp_tw_reuse_delay".into(), self.hold.as_millis().to_string()));
        } else {
            all.push(("net.ipv4.tcp_tw_reuse".into(), "0".into()));
        }
        all
    }

    /// Arguments of the child that runs it inside.
    pub fn arguments(&self) -> Vec<String> {
        let (ports, rate, seconds) = (self.ports, self.rate, self.duration.as_secs_f64());
        let line = format!("rehearse --inside accident --ports {ports} --rate {rate} --duration {seconds}");
        line.split(' ').map(str::to_owned).collect()
    }

    /// What the law predicts; nothing is measured yet.
    pub fn predict(&self) -> Accident {
        let budget = Budget::new(self.ports, self.hold.as_secs_f64());
        let forecast = budget.forecast(self.rate, self.duration, None, None);
        let end = self.duration.as_secs_f64();
        let first = forecast.exhausted_at_s.filter(|t| *t < end);
        let predicted = Course {
            first_failure_s: first,
            recovered_s: first.zip(forecast.dead_s).map(|(t, dead)| t + dead).filter(|t| *t < end),
            echo_s: forecast.echo_s.iter().copied().filter(|t| *t < end).collect(),
            failures: forecast.failures,
            successes: forecast.successes,
        };
        Accident {
            pool: self.ports,
            hold_s: self.hold.as_secs_f64(),
            rate_cps: self.rate,
            duration_s: end,
            measured: Course::default(),
            predicted,
            seconds: Vec::new(),
        }
    }
}

/// The accident as `run` came out, beside its prediction.
pub fn of(setting: &Setting, run: &RunResult) -> Accident {
    Accident { measured: course(run), seconds: seconds(run), ..setting.predict() }
}

/// When failures came and went, from the stretches of failures of this machine.
fn course(run: &RunResult) -> Course {
    let spans: &[FailureSpan] = &run.totals.local_failure_spans;
    let first = spans.first();
    let ended = |s: &FailureSpan| (s.to_s < run.duration_s - 0.3).then_some(s.to_s);
    Course {
        first_failure_s: first.map(|s| s.from_s),
        recovered_s: first.and_then(ended),
        echo_s: spans.iter().skip(1).map(|s| s.from_s).collect(),
        failures: run.totals.local_failures,
        successes: run.totals.requests - run.totals.failures,
    }
}

fn seconds(run: &RunResult) -> Vec<AccidentSecond> {
    // The last point may cover only part of a second.
    let one = |(i, p): (usize, &SeriesPoint)| {
        let count = |per_s: f64| (per_s * (p.t_s - i as f64)).round() as u64;
        AccidentSecond { t_s: p.t_s, made: count(p.rps - p.failures_per_s), failed: count(p.local_failures_per_s) }
    };
    run.series.iter().enumerate().map(one).collect()
}
