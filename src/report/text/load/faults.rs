//! What failed: each kind with its call and errno, how often, who is responsible, and what was received.

use super::said::Said;
use crate::diagnose::Form;
use crate::model::figures::{count, counted, seconds, share, span};
use crate::model::finding::FindingId;
use crate::model::order::Order as _;
use crate::model::outcome::{Call, Cause, Party};
use crate::model::result::{ErrorRow, Framing, Received, RunResult, VerdictId};
use crate::report::style::Tone;
use crate::report::text::Page;
use crate::report::text::page::Block;

/// Kinds that are shown; `-v` has all.
const KINDS: usize = 3;

/// Characters of what was received.
const EXCERPT: usize = 50;

/// One kind of failure over all endpoints.
struct Kind<'a> {
    row: &'a ErrorRow,
    count: u64,
    /// those of them whose connection had carried an answer before
    reused: u64,
    first_s: f64,
    last_s: f64,
}

/// What was `said` above them is not repeated.
pub(super) fn blocks(run: &RunResult, page: &Page, headline: &Said<'_>) -> Vec<Block> {
    let kinds = kinds(run);
    // A target that went away ends, refuses and swallows requests: one failure in several forms.
    let all_one = run.verdict.id == VerdictId::TargetGone && kinds.len() > 1;
    let shown = if all_one { 1 } else { KINDS };
    let said = kinds.iter().take(shown).enumerate().map(|(i, kind)| {
        let text = format!("{}: {}", often(kind, run, headline, kinds.len(), i), said(kind, run, headline, i));
        (if i == 0 { 0 } else { 3 }, text)
    });
    let mut blocks = page.each("failed", said);
    if all_one {
        let rest: Vec<String> = kinds[1..].iter().map(|k| format!("{} x {}", count(k.count), in_short(k.row))).collect();
        blocks.push(page.ranked(3, "", &format!("with it {}", rest.join(", "))));
    } else if kinds.len() > KINDS {
        let rest: u64 = kinds[KINDS..].iter().map(|k| k.count).sum();
        let text = format!("{} of {} further kinds: -v", count(rest), kinds.len() - KINDS);
        blocks.push(Block::ranked(6, page.toned("", Tone::Faint, &text)));
    }
    blocks
}

/// By number, each with the rows of all endpoints.
fn kinds(run: &RunResult) -> Vec<Kind<'_>> {
    let mut kinds: Vec<Kind> = Vec::new();
    for row in &run.errors {
        let same =
            |k: &&mut Kind| (k.row.call, &k.row.name, k.row.party, k.row.phase) == (row.call, &row.name, row.party, row.phase);
        let reused = if row.reused { row.count } else { 0 };
        if let Some(k) = kinds.iter_mut().find(same) {
            k.count += row.count;
            k.reused += reused;
            k.first_s = k.first_s.min(row.first_s);
            k.last_s = k.last_s.max(row.last_s);
        } else {
            kinds.push(Kind { row, count: row.count, reused, first_s: row.first_s, last_s: row.last_s });
        }
    }
    kinds.order_by_key(|k| std::cmp::Reverse(k.count));
    kinds
}

/// How often, as far as the headline and the kinds above do not say it: `1,798 of 2,298 (78 %)`, `280 (35 %)`, `78 %`.
fn often(k: &Kind, run: &RunResult, headline: &Said<'_>, kinds: usize, nth: usize) -> String {
    // What was in flight at the end did not fail, and nobody knows whether it would have.
    let attempts = run.totals.attempts.saturating_sub(run.totals.cut).max(1);
    let (n, all, part) = (count(k.count), count(attempts), share(k.count as f64 / attempts as f64));
    if nth > 0 {
        return format!("{n} ({part})");
    }
    match headline.counted() {
        Some(said) if said.form == Form::Count && (said.n, said.of) == (k.count, attempts) => part,
        Some(said) if said.form == Form::Share && (said.n, said.of) == (k.count, attempts) => n,
        Some(said) if kinds == 1 && said.form != Form::Share && said.n == k.count => format!("{part} of {all}"),
        _ => format!("{n} of {all} ({part})"),
    }
}

/// `connect(): EADDRNOTAVAIL 99 (Windows 10048), this machine's sockets, 1.3 s to 6 s`
fn said(k: &Kind, run: &RunResult, headline: &Said<'_>, nth: usize) -> String {
    let is_named = headline.names(k.row) && (nth == 0 || k.row.call == Call::Http);
    let mut text = if is_named { String::new() } else { format!("{}; ", what(k.row, run, headline)) };
    text += match (k.row.party, run.machines.is_empty()) {
        (Party::Sockets, false) => "the machine's own sockets",
        (Party::Limits, false) => "the machine's own limits or policy",
        // The kernel counted what the full queue dropped.
        (Party::Undecided, _) if has_overflowed(run) => "the target's backlog",
        (of, _) => party(of),
    };
    let tenths = |s: f64| (s * 10.0).round();
    let at = |s: f64| seconds(tenths(s) / 10.0);
    let (first, last) = (at(k.first_s), at(k.last_s));
    let known = |said_s: Option<f64>, s: f64| said_s.is_some_and(|said_s| tenths(said_s) == tenths(s));
    let (is_begin_known, is_end_known) = (known(headline.since_s(), k.first_s), known(headline.until_s(), k.last_s));
    text += &match (first == last, is_begin_known, is_end_known) {
        (true, true, _) | (false, true, true) => String::new(),
        (true, false, _) => format!(", at {first}"),
        (false, true, false) if k.last_s + 1.0 >= run.duration_s => ", from then to the end".to_owned(),
        (false, true, false) => format!(", from then until {last}"),
        (false, false, _) => format!(", {first} to {last}"),
    };
    text += &connections(k);
    if let Some(bytes) = k.row.first_bytes.as_ref().filter(|bytes| !bytes.is_empty()) {
        text += &format!("; received \"{}\"", excerpt(bytes));
    }
    if let Some(received) = k.row.received.as_ref().filter(|_| is_incomplete(k.row)) {
        text += &lacks(received);
    }
    if let Some(fields) = &k.row.limit_fields {
        text += &format!("; it sent {fields}");
    }
    if let Some(hit) = &k.row.limit {
        text += &format!("; the limit is {}, {} raises it", count(hit.value), hit.flag);
    }
    text
}

/// On which connections reads and writes failed: a target that ends kept connections does something else than one that hangs
/// up on new ones.
fn connections(k: &Kind) -> String {
    let fresh = k.count - k.reused;
    match (k.row.call, k.reused, fresh) {
        (Call::Read | Call::Write, 0, _) => "; on fresh connections".to_owned(),
        (Call::Read | Call::Write, _, 0) => "; on reused connections".to_owned(),
        (Call::Read | Call::Write, reused, fresh) => {
            format!("; {} on reused connections, {} on fresh ones", count(reused), count(fresh))
        }
        _ => String::new(),
    }
}

fn what(row: &ErrorRow, run: &RunResult, headline: &Said<'_>) -> String {
    let windows = row.windows_code.map_or_else(String::new, |code| format!(" (Windows {code})"));
    match (row.call, row.errno) {
        (Call::Http, _) => format!("status {}", row.name),
        (Call::Timeout, _) => {
            let doing = row.phase.map_or_else(String::new, |phase| format!(" while {}", phase.words()));
            let timeout = span(run.plan.timeout);
            let after = if headline.has_timeout() { String::new() } else { format!(" after {timeout}") };
            format!("timed out{after}{doing}")
        }
        (Call::Protocol, _) => row.message.clone(),
        (call, Some(errno)) => format!("{}(): {} {errno}{windows}", call.word(), row.name),
        (call, None) if row.cause == Some(Cause::Eof) => {
            format!("{}(): {}, the target closed the connection without an answer", call.word(), row.name)
        }
        (call, None) => format!("{}(): {}, {}", call.word(), row.name, row.message),
    }
}

/// `ECONNRESET at read()`, `status 503`, `timed out`.
fn in_short(row: &ErrorRow) -> String {
    match row.call {
        Call::Http => format!("status {}", row.name),
        Call::Timeout => "timed out".to_owned(),
        Call::Protocol => row.name.clone(),
        call => format!("{} at {}()", row.name, call.word()),
    }
}

/// The answer was sound as far as it came.
fn is_incomplete(row: &ErrorRow) -> bool {
    row.call == Call::Timeout || matches!(row.cause, Some(Cause::Malformed(fault)) if fault.is_truncated())
}

/// What had not come of an answer.
fn lacks(received: &Received) -> String {
    match (received.head_complete, received.missing_bytes, received.framing) {
        (false, ..) => "; its head is incomplete".to_owned(),
        (true, Some(missing), _) => format!("; {} of its body did not come", counted(missing, "byte")),
        (true, None, Some(Framing::Chunked)) => "; its last chunk did not come".to_owned(),
        (true, None, Some(Framing::UntilClose)) => "; it gives no length, and the connection stays open".to_owned(),
        (true, None, _) => String::new(),
    }
}

/// The first bytes, as far as they fit a line.
fn excerpt(bytes: &str) -> String {
    if bytes.chars().count() <= EXCERPT {
        return bytes.to_owned();
    }
    let cut: String = bytes.trim_end_matches("...").chars().take(EXCERPT).collect();
    format!("{cut}...")
}

/// The kernel's own counters say that the target's queue was full.
fn has_overflowed(run: &RunResult) -> bool {
    let overflow = run.findings.iter().find(|f| f.id == FindingId::TargetBacklogOverflow);
    overflow.is_some_and(|f| f.evidence.get("listen_overflows").is_some_and(|n| n.as_f64().is_some_and(|n| n > 0.0)))
}

/// Who is responsible.
pub(super) fn party(party: Party) -> &'static str {
    match party {
        Party::Sockets => "this machine's sockets",
        Party::Limits => "this machine's limits or policy",
        Party::Path => "the network path",
        Party::TargetMachine => "the target's machine",
        Party::TargetProgram => "the target's program",
        Party::Sockbench => "sockbench's own limit",
        Party::Undecided => "undecided: the path, the target's machine or its backlog",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::{ECONNRESET, EPIPE, Failure};
    use crate::report::fixture;

    /// The same failure on fresh and on reused connections is one line that counts both.
    #[test]
    fn fresh_and_reused_connections_are_told_apart() {
        for (call, cause) in
            [(Call::Read, Cause::Eof), (Call::Read, Cause::Errno(ECONNRESET)), (Call::Write, Cause::Errno(EPIPE))]
        {
            let mut run = fixture::broken().run;
            let sample = run.errors[0].clone();
            let row = |reused: bool, count: u64| {
                let failure = Failure { reused, ..Failure::new(call, cause) };
                let (name, message) = (failure.name().into_owned(), failure.message());
                ErrorRow { call, cause: Some(cause), errno: failure.errno(), name, message, reused, count, ..sample.clone() }
            };
            let mut said = |rows: Vec<ErrorRow>| {
                run.errors = rows;
                let text: String = blocks(&run, &Page::plain(), &Said::by_headline(&run)).into_iter().map(|b| b.text).collect();
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            };
            for rows in [vec![row(true, 2417), row(false, 2420)], vec![row(false, 2420), row(true, 2417)]] {
                let both = said(rows);
                assert!(both.contains("2,417 on reused connections, 2,420 on fresh ones"), "{both}");
                assert!(!both.contains("on a reused connection"), "{both}");
            }
            assert!(said(vec![row(true, 7)]).contains("; on reused connections"));
            assert!(said(vec![row(false, 7)]).contains("; on fresh connections"));
        }
    }
}
