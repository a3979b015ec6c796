//! A run for the terminal: what was asked, the table in Locust's columns, the errors, the summary, the findings, and
//! what could not be measured. Plain text of about 110 columns; colour only where asked for.

mod errors;
mod findings;
mod requests;
mod study;
mod study_detail;
mod summary;

pub use errors::render_errors;
pub use findings::render_findings;
pub use requests::render_requests;
pub use study::{Detail, render_study};
pub use summary::{render_summary, render_unavailable};

use super::style::{Style, Tone};
use crate::model::figures::{counted, rate, seconds};
use crate::model::result::RunResult;

/// Lines of prose end before this column.
const PROSE_WIDTH: usize = 108;

/// The whole report of a run.
pub fn render_run(run: &RunResult, style: Style) -> String {
    let parts = [
        headline(run, style),
        render_requests(run, style),
        render_errors(run, style),
        render_summary(run, style),
        render_findings(&run.findings, style),
        render_unavailable(run, style),
    ];
    parts.iter().filter(|p| !p.is_empty()).map(String::as_str).collect::<Vec<_>>().join("\n")
}

fn headline(run: &RunResult, style: Style) -> String {
    let plan = &run.plan;
    let load = if plan.is_open_loop() {
        format!("{} req/s asked for, up to {} connections", rate(plan.rate), plan.users)
    } else {
        counted(plan.users, "user")
    };
    let kept = if plan.keepalive { "connections kept" } else { "a new connection for each request" };
    let what = style.paint(Tone::Heading, &format!("{} to {}", run.command, plan.target.url));
    let side = format!(
        "{load}, {kept}, {}; {}, sockbench {}, Linux {}, {}",
        seconds(run.duration_s),
        run.started_at,
        run.tool.version,
        run.host.kernel,
        counted(run.host.cpus, "cpu")
    );
    format!("{what}\n{}\n", style.paint(Tone::Faint, &side))
}

fn section(title: &str, style: Style) -> String {
    format!("{}\n", style.paint(Tone::Heading, title))
}
