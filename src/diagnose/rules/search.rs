//! The rule about the kernel's search for a free source port: what it costs once half of them are in use.

use crate::diagnose::indicators::{Indicators, held_against, kernel_searches};
use crate::diagnose::rule::{Found, Ruling};
use crate::diagnose::thresholds::{SEARCH_ADDED_US, SEARCH_ALONE_US, SEARCH_NEAR, SEARCH_PORT_US, SEARCH_SHARE, SEARCH_TIMES};
use crate::model::result::RunResult;
use crate::remedy::{advice, cps, for_search, number};

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
        return Ruling::Undecided("the pool towards the destination was not observed".into());
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
            Ruling::Undecided(format!("ports held were not observed in {blind} of the seconds with connections"))
        } else {
            Ruling::Clear
        };
    }
    let alone = below.seconds == 0;
    let (mean, p95) = (above.mean(), above.p95());
    // On a machine without a free core one connect() can take 100 ms, and 100 ports cannot be the reason.
    let most = f64::from(p) * SEARCH_PORT_US;
    let dear = if alone {
        mean >= SEARCH_ALONE_US && most >= SEARCH_ALONE_US
    } else {
        let (m, q) = (below.mean(), below.p95());
        mean >= SEARCH_TIMES * m && mean - m >= SEARCH_ADDED_US && most >= SEARCH_ADDED_US && p95 >= SEARCH_TIMES * q
    };
    if !dear {
        return Ruling::Clear;
    }
    let rate = rate_above / f64::from(above.seconds);
    let search = seen.ports.budget.map(|b| b.search_cps()).filter(|c| c.is_finite());
    let before = if alone { String::new() } else { format!(", {} before", us(below.mean())) };
    let mut text = format!(
        "With more than half of the {p} ports held, connect() took {} in the mean{before} (p95 {}, p50 {}): the kernel first tries all ports of one parity, \
         and when these are used it walks the table for every connection. No error shows it, only the client's CPU per connection.",
        us(mean),
        us(p95),
        us(above.p50())
    );
    if let Some(search) = search {
        let near = (rate - search).abs() <= SEARCH_NEAR * search;
        let where_ = if near { "which is where this run flattened" } else { "whatever the hard ceiling is" };
        text += &format!(
            " The rate tends to flatten near half of the pool over T = {}/s, {where_}: {}/s in those seconds.",
            cps(search),
            cps(rate)
        );
    }
    text += " Windows keeps its free ports in a list and does not show this slope; it fails at the hard ceiling.";
    let mut remedies = for_search(&seen.situation(run));
    if remedies.len() < 2 {
        remedies.push(advice(
            "predict the ceilings",
            format!("sockbench ports --predict {}", rate.ceil()),
            "the hard one, P/T, and the search's, half of it",
        ));
    }
    let title = if alone {
        format!("connect() takes {} with over half of {p} ports held: the port search is slow", us(mean))
    } else {
        format!(
            "connect() became {} times dearer ({} against {}) once half of {p} ports was held",
            number((mean / below.mean()).round()),
            us(mean),
            us(below.mean())
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
        .with("rate_cps", rate)
        .with("search_cps", search)
        .remedies(remedies)
        .ruling()
}

fn us(v: f64) -> String {
    if v >= 1000.0 { format!("{} ms", number((v / 100.0).round() / 10.0)) } else { format!("{} us", number(v.round())) }
}
