//! Rules about this machine: ports, descriptors, cores, settings.

use std::collections::HashSet;

use super::cases::{at_least, by_server, ended, keeps, may_be, name, remedies, said, servers};
use super::peak::{JITTER_S, RATE_S};
use super::program::Keeps;
use crate::diagnose::rule::{Found, NoFinding::Clear, Ruling, undecided};
use crate::diagnose::thresholds::{BUDGET_HIGH_SHARE, OTHERS_PERCENT, WAIT_PERCENT};
use crate::model::explanation::{FailedCall, Limit};
use crate::model::figures::{count, counted, hold, percent, rate, seconds, share};
use crate::model::finding::FindingId;
use crate::model::watch::{Destination, Server, WatchReport};
use crate::remedy::advice;

/// A full pool in which nothing began for so long, while the command ran, is used up.
const STUCK_S: f64 = 0.5;
/// Connections that were to be expected in that time.
const MISSING: f64 = 5.0;
/// From this share of the pool on an error about addresses is about ports.
const NEARLY_FULL: f64 = 0.9;
/// A thread was busy in this share of the looks.
const BUSY_SHARE: f64 = 0.5;
/// A thread waited for a core in more than this share of the looks, of which there must be so many.
const WAIT_SHARE: f64 = 0.25;
const WAIT_LOOKS: u32 = 3;
/// So many connections a second come and go where each request has one of its own.
const SHORT_CPS: f64 = 5.0;
/// A server's thread with more than this has no room.
const NO_ROOM_PERCENT: f64 = 90.0;

/// Whether the pool to a destination was used up: full, and nothing began although something wanted to.
fn is_used_up(d: &Destination) -> bool {
    d.full_s.is_some() && d.stuck_s >= STUCK_S && d.peak_cps * d.stuck_s >= MISSING
}

/// local-ports-exhausted.
pub(super) fn ports_exhausted(report: &WatchReport) -> Ruling {
    let (lines, first) = said(report, Limit::LocalPorts);
    let open = may_be(report, Limit::LocalPorts);
    let nearly = |d: &&Destination| d.peak_share.is_some_and(|s| s >= NEARLY_FULL);
    let by_sight = report.destinations.iter().find(|d| is_used_up(d));
    let by_output = report.destinations.iter().find(|d| lines + open > 0 && nearly(d));
    let Some(d) = by_sight.or(by_output) else {
        if let Some(reading) = first {
            let most = report.destinations.iter().filter_map(|d| d.peak_share).reduce(f64::max);
            let seen = most.map_or_else(
                || "no look saw the ports".to_owned(),
                |s| format!("at most {} of the ports were seen in use", share(s)),
            );
            let line = crate::model::figures::counted(lines, "line");
            return undecided(format!(
                "{line} of the output say that no port was left ({}), but {seen}: a source address that this machine does not have, or ports that the program chooses itself",
                reading.name.as_deref().unwrap_or("no system error")
            ));
        }
        if report.destinations.iter().any(|d| d.pool.is_none()) {
            return undecided("the pool of source ports is not known");
        }
        return Err(Clear);
    };
    let pool = d.pool.unwrap_or(d.peak_used);
    let since = d.full_s.map_or(d.peak_at_s, |f| f[0]);
    let stuck = if d.stuck_s >= STUCK_S {
        format!(", and no connection began for {}", seconds(d.stuck_s))
    } else if lines > 0 {
        format!(", and the output says so {}", times(lines))
    } else {
        String::new()
    };
    let title = format!("all {} source ports to {} were in use {}{stuck}", count(pool), d.destination, since_words(since));
    let found = Found::new(title, why_full(report, d, pool))
        .with("pool", pool)
        .with("peak_used", d.peak_used)
        .with("hold_s", d.hold_s)
        .with("ceiling_cps", d.ceiling_cps)
        .with("peak_cps", d.peak_cps)
        .with("full_from_s", d.full_s.map(|f| f[0]))
        .with("stuck_s", d.stuck_s)
        .with("lines", lines);
    Ok(found.remedies(remedies(report, Limit::LocalPorts, FailedCall::Connect, Some(d))))
}

fn since_words(since_s: f64) -> String {
    if since_s < 0.05 { "from the start".into() } else { format!("from {} on", seconds(since_s)) }
}

fn why_full(report: &WatchReport, d: &Destination, pool: u32) -> String {
    let (s, who) = (d.states, name(report));
    let left =
        if d.used_before > 0 { format!(" {} were in use before it started.", count(d.used_before)) } else { String::new() };
    if s.established > s.time_wait + s.fin_wait2 {
        return format!(
            "{} of the {} ports are open connections: they come back when these end.{left}",
            count(s.established),
            count(pool)
        );
    }
    let half_closed = s.fin_wait2_timed + s.fin_wait2_kept;
    if half_closed > s.time_wait {
        let end = if s.fin_wait2_timed >= s.fin_wait2_kept {
            "They come back after tcp_fin_timeout"
        } else {
            "A process still has them, so no timer ends them: they come back when the server closes too, or tcp_fin_timeout after \
             the process has closed its sockets"
        };
        return format!(
            "{} of the {} ports are in FIN_WAIT2: the client has closed, the server has not. {end}.{left}",
            count(half_closed),
            count(pool)
        );
    }
    let law = match (d.hold_s, d.ceiling_cps) {
        (Some(t), Some(c)) => format!(": {} ports / {} = {} new connections/s at the most", count(pool), hold(t), rate(c)),
        _ => String::new(),
    };
    // A connection that is open still has not been closed by anybody.
    let which = if by_server(d) > u64::from(d.open_max.max(10)) {
        format!(
            "This side closed {} of {}{} connections of {who} first, so their ports stay in TIME_WAIT",
            count(d.closed_by_client),
            at_least(d),
            count(ended(d))
        )
    } else {
        format!("Each connection of {who} ended after use, and this side closed first, so its port stays in TIME_WAIT")
    };
    let made = rate(d.peak_cps);
    let when = busiest(d.peak_over_s);
    format!("{which}{law}; {when} {}{made}/s were made.{left}", at_least(d))
}

/// When the peak of the rate was: seconds that it was counted over.
fn busiest(over_s: Option<f64>) -> String {
    match over_s {
        Some(s) if s >= RATE_S - JITTER_S => "in the two busiest seconds".to_owned(),
        Some(s) => format!("in the busiest {}", seconds(s)),
        None => "at the most".to_owned(),
    }
}

fn times(n: u64) -> String {
    if n == 1 { "once".into() } else { format!("{} times", count(n)) }
}

/// local-port-busy.
pub(super) fn port_busy(report: &WatchReport) -> Ruling {
    let (lines, Some(first)) = said(report, Limit::PortBusy) else { return Err(Clear) };
    let found = Found::new(format!("a port was in use already, {}", times(lines)), first.says.clone());
    Ok(found.with("lines", lines).remedies(remedies(report, Limit::PortBusy, first.call, None)))
}

/// local-fd-limit.
pub(super) fn descriptors(report: &WatchReport) -> Ruling {
    let (lines, first) = said(report, Limit::Descriptors);
    let is_server = first.is_some_and(|r| r.side == Some(crate::model::explanation::Side::Server));
    let lines = if is_server { 0 } else { lines };
    let p = &report.processes;
    let at_limit = p.descriptors_max.zip(p.descriptor_limit).filter(|(n, limit)| u64::from(*n) >= *limit);
    if at_limit.is_none() && lines == 0 {
        return match p.descriptors_max {
            None if p.count_max > 0 => undecided("the descriptors of the command's processes could not be read"),
            _ => Err(Clear),
        };
    }
    let title = match (at_limit, lines) {
        (Some((_, limit)), 1..) => {
            format!("all {} descriptors of {} were in use, and the output says so {}", count(limit), name(report), times(lines))
        }
        (Some((_, limit)), 0) => format!("all {} descriptors of {} were in use", count(limit), name(report)),
        (None, _) => format!("{} had no descriptor left: {}", name(report), times(lines)),
    };
    let text = "Each connection takes a descriptor. At the limit of open files (ulimit -n) socket() fails with EMFILE, and nothing goes out.";
    let found =
        Found::new(title, text.into()).with("descriptors_max", p.descriptors_max).with("descriptor_limit", p.descriptor_limit);
    Ok(found.with("lines", lines).remedies(remedies(report, Limit::Descriptors, FailedCall::Socket, None)))
}

/// port-budget-high.
pub(super) fn budget_high(report: &WatchReport) -> Ruling {
    let over = |d: &&Destination| {
        let short_s = d.hold_s.is_some_and(|t| report.duration_s < t);
        // More than were open at once: they came and went.
        let short_lived = d.closed_by_client > u64::from(d.open_max.max(10));
        short_s && short_lived && d.ceiling_cps.is_some_and(|c| d.peak_cps > c) && mostly_by_client(d)
    };
    let high = |d: &&Destination| d.peak_share.is_some_and(|s| s >= BUDGET_HIGH_SHARE);
    let d = report.destinations.iter().find(high).or_else(|| report.destinations.iter().find(over)).ok_or(Clear)?;
    let pool = d.pool.unwrap_or(0);
    let used = d.peak_share.unwrap_or(0.0);
    let ceiling = d.ceiling_cps.map_or_else(String::new, rate);
    let title = if used >= BUDGET_HIGH_SHARE {
        format!("{} of {} source ports to {} were in use ({})", count(d.peak_used), count(pool), d.destination, share(used))
    } else {
        format!("{} connections/s to {} are more than the ports sustain ({ceiling}/s)", rate(d.peak_cps), d.destination)
    };
    let full = match d.ceiling_cps {
        Some(c) if d.peak_cps > c => format!(
            "At {}/s the {} are used up after {}.",
            rate(d.peak_cps),
            counted(pool, "port"),
            seconds(f64::from(pool) / d.peak_cps)
        ),
        _ => format!("{} are left for more connections.", counted(pool.saturating_sub(d.peak_used), "port")),
    };
    let text = format!(
        "Nothing failed yet. The ports sustain {ceiling} new connections/s to one destination, because each stays in TIME_WAIT for {}. {full}",
        hold(d.hold_s.unwrap_or(0.0))
    );
    let found = Found::new(title, text)
        .with("peak_used", d.peak_used)
        .with("pool", pool)
        .with("peak_cps", d.peak_cps)
        .with("ceiling_cps", d.ceiling_cps);
    Ok(found.remedies(remedies(report, Limit::LocalPorts, FailedCall::Connect, Some(d))))
}

fn mostly_by_client(d: &Destination) -> bool {
    d.closed_by_client > by_server(d)
}

/// host-contended.
pub(super) fn contended(report: &WatchReport) -> Ruling {
    let p = &report.processes;
    if p.measured_looks == 0 {
        return Err(Clear);
    }
    let waited = f64::from(p.waiting_looks) / f64::from(p.measured_looks);
    let Some(others) = others_percent(report) else {
        return undecided("the CPU of the machine or of the command is not known");
    };
    let mean = p.waited_percent_mean.unwrap_or(0.0);
    if waited <= WAIT_SHARE || mean < WAIT_PERCENT || others < OTHERS_PERCENT {
        return Err(Clear);
    }
    if p.measured_looks < WAIT_LOOKS {
        return undecided(format!(
            "{} waited {} of the time to run, in {} only: watch it for longer",
            name(report),
            percent(mean),
            counted(u64::from(p.measured_looks), "look")
        ));
    }
    let title = format!(
        "other programs used {} of a core, and {} waited {} of the time to run",
        percent(others),
        name(report),
        percent(mean)
    );
    let text = "A thread of the command was ready to run and had no core for more than 10 % of the time. What it measured then is not the target's own.";
    let see = advice("see which programs use the CPU", "top -o %CPU", "the busiest programs first");
    Ok(Found::new(title, text.into())
        .with("others_percent", others)
        .with("waiting_share", waited)
        .with("waited_percent", mean)
        .remedies(vec![see]))
}

/// CPU that neither the command nor its servers took, 100 is one core.
fn others_percent(report: &WatchReport) -> Option<f64> {
    let all = report.host_cpu_percent_mean? * f64::from(report.host.cpus.max(1));
    let mut pids = HashSet::new();
    let of_servers: f64 = servers(report).filter(|(_, s)| pids.insert(s.pid)).filter_map(|(_, s)| s.cpu_percent_mean).sum();
    Some((all - report.processes.cpu_percent_mean? - of_servers).max(0.0))
}

/// Whether a server that was seen has a busy thread.
fn server_percent(report: &WatchReport) -> Option<f64> {
    servers(report).filter_map(|(_, s)| s.busiest_thread_percent.or(s.cpu_percent_mean)).reduce(f64::max)
}

/// Its busiest thread ran, or waited for a core that others had, all the time: half of it at least on its own work.
fn has_no_room(s: &Server) -> bool {
    let ran = s.busiest_thread_percent.unwrap_or(0.0);
    ran >= NO_ROOM_PERCENT / 2.0 && ran + s.thread_waited_percent.unwrap_or(0.0) >= NO_ROOM_PERCENT
}

/// generator-saturated.
pub(super) fn saturated(report: &WatchReport) -> Ruling {
    let p = &report.processes;
    if p.measured_looks < 2 {
        return if p.count_max > 0 { undecided("the command ended before its CPU could be measured") } else { Err(Clear) };
    }
    let of_looks = |n: u32| f64::from(n) / f64::from(p.measured_looks);
    let busy = of_looks(p.busy_looks.max(p.no_room_looks));
    let server = server_percent(report);
    let connects = report.destinations.iter().any(|d| ended(d) > 0 || d.open_max > 0);
    if !connects || busy <= BUSY_SHARE || servers(report).any(|(_, s)| has_no_room(s)) {
        return Err(Clear);
    }
    // Where others had its core for long, they come first: it is not known what it would have done with a whole one.
    if of_looks(p.busy_looks) <= BUSY_SHARE && contended(report).is_ok() {
        return Err(Clear);
    }
    let ran = p.busiest_thread_percent.unwrap_or(0.0);
    let room = server.map_or_else(String::new, |s| format!(", the server's {} of one", percent(s)));
    let title = format!("a thread of {} used {} of a core{room}", name(report), percent(ran));
    let what_helps = if is_python(report) {
        "The threads of a Python process run one at a time, so more processes or machines raise it, or fewer users each."
    } else {
        "More threads, processes or machines raise it, or fewer users each."
    };
    let text = format!(
        "One thread runs on one core at a time: the rate that the command reached is its own maximum, and answers that were there waited for it. {what_helps}"
    );
    let (how, command) = more_workers(report);
    let more = advice(how, command, "a higher rate, until the server is the limit");
    Ok(Found::new(title, text)
        .with("busiest_thread_percent", ran)
        .with("busy_share", busy)
        .with("server_percent", server)
        .remedies(vec![more])
        // A thread that ran all the time was kept by nobody.
        .caused_only_by(vec![FindingId::LocalPortsExhausted]))
}

fn is_python(report: &WatchReport) -> bool {
    matches!(report.watched.program.as_deref(), Some("Locust" | "Python requests"))
}

fn more_workers(report: &WatchReport) -> (&'static str, &'static str) {
    let spread = "spread the load over more processes or threads";
    match report.watched.program.as_deref() {
        Some("Locust") => (spread, "locust --processes -1"),
        Some("Python requests") => ("start it several times at once", ""),
        Some("wrk") => (spread, "wrk -t 4"),
        Some("h2load") => (spread, "h2load -t 4"),
        Some("ab") => ("start several ab at once, or use a tool with several threads: ab has one", "wrk -t 4 -c 100 -d 30s URL"),
        _ => (spread, ""),
    }
}

/// sysctl-changed.
pub(super) fn settings(report: &WatchReport) -> Ruling {
    let first = report.settings_changed.first().ok_or(Clear)?;
    let list: Vec<String> =
        report.settings_changed.iter().map(|c| format!("{} from {} to {} at {}", c.key, c.from, c.to, seconds(c.at_s))).collect();
    let title = format!("{} changed from {} to {} at {}", first.key, first.from, first.to, seconds(first.at_s));
    let text = format!(
        "Settings changed while the command ran: {}. Forecasts use the value in force at their time; the figures at the end use those at the start. Something else changed them: a configuration tool, or a second test.",
        list.join("; ")
    );
    let look = advice("see the value now", format!("sysctl {}", first.key), "1 setting with its value");
    Ok(Found::new(title, text).with("changed", list.len() as u64).with("at_s", first.at_s).remedies(vec![look]))
}

/// target-forbids-keepalive.
pub(super) fn not_kept(report: &WatchReport) -> Ruling {
    // Ended while the command ran, not by its end.
    let short = |d: &&Destination| d.peak_cps >= SHORT_CPS && ended(d) >= 10 && ended(d) > 3 * u64::from(d.open_max.max(1));
    let d = report.destinations.iter().find(short).ok_or(Clear)?;
    let who = name(report);
    let title = format!(
        "{}{} connections of {who} to {} ended, with at most {} open at once",
        at_least(d),
        count(ended(d)),
        d.destination,
        count(d.open_max.max(1))
    );
    match keeps(report) {
        Keeps::No => return Err(Clear),
        Keeps::Unknown => return undecided(format!("whether {who} asked to keep its connections: only it knows")),
        Keeps::ByDefault => {
            return undecided(format!("{title}; whether its script asked to keep them, only it knows"));
        }
        Keeps::Yes => {}
    }
    let first = if mostly_by_client(d) {
        "the client closed first, as an answer with Connection: close makes it"
    } else {
        "the server closed first"
    };
    let text = format!(
        "{who} uses a connection for many requests unless the answers or its options end it; here {first}. How many requests each had is not seen: a thousand do no harm (keepalive_requests of nginx); where it is one, each request pays for a connection, and where this side closes first also with a source port."
    );
    let found = Found::new(title, text)
        .with("closed_by_client", d.closed_by_client)
        .with("closed_by_server", d.closed_by_server)
        .with("open_max", d.open_max);
    let keep = remedies(report, Limit::LocalPorts, FailedCall::Connect, Some(d));
    Ok(found.remedies(keep.into_iter().filter(|r| r.name.as_deref() == Some("keep-alive")).collect()))
}

/// target-cpu-saturated.
pub(super) fn server_full(report: &WatchReport) -> Ruling {
    let full = servers(report).find_map(|(d, s)| s.busiest_thread_percent.filter(|_| has_no_room(s)).map(|p| (d, s, p)));
    let (d, s, ran) = full.ok_or(Clear)?;
    let waits = s.thread_waited_percent.filter(|w| *w >= WAIT_PERCENT);
    let waits = waits.map_or_else(String::new, |w| format!(" and waited {} of the time to run", percent(w)));
    let title = format!("a thread of the server at {} ({}) used {} of a core{waits}", d.destination, s.name, percent(ran));
    let text = format!(
        "One thread runs on one core at a time, so the server is at its limit: more load only waits there. {} for accept().",
        match s.queue_max {
            0 => "No look saw a connection wait".into(),
            n => format!("At most {} waited", counted(n, "connection")),
        }
    );
    let profile = advice("see where the server spends its time", format!("perf top -p {}", s.pid), "the busiest functions");
    Ok(Found::new(title, text)
        .with("busiest_thread_percent", ran)
        .with("pid", s.pid)
        .with("queue_max", s.queue_max)
        .remedies(vec![profile]))
}
