//! An explanation for the terminal: each kind of line with its call and limit, the arithmetic, what to do.

use super::style::{Style, Tone, wrapped};
use super::text::{render_findings, render_forecast};
use crate::model::explanation::{Arithmetic, Certainty, Explanation, Limit, Measured, Reading};
use crate::model::finding::Remedy;

/// Lines of prose end before this column.
const WIDTH: usize = 108;
/// Longest piece of the given text that is shown.
const QUOTED: usize = 160;

/// The whole answer.
pub fn render(e: &Explanation, style: Style) -> String {
    let mut parts: Vec<String> = e.readings.iter().map(|r| reading(r, style)).collect();
    if !e.findings.is_empty() {
        parts.push(render_findings(&e.findings, style));
    } else if e.source == "locust" && e.readings.is_empty() && e.other_lines == 0 {
        parts.push("nothing to explain: no failures in this file\n".into());
    } else if e.source == "locust" && e.readings.is_empty() {
        let text = format!("{} failures, none of which says anything about connections\n", e.other_lines);
        parts.push(text);
    } else if matches!(e.source.as_str(), "run" | "study") {
        parts.push("nothing to explain: the facts of this document show no finding\n".into());
    }
    if let Some(a) = &e.arithmetic {
        parts.push(arithmetic(a, is_open(e), style));
    }
    if !e.remedies.is_empty() {
        let list: String = e.remedies.iter().enumerate().map(|(i, r)| remedy(i + 1, r, style)).collect();
        parts.push(style.paint(Tone::Heading, "What to do") + "\n" + &list);
    }
    if e.other_lines > 0 && !e.readings.is_empty() {
        let what = if e.source == "locust" { "failures" } else { "lines" };
        let text = format!("{} further {what} say nothing about connections", e.other_lines);
        parts.push(style.paint(Tone::Faint, &text) + "\n");
    }
    parts.join("\n")
}

fn reading(r: &Reading, style: Style) -> String {
    let mut quoted: String = r.text.chars().take(QUOTED).collect();
    if r.text.chars().count() > QUOTED {
        quoted.push_str("...");
    }
    let times = if r.count > 1 { format!("  ({} times)", r.count) } else { String::new() };
    let mut out = format!("{}{times}\n", style.paint(Tone::Faint, &quoted));
    let code = match (&r.name, r.code) {
        (Some(name), Some(code)) => format!("{name} {code}"),
        (Some(name), None) => name.clone(),
        _ => "no code".into(),
    };
    let os = r.os.map_or_else(String::new, |os| format!(", {}", os.word()));
    let call = if r.call.word() == "unnamed" { "names no call".to_owned() } else { format!("{}()", r.call.word()) };
    out += &format!(
        "  {} {call} -> {}  [{code}{os}; {}]\n",
        style.paint(Tone::Heading, "limit:"),
        style.paint(Tone::Bad, r.limit.word()),
        r.certainty.word()
    );
    out += &wrapped(&r.says, 2, WIDTH);
    let lead = if r.certainty == Certainty::Ambiguous { "In that case it is" } else { "It is" };
    out += &wrapped(&format!("{lead} {}.", r.is_not), 2, WIDTH);
    if !r.alternatives.is_empty() {
        out += if r.certainty == Certainty::Ambiguous {
            "  It could be one of these; tell them apart:\n"
        } else {
            "  To make sure:\n"
        };
        for a in &r.alternatives {
            let call = if a.call.word() == "unnamed" { String::new() } else { format!(" at {}()", a.call.word()) };
            let text = wrapped(&format!("- {}{call}: {}", a.limit.word(), a.tell), 4, WIDTH);
            out += &text;
        }
    }
    out
}

/// No reading is sure that ports are the limit.
fn is_open(e: &Explanation) -> bool {
    let sure = |r: &Reading| r.limit == Limit::LocalPorts && r.certainty != Certainty::Ambiguous;
    !e.readings.is_empty() && !e.readings.iter().any(sure)
}

fn arithmetic(a: &Arithmetic, open: bool, style: Style) -> String {
    let heading = if open { "Arithmetic, where ports are the limit" } else { "Arithmetic" };
    let mut out = style.paint(Tone::Heading, heading) + "\n";
    let law = format!(
        "{} ports / {:.0} s = {:.1} new connections/s to one destination from one source address, at most.",
        a.pool, a.hold_s, a.ceiling_cps
    );
    out += &wrapped(&law, 2, WIDTH);
    if let Some(m) = &a.measured {
        out += &wrapped(&told(m), 2, WIDTH);
    }
    if let Some(t) = a.solved_hold_s {
        out += &wrapped(&format!("Solved backwards, a port stays held about {t:.1} s."), 2, WIDTH);
    }
    for why in &a.rejected {
        out += &wrapped(&format!("Ruled out: {why}."), 2, WIDTH);
    }
    for why in &a.doubts {
        out += &wrapped(&format!("{why}."), 2, WIDTH);
    }
    if let Some(f) = &a.forecast {
        out.push('\n');
        out += &render_forecast(f, &a.assumed, style);
    } else {
        for what in &a.assumed {
            out += &wrapped(&format!("Assumed: {what}."), 2, WIDTH);
        }
        if a.measured.is_some() {
            return out;
        }
        out += &wrapped("With --rate it says when the ports run out, for how long, and when the failures come back.", 2, WIDTH);
    }
    out
}

fn told(m: &Measured) -> String {
    let mut text = format!(
        "The history: {} calls got a port in {:.1} s before the first that did not ({:.1}/s), then {:.1} failures/s",
        m.successes_before, m.onset_s, m.rate_before_cps, m.fail_rate_cps
    );
    match m.dead_s {
        Some(dead) => text += &format!(" for {dead:.1} s"),
        None => text += " until the end",
    }
    if let Some(r) = m.recovered_rate_cps {
        text += &format!(", then {r:.1}/s got one");
    }
    let others = match m.failures.saturating_sub(m.port_failures) {
        0 => String::new(),
        n => format!(", {n} of them not for want of a port"),
    };
    text + &format!("; {} failures{others} and {} successes in all.", m.failures, m.successes)
}

fn remedy(number: usize, r: &Remedy, style: Style) -> String {
    let mut out = wrapped(&format!("{number}. {} (expected: {})", r.action, r.expected), 2, WIDTH);
    if let Some(change) = r.change.as_ref().filter(|_| r.command.is_empty()) {
        out += &format!("     {}\n", style.paint(Tone::Command, change));
    }
    for (prompt, command) in
        [("$", Some(&r.command)), ("Windows>", r.windows_command.as_ref()), ("macOS$", r.macos_command.as_ref())]
    {
        if let Some(command) = command.filter(|c| !c.is_empty()) {
            out += &format!("     {prompt} {}\n", style.paint(Tone::Command, command));
        }
    }
    out
}
