//! Findings: what the run shows, why, on which numbers, and what to do.

use super::{Page, section};
use crate::model::figures::precise;
use crate::model::finding::{Finding, Proven, Remedy, Severity};
use crate::model::rehearsal::Effect;
use crate::report::style::{Tone, wrapped};

/// All findings in their order; nothing when there are none.
pub(super) fn render(findings: &[Finding], page: &Page) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let parts: Vec<String> = findings.iter().map(|f| render_finding(f, page)).collect();
    section("Findings", page.style) + &parts.join("\n")
}

fn render_finding(f: &Finding, page: &Page) -> String {
    let style = page.style;
    let (word, tone) = match f.severity {
        Severity::Error => ("error", Tone::Bad),
        Severity::Warning => ("warning", Tone::Warn),
        Severity::Info => ("info", Tone::Faint),
    };
    let id = style.paint(Tone::Faint, f.id.word());
    let mut out = format!("  {} {id}\n", style.paint(tone, &format!("{word}:")));
    let title = wrapped(&f.title, 4, page.width);
    out += &format!("    {}\n", style.paint(Tone::Heading, title.trim()));
    if !f.explanation.is_empty() {
        out += &wrapped(&f.explanation, 4, page.width);
    }
    if !f.evidence.is_empty() {
        let numbers: Vec<String> = f.evidence.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect();
        let text = wrapped(&format!("evidence: {}", numbers.join(", ")), 4, page.width);
        out += &style.paint(Tone::Faint, text.trim_end());
        out.push('\n');
    }
    for (i, remedy) in f.remedies.iter().enumerate() {
        out += &render_remedy(i + 1, remedy, page);
    }
    out
}

fn render_remedy(number: usize, r: &Remedy, page: &Page) -> String {
    let style = page.style;
    let mut text = format!("{number}. {}", r.action);
    if !r.expected.is_empty() {
        text += &format!(" (expected: {})", r.expected);
    }
    let mut out = wrapped(&text, 4, page.width);
    out += &commands(r, page, 7);
    if let Some(proven) = &r.proven {
        let line = wrapped(&said(proven), 7, page.width);
        let tone = if proven.verdict == Effect::Helps { Tone::Good } else { Tone::Warn };
        out += &format!("       {}\n", style.paint(tone, line.trim()));
    }
    out
}

/// Those of Linux and of Windows.
pub(super) fn commands(r: &Remedy, page: &Page, indent: usize) -> String {
    let each = [("$ ", Some(&r.command), " \\"), ("Windows> ", r.windows_command.as_ref(), " ^")];
    let typed = |(prompt, command, goes_on): (&str, Option<&String>, &str)| {
        command.filter(|c| !c.is_empty()).map(|command| page.typed(indent, prompt, command, goes_on))
    };
    each.into_iter().filter_map(typed).collect()
}

/// What a rehearsal showed, in one line.
pub(in crate::report) fn said(p: &Proven) -> String {
    format!("rehearsed here: {}: {} (Linux {}, {})", p.verdict.word(), p.measured, p.kernel, p.rehearsal)
}

/// A JSON value as people write it: no quotes around text, no needless decimals.
pub(in crate::report) fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(s) => s.clone(),
        serde_json::Value::Number(n) => match n.as_f64() {
            Some(f) if !n.is_u64() && !n.is_i64() => precise(f),
            _ => n.to_string(),
        },
        other => other.to_string(),
    }
}
