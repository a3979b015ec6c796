//! Status while a run goes on: a block of at most six lines on a terminal, a line a second elsewhere, nothing with `--quiet`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write as _};

use crate::load::run::UsersNow;
use crate::model::figures::{count, counted, ms, number, percent, seconds};
use crate::model::order::Order as _;
use crate::model::outcome::{Failure, Party};
use crate::model::plan::LoadPlan;
use crate::observe::LivePorts;
use crate::stats::interval::{Interval, SecondSummary};
use crate::sys::terminal;

/// Columns of a line where there is no terminal, and the most that a block takes.
const WIDTH: usize = 80;
/// Columns of a bar of progress.
const BAR: usize = 20;
/// Kinds of failures that are named in a second.
const KINDS: usize = 4;
/// Columns of the labels of a block.
const LABEL: usize = 8;

/// Where status goes.
#[derive(Debug)]
pub(crate) enum Status {
    /// a block on the terminal; its lines as they were drawn last
    Block(RefCell<Vec<String>>),
    /// a line a second on stderr; the second of the last one
    Plain(Cell<Option<u64>>),
    /// nothing
    Off,
}

/// What is shown of one second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Second<'a> {
    pub(crate) plan: &'a LoadPlan,
    pub(crate) counted: &'a SecondSummary,
    pub(crate) users: UsersNow,
    pub(crate) live: Option<&'a LivePorts>,
    /// failures in it, by kind
    pub(crate) failures: &'a BTreeMap<Failure, u64>,
    /// requests that have ended since the start
    pub(crate) ended: u64,
    /// the step of a study, from 1, and how many there are
    pub(crate) step: Option<(usize, usize)>,
    /// where the live page is
    pub(crate) page: Option<&'a str>,
}

impl Second<'_> {
    /// A connection of it found no source port.
    fn ran_out(&self) -> bool {
        self.failures.keys().any(|failure| failure.party() == Party::Sockets)
    }
}

impl Status {
    pub(crate) fn new(quiet: bool) -> Self {
        let is_terminal = || std::io::stderr().is_terminal() && std::env::var_os("CI").is_none() && !super::is_dumb();
        match (quiet, quiet || is_terminal()) {
            (true, _) => Self::Off,
            (false, true) => Self::Block(RefCell::default()),
            (false, false) => Self::Plain(Cell::new(None)),
        }
    }

    /// Shows a second of a run.
    pub(crate) fn show(&self, second: &Second<'_>) {
        self.draw(second.counted.second, |width| block(second, width), || line(second));
    }

    /// Shows a line of a second in which no run goes on.
    pub(crate) fn say(&self, second: u64, line: &str) {
        self.draw(second, |width| vec![cut(line, width)], || line.to_owned());
    }

    fn draw(&self, second: u64, block: impl Fn(usize) -> Vec<String>, line: impl Fn() -> String) {
        match self {
            Self::Block(drawn) => {
                let columns = terminal::columns_of_stderr().unwrap_or(WIDTH);
                let lines = block(columns.saturating_sub(1).clamp(1, WIDTH));
                // A terminal that has gone away is no reason to end a run.
                let _ = std::io::stderr().write_all(redrawn(&drawn.borrow(), &lines, columns).as_bytes());
                *drawn.borrow_mut() = lines;
            }
            Self::Plain(shown) if shown.replace(Some(second)) != Some(second) => super::tell_line(&line()),
            Self::Plain(_) | Self::Off => {}
        }
    }

    /// Takes the block away.
    pub(crate) fn clear(&self) {
        if let Self::Block(drawn) = self {
            let columns = terminal::columns_of_stderr().unwrap_or(WIDTH);
            let _ = std::io::stderr().write_all(redrawn(&drawn.take(), &[], columns).as_bytes());
        }
    }
}

/// Failures of a second by kind, all endpoints together.
pub(crate) fn by_kind(second: &Interval) -> BTreeMap<Failure, u64> {
    let mut kinds = BTreeMap::new();
    for ((failure, _), count) in &second.failures {
        *kinds.entry(*failure).or_default() += count;
    }
    kinds
}

/// What to write so that `now` is where `before` was. A terminal that has become narrower has broken the lines since.
fn redrawn(before: &[String], now: &[String], columns: usize) -> String {
    let rows: usize = before.iter().map(|line| line.chars().count().div_ceil(columns.max(1)).max(1)).sum();
    let up = if rows > 0 { format!("\x1b[{rows}A\r") } else { String::new() };
    let lines: String = now.iter().flat_map(|line| [line, "\x1b[K\n"]).collect();
    format!("{up}{lines}{}", if rows > 0 { "\x1b[J" } else { "" })
}

/// `40 req/s`: failures are beside it, those at the target as those of this machine.
fn answered(second: &SecondSummary) -> String {
    format!("{} req/s", count(second.counts.requests.saturating_sub(second.counts.failures)))
}

/// The lines of one second, none wider than `width`: what does not fit is left out, the last part first.
fn block(second: &Second<'_>, width: usize) -> Vec<String> {
    let Second { counted: c, users, live, .. } = second;
    let mut lines = vec![fitted(String::new(), progress(second), width)];
    let mut add = |label: &str, parts: Vec<String>| {
        if !parts.is_empty() {
            lines.push(fitted(format!("  {label:<LABEL$}"), parts, width));
        }
    };
    let mut load = vec![in_words(second.plan, *users), answered(c)];
    load.extend(c.p50_ms.zip(c.p95_ms).map(|(p50, p95)| format!("p50 {}, p95 {} ms", ms(p50), ms(p95))));
    load.extend(c.p99_ms.map(|p99| format!("p99 {} ms", ms(p99))));
    add("load", load);
    let failed = c.counts.failures + c.counts.local_failures;
    let mut kinds: Vec<(&Failure, &u64)> = second.failures.iter().collect();
    kinds.order_by_key(|(failure, count)| (std::cmp::Reverse(**count), **failure));
    let named = kinds.into_iter().take(KINDS).map(|(f, n)| format!("{} {} {}", f.call.word(), f.name(), count(*n)));
    add("failed", std::iter::once(format!("{}/s", count(failed))).chain(named.filter(|_| failed > 0)).collect());
    add("ports", live.and_then(|live| live.used_in_words(second.ran_out())).into_iter().collect());
    let core = |of: &str, share: Option<f64>| share.map(|cpu| format!("{of} {}", percent(cpu)));
    let cpu = live.map(|l| [core("client", l.seen.client_cpu_percent), core("target", l.seen.target_cpu_percent)]);
    let mut cpu: Vec<String> = cpu.into_iter().flatten().flatten().collect();
    if let Some(last) = cpu.last_mut() {
        *last += " of a core";
    }
    cpu.extend(live.and_then(|l| l.seen.host_cpu_percent).map(|host| format!("host {} of all cores", percent(host))));
    add("CPU", cpu);
    add("page", second.page.map(str::to_owned).into_iter().collect());
    lines
}

/// Step, time, what is left of the step, and a bar.
fn progress(second: &Second<'_>) -> Vec<String> {
    let (plan, at) = (second.plan, second.counted.second + 1);
    let step = second.step.map(|(step, of)| format!("step {step} of {of}"));
    let planned = plan.duration.as_secs_f64();
    let share = match (planned > 0.0, plan.requests) {
        (true, _) => Some(at as f64 / planned),
        (false, 0) => None,
        (false, all) => Some(second.ended as f64 / all as f64),
    };
    let bar = share.map(|share| {
        let done = (share.clamp(0.0, 1.0) * BAR as f64) as usize;
        format!("[{}{}]", "#".repeat(done), ".".repeat(BAR - done))
    });
    let left = (planned > 0.0).then(|| format!("{} left", seconds((planned - at as f64).max(0.0))));
    let requests = (planned == 0.0 && plan.requests > 0)
        .then(|| format!("{} of {}", count(second.ended), counted(plan.requests, "request")));
    [step, Some(clock(plan, at)), left, requests, bar].into_iter().flatten().collect()
}

fn clock(plan: &LoadPlan, at: u64) -> String {
    let end = if plan.duration.is_zero() { String::new() } else { format!("/{}", number(plan.duration.as_secs_f64())) };
    format!("{at:>4}{end} s")
}

/// As many parts as fit behind `label`; the first is cut where it alone is too wide.
fn fitted(label: String, parts: Vec<String>, width: usize) -> String {
    let mut line = label;
    for (i, part) in parts.into_iter().enumerate() {
        let longer = format!("{line}{}{part}", if i == 0 { "" } else { "  " });
        if longer.chars().count() > width && i > 0 {
            break;
        }
        line = longer;
    }
    cut(&line, width)
}

fn cut(line: &str, width: usize) -> String {
    line.chars().take(width).collect()
}

fn in_words(plan: &LoadPlan, users: UsersNow) -> String {
    // In an open loop connections are opened as needed: fewer than allowed is no shortfall.
    if plan.is_open_loop() {
        counted(users.active, "conn")
    } else if users.active == users.asked {
        counted(users.active, "user")
    } else {
        format!("{} of {}", count(users.active), counted(users.asked, "user"))
    }
}

/// The line of one second: time, users, rate, failures, ports, latency. Where not all fits, latency
/// gives way first, then the users.
fn line(second: &Second<'_>) -> String {
    let Second { plan, counted: c, users, live, .. } = second;
    let (failed, local) = (c.counts.failures, c.counts.local_failures);
    let mut parts = vec![clock(plan, c.second + 1), in_words(plan, *users), answered(c)];
    match (failed, local) {
        (0, 0) => {}
        (0, _) => parts.push(format!("failed {} here", count(local))),
        (_, 0) => parts.push(format!("failed {}", count(failed))),
        _ => parts.push(format!("failed {} at target, {} here", count(failed), count(local))),
    }
    parts.extend(live.and_then(|live| live.in_words(second.ran_out())));
    let latency = c.p50_ms.zip(c.p95_ms).map(|(p50, p95)| format!("p50 {}, p95 {} ms", ms(p50), ms(p95)));
    let whole = [parts.clone(), latency.into_iter().collect()].concat();
    let without_users = [&parts[..1], &parts[2..]].concat();
    let lines = [whole, parts, without_users].map(|parts| parts.join("  "));
    let fits = lines.iter().position(|line| line.chars().count() <= WIDTH);
    // The widest counts that there are fit without their nouns.
    fits.map_or_else(|| lines[2].replace(" at target,", ",").replace("req/s", "/s"), |i| lines[i].clone())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::diagnose::ports::budget::Budget;
    use crate::model::outcome::{Call, Cause, EADDRNOTAVAIL, ECONNRESET};
    use crate::model::plan::Target;
    use crate::model::port_count::{InUse, PortCount};

    fn plan(duration_s: u64) -> LoadPlan {
        let mut plan = LoadPlan::new(Target::at(([127, 0, 0, 1], 80).into()), Vec::new());
        plan.duration = Duration::from_secs(duration_s);
        plan
    }

    fn of<'a>(plan: &'a LoadPlan, counted: &'a SecondSummary, failures: &'a BTreeMap<Failure, u64>) -> Second<'a> {
        let users = UsersNow { active: 1000, asked: 1000 };
        Second { plan, counted, users, live: None, failures, ended: 0, step: None, page: None }
    }

    /// 28,000 of 28,232 ports in TIME_WAIT, 12,345 more a second.
    fn filling() -> LivePorts {
        let in_use = InUse { timed: 28_000, first_free_s: 30.0, ..InUse::default() };
        let mut live = LivePorts {
            short_lived: true,
            count: Some(PortCount { in_use, ..PortCount::default() }),
            pool: Some(28_232),
            budget: Some(Budget::new(28_232, 60.0)),
            rate_cps: Some(12_345.0),
            ..LivePorts::default()
        };
        live.seen.client_cpu_percent = Some(12.3);
        live.seen.target_cpu_percent = Some(97.8);
        live.seen.host_cpu_percent = Some(55.0);
        live
    }

    fn busy() -> SecondSummary {
        let mut second = SecondSummary {
            second: 99,
            p50_ms: Some(12.3),
            p95_ms: Some(1234.5),
            p99_ms: Some(2345.6),
            ..SecondSummary::default()
        };
        second.counts.requests = 12_345;
        second
    }

    #[test]
    fn ports_are_shown_once_they_were_counted() {
        let (plan, second, none) = (plan(0), SecondSummary::default(), BTreeMap::new());
        let before = LivePorts { short_lived: true, pool: Some(28_232), ..LivePorts::default() };
        let shown = |live| line(&Second { live: Some(live), ..of(&plan, &second, &none) });
        assert!(!shown(&before).contains("ports"), "{}", shown(&before));
        let in_use = InUse { timed: 14_116, ..InUse::default() };
        let counted = LivePorts { count: Some(PortCount { in_use, ..PortCount::default() }), ..before };
        assert!(shown(&counted).contains("ports 14,116/28,232"), "{}", shown(&counted));
    }

    #[test]
    fn a_line_keeps_to_80_columns() {
        let (plan, mut second, none) = (plan(180), busy(), BTreeMap::new());
        assert_eq!(line(&of(&plan, &second, &none)), " 100/180 s  1,000 users  12,345 req/s  p50 12.3, p95 1,235 ms");
        second.counts.local_failures = 9_999;
        let live = filling();
        let users = UsersNow { active: 1, asked: 1000 };
        let short = line(&Second { users, live: Some(&live), ..of(&plan, &second, &none) });
        assert!(short.chars().count() <= WIDTH && short.contains("full in 1 s"), "{short}");
    }

    #[test]
    fn failures_on_either_side_are_no_part_of_the_rate() {
        let (plan, mut second, none) = (plan(180), busy(), BTreeMap::new());
        (second.counts.requests, second.counts.failures) = (1500, 1500);
        let dead = line(&of(&plan, &second, &none));
        assert!(dead.contains("  0 req/s  failed 1,500"), "{dead}");
        (second.counts.requests, second.counts.failures, second.counts.local_failures) = (0, 0, 385);
        let here = line(&of(&plan, &second, &none));
        assert!(here.contains("  0 req/s  failed 385 here"), "{here}");
    }

    #[test]
    fn a_block_has_at_most_six_lines_and_never_wraps() {
        let (plan, mut second) = (plan(180), busy());
        second.counts.local_failures = 9_990;
        second.counts.failures = 9;
        let kinds = [
            (Failure::new(Call::Read, Cause::Errno(ECONNRESET)), 9),
            (Failure::new(Call::Connect, Cause::Errno(EADDRNOTAVAIL)), 9_990),
        ];
        let (failures, live) = (BTreeMap::from(kinds), filling());
        let whole = Second {
            live: Some(&live),
            step: Some((2, 3)),
            page: Some("http://127.0.0.1:7625/"),
            ..of(&plan, &second, &failures)
        };
        insta::assert_snapshot!("block_79", block(&whole, 79).join("\n"));
        insta::assert_snapshot!("block_59", block(&whole, 59).join("\n"));
        for width in 1..=WIDTH {
            let lines = block(&whole, width);
            assert!(lines.len() <= 6 && lines.iter().all(|l| l.chars().count() <= width), "{width}: {lines:#?}");
        }
    }

    #[test]
    fn a_run_that_counts_requests_shows_how_many_are_left() {
        let (mut plan, second, none) = (plan(0), SecondSummary::default(), BTreeMap::new());
        plan.requests = 1000;
        let shown = block(&Second { ended: 500, ..of(&plan, &second, &none) }, 79);
        assert_eq!(shown[0], "   1 s  500 of 1,000 requests  [##########..........]");
        plan.requests = 0;
        assert_eq!(block(&of(&plan, &second, &none), 79)[0], "   1 s", "until somebody ends it");
    }

    #[test]
    fn a_block_is_drawn_over_the_one_before() {
        let lines = |all: &[&str]| all.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        assert_eq!(redrawn(&[], &lines(&["a", "b"]), 80), "a\x1b[K\nb\x1b[K\n");
        assert_eq!(redrawn(&lines(&["a", "b"]), &lines(&["c"]), 80), "\x1b[2A\rc\x1b[K\n\x1b[J");
        let wide = lines(&["0123456789", ""]);
        assert!(redrawn(&wide, &[], 4).starts_with("\x1b[4A"), "the first has become three rows, the second is one");
        assert_eq!(redrawn(&[], &[], 80), "", "nothing was drawn, nothing is cleared");
    }
}
