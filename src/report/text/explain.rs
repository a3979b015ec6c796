//! An explanation on one screen: what happened, why, the arithmetic of ports, what to change.

use super::Page;
use super::load::headline::loud;
use super::page::{Block, one_screen};
use crate::model::explanation::{
    Alternative, Arithmetic, Certainty, Exactly, Explanation, FailedCall, Limit, Measured, Os, Reading,
};
use crate::model::figures::{count, counted, hold, rate, seconds};
use crate::model::finding::{Finding, Remedy};
use crate::model::forecast::Forecast;
use crate::model::order::Order as _;
use crate::remedy::catalogue::Name;
use crate::report::style::{Tone, capital, wrapped};

/// Remedies on one screen.
const REMEDIES: usize = 4;
/// Other readings on one screen.
const OTHERS: usize = 4;
/// Columns of a remedy's number, with its indent.
const NUMBER: usize = 4;
/// Columns before a command.
const COMMAND: usize = 6;

/// The answer on one screen.
pub(super) fn render(e: &Explanation, page: &Page) -> String {
    let blocks = match (e.readings.first(), e.findings.first()) {
        (Some(first), _) => of_readings(first, e, page),
        (None, Some(first)) => of_findings(first, e, page),
        (None, None) => return nothing(e, page),
    };
    one_screen(blocks)
}

/// Why there is nothing to explain.
pub(super) fn nothing(e: &Explanation, page: &Page) -> String {
    if let Some(answer) = &e.answer {
        let (what, why) = answer.split_once("; ").map_or((answer.as_str(), None), |(what, why)| (what, Some(why)));
        let why = why.map_or_else(String::new, |why| page.labelled("why", why));
        return wrapped(&loud(what), 0, page.width) + &why;
    }
    let open = "what its figures leave open: sockbench report FILE";
    let why = match e.source.as_str() {
        "locust" if e.other_lines == 0 => "no failures in this file".into(),
        "locust" => format!("none of {} is about connections", counted(e.other_lines, "failure")),
        "study" => format!("no step of this study shows a finding; {open}"),
        _ => format!("this run shows no finding; {open}"),
    };
    wrapped(&format!("nothing to explain: {why}"), 0, page.width)
}

fn of_readings(first: &Reading, e: &Explanation, page: &Page) -> Vec<Block> {
    let is_open = first.certainty == Certainty::Ambiguous;
    let (sentence, rest) = first_sentence(&first.says);
    let mut blocks = vec![
        Block::kept(head(&headline(first.exactly, first.limit), sentence, first.count, page)),
        Block::kept(quoted(&first.text, page)),
    ];
    blocks.push(Block::ranked(7, "\n".into()));
    blocks.push(page.ranked(0, "read as", &read_as(first)));
    if !rest.is_empty() {
        blocks.push(page.ranked(if is_open { 5 } else { 1 }, "why", rest));
    }
    blocks.push(page.ranked(6, "not", first.is_not.strip_prefix("not ").unwrap_or(&first.is_not)));
    blocks.extend(of_alternatives(first, page));
    blocks.extend(e.arithmetic.iter().flat_map(|a| of_ports(a, page)));
    let also = |r: &Reading| format!("{}: {}", times(r.count), continued(first_sentence(&r.says).0));
    blocks.extend(page.blocks(3, "also", e.readings.iter().skip(1).take(OTHERS).map(also)));
    blocks.extend(of_remedies(&e.remedies, first.os, page));
    blocks.push(page.more(&more(e)));
    blocks
}

fn of_findings(first: &Finding, e: &Explanation, page: &Page) -> Vec<Block> {
    let mut blocks = vec![Block::kept(head(first.id.word(), &first.title, 1, page)), Block::ranked(7, "\n".into())];
    blocks.push(page.ranked(1, "why", &first.explanation));
    blocks.extend(e.arithmetic.iter().flat_map(|a| of_ports(a, page)));
    blocks.extend(page.blocks(3, "also", e.findings.iter().skip(1).take(OTHERS).map(|f| f.title.clone())));
    blocks.extend(of_remedies(&first.remedies, None, page));
    let text = "every finding with its numbers and remedies: -v; the whole report: sockbench report RUN";
    blocks.push(page.more(text));
    blocks
}

/// The answer in capitals: the word of the document, or a shorter one.
fn headline(exactly: Option<Exactly>, limit: Limit) -> String {
    let word = match (exactly, limit) {
        (Some(Exactly::TimeWaitTable), _) => "TIME_WAIT table",
        (Some(Exactly::ToolCpu | Exactly::ToolUsers), _) => "load tool",
        (Some(exactly), _) if exactly != Exactly::UnknownName => exactly.word(),
        (_, Limit::LocalPorts) => "ports",
        (_, Limit::NotLocal) => "address",
        (_, Limit::Policy) => "forbidden",
        (_, Limit::TimedOut) => "timeout",
        (_, Limit::NameResolution) => "name",
        (_, Limit::Hidden) => "unknown",
        (_, limit) => limit.word(),
    };
    word.replace('-', " ").to_uppercase()
}

fn head(word: &str, sentence: &str, n: u64, page: &Page) -> String {
    // A sentence that begins with a number counts by itself.
    let counts = sentence.starts_with(|c: char| c.is_ascii_digit());
    let often = if n > 1 && !counts { format!(" {}.", times(n)) } else { String::new() };
    let indent = word.len() + 2;
    let text = wrapped(&format!("{}.{often}", sentence.trim_end_matches(['.', ':'])), indent, page.width);
    format!("{}  {}", page.style.paint(Tone::Bad, word), text.trim_start())
}

fn times(n: u64) -> String {
    if n == 1 { "once".into() } else { format!("{} times", count(n)) }
}

/// The given text in one line.
fn quoted(text: &str, page: &Page) -> String {
    let room = page.width - 2;
    let mut shown: String = text.chars().take(room).collect();
    if text.chars().count() > room {
        shown = shown.chars().take(room - 2).collect::<String>() + "..";
    }
    format!("  {}\n", page.style.paint(Tone::Faint, &shown))
}

/// A sentence behind a colon; names of calls and abbreviations keep their spelling.
fn continued(sentence: &str) -> String {
    let mut chars = sentence.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => first.to_lowercase().chain(chars).collect(),
        _ => sentence.to_owned(),
    }
}

/// The first sentence, and what follows it.
pub(super) fn first_sentence(text: &str) -> (&str, &str) {
    text.split_once(". ").unwrap_or((text.trim_end_matches('.'), ""))
}

/// `WSAEADDRINUSE 10048 at connect(), Windows, Locust -> local-ports, likely`
pub(super) fn read_as(r: &Reading) -> String {
    let code = match (&r.name, r.code) {
        (Some(name), Some(code)) => format!("{name} {code}"),
        (Some(name), None) => name.clone(),
        _ => "no system error".into(),
    };
    let call = if r.call == FailedCall::Unnamed { ", call not named".to_owned() } else { format!(" at {}()", r.call.word()) };
    let os = match r.os {
        Some(Os::Windows) => ", Windows",
        Some(Os::Macos) => ", macOS",
        Some(Os::Linux) => ", Linux",
        None => "",
    };
    let tool = r.tool.as_ref().map_or_else(String::new, |t| format!(", {t}"));
    format!("{code}{call}{os}{tool} -> {}, {}", r.limit.word(), r.certainty.word())
}

/// What else it can be, and how to tell; of a likely reading the others only.
fn of_alternatives(r: &Reading, page: &Page) -> Vec<Block> {
    let is_open = r.certainty == Certainty::Ambiguous;
    let is_other = |a: &&Alternative| is_open || r.alternatives.len() == 1 || (a.limit, a.call) != (r.limit, r.call);
    let others = r.alternatives.iter().filter(is_other);
    let (rank, label) = if is_open { (2, "either") } else { (4, "check") };
    page.blocks(rank, label, others.map(|a| format!("{}: {}", called(a.limit, a.call), a.tell)))
}

pub(super) fn called(limit: Limit, call: FailedCall) -> String {
    if call == FailedCall::Unnamed { limit.word().to_owned() } else { format!("{} at {}()", limit.word(), call.word()) }
}

fn of_ports(a: &Arithmetic, page: &Page) -> Vec<Block> {
    let mut texts = vec![(1, law(a) + &a.basis.as_ref().map_or_else(String::new, |from| format!("; {from}")))];
    texts.extend(a.measured.as_ref().map(|m| (2, history(m))));
    texts.extend(a.doubts.iter().map(|d| (2, format!("{d}."))));
    // Beside a doubt that says the same, a forecast without a failure says nothing.
    let says_more = |f: &&Forecast| f.failures > 0 || a.doubts.is_empty();
    texts.extend(a.forecast.as_ref().filter(says_more).map(|f| (1, forecast(f))));
    page.each("ports", texts)
}

pub(super) fn law(a: &Arithmetic) -> String {
    format!(
        "{} / {} = at most {} new connections/s to one destination",
        counted(a.pool, "port"),
        hold(a.hold_s),
        rate(a.ceiling_cps)
    )
}

fn forecast(f: &Forecast) -> String {
    let (Some(at), Some(dead)) = (f.exhausted_at_s, f.dead_s) else {
        let used = (f.peak_share * f64::from(f.pool)).round() as u64;
        return format!("at {}/s: {} of {} ports in use, none is missing", rate(f.rate_cps), count(used), count(f.pool));
    };
    let again = f.echo_recovered_s.first().or_else(|| f.echo_s.first());
    let recurs = again.map_or_else(String::new, |s| format!("; this recurs after {}", seconds(*s)));
    format!(
        "at {}/s: used up after {}, then nothing connects for {}{recurs}. In {}: {} fail, {} succeed",
        rate(f.rate_cps),
        seconds(at),
        seconds(dead),
        seconds(f.duration_s),
        count(f.failures),
        count(f.successes)
    )
}

/// What a history shows.
pub(super) fn history(m: &Measured) -> String {
    let mut text = format!(
        "in this run: {} connections in {} before the first without a port ({}/s), then {} failures/s",
        count(m.successes_before),
        seconds(m.onset_s),
        rate(m.rate_before_cps),
        rate(m.fail_rate_cps)
    );
    match m.dead_s {
        Some(dead) => text += &format!(" for {}", seconds(dead)),
        None => text += " until the end",
    }
    if let Some(r) = m.recovered_rate_cps {
        text += &format!(", then {}/s connected", rate(r));
    }
    let others = match m.failures.saturating_sub(m.port_failures) {
        0 => String::new(),
        n => format!(", {} of them not for lack of a port", count(n)),
    };
    text + &format!("; {} in all{others}", counted(m.failures, "failure"))
}

/// The change in the program first, then settings of its system; what sockbench shows comes last.
fn of_remedies(remedies: &[Remedy], os: Option<Os>, page: &Page) -> Vec<Block> {
    let mut ordered: Vec<&Remedy> = remedies.iter().collect();
    ordered.order_by_key(|r| !keeps(r) && shown(r, os).is_some_and(|c| c.starts_with("sockbench ")));
    if ordered.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![Block::ranked(7, "\n".into())];
    for (n, r) in ordered.into_iter().take(REMEDIES).enumerate() {
        let rank = [0, 2, 4, 6].get(n).copied().unwrap_or(6);
        blocks.push(Block::ranked(rank, remedy(n + 1, r, os, page)));
    }
    blocks
}

fn remedy(number: usize, r: &Remedy, os: Option<Os>, page: &Page) -> String {
    // A sentence of its own: actions and expectations have colons.
    let expected = if r.expected.is_empty() { String::new() } else { format!(". {}", capital(&r.expected)) };
    let text = wrapped(&format!("{}{expected}", r.action), NUMBER, page.width);
    let mut out = format!("  {number} {}", text.trim_start());
    let goes_on = if os == Some(Os::Windows) { " ^" } else { " \\" };
    match (shown(r, os), r.change.as_deref()) {
        (Some(command), _) => out += &page.typed(COMMAND, "", command, goes_on),
        (None, Some(code)) => out += &page.typed(COMMAND, "", code, ""),
        (None, None) => {}
    }
    out
}

/// Kept connections: the change in the program, which comes before all others.
fn keeps(r: &Remedy) -> bool {
    Name::KeepAlive.is(r)
}

/// The command on that system; none where it is the program that changes.
fn shown(r: &Remedy, os: Option<Os>) -> Option<&str> {
    let on_system = match os {
        Some(Os::Windows) => r.windows_command.as_deref(),
        Some(Os::Macos) => r.macos_command.as_deref(),
        Some(Os::Linux) | None => None,
    };
    on_system.or(Some(r.command.as_str())).filter(|c| !c.is_empty() && !keeps(r))
}

fn more(e: &Explanation) -> String {
    let mut parts = Vec::new();
    if e.cut_lines > 0 {
        parts.push(format!("{} over 64 KiB, read at the start only", counted(e.cut_lines, "line")));
    }
    parts.extend(bad_answers(e));
    if e.other_lines > 0 {
        let what = if e.source == "locust" { "other failure" } else { "other line" };
        parts.push(format!("{} not about connections", counted(e.other_lines, what)));
    }
    parts.push("every reading and remedy: -v".into());
    parts.join("; ")
}

/// Answers beside the failures.
pub(super) fn bad_answers(e: &Explanation) -> Option<String> {
    let status = e.bad_status.map_or_else(|| "a status other than 2xx and 3xx".to_owned(), |s| format!("status {s}"));
    (e.bad_answers > 0).then(|| format!("{} had {status}", counted(e.bad_answers, "answer")))
}

#[cfg(test)]
mod tests {
    use strum::VariantArray as _;

    use super::*;

    /// A new kind has its word in the document; whether that reads well in capitals is for this list to say.
    #[test]
    fn every_headline_is_listed() {
        let joined = |all: Vec<String>| all.join(", ");
        let by_name = Exactly::VARIANTS.iter().map(|exactly| headline(Some(*exactly), Limit::NameResolution));
        assert_eq!(
            joined(by_name.collect()),
            "PROGRAM LIMIT, SERVER LIMIT, KERNEL TABLE, TIME_WAIT TABLE, KERNEL MEMORY, WINSOCK, CLOSED HERE, LISTEN DROPS, \
             RATE LIMIT, ALL DOWN, THREADS, MEMORY, LOAD TOOL, LOAD TOOL, WORKER KILLED, PING LOST, IDLE CLOSED, NAME, NAME SERVER"
        );
        let by_limit = Limit::VARIANTS.iter().map(|limit| headline(None, *limit));
        assert_eq!(
            joined(by_limit.collect()),
            "PORTS, PORT BUSY, ADDRESS, DESCRIPTORS, BACKLOG, CONNTRACK, FORBIDDEN, REFUSED, RESET, TIMEOUT, UNREACHABLE, NAME, UNKNOWN"
        );
    }
}
