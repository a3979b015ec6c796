//! The rule about the kernel's search for a free source port: what it costs once half of them are in use.

use crate::diagnose::indicators::{Indicators, held_against, kernel_searches};
use crate::diagnose::rule::{Found, Ruling};
use crate::diagnose::thresholds::{SEARCH_ADDED_US, SEARCH_ALONE_US, SEARCH_NEAR, SEARCH_PORT_US, SEARCH_SHARE, SEARCH_TIMES};
use crate::model::figures::{counted, number, rate, times, us};
use crate::model::result::RunResult;
use crate::remedy::{advice, for_search};

/// connect(2) over some seconds, weighted by how often it was called.
#[derive(Default, Clone, Copy)]
struct Cost {
    calls: f64,
    mean_sum: f64,
    p95_sum: f64,
    p50_sum: f64,
    seconds: u32,
}

impl Cost {
    fn add(&mut self, calls: f64, mean: f64, p95: f64, p50: f64) {
        self.calls += calls;
        self.mean_sum += mean * calls;
        self.p95_sum += p95 * calls;
        self.p50_sum += p50 * calls;
        self.seconds += 1;
    }

    fn mean(self) -> f64 {
        self.mean_sum / self.calls
    }

    fn p95(self) -> f64 {
        self.p95_sum / self.calls
    }

    fn p50(self) -> f64 {
        self.p50_sum / self.calls
    }
}

/// port-search-slow.
pub(in crate::diagnose) fn search_slow(run: &RunResult, seen: &Indicators) -> Ruling {
    if !kernel_searches(run) || seen.ports.wearing_cps <= 0.0 {
        return Ruling::Clear;
    }
    let Some(p) = seen.ports.pool.filter(|p| *p > 0) else {
        return Ruling::Undecided("the pool of source ports to the destination was not observed".into());
    };
    let half = SEARCH_SHARE * f64::from(p);
    let (mut below, mut above, mut blind) = (Cost::default(), Cost::default(), 0_u32);
    let mut rate_above = 0.0;
    for (point, held) in held_against(run, half) {
        let (Some(mean), Some(p95)) = (point.connect_mean_us.or(point.connect_p50_us), point.connect_p95_us) else { continue };
        // A refused connect() has searched the whole range: that belongs to the exhaustion.
        if point.local_failures_per_s > 0.0 {
            continue;
        }
        let Some(held) = held else {
            blind += 1;
            continue;
        };
        let cost = if f64::from(held) > half { &mut above } else { &mut below };
        cost.add(point.connects.max(1) as f64, mean, p95, point.connect_p50_us.unwrap_or(mean));
        if f64::from(held) > half {
            rate_above += point.connects as f64;
        }
    }
    if above.seconds == 0 {
        let reached_half = run.ports.as_ref().and_then(|p| p.peak_used).is_none_or(|used| f64::from(used) > half);
        return if blind > 0 && reached_half {
            Ruling::Undecided(format!("the ports in use were not observed in {blind} of the seconds with connections"))
        } else {
            Ruling::Clear
        };
    }
    let alone = below.seconds == 0;
    let (mean, p95) = (above.mean(), above.p95());
    // On a machine without a free core one connect() can take 100 ms, and 100 ports cannot be the reason.
    let most = f64::from(p) * SEARCH_PORT_US;
    let is_slow = if alone {
        (SEARCH_ALONE_US..=most).contains(&mean)
    } else {
        let (m, q) = (below.mean(), below.p95());
        mean >= SEARCH_TIMES * m && (SEARCH_ADDED_US..=most).contains(&(mean - m)) && p95 >= SEARCH_TIMES * q
    };
    if !is_slow {
        return Ruling::Clear;
    }
    let made = rate_above / f64::from(above.seconds);
    let search = seen.ports.budget.map(|b| b.search_cps()).filter(|c| c.is_finite());
    let before = if alone { String::new() } else { format!(" ({} before)", took(below.mean())) };
    let mut text = format!(
        "With more than half of {} in use, connect() took {} on average{before}, p95 {}. The kernel first tries all ports of one \
         parity; when these are used up it searches longer for every connection. No error shows it, only the client's CPU. ",
        counted(p, "port"),
        took(mean),
        took(p95)
    );
    if let Some(search) = search {
        let near = (made - search).abs() <= SEARCH_NEAR * search;
        let here = if near { ", near where this run levelled off" } else { "" };
        text += &format!(
            "The rate tends to level off near (P/2)/T = {}/s{here}; it was {}/s in those seconds. ",
            rate(search),
            rate(made)
        );
    }
    text += "Windows keeps a list of free ports and shows no such slowdown.";
    let mut remedies = for_search(&seen.situation(run));
    if remedies.len() < 2 {
        remedies.push(advice(
            "predict both ceilings",
            format!("sockbench ports --predict {}", made.ceil()),
            "P/T, and half of it for the search",
        ));
    }
    let title = if alone {
        format!("connect() takes {} with more than half of the source ports in use", took(mean))
    } else {
        format!(
            "connect() became {} times slower ({}, {} before) with more than half of the source ports in use",
            times(mean / below.mean()),
            took(mean),
            took(below.mean())
        )
    };
    let b = |v: f64| (!alone).then_some(v);
    Found::new(title, text)
        .with("pool", p)
        .with("mean_us", mean)
        .with("mean_us_below_half", b(below.mean()))
        .with("p95_us", p95)
        .with("p95_us_below_half", b(below.p95()))
        .with("p50_us", above.p50())
        .with("seconds_above_half", above.seconds)
        .with("rate_cps", made)
        .with("search_cps", search)
        .remedies(remedies)
        .ruling()
}

/// Microseconds with their unit, milliseconds from one on.
fn took(micros: f64) -> String {
    if micros >= 1000.0 { format!("{} ms", number(micros / 1000.0)) } else { format!("{} us", us(micros)) }
}
