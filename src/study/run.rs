//! A study: its steps one after another, with a cool-down between them.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::measured::{self, Measured, Watch};
use crate::load::run::Ended;
use crate::model::facts::Fact;
use crate::model::figures::{counted, span};
use crate::model::plan::LoadPlan;
use crate::model::port_count::PortCount;
use crate::model::study::{Cooldown, StudyPlan};
use crate::observe::Baseline;
use crate::observe::socket_count::SocketCounter;
use crate::sys::clock::{self, Clock};
use crate::sys::sock_diag::Family;

/// Share of the pool that may still be in TIME_WAIT when the next step starts.
const LEFTOVER_SHARE: f64 = 0.01;
/// Between two looks at the leftovers.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a study asks of the outside.
pub trait StudyWatch {
    /// What watches one step.
    type Watch: Watch;
    /// The watch of step `index` (from 0), which is about to begin.
    fn step(&mut self, index: usize, plan: &LoadPlan, baseline: &Baseline) -> Self::Watch;
    /// A step is over.
    fn on_step_done(&mut self, index: usize, measured: &mut Measured, watch: Self::Watch);
    /// The cool-down goes on: this many ports towards `to` are still kept by ended connections, this many may be.
    fn on_cooldown(&mut self, waited: Duration, to: SocketAddr, kept: &Fact<u32>, threshold: Option<u32>);
    /// True ends the study.
    fn is_stopped(&mut self) -> bool;
}

/// Steps and cool-downs of a study that is over.
#[derive(Debug)]
pub struct StudyRun {
    /// the steps that ran
    pub steps: Vec<Measured>,
    /// the wait before each but the first
    pub cooldowns: Vec<Cooldown>,
    /// why it ended where it did
    pub ended: String,
    /// somebody stopped it
    pub stopped: bool,
    /// its length
    pub duration: Duration,
    /// why a step could not be started; those before it are whole
    pub failed: Option<io::Error>,
}

/// Runs the steps in order; `target_pids` names the target's process of each where it is sockbench's own server. Ends
/// early when stopped, when a step was refused, or when a client could not be started.
pub fn run(plan: &StudyPlan, target_pids: &[Option<u32>], command: &str, watch: &mut impl StudyWatch) -> StudyRun {
    let clock = Clock::start();
    let mut steps = Vec::new();
    let mut cooldowns = Vec::new();
    let mut ended = "all steps ran".to_owned();
    let mut failed = None;
    let mut stopped = false;
    for (index, step) in plan.steps.iter().enumerate() {
        if index > 0 {
            cooldowns.push(cool_down(index, step, plan.cooldown_max, watch));
        }
        if watch.is_stopped() {
            stopped = true;
            ended = format!("stopped before step {}", index + 1);
            break;
        }
        let baseline = Baseline::of(step);
        let mut step_watch = watch.step(index, step, &baseline);
        let target_pid = target_pids.get(index).copied().flatten();
        let mut measured = match measured::measure(step, baseline, target_pid, command, &mut step_watch) {
            Ok(measured) => measured,
            Err(e) => {
                ended = format!("step {}: the client could not be started: {e}", index + 1);
                failed = Some(e);
                break;
            }
        };
        stopped |= measured.ended == Ended::Stopped;
        let why = why_no_further(measured.ended);
        watch.on_step_done(index, &mut measured, step_watch);
        steps.push(measured);
        if let Some(why) = why {
            ended = format!("step {}: {why}", index + 1);
            break;
        }
    }
    let duration = clock.now().since(crate::model::time::Stamp::ZERO);
    StudyRun { steps, cooldowns, ended, stopped, duration, failed }
}

/// Why no further step makes sense after one that ended like this.
fn why_no_further(ended: Ended) -> Option<String> {
    match ended {
        Ended::Planned => None,
        Ended::Stopped => Some("stopped".into()),
        Ended::Refused(failure) => Some(format!(
            "no connection was made; every attempt failed in the same way ({} {})",
            failure.call.word(),
            failure.name()
        )),
    }
}

/// Waits until the ports that the last step keeps from this one are under 1 % of the pool, or says why it did not.
fn cool_down(index: usize, step: &LoadPlan, longest: Duration, watch: &mut impl StudyWatch) -> Cooldown {
    let clock = Clock::start();
    let baseline = Baseline::of(step);
    let threshold = baseline.pool.known().map(|p| (f64::from(p.ports) * LEFTOVER_SHARE) as u32);
    let mut counter = SocketCounter::new(baseline.scope());
    // Those that this step cannot take yet and that come free in time. Where TIME_WAIT may be reused, only those that are too
    // young for it; what the target's side keeps costs no port at all.
    let timed = |count: Fact<PortCount>| count.map(|c| c.in_use.timed);
    let to = step.target.addr;
    let before = timed(baseline.leftover);
    let mut now = before.clone();
    let ended = loop {
        let waited = clock.now().since(crate::model::time::Stamp::ZERO);
        watch.on_cooldown(waited, to, &now, threshold);
        match (&now, threshold) {
            (Fact::Known(held), Some(limit)) if *held <= limit => {
                break format!("{} towards {to} still in TIME_WAIT, at most 1 % of the pool", counted(*held, "port"));
            }
            (Fact::Unavailable(reason), _) => break format!("ports in TIME_WAIT cannot be counted: {reason}"),
            (_, None) => break "the pool cannot be read, so 1 % of it is not known".to_owned(),
            (Fact::Known(held), _) if waited >= longest => {
                break format!(
                    "{} towards {to} still in TIME_WAIT after {}, the longest wait of the plan",
                    counted(*held, "port"),
                    span(longest)
                );
            }
            _ if watch.is_stopped() => break "stopped".to_owned(),
            _ => clock::sleep(LOOK_EVERY),
        }
        now = timed(counter.count(Family::Both));
    };
    Cooldown {
        before_step: index as u32 + 1,
        waited_s: clock.now().as_secs_f64(),
        time_wait_before: before.known().copied(),
        time_wait_after: now.known().copied(),
        threshold,
        ended,
    }
}
