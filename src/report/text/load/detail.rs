//! The rest of a run's report, for `-v` and `report.txt`: the command, every endpoint, error, figure and finding, what could
//! not be decided and what could not be measured.

use crate::model::figures::counted;
use crate::model::result::RunResult;
use crate::report::style::{Tone, wrapped};
use crate::report::text::{Page, errors, findings, requests, section, summary};

pub(in crate::report::text) fn render(run: &RunResult, page: &Page) -> String {
    let parts = [
        command(run, page),
        machines(run, page),
        destinations(run, page),
        requests::render_locust_table(run, page),
        errors::render(run, page),
        summary::render(run, page),
        each_destination(run, page),
        findings::render(&run.findings, page),
        undecided(run, page),
        summary::render_unavailable(run, page),
    ];
    parts.iter().filter(|p| !p.is_empty()).map(String::as_str).collect::<Vec<_>>().join("\n")
}

fn command(run: &RunResult, page: &Page) -> String {
    let on = format!(
        "{}, sockbench {}, Linux {}, {}",
        run.started_at,
        run.tool.version,
        run.host.kernel,
        counted(run.host.cpus, "core")
    );
    page.typed(0, "", &run.command, " \\") + &page.style.paint(Tone::Faint, wrapped(&on, 0, page.width).trim_end()) + "\n"
}

fn machines(run: &RunResult, page: &Page) -> String {
    if run.machines.is_empty() { String::new() } else { super::machines::all(run).render(page.style, page.width) }
}

/// Where the screen has not all of them.
fn destinations(run: &RunResult, page: &Page) -> String {
    if super::destinations::are_all_shown(run) {
        String::new()
    } else {
        super::destinations::all(run).render(page.style, page.width)
    }
}

/// The figures of each: its ports, its target.
fn each_destination(run: &RunResult, page: &Page) -> String {
    let one = |part: &RunResult| format!("To {}: {}", part.plan.target.authority, summary::render(part, page));
    run.destinations.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn undecided(run: &RunResult, page: &Page) -> String {
    if run.undecided.is_empty() {
        return String::new();
    }
    let lines = run.undecided.iter().map(|u| wrapped(&format!("{}: {}", u.id.word(), u.missing), 2, page.width));
    section("Could not decide", page.style) + &lines.collect::<String>()
}
