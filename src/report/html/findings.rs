//! Findings: what the run shows, why, on which numbers, and what to do.

use maud::{Markup, html};

use super::shell::command;
use crate::model::finding::{Effect, Finding, Remedy, Severity};
use crate::report::style::visible;
use crate::report::text::findings::{plain, said};

/// Remedies that are seen at once.
const REMEDIES: usize = 3;

/// All of them in their order; the first that asks for action is open.
pub(super) fn render(findings: &[Finding]) -> Markup {
    html! { @for finding in findings { (one(finding)) } }
}

fn one(f: &Finding) -> Markup {
    let (word, class) = match f.severity {
        Severity::Error => ("error", "bad"),
        Severity::Warning => ("warning", "warn"),
        Severity::Info => ("info", "info"),
    };
    html! {
        article class={ "finding " (class) } {
            p class="kind" { span class={ "stamp " (class) } { (word) } " " code { (f.id.word()) } }
            h3 { (visible(&f.title)) }
            @for part in f.explanation.split('\n').filter(|part| !part.is_empty()) { p { (visible(part)) } }
            @if !f.evidence.is_empty() {
                details {
                    summary { "Evidence" }
                    ul class="evidence" { @for (name, value) in &f.evidence {
                        li { span { (visible(name)) } " " b { (visible(&plain(value))) } }
                    } }
                }
            }
            @if !f.remedies.is_empty() {
                h4 { "What helps" }
                @let (first, more) = f.remedies.split_at(f.remedies.len().min(REMEDIES));
                ol { @for remedy in first { li { (what_helps(remedy)) } } }
                @if !more.is_empty() { details {
                    summary { (more.len()) " more" }
                    ol start=(first.len() + 1) { @for remedy in more { li { (what_helps(remedy)) } } }
                } }
            }
        }
    }
}

fn what_helps(r: &Remedy) -> Markup {
    html! {
        p { (visible(&r.action)) @if let Some(change) = &r.change { " " code { (visible(change)) } } }
        @if !r.expected.is_empty() { p class="note" { "expected: " (visible(&r.expected)) } }
        @if let Some(price) = &r.price { p class="note" { "price: " (visible(price)) } }
        @if let Some(proven) = &r.proven {
            p class=(if proven.verdict == Effect::Helps { "good" } else { "warn" }) { (visible(&said(proven))) }
        }
        (commands(&r.command, r.windows_command.as_deref(), r.macos_command.as_deref()))
    }
}

/// The command of each system that has one.
pub(super) fn commands(linux: &str, windows: Option<&str>, macos: Option<&str>) -> Markup {
    let all = [("Linux", Some(linux)), ("Windows", windows), ("macOS", macos)];
    html! { @for (system, text) in all { @if let Some(text) = text.filter(|t| !t.is_empty()) { (command(system, text)) } } }
}
