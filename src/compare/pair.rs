//! The comparison itself: rows, which of them decide, and what they say together.

use super::blocks::{Blocks, JUDGED, SHORTEST_S, length};
use super::bootstrap::{Spread, Spreads, spreads};
use super::chance::{holm, p_of_t, t95};
use super::side::{Part, RunSide, Second};
use crate::model::comparison::{CHANCE, COMPARE_SCHEMA, Compared, Comparison, Difference, EndpointRows, Pair, Row, Unlike};
use crate::model::figures;
use crate::model::result::Tool;

/// Smaller changes are of no use to anybody: two runs of one program differ by as much for reasons outside of both.
const REAL_SHARE: f64 = 0.02;
/// The same of latencies, milliseconds.
const REAL_MS: f64 = 0.1;
/// The same of the share of failures.
const REAL_FAILED: f64 = 0.001;

/// Compares each of `others` with `base`; `unlike` are the differences of their environments, in the same order.
pub fn compare(base: &RunSide, others: &[RunSide], unlike: Vec<Vec<Unlike>>) -> Comparison {
    let pairs = others.iter().zip(unlike).map(|(other, unlike)| pair(base, other, unlike)).collect();
    Comparison {
        schema: COMPARE_SCHEMA.into(),
        tool: Tool { version: env!("CARGO_PKG_VERSION").into() },
        base: base.info.clone(),
        pairs,
    }
}

/// The blocks of both sides, where they have seconds enough.
struct Chance {
    base: Spreads,
    other: Spreads,
    freedom: f64,
    block_s: usize,
    blocks: usize,
}

impl Chance {
    fn of(base: &[Second], other: &[Second]) -> Option<Self> {
        let shorter = base.len().min(other.len());
        if shorter < SHORTEST_S {
            return None;
        }
        let block_s = length(shorter);
        let (a, b) = (Blocks::of(base, block_s), Blocks::of(other, block_s));
        let blocks = a.len().min(b.len());
        Some(Self { base: spreads(&a), other: spreads(&b), freedom: (blocks - 1) as f64, block_s, blocks })
    }

    fn of_row(&self, what: Compared) -> Option<(Spread, Spread)> {
        let at = JUDGED.iter().position(|judged| *judged == what)?;
        Some((self.base[at]?, self.other[at]?))
    }
}

fn pair(base: &RunSide, other: &RunSide, unlike: Vec<Unlike>) -> Pair {
    let chance = Chance::of(&base.seconds, &other.seconds);
    let mut totals = rows(&base.totals, &other.totals, chance.as_ref());
    let both = base.endpoints.iter().filter_map(|a| Some((a, other.endpoints.iter().find(|b| b.name == a.name)?)));
    let (mut endpoints, chances): (Vec<EndpointRows>, Vec<Option<Chance>>) = both.map(|(a, b)| endpoint(a, b)).unzip();
    let verdict = match &chance {
        Some(chance) => {
            // The median of a quick and a slow endpoint together lies between them and is a figure of neither.
            let apart = chances.len() > 1 && chances.iter().all(Option::is_some);
            let open = base.open_loop && other.open_loop;
            let of_all = |what: Compared| match what {
                Compared::P50Ms | Compared::P95Ms => !apart,
                Compared::FailedShare => true,
                _ => open && what == Compared::RateRps,
            };
            let mut tried = tries(&mut totals, chance, of_all);
            for (part, chance) in endpoints.iter_mut().zip(&chances).filter(|_| apart) {
                let is_latency = |what| matches!(what, Compared::P50Ms | Compared::P95Ms);
                if let Some(chance) = chance {
                    tried.extend(tries(&mut part.rows, chance, is_latency));
                }
            }
            settle(tried);
            verdict(all_rows(&totals, &endpoints))
        }
        None => Difference::Untold,
    };
    let mut careful: Vec<String> = base.careful.iter().chain(&other.careful).cloned().collect();
    if base.info.percentiles_from != other.info.percentiles_from && chance.is_some() {
        careful.push("one side has all latencies, the other percentiles of seconds: their intervals are not of one kind".into());
    }
    Pair {
        sentence: sentence(verdict, &totals, &endpoints, base, other),
        side: other.info.clone(),
        verdict,
        environment: unlike,
        block_s: chance.as_ref().map(|c| c.block_s as f64),
        blocks: chance.as_ref().map(|c| c.blocks as u32),
        totals,
        endpoints,
        careful,
    }
}

/// Requests of an endpoint that its percentiles need.
const FEW: f64 = 50.0;

fn endpoint(base: &Part, other: &Part) -> (EndpointRows, Option<Chance>) {
    let requests = |seconds: &[Second]| seconds.iter().map(|s| s.requests).sum::<f64>();
    let chance =
        Chance::of(&base.seconds, &other.seconds).filter(|_| requests(&base.seconds) >= FEW && requests(&other.seconds) >= FEW);
    let rows = rows(&base.figures, &other.figures, chance.as_ref());
    (EndpointRows { name: base.name.clone(), rows }, chance)
}

fn all_rows<'a>(totals: &'a [Row], endpoints: &'a [EndpointRows]) -> impl Iterator<Item = &'a Row> {
    totals.iter().chain(endpoints.iter().flat_map(|e| &e.rows))
}

/// The order of the table.
const ORDER: [Compared; 9] = [
    Compared::RateRps,
    Compared::P50Ms,
    Compared::P95Ms,
    Compared::P99Ms,
    Compared::FailedShare,
    Compared::Connections,
    Compared::PortsPeak,
    Compared::ClientCpuUsPerRequest,
    Compared::TargetCpuUsPerRequest,
];

/// What both sides have. Where chance is known both figures are of the steady part, which it is known for.
fn rows(base: &[(Compared, f64)], other: &[(Compared, f64)], chance: Option<&Chance>) -> Vec<Row> {
    let of = |all: &[(Compared, f64)], what| all.iter().find(|(w, _)| *w == what).map(|(_, v)| *v);
    let row = |what| {
        let (a, b) = (of(base, what)?, of(other, what)?);
        let Some((chance, (a, b))) = chance.and_then(|c| Some((c, c.of_row(what)?))) else {
            return Some(Row { what, base: a, other: b, change: change(what, a, b), interval: None, p: None, outcome: None });
        };
        let half = t95(chance.freedom) * (a.variance + b.variance).sqrt();
        let interval = if what == Compared::FailedShare {
            let d = b.value - a.value;
            Some([d - half, d + half])
        } else {
            (a.value > 0.0 && b.value > 0.0).then(|| {
                let log = (b.value / a.value).ln();
                [(log - half).exp() - 1.0, (log + half).exp() - 1.0]
            })
        };
        let change = change(what, a.value, b.value);
        Some(Row { what, base: a.value, other: b.value, change, interval, p: None, outcome: None })
    };
    ORDER.into_iter().filter_map(row).collect()
}

fn change(what: Compared, base: f64, other: f64) -> Option<f64> {
    match what {
        Compared::FailedShare => Some(other - base),
        _ => (base > 0.0).then(|| other / base - 1.0),
    }
}

/// The rows that decide, and how probable each is by chance alone.
fn tries<'a>(rows: &'a mut [Row], chance: &Chance, decides: impl Fn(Compared) -> bool) -> Vec<(&'a mut Row, f64)> {
    let p = |row: &Row| {
        let (a, b) = chance.of_row(row.what)?;
        let difference = if row.what == Compared::FailedShare { b.value - a.value } else { (b.value / a.value).ln() };
        let error = (a.variance + b.variance).sqrt();
        Some(p_of_t(if difference == 0.0 { 0.0 } else { difference / error }, chance.freedom))
    };
    rows.iter_mut().filter(|row| decides(row.what)).filter_map(|row| p(row).map(|p| (row, p))).collect()
}

/// Holm's correction over all that were tried.
fn settle(tried: Vec<(&mut Row, f64)>) {
    let corrected = holm(&tried.iter().map(|(_, p)| *p).collect::<Vec<_>>());
    for ((row, _), p) in tried.into_iter().zip(corrected) {
        row.p = Some(p);
        row.outcome = Some(if p < CHANCE && matters(row) { direction(row) } else { Difference::None });
    }
}

fn matters(row: &Row) -> bool {
    let (absolute, relative) = ((row.other - row.base).abs(), row.change.map_or(0.0, f64::abs));
    match row.what {
        Compared::FailedShare => absolute >= REAL_FAILED,
        Compared::RateRps => relative >= REAL_SHARE,
        _ => relative >= REAL_SHARE && absolute >= REAL_MS,
    }
}

fn direction(row: &Row) -> Difference {
    let more = row.other > row.base;
    if more == (row.what == Compared::RateRps) { Difference::Better } else { Difference::Worse }
}

fn verdict<'a>(rows: impl Iterator<Item = &'a Row>) -> Difference {
    let outcomes: Vec<Difference> = rows.filter_map(|row| row.outcome).collect();
    let has = |d| outcomes.contains(&d);
    match (outcomes.is_empty(), has(Difference::Better), has(Difference::Worse)) {
        (true, ..) => Difference::Untold,
        (false, false, false) => Difference::None,
        (false, true, false) => Difference::Better,
        (false, false, true) => Difference::Worse,
        (false, true, true) => Difference::Mixed,
    }
}

/// Differences that a sentence names.
const NAMED: usize = 4;

fn sentence(verdict: Difference, totals: &[Row], endpoints: &[EndpointRows], base: &RunSide, other: &RunSide) -> String {
    let (a, b) = (&base.info, &other.info);
    let is_real = |r: &&Row| matches!(r.outcome, Some(Difference::Better | Difference::Worse));
    let mut real: Vec<String> = totals.iter().filter(is_real).map(spoken).collect();
    for e in endpoints {
        real.extend(e.rows.iter().filter(is_real).map(|row| format!("{} {}", shortened(&e.name), spoken(row))));
    }
    if real.len() > NAMED {
        let more = real.len() - NAMED;
        real.truncate(NAMED);
        real.push(format!("{more} more"));
    }
    let list = real.join(", ");
    let [base_name, other_name] = [a, b].map(|side| shortened(&side.name));
    match verdict {
        Difference::None => nothing_real(totals),
        Difference::Better => format!("better: against {base_name}, {other_name} has {list}"),
        Difference::Worse => format!("worse: against {base_name}, {other_name} has {list}"),
        Difference::Mixed => format!("better and worse: against {base_name}, {other_name} has {list}"),
        Difference::Untold if a.duration_s.min(b.duration_s) < SHORTEST_S as f64 => {
            let [a, b] = [a, b].map(|side| figures::seconds(side.duration_s));
            format!("too short to tell: the runs lasted {a} and {b}; {SHORTEST_S} s of steady load are needed")
        }
        Difference::Untold if base.seconds.is_empty() || other.seconds.is_empty() => {
            let without = if base.seconds.is_empty() { a } else { b };
            format!("no verdict: {} has no figures by second of steady load", shortened(&without.name))
        }
        Difference::Untold => {
            format!("too short to tell: {} s and {} s of steady load; {SHORTEST_S} s are needed", a.steady_s, b.steady_s)
        }
    }
}

fn shortened(name: &str) -> String {
    const CHARS: usize = 40;
    if name.chars().count() <= CHARS { name.to_owned() } else { name.chars().take(CHARS - 2).chain("..".chars()).collect() }
}

/// Of two runs without a difference that matters: whether there is a small one, and whether a large one would have been seen.
fn nothing_real(totals: &[Row]) -> String {
    if let Some(row) = totals.iter().find(|row| row.is_small()) {
        return format!("no difference that matters: {} is more than chance, but less than {}", spoken(row), least(row));
    }
    match totals.iter().find(|row| row.is_unclear()).and_then(|row| Some((row, row.interval?))) {
        Some((row, [low, high])) => format!(
            "no difference shown: {} varies so much that it may have changed by {} to {}",
            label(row.what),
            figures::signed_share(low),
            figures::signed_share(high)
        ),
        None => "no real difference: p50, p95 and failures differ by no more than chance explains".into(),
    }
}

/// The smallest change that matters, of which this one falls short.
fn least(row: &Row) -> String {
    let is_relative = row.change.is_some_and(|change| change.abs() < REAL_SHARE);
    match row.what {
        Compared::FailedShare => format!("{} of the requests", figures::share(REAL_FAILED)),
        Compared::RateRps => figures::share(REAL_SHARE),
        _ if is_relative => figures::share(REAL_SHARE),
        _ => format!("{} ms", figures::number(REAL_MS)),
    }
}

const fn label(what: Compared) -> &'static str {
    match what {
        Compared::FailedShare => "the share of failures",
        Compared::RateRps => "the rate",
        Compared::P50Ms => "p50",
        _ => "p95",
    }
}

fn spoken(row: &Row) -> String {
    let change = row.change.unwrap_or(0.0);
    match row.what {
        Compared::FailedShare => format!("failures {} instead of {}", figures::share(row.other), figures::share(row.base)),
        Compared::RateRps => format!("rate {}", figures::signed_share(change)),
        Compared::P50Ms => format!("p50 {}", figures::signed_share(change)),
        _ => format!("p95 {}", figures::signed_share(change)),
    }
}

#[cfg(test)]
#[path = "pair_tests.rs"]
mod tests;
