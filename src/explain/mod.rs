//! From an error text, another tool's files or a stored run to the limit that was hit, the arithmetic and what to do.
//!
//! [`read_line`] reads one line; [`explain_text`] a whole text; [`locust`] the CSV files of Locust; [`explain_run`] and
//! [`explain_study`] our own documents, diagnosed anew. Pure: files are read by `cli`.

mod advice;
mod advice_macos;
mod advice_ports;
mod arithmetic;
mod history;
mod judge;
pub mod locust;
mod number;
mod patterns;
mod phrases;
mod stored;
mod summary;
mod text;
mod wording;

use crate::model::explanation::{Certainty, EXPLAIN_SCHEMA, Explanation, FailedCall, Limit, Os, Reading};

pub use arithmetic::Rates;
pub use stored::{explain_run, explain_study};
pub use text::read_line;
use text::{Around, read_kinds, shows_windows};

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
/// use sockbench::explain::{Known, explain_text};
/// let e = explain_text("OSError(10048, '[WinError 10048] Only one usage of each socket address ...')", &Known::default());
/// assert_eq!(e.expect("known").arithmetic.expect("ports").ceiling_cps.round(), 137.0);
/// ```
pub fn explain_text(text: &str, known: &Known) -> Option<Explanation> {
    let lines = text.lines().filter(|l| !l.trim().is_empty()).map(|l| (l, 1));
    let (readings, other_lines) = read_lines(lines, Around { os: known.os, side: None });
    (!readings.is_empty()).then(|| finished("text", readings, other_lines, known))
}

/// Readings of many lines with their counts, equal kinds joined, the most frequent first; and how many say nothing.
fn read_lines<'a>(lines: impl Iterator<Item = (&'a str, u64)> + Clone, around: Around) -> (Vec<Reading>, u64) {
    // Lines of one text come from one system: the first that shows it speaks for those that do not.
    let shown = lines.clone().find_map(|(line, _)| {
        let windows = shows_windows(line).then_some(Os::Windows);
        windows.or_else(|| read_kinds(line, around).into_iter().find_map(|r| r.os))
    });
    let around = Around { os: around.os.or(shown), ..around };
    let (mut readings, mut other): (Vec<Reading>, u64) = (Vec::new(), 0);
    for (line, count) in lines {
        let read = read_kinds(line, around);
        if read.is_empty() {
            other += count;
        }
        for mut read in read {
            read.count = read.count.saturating_mul(count);
            let same = |r: &&mut Reading| {
                r.limit == read.limit && r.call == read.call && r.name == read.name && r.certainty == read.certainty
            };
            if let Some(known) = readings.iter_mut().find(same) {
                known.count = known.count.saturating_add(read.count);
            } else if readings.len() < KINDS_MAX {
                readings.push(read);
            } else {
                other += read.count;
            }
        }
    }
    let mut readings = without_echoes(readings);
    readings.sort_by_key(|r| std::cmp::Reverse(r.count));
    (readings, other)
}

/// A stack trace tells one error several times, some of them without the call: such a line joins the one that tells it.
fn without_echoes(mut readings: Vec<Reading>) -> Vec<Reading> {
    let is_vague = |r: &Reading| r.call == FailedCall::Unnamed && is_open(r);
    let (vague, mut clear): (Vec<_>, Vec<_>) = readings.drain(..).partition(is_vague);
    for v in vague {
        let said = |r: &&mut Reading| {
            let fits = v.limit == r.limit || v.alternatives.iter().any(|a| a.limit == r.limit);
            v.name.is_some() && v.name == r.name && fits
        };
        match clear.iter_mut().find(said) {
            Some(r) => r.count = r.count.saturating_add(v.count),
            None => clear.push(v),
        }
    }
    clear
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
    "EADDRNOTAVAIL 99, EADDRINUSE 98, EMFILE 24, ECONNREFUSED 111, ECONNRESET 104, EPIPE 32, ETIMEDOUT 110, EHOSTUNREACH 113,\n  \
     ENETUNREACH 101, by name, number or message",
    "Windows 10048, 10049, 10055, 10024, 10054, 10060, 10061 (WinError, WSA..., SocketException) and events 4227, 4231",
    "connections that were reset, ended or timed out without an errno, and host names that gave no address, by message",
    "messages of Locust, k6, JMeter, Gatling, vegeta, wrk, oha, ab, h2load, siege, curl, nginx, HAProxy, MySQL",
    "messages of Python, Go, Java, Node.js, .NET, Rust, Ruby, Perl, PHP",
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
