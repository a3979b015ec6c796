//! Runs, studies and explanations for people: one screen by default, every figure with `-v`. Plain text; colour only where asked for.

pub(crate) mod compare;
pub(super) mod errors;
mod explain;
mod explain_detail;
pub(super) mod findings;
mod foreign;
pub(super) mod load;
mod page;
mod ports;
pub(super) mod requests;
pub(super) mod study;
pub(super) mod study_detail;
pub(super) mod summary;
mod watch;

pub use compare::render_comparison;
pub use page::{Detail, Page};
pub use ports::{render_forecast, render_ports};
pub use requests::render_locust_table;
pub use study::render_study;

use super::style::{Style, Tone};
use crate::model::explanation::Explanation;
use crate::model::result::RunResult;
use crate::model::watch::WatchReport;

/// The report of a run: one screen, and with [`Detail::Full`] every figure below it.
pub fn render_run(run: &RunResult, page: &Page) -> String {
    let shown = foreign::shown(run);
    let run = shown.as_ref().unwrap_or(run);
    let screen = load::render(run, page);
    match page.detail {
        Detail::Brief => screen,
        Detail::Full => format!("{screen}\n{}", load::detail::render(run, page)),
    }
}

/// What `explain` answers: one screen, and with [`Detail::Full`] every reading, remedy and assumption.
pub fn render_explanation(e: &Explanation, page: &Page) -> String {
    match page.detail {
        Detail::Brief => explain::render(e, page),
        Detail::Full => explain_detail::render(e, page),
    }
}

/// What was seen of a watched command: one screen, and with [`Detail::Full`] every finding below it.
pub fn render_watch(report: &WatchReport, page: &Page) -> String {
    let screen = watch::render(report, page);
    match page.detail {
        Detail::Brief => screen,
        Detail::Full => format!("{screen}\n{}", watch::detail(report, page)),
    }
}

fn section(title: &str, style: Style) -> String {
    format!("{}\n", style.paint(Tone::Heading, title))
}
