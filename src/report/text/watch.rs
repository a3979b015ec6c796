//! A watched command on one screen: the verdict, why, its ports, its processes, its server, what it said, what helps.

use super::findings;
use super::load::{headline, next};
use super::page::{Block, Page, one_screen};
use crate::diagnose::deciding;
use crate::model::explanation::Reading;
use crate::model::figures::{bytes, count, counted, percent, rate, seconds, share};
use crate::model::finding::{Finding, FindingId, Remedy, Severity};
use crate::model::order::grouped;
use crate::model::result::VerdictId;
use crate::model::watch::{Attribution, Destination, OF_A_CLIENT_ALONE, OpenFor, Server, Unowned, WatchReport};
use crate::remedy::{advice, quoted};
use crate::report::style::{Tone, capital, shortened, visible, wrapped};

/// Column in which further lines of the head start.
const INDENT: usize = 5;
/// Destinations, other findings, kinds of lines and forecasts that are shown.
const ROWS: usize = 3;
/// Remedies that are shown.
const REMEDIES: usize = 3;
/// A server that used less of a core than this did nothing.
const IDLE_PERCENT: f64 = 1.0;
/// A connection that was open for this share of a watch was open from the first look at it to the last.
const WHOLE: f64 = 0.9;

pub(super) fn render(report: &WatchReport, page: &Page) -> String {
    let subject = subject(report);
    let mut blocks = vec![Block::kept(head(report, page)), Block::ranked(6, "\n".into())];
    if let Some(f) = subject {
        let title = Some(&f.title).filter(|_| !has_title(report, f));
        let why = title.map_or_else(|| f.explanation.clone(), |t| format!("{t}. {}", f.explanation));
        blocks.push(page.ranked(1, "why", &visible(&capital(&why))));
    }
    blocks.extend(page.blocks(2, "also", others(report, subject).take(ROWS).map(|f| visible(&f.title))));
    blocks.extend(forecasts(report, page));
    let in_use = |d: &&Destination| d.closed_by_client + d.closed_by_server + u64::from(d.open_max) > 0;
    for (n, d) in report.destinations.iter().filter(in_use).take(ROWS).enumerate() {
        let label = if n == 0 { "ports" } else { "" };
        blocks.push(page.ranked(if n == 0 { 1 } else { 4 }, label, &ports(d)));
        if let Some(server) = &d.server {
            blocks.push(page.ranked(3, "server", &of_server(server)));
        }
    }
    blocks.extend(connections(report, page));
    if report.verdict.id == VerdictId::Undecided && !report.destinations.iter().any(|d| in_use(&d)) {
        blocks.extend(unowned(report, page));
    }
    blocks.push(page.ranked(3, "command", &processes(report)));
    blocks.extend(output(report, page));
    blocks.extend(careful(report, page));
    let steps = subject.map(|f| f.remedies.clone()).filter(|r| !r.is_empty()).unwrap_or_else(|| next_steps(report));
    if !steps.is_empty() {
        blocks.push(Block::ranked(6, "\n".into()));
        blocks.push(Block::kept(next::table("what helps", &steps[..steps.len().min(REMEDIES)], page)));
    }
    blocks.push(page.more(&more(page)));
    one_screen(blocks)
}

/// The verdict has the title of `f`. That of ports says when instead, and one that the output left open says that.
fn has_title(report: &WatchReport, f: &Finding) -> bool {
    match report.verdict.id {
        VerdictId::PortBound => f.id != FindingId::LocalPortsExhausted,
        VerdictId::Undecided => report.output.readings.is_empty(),
        _ => true,
    }
}

/// Every finding, and what could not be decided.
pub(super) fn detail(report: &WatchReport, page: &Page) -> String {
    let mut out = findings::render(&report.findings, page);
    if !report.undecided.is_empty() {
        out += &format!("\n{}", super::section("Undecided", page.style));
        // Findings that miss the same are one paragraph.
        for (missing, ids) in grouped(report.undecided.iter().map(|u| (&u.missing, u.id.word()))) {
            out += &wrapped(&format!("{}: not known: {missing}", ids.join(", ")), 2, page.width);
        }
    }
    out
}

/// The finding that the page is about.
fn subject(report: &WatchReport) -> Option<&Finding> {
    deciding(&report.findings).or_else(|| report.findings.iter().find(|f| f.severity != Severity::Info))
}

fn others<'a>(report: &'a WatchReport, subject: Option<&'a Finding>) -> impl Iterator<Item = &'a Finding> {
    report.findings.iter().filter(move |f| subject.is_none_or(|s| s.id != f.id))
}

fn head(report: &WatchReport, page: &Page) -> String {
    let v = &report.verdict;
    let (sentence, tone) = match (v.id, Tone::of_verdict(v.id)) {
        (VerdictId::Healthy, tone) if subject(report).is_none() => (v.sentence.replacen("OK:", "OK  ", 1), tone),
        (VerdictId::Healthy, _) => (v.sentence.clone(), Tone::Warn),
        (_, tone) => (headline::loud(&v.sentence), tone),
    };
    let out = headline::lines(&visible(&sentence), tone, page);
    let w = &report.watched;
    let how = match (w.exit_code, w.signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) if w.ended == Some(true) => "it has ended".into(),
        (None, None) => "still running".into(),
    };
    let tail = format!(", {}, {how}", seconds(report.duration_s));
    // As a shell takes them, in one line.
    let words = w.words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    let words = visible(&words.split_whitespace().collect::<Vec<_>>().join(" "));
    let words = shortened(&words, (page.width - INDENT).saturating_sub(tail.len()).max(20));
    out + &wrapped(&(words + &tail), INDENT, page.width)
}

/// Where a command failed and nothing seen says why: its server first, if that took nothing, then one request by hand.
fn next_steps(report: &WatchReport) -> Vec<Remedy> {
    let w = &report.watched;
    let failed = w.exit_code.is_some_and(|code| code != 0) || w.signal.is_some();
    if report.verdict.id != VerdictId::Undecided || !failed || w.stopped {
        return Vec::new();
    }
    let mut steps = Vec::new();
    let idle = |s: &&Server| s.queue_max > 0 && s.cpu_percent_mean.is_some_and(|percent| percent < IDLE_PERCENT);
    if let Some(s) = report.destinations.iter().filter_map(|d| d.server.as_ref()).find(idle) {
        steps.push(advice(format!("read the log of {}", visible(&s.name)), "", "why connections waited and it used no CPU"));
    }
    steps.push(advice("read the command's own last lines", "", "its reason"));
    if let Some(d) = report.destinations.first() {
        let ask = format!("curl -v http://{}/", d.destination);
        // Its server was in the namespace that has ended.
        let ask = if w.sandbox { format!("sockbench sandbox -- sh -c 'SERVER & sleep 1; {ask}'") } else { ask };
        let by_hand = advice("send one request by hand", "", "its answer, or why there is none");
        steps.push(Remedy { change: Some(ask), ..by_hand });
    }
    steps
}

fn ports(d: &Destination) -> String {
    let used = match (d.pool, d.peak_share) {
        (Some(pool), Some(of)) => format!("at most {} of {} in use ({})", count(d.peak_used), count(pool), share(of)),
        _ => format!("at most {} in use", count(d.peak_used)),
    };
    let before = if d.used_before > 0 { format!(", {} before it started", count(d.used_before)) } else { String::new() };
    // Those that the other side ended leave their port free at once: the law is of the others.
    let seen = d.closed_by_client.saturating_add(d.closed_by_server);
    let ended = seen.max(d.made.unwrap_or(0).saturating_sub(u64::from(d.open_max)));
    let mostly_here = d.closed_by_client > ended - d.closed_by_client.min(ended);
    let law = d
        .ceiling_cps
        .filter(|c| mostly_here && *c < 100.0 * d.peak_cps.max(1.0))
        .map_or_else(String::new, |c| format!("; these ports allow {} new connections/s at the most", rate(c)));
    let least = if d.made.is_none() { "at least " } else { "" };
    let most = if d.peak_cps > 0.0 { format!(", at most {}/s", rate(d.peak_cps)) } else { String::new() };
    let closed = match (d.closed_by_client, d.closed_by_server, d.made) {
        (c, s, Some(made)) if made > c + s + u64::from(d.open_max) => {
            format!("; {} made{most}, {} of them closed by the client first", counted(made, "connection"), count(c))
        }
        (0, 0, _) => format!("; {} open at once", counted(d.open_max, "connection")),
        (n, 0, _) => format!("; {} closed by the client first{most}", count(n)),
        // What a look does not see is not counted, so a rate would be too low.
        (0, n, _) => format!("; {least}{} closed by the server first", count(n)),
        (c, s, _) => format!("; closed first: {} by the client, {least}{} by the server", count(c), count(s)),
    };
    // Nobody else is in its namespace.
    let by = if d.by == Attribution::Time { " (owner not seen)" } else { "" };
    format!("{}{by}: {used}{before}{closed}{law}", d.destination)
}

/// How many connections were made, and how long each was open; of a command without a finding, what this does not say.
fn connections(report: &WatchReport, page: &Page) -> Vec<Block> {
    let Some(c) = report.connections() else { return Vec::new() };
    let open = match c.open {
        OpenFor::Mean(s) if s >= WHOLE * report.duration_s => ", open the whole time".to_owned(),
        OpenFor::Mean(s) if c.made == 1 => format!(", open for {}", seconds(s)),
        OpenFor::Mean(s) => format!(", each open for {} on average", seconds(s)),
        OpenFor::LessThanALook => ", open for less time than between two looks".to_owned(),
        OpenFor::Unknown => String::new(),
    };
    let made = counted(c.made, "connection");
    // The least that there can be has no rate: that of all may be any times as high.
    let made = if c.is_least { format!("at least {made}{open}") } else { format!("{made}, {}/s{open}", rate(c.per_s)) };
    let mut blocks = vec![page.ranked(2, "made", &made)];
    if report.verdict.id == VerdictId::Healthy {
        let text = "requests, answers and their times: a target that answers slowly looks like this too (sockbench load URL measures it)";
        blocks.push(page.ranked(1, "not seen", text));
    }
    blocks
}

/// What ended meanwhile and may be the command's, where nothing is known to be.
fn unowned(report: &WatchReport, page: &Page) -> Vec<Block> {
    let line = |(n, u): (usize, &Unowned)| {
        let least = if u.closed_by_server > 0 { "at least " } else { "" };
        let ended = counted(u.closed_by_client + u.closed_by_server, "connection");
        let first = match (u.closed_by_client, u.closed_by_server) {
            (_, 0) => "closed by the client first".to_owned(),
            (0, _) => "closed by the server first".to_owned(),
            (c, s) => format!("closed first: {} by the client, {} by the server", count(c), count(s)),
        };
        let text = format!("{}: {least}{ended} ended meanwhile, {first}; no look saw whose they were", u.destination);
        (if n == 0 { 1 } else { 4 }, text)
    };
    let mut blocks = page.each("not owned", report.unowned.iter().take(ROWS).enumerate().map(line));
    if let Some(first) = report.unowned.first() {
        let text = format!(
            "a connection that is shorter than the time between two looks shows no owner: --to {} counts these as the command's",
            first.destination
        );
        blocks.push(page.ranked(1, "careful", &text));
    }
    blocks
}

fn of_server(s: &Server) -> String {
    let end = if s.listens_at_end { "" } else { "; it did not listen any more at the end" };
    let name = if s.pid == 0 { "a process that cannot be seen".to_owned() } else { format!("{} ({})", visible(&s.name), s.pid) };
    let cpu = cpu(s.cpu_percent_mean, s.busiest_thread_percent).map_or_else(String::new, |cpu| format!(": {cpu}"));
    let wait = if s.close_wait_max > 0 { format!("; {} in CLOSE_WAIT", count(s.close_wait_max)) } else { String::new() };
    let queue = match s.queue_max {
        0 => "no look saw a connection wait for accept()".into(),
        n => format!("at most {} of {} waited for accept()", count(n), counted(s.queue_limit, "connection")),
    };
    format!("{name}{cpu}; {queue}{wait}{end}")
}

/// `40 % of a core, its busiest thread 38 %`
fn cpu(mean: Option<f64>, busiest: Option<f64>) -> Option<String> {
    let busiest = busiest.map_or_else(String::new, |one| format!(", its busiest thread {}", percent(one)));
    mean.map(|all| format!("{} of a core{busiest}", percent(all)))
}

fn processes(report: &WatchReport) -> String {
    let p = &report.processes;
    if p.count_max == 0 {
        return "it ended before the first look at it".into();
    }
    let many = if p.count_max == 1 { "1 process".to_owned() } else { format!("{} processes", count(p.count_max)) };
    let cpu = cpu(p.cpu_percent_mean, p.busiest_thread_percent).unwrap_or_else(|| "CPU not measured (too short)".into());
    let fds = match (p.descriptors_max, p.descriptor_limit) {
        (Some(n), Some(limit)) => format!(", {} of {} descriptors", count(n), count(limit)),
        (Some(n), None) => format!(", {}", counted(n, "descriptor")),
        _ => String::new(),
    };
    let memory = p.rss_bytes_max.map_or_else(String::new, |b| format!(", {}", bytes(b)));
    format!("{many}, {cpu}{fds}{memory}")
}

fn output(report: &WatchReport, page: &Page) -> Vec<Block> {
    if !report.output.read {
        return vec![page.ranked(4, "output", "not read")];
    }
    let lines = report.output.readings.iter().take(ROWS).map(|r| {
        let what = match (&r.name, r.code) {
            (Some(name), Some(code)) => format!("{name} {code}: "),
            (Some(name), None) => format!("{name}: "),
            (None, _) => String::new(),
        };
        format!("{} x {what}{}", count(r.count), line_of(r, page.width - Page::VALUE))
    });
    page.blocks(2, "output", lines)
}

/// The line without its own count; where it is long, its beginning, on two lines of the page with what is before it.
fn line_of(r: &Reading, room: usize) -> String {
    let text = r.text.trim();
    let own = text.strip_prefix(&r.count.to_string()).filter(|rest| rest.starts_with([' ', '\t']));
    let words = own.unwrap_or(text).split_whitespace().map(|word| shortened(&visible(word), room));
    let text = words.collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(2 * room - 40) {
        Some((at, _)) => format!("{}..", &text[..at]),
        None => text,
    }
}

/// The first and the last of the forecasts.
fn forecasts(report: &WatchReport, page: &Page) -> Vec<Block> {
    let foretold: Vec<_> = report.outlooks.iter().filter(|o| o.full_from_s.is_some()).collect();
    let mut shown: Vec<_> = foretold.first().into_iter().chain(foretold.last()).collect();
    shown.dedup();
    page.blocks(4, "forecast", shown.into_iter().map(|o| format!("at {}: {}", seconds(o.at_s), o.text)))
}

fn careful(report: &WatchReport, page: &Page) -> Vec<Block> {
    let mut texts = Vec::new();
    if report.processes.left > 0 {
        let n = report.processes.left;
        texts.push(format!(
            "{} of the command still {}",
            if n == 1 { "1 process".into() } else { format!("{} processes", count(n)) },
            if n == 1 { "runs" } else { "run" }
        ));
    }
    // The first ones are the rules' own; what only the command knows is said by -v.
    let open = report.undecided.iter().find(|u| !OF_A_CLIENT_ALONE.contains(&u.id));
    texts.extend(open.map(|u| format!("{} is undecided: {}", u.id.word(), u.missing)));
    page.blocks(4, "careful", texts)
}

fn more(page: &Page) -> String {
    let kept = match &page.kept {
        Some(dir) => format!("{dir} keeps watch.json and report.txt"),
        None => "-o DIR keeps report and JSON".into(),
    };
    format!("-v every finding with its numbers, and what stays undecided; {kept}")
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
