//! The rule about the kernel's search for a free source port: what it costs once half of them are in use.

use super::prelude::*;
use crate::model::result::SeriesPoint;
use crate::remedy::{for_kept_search, for_search};

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
    /// One second; none where connect() was not called or not measured in it.
    fn of(point: &SeriesPoint) -> Option<Self> {
        let (mean, p95) = (point.connect_mean_us.or(point.connect_p50_us)?, point.connect_p95_us?);
        let calls = point.connects.max(1) as f64;
        let p50 = point.connect_p50_us.unwrap_or(mean);
        Some(Self { calls, mean_sum: mean * calls, p95_sum: p95 * calls, p50_sum: p50 * calls, seconds: 1 })
    }

    fn sum(all: &[Self]) -> Self {
        all.iter().fold(Self::default(), |sum, one| Self {
            calls: sum.calls + one.calls,
            mean_sum: sum.mean_sum + one.mean_sum,
            p95_sum: sum.p95_sum + one.p95_sum,
            p50_sum: sum.p50_sum + one.p50_sum,
            seconds: sum.seconds + one.seconds,
        })
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

/// Connections that were made stand at (P/2)/T, `search`; both per second.
pub(crate) fn is_near_search(made: f64, search: f64) -> bool {
    (made - search).abs() <= SEARCH_NEAR * search
}

pub(in crate::diagnose) fn search_slow(run: &RunResult, seen: &Indicators) -> Ruling {
    if !kernel_searches(run) {
        return Err(Clear);
    }
    // Kept connections take more than half of the ports, too, where there are that many; then none comes back.
    let comes_back = seen.ports.wearing_cps > 0.0;
    let Some(p) = seen.ports.pool.filter(|p| *p > 0) else {
        return undecided("the pool of source ports to the destination was not observed");
    };
    let half = SEARCH_SHARE * f64::from(p);
    let (mut below, mut above, mut blind) = (Vec::new(), Vec::new(), Vec::new());
    for (point, held) in held_against(run, half) {
        // A refused connect() has searched the whole range: that belongs to the exhaustion.
        let Some(cost) = Cost::of(point).filter(|_| point.local_failures_per_s <= 0.0) else { continue };
        match held {
            None => blind.push(cost),
            Some(held) if f64::from(held) > half => above.push(cost),
            Some(_) => below.push(cost),
        }
    }
    if above.is_empty() {
        let reached_half = run.ports.as_ref().and_then(|p| p.peak_used).is_none_or(|used| f64::from(used) > half);
        return if !blind.is_empty() && reached_half {
            let blind = blind.len();
            undecided(format!("the ports in use were not observed in {blind} of the seconds with connections"))
        } else {
            Err(Clear)
        };
    }
    let alone = below.is_empty();
    let below = Cost::sum(&below);
    let search = seen.ports.budget.map(|b| b.search_cps()).filter(|c| comes_back && c.is_finite());
    let is_near = |made: f64| search.is_some_and(|search| is_near_search(made, search));
    // On a machine without a free core one connect() can take 100 ms, and 100 ports cannot be the reason.
    let most = f64::from(p) * SEARCH_PORT_US;
    let (all, slow) = (Cost::sum(&above), slow_by_median(&above, below, most));
    // Users who press on as fast as they can stand at the limit from the first second: a port of the wrong parity is looked for
    // time and again, and in between there are some. Then a part of the calls is slow, and the median is not.
    let in_part = alone
        && !run.plan.is_open_loop()
        && is_near(all.calls / f64::from(all.seconds))
        && (SEARCH_ALONE_US..=most).contains(&all.p95())
        && all.p95() >= SEARCH_TIMES * all.p50()
        && all.mean() - all.p50() >= SEARCH_ADDED_US;
    let is_slow = if alone {
        (SEARCH_ALONE_US..=most).contains(&all.mean()) || in_part
    } else {
        let (m, q) = (below.mean(), below.p95());
        all.mean() >= SEARCH_TIMES * m && (SEARCH_ADDED_US..=most).contains(&(all.mean() - m)) && all.p95() >= SEARCH_TIMES * q
    };
    // The ports of one parity run out and come back in waves: on average over many seconds that is no longer seen.
    let (above, seconds_above) = (if is_slow { all } else { slow }, all.seconds);
    if above.seconds == 0 {
        let unseen = slow_by_median(&blind, below, most).seconds;
        return if unseen > 0 {
            let unseen = counted(unseen, "second");
            undecided(format!("connect() was slow in {unseen} in which the ports in use were not observed"))
        } else {
            Err(Clear)
        };
    }
    let (mean, p95) = (above.mean(), above.p95());
    let made = all.calls / f64::from(seconds_above);
    let before = if alone { String::new() } else { format!(" ({} before)", took(below.mean())) };
    let median = if in_part { format!(", median {}", took(above.p50())) } else { String::new() };
    let mut text = format!(
        "With more than half of {} in use, connect() took {} on average{before}, p95 {}{median}. The kernel first tries all ports of one \
         parity; when these are used up it searches longer for every connection. No error shows it, only the client's CPU. ",
        counted(p, "port"),
        took(mean),
        took(p95)
    );
    if comes_back && above.seconds < seconds_above {
        text += &format!("That is in {} of {seconds_above} such seconds: ports come back after T, in waves. ", above.seconds);
    }
    if let Some(search) = search {
        let here = if is_near(made) { ", near where this run levelled off" } else { "" };
        text += &format!(
            "The rate tends to level off near (P/2)/T = {}/s{here}; it was {}/s in those seconds. ",
            rate(search),
            rate(made)
        );
    }
    text += "Windows keeps a list of free ports and shows no such slowdown.";
    let mut remedies = if comes_back { for_search(&seen.situation(run)) } else { for_kept_search(&seen.situation(run)) };
    if comes_back && remedies.len() < 2 {
        remedies.push(advice(
            "predict both ceilings",
            format!("sockbench ports --predict {}", made.ceil()),
            "P/T, and half of it for the search",
        ));
    }
    let title = if in_part {
        format!(
            "one connect() in 20 takes {} or more (median {}) with more than half of the source ports in use",
            took(p95),
            took(above.p50())
        )
    } else if alone {
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
    Ok(Found::new(title, text)
        .with("pool", p)
        .with("mean_us", mean)
        .with("mean_us_below_half", b(below.mean()))
        .with("p95_us", p95)
        .with("p95_us_below_half", b(below.p95()))
        .with("p50_us", above.p50())
        .with("seconds_above_half", seconds_above)
        .with("seconds_slow", Some(above.seconds).filter(|n| *n < seconds_above))
        .with("rate_cps", made)
        .with("search_cps", search)
        .remedies(remedies))
}

/// The seconds in which all calls were slow, by their median. Where a thread loses its core in the middle, one call takes
/// long and the median stays: on a busy machine it says more than the mean.
fn slow_by_median(seconds: &[Cost], below: Cost, most: f64) -> Cost {
    let is_slow = |c: &Cost| match below.seconds {
        0 => (SEARCH_ALONE_US..=most).contains(&c.p50()),
        _ => c.p50() >= SEARCH_TIMES * below.p50() && (SEARCH_ADDED_US..=most).contains(&(c.p50() - below.p50())),
    };
    let slow: Vec<Cost> = seconds.iter().copied().filter(|c| c.calls >= SEARCH_CALLS as f64 && is_slow(c)).collect();
    Cost::sum(&slow)
}

/// Microseconds with their unit, milliseconds from one on.
fn took(micros: f64) -> String {
    if micros >= 1000.0 { format!("{} ms", number(micros / 1000.0)) } else { format!("{} us", us(micros)) }
}
