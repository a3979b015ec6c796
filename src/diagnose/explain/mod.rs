//! From an error text, another tool's files or a stored run to the limit that was hit, the arithmetic and what to do.
//!
//! [`read_line`] reads one line; [`explain_text`] a whole text; [`locust`] the CSV files of Locust; [`explain_run`] and
//! [`explain_study`] our own documents, diagnosed anew. Pure: files are read by `cli`.

mod advice;
mod advice_macos;
mod arithmetic;
pub mod locust;
mod patterns;
mod stored;
mod text;
mod wording;

use crate::model::explanation::{Certainty, EXPLAIN_SCHEMA, Explanation, FailedCall, Limit, Os, Reading};

pub use arithmetic::Rates;
pub use stored::{explain_run, explain_study};
pub use text::read_line;

/// Kinds of lines told apart in one text; further ones count as other lines.
const KINDS_MAX: usize = 50;

/// What the user knows beside the text; flags of `sockbench explain`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Known {
    /// P; the system's default when not given
    pub pool: Option<u32>,
    /// T, seconds; the system's default when not given
    pub hold_s: Option<f64>,
    /// the system the text comes from
    pub os: Option<Os>,
    /// rates and length of the run
    pub rates: Rates,
}

/// What a text says; none when no line of it says anything about connections.
///
/// ```
/// use sockbench::diagnose::explain::{Known, explain_text};
/// let e = explain_text("OSError(10048, '[WinError 10048] Only one usage of each socket address ...')", &Known::default());
/// assert_eq!(e.expect("known").arithmetic.expect("ports").ceiling_cps.round(), 137.0);
/// ```
pub fn explain_text(text: &str, known: &Known) -> Option<Explanation> {
    let lines = text.lines().filter(|l| !l.trim().is_empty()).map(|l| (l, 1));
    let (readings, other_lines) = read_lines(lines, known.os);
    (!readings.is_empty()).then(|| finished("text", readings, other_lines, known))
}

/// Readings of many lines with their counts, equal kinds joined, the most frequent first; and how many say nothing.
fn read_lines<'a>(lines: impl Iterator<Item = (&'a str, u64)>, os: Option<Os>) -> (Vec<Reading>, u64) {
    let (mut readings, mut other): (Vec<Reading>, u64) = (Vec::new(), 0);
    for (line, count) in lines {
        let Some(mut read) = read_line(line, os) else {
            other += count;
            continue;
        };
        let same = |r: &&mut Reading| {
            r.limit == read.limit && r.call == read.call && r.name == read.name && r.certainty == read.certainty
        };
        if let Some(known) = readings.iter_mut().find(same) {
            known.count = known.count.saturating_add(count);
        } else if readings.len() < KINDS_MAX {
            read.count = count;
            readings.push(read);
        } else {
            other += count;
        }
    }
    readings.sort_by_key(|r| std::cmp::Reverse(r.count));
    (readings, other)
}

fn finished(source: &str, readings: Vec<Reading>, other_lines: u64, known: &Known) -> Explanation {
    let os = known.os.or_else(|| readings.iter().find_map(|r| r.os)).unwrap_or(Os::Linux);
    let arithmetic = readings.iter().any(may_be_ports).then(|| arithmetic::of(known, os, None));
    let remedies = advice::for_readings(&readings, arithmetic.as_ref(), os);
    Explanation {
        schema: EXPLAIN_SCHEMA.into(),
        source: source.into(),
        readings,
        other_lines,
        arithmetic,
        remedies,
        findings: Vec::new(),
    }
}

/// What `explain` knows, for texts that it does not.
pub const KNOWN_TEXTS: &[&str] = &[
    "EADDRNOTAVAIL 99, EADDRINUSE 98, EMFILE 24, ECONNREFUSED 111, ECONNRESET 104, ETIMEDOUT 110, by name, number or message",
    "Windows 10048, 10049, 10055, 10024, 10054, 10060, 10061 (WinError, WSA..., SocketException) and events 4227, 4231",
    "messages of Locust, k6, JMeter, Gatling, vegeta, wrk, oha, ab, h2load, siege, curl, nginx, HAProxy, MySQL",
    "messages of Python, Go, Java, Node.js, .NET, Rust, Perl, PHP",
    "a Locust PREFIX_failures.csv (with PREFIX_stats_history.csv beside it), a sockbench run.json or study.json",
];

/// Whether P/T has to do with it: ports are the limit, or may be where the text leaves it open.
fn may_be_ports(r: &Reading) -> bool {
    let open = r.certainty == Certainty::Ambiguous;
    r.limit == Limit::LocalPorts || open && r.alternatives.iter().any(|a| a.limit == Limit::LocalPorts)
}

/// Whether a reading leaves something to tell apart.
pub fn is_open(reading: &Reading) -> bool {
    reading.certainty != Certainty::Certain || (reading.call == FailedCall::Unnamed && reading.limit == Limit::Hidden)
}
