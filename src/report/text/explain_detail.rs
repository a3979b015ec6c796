//! All of an explanation: each kind of failure and how to tell it from others, the arithmetic with its assumptions, every
//! remedy with the commands of all systems.

use super::explain::{bad_answers, called, first_sentence, history, law, nothing, read_as};
use super::{Page, findings, render_forecast, section};
use crate::model::explanation::{Arithmetic, Certainty, Explanation, Limit, Reading};
use crate::model::figures::{counted, seconds};
use crate::model::finding::Remedy;
use crate::report::style::{Tone, wrapped};

/// Longest piece of the given text that is shown.
const QUOTED: usize = 160;

pub(super) fn render(e: &Explanation, page: &Page) -> String {
    let mut parts: Vec<String> = e.readings.iter().map(|r| reading(r, page)).collect();
    if !e.findings.is_empty() {
        parts.push(findings::render(&e.findings, page));
    } else if e.readings.is_empty() {
        parts.push(nothing(e, page));
    }
    parts.extend(e.arithmetic.as_ref().map(|a| arithmetic(a, is_open(e), page)));
    if !e.remedies.is_empty() {
        let list: String = e.remedies.iter().enumerate().map(|(i, r)| remedy(i + 1, r, page)).collect();
        parts.push(section("What to do", page.style) + &list);
    }
    parts.extend(bad_answers(e).map(|text| page.style.paint(Tone::Faint, &text) + "\n"));
    for (n, what) in [(e.cut_lines, "over 64 KiB, read at the start only"), (e.other_lines, "not about connections")] {
        if n > 0 {
            parts.push(page.style.paint(Tone::Faint, &format!("{} {what}", counted(n, "line"))) + "\n");
        }
    }
    parts.join("\n")
}

fn reading(r: &Reading, page: &Page) -> String {
    let mut quoted: String = r.text.chars().take(QUOTED).collect();
    if r.text.chars().count() > QUOTED {
        quoted.push_str("..");
    }
    let often = if r.count > 1 { format!(" ({})", counted(r.count, "time")) } else { String::new() };
    let (sentence, rest) = first_sentence(&r.says);
    let head = wrapped(&format!("{}.{often}", sentence.trim_end_matches('.')), 0, page.width);
    let mut out = page.style.paint(Tone::Heading, head.trim_end()) + "\n";
    out += &wrapped(&quoted, 2, page.width);
    out += &page.labelled("read as", &read_as(r));
    if !rest.is_empty() {
        out += &page.labelled("why", rest);
    }
    out += &page.labelled("not", r.is_not.strip_prefix("not ").unwrap_or(&r.is_not));
    let lead = if r.certainty == Certainty::Ambiguous { "either" } else { "check" };
    let alternatives: Vec<String> = r.alternatives.iter().map(|a| format!("{}: {}", called(a.limit, a.call), a.tell)).collect();
    out + &page.listed(lead, &alternatives)
}

/// No reading is sure that ports are the limit.
fn is_open(e: &Explanation) -> bool {
    let sure = |r: &Reading| r.limit == Limit::LocalPorts && r.certainty != Certainty::Ambiguous;
    !e.readings.is_empty() && !e.readings.iter().any(sure)
}

fn arithmetic(a: &Arithmetic, open: bool, page: &Page) -> String {
    let mut out = section(if open { "Arithmetic, where ports are the limit" } else { "Arithmetic" }, page.style);
    let mut say = |text: &str| out += &wrapped(text, 2, page.width);
    say(&format!("{}.", law(a)));
    if let Some(m) = &a.measured {
        say(&format!("{}.", history(m)));
    }
    if let Some(t) = a.solved_hold_s {
        say(&format!("Solved backwards, a port stays in use for about {}.", seconds(t)));
    }
    a.rejected.iter().for_each(|why| say(&format!("Ruled out: {why}.")));
    a.doubts.iter().for_each(|why| say(&format!("{why}.")));
    if let Some(f) = &a.forecast {
        out.push('\n');
        return out + &render_forecast(f, &a.assumed, page.style);
    }
    a.assumed.iter().for_each(|what| say(&format!("Assumed: {what}.")));
    if a.measured.is_none() {
        say("With --rate it says when the ports run out, for how long, and when this recurs.");
    }
    out
}

fn remedy(number: usize, r: &Remedy, page: &Page) -> String {
    let expected = if r.expected.is_empty() { String::new() } else { format!(" (expected: {})", r.expected) };
    let mut out = wrapped(&format!("{number}. {}{expected}", r.action), 2, page.width);
    if let Some(change) = r.change.as_ref().filter(|_| r.command.is_empty()) {
        out += &page.typed(5, "", change, "");
    }
    out += &findings::commands(r, page, 5);
    if let Some(command) = &r.macos_command {
        out += &page.typed(5, "macOS$ ", command, " \\");
    }
    if let Some(price) = &r.price {
        out += &wrapped(&format!("mind: {price}"), 5, page.width);
    }
    out
}
