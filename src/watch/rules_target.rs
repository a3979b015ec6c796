//! Rules about the other side: what its kernel queue, its process and the command's output show.

use super::cases::{ended, is_of_server, may_be, name, nobody_listens, remedies, said, servers};
use crate::diagnose::rule::{Found, NoFinding::Clear, Ruling, undecided};
use crate::model::address::Address;
use crate::model::explanation::{Certainty, FailedCall, Limit};
use crate::model::figures::{count, counted, seconds, were};
use crate::model::finding::Remedy;
use crate::model::watch::{Destination, Server, WatchReport};
use crate::remedy::advice;
use crate::remedy::software::longer_backlog;

/// target-gone: it listened, did not any more at the end, and connections failed for it. A script that ends its own server
/// last is none: nobody wanted to connect any more.
pub(super) fn gone(report: &WatchReport) -> Ruling {
    let gone = servers(report).find(|(d, s)| !s.listens_at_end && ended(d) + u64::from(d.open_max) > 0);
    let (d, s) = gone.filter(|_| report.watched.exit_code.is_some() && !report.watched.stopped).ok_or(Clear)?;
    let (refused, resets, open) = (said(report, Limit::Refused).0, said(report, Limit::Reset).0, may_be(report, Limit::Refused));
    let failed = report.kernel.map_or(0, |k| k.refused());
    let counted_by_kernel =
        format!("the kernel counted {} in this network namespace{}", counted(failed, "failed connect"), when_failed(s, failed));
    // Those before it listened waited for it.
    let failed = s.failed_outside.map_or(failed, |[_, after]| after);
    // What the output names leads. A command that says nothing of a failure and ends well may have waited for its server.
    let others = report.output.readings.iter().any(|r| !is_of_server(r)) || report.output.bad_answers > 0;
    let is_silent_and_well = report.output.read && report.watched.exit_code == Some(0);
    let why = if refused > 0 {
        format!("The output counts {}.", counted(refused, "refused connection"))
    } else if resets > 0 && failed > 0 {
        format!("The output counts {}, and {counted_by_kernel}.", counted(resets, "reset connection"))
    } else if resets > 0 && report.watched.exit_code != Some(0) {
        // It ended at its own failure, and tried no further connect.
        format!("The output counts {}, and the command failed.", counted(resets, "reset connection"))
    } else if open > 0 && said(report, Limit::TimedOut).0 == 0 {
        format!("The output counts {}, and does not say why.", counted(open, "failed connection"))
    } else if failed > 0 && !others && !is_silent_and_well {
        format!("Meanwhile {counted_by_kernel}.")
    } else if failed > 0 && !others {
        let whose = if s.failed_outside.is_some() { "the command's" } else { "before it listened, after it ended" };
        return undecided(format!(
            "nothing listened at {} any more at the end, and {counted_by_kernel}: {whose}, or another program's",
            d.destination
        ));
    } else {
        return Err(Clear);
    };
    let title = format!("nothing listened at {} any more when the command ended", d.destination);
    let text = format!("Its server, {} (process {}), listened there at first. {why}", s.name, s.pid);
    let look = advice("see why it ended", "journalctl -e", "its last words, where it logs there");
    let found = Found::new(title, text).with("lines", refused).with("attempt_fails", failed).with("pid", s.pid);
    Ok(found.remedies(vec![look]))
}

/// When connects failed, as seen from the server: a listener refuses nobody. `, all of them after ...`, or nothing.
fn when_failed(s: &Server, failed: u64) -> String {
    let (Some([before, after]), Some([from_s, to_s])) = (s.failed_outside, s.listened_s) else { return String::new() };
    let first = format!("before it was first seen to listen, at {}", seconds(from_s));
    let last = format!("after it was last seen to listen, at {}", seconds(to_s));
    match (before, after) {
        (0, 0) => String::new(),
        (_, 0) if before >= failed => format!(", {first}"),
        (0, _) if after >= failed => format!(", {last}"),
        (_, 0) => format!(", {} of them {first}", count(before)),
        (0, _) => format!(", {} of them {last}", count(after)),
        (..) => format!(", {} of them {first}, and {} {last}", count(before), count(after)),
    }
}

/// target-refused.
pub(super) fn refused(report: &WatchReport) -> Ruling {
    let (lines, first) = said(report, Limit::Refused);
    let nobody = report.destinations.iter().find(|d| d.server.is_none() && ended(d) == 0 && d.open_max == 0);
    let failed = report.kernel.map_or(0, |k| k.refused());
    let only_failed = report.kernel.is_some_and(|k| k.attempt_fails >= k.active_opens);
    let all_failed = nobody.filter(|_| failed > 0 && only_failed);
    if lines == 0 && all_failed.is_none() {
        // An output that leaves it open why connections failed. What the kernel counted is of other programs too.
        let open = may_be(report, Limit::Refused);
        if let Some(d) = nobody_listens(report).filter(|_| failed > 0 && open > 0) {
            return Ok(unanswered(report, d, open));
        }
        return if report.kernel.is_none() { undecided("the kernel's counters could not be read") } else { Err(Clear) };
    }
    let address = first.and_then(|r| r.address.clone()).or_else(|| nobody.map(|d| d.destination.clone()));
    let at = address.as_ref().map_or_else(String::new, |a| format!(" at {a}"));
    // A program that repeats a line a thousand times, or says it once for all: the kernel counts them.
    let only_these = report.kernel.is_some_and(|k| failed > lines && k.attempt_fails >= k.active_opens);
    let n = if lines == 0 || only_these { failed } else { lines };
    let is_likely = first.is_some_and(|r| r.certainty == Certainty::Likely);
    let title = format!("the target{at} {}refused {}", if is_likely { "probably " } else { "" }, counted(n, "connection"));
    let text = "A refused connection was answered by a reset at once: the machine is reached, and nothing listens on that port.";
    let mut doubt = first.filter(|_| is_likely).map_or_else(String::new, |r| format!(" {}", r.says));
    if let Some((_, s)) = servers(report).find(|(d, _)| address.as_ref().is_none_or(|a| *a == d.destination)) {
        let when = when_failed(s, failed);
        if !when.is_empty() {
            doubt += &format!(" The kernel counted {}{when}.", counted(failed, "failed connect"));
        }
    }
    let found = if let Some(address) = address.filter(|address| is_outside(report, address)) {
        Found::new(title, own_loopback(&address) + &doubt).remedies(ways_out())
    } else {
        let mut see = remedies(report, Limit::Refused, FailedCall::Connect, nobody);
        if see.is_empty() {
            let wait = "until curl -s -o /dev/null URL; do sleep 0.1; done";
            see.push(advice("let the load wait until its server listens", wait, "no refused connection at the start"));
        }
        Found::new(title, text.to_owned() + &doubt).remedies(see)
    };
    Ok(found.with("lines", lines).with("attempt_fails", failed))
}

/// Whether an address can only have meant a server outside: in a sandbox, on its loopback, and nothing listens there.
fn is_outside(report: &WatchReport, address: &Address) -> bool {
    let listens = servers(report).any(|(d, _)| d.destination.port == address.port);
    report.watched.sandbox && address.port.is_some() && address.is_loopback() && !listens
}

fn own_loopback(address: &Address) -> String {
    format!(
        "The sandbox has a loopback of its own, and nothing listens at {address} in it: a private namespace cannot reach a server outside."
    )
}

/// What helps where the server is outside of the sandbox: a command at the host's sockets would show it, and mislead.
fn ways_out() -> Vec<Remedy> {
    let inside = advice(
        "start the server inside",
        "sockbench watch --sandbox -- sh -c 'SERVER & COMMAND'",
        "the command reaches it on the sandbox's loopback",
    );
    let outside = advice("or watch without a sandbox", "sockbench watch -- COMMAND", "the command reaches this host's loopback");
    let inside = Remedy { change: Some("-- sh -c 'SERVER & COMMAND'".into()), ..inside };
    let outside = Remedy { change: Some("drop --sandbox".into()), ..outside };
    vec![inside, outside]
}

/// Of failures without a reason, while other programs connect too: `open` of them by the output, at a port without a listener.
fn unanswered(report: &WatchReport, d: &Destination, open: u64) -> Found {
    let at = &d.destination;
    let title = format!("nothing listens at {at}, and the output counts {}", counted(open, "failed connection"));
    let text = "The output does not say why. No look saw a listener at that port of this host, and a connection to such a port is refused.";
    if is_outside(report, at) {
        return Found::new(title, own_loopback(at)).with("lines", open).remedies(ways_out());
    }
    let see = remedies(report, Limit::Refused, FailedCall::Connect, Some(d));
    Found::new(title, text.into()).with("lines", open).remedies(see)
}

/// target-backlog-overflow.
pub(super) fn backlog(report: &WatchReport) -> Ruling {
    let Some(kernel) = report.kernel else { return undecided("the kernel's counters could not be read") };
    let drops = kernel.listen_overflows.max(kernel.listen_drops);
    let full = servers(report).find(|(_, s)| s.queue_max > 0 && s.queue_max >= s.queue_limit);
    let only = || Some(servers(report).next()?).filter(|_| servers(report).count() == 1);
    let (d, s) = full.or_else(only).filter(|_| drops > 0).ok_or(Clear)?;
    let title = format!("the queue of {} overflowed: {} dropped", d.destination, counted(drops, "SYN"));
    // The kernel's limit is the smaller one only where both are equal.
    let most = report.host.sysctls.somaxconn.filter(|most| u64::from(s.queue_limit) < *most);
    let own = most.map_or_else(String::new, |most| format!(" by its own listen(), where the kernel allows {}", count(most)));
    let text = format!(
        "The server {} ({}) did not accept connections as fast as they came: at most {} waited, {} may{own}. The kernel drops further SYNs; they are sent again after 1 s, 3 s and 7 s, so {} sees slow connects and timeouts, not errors.",
        s.name,
        s.pid,
        count(s.queue_max),
        count(s.queue_limit),
        name(report)
    );
    let found =
        Found::new(title, text).with("listen_overflows", kernel.listen_overflows).with("listen_drops", kernel.listen_drops);
    let found = found.with("queue_max", s.queue_max).with("queue_limit", s.queue_limit);
    if most.is_none() {
        return Ok(found.remedies(remedies(report, Limit::Backlog, FailedCall::Connect, Some(d))));
    }
    let port = d.destination.port_number().unwrap_or_default();
    let asks = advice(
        format!("let the server ask for more than {} in listen(), or accept faster", count(s.queue_limit)),
        longer_backlog(&s.name),
        "as many connections as it asks for may wait",
    );
    let see = advice("see its queue while the command runs", format!("ss -ltn 'sport = :{port}'"), "Recv-Q waits, Send-Q may");
    Ok(found.remedies(vec![asks, see]))
}

/// target-resets, target-timeouts: what the output says, and nothing seen explains it.
pub(super) fn resets(report: &WatchReport) -> Ruling {
    of_output(report, Limit::Reset, "the target reset")
}

/// See [`resets`]; or no SYN to a destination was answered, whatever the output says of it; or no request was.
pub(super) fn timeouts(report: &WatchReport) -> Ruling {
    match of_output(report, Limit::TimedOut, "no answer came in time on") {
        Err(Clear) => nothing_answered(report).map_or_else(|| no_syn_answered(report), Ok),
        by_output => by_output,
    }
}

/// Connections were made, and the output counts neither an answer nor a failure.
fn nothing_answered(report: &WatchReport) -> Option<Found> {
    let o = &report.output;
    let d = report.destinations.iter().find(|d| ended(d) > 0 || d.open_max > 0)?;
    if o.answered != Some(false) || o.readings.iter().any(|r| !is_of_server(r)) {
        return None;
    }
    let title = format!("no request to {} was answered, by the command's output", d.destination);
    let open = match d.open_max {
        0 => "Connections were made".to_owned(),
        n => format!("At most {} {} open at once", counted(n, "connection"), were(n)),
    };
    let text = format!(
        "{open}, and the summary counts neither an answer nor a failure: the target took the connections and sent nothing until the end."
    );
    let ask = format!("curl -v --max-time 5 http://{}/", d.destination);
    let by_hand = advice("ask for one answer by hand", "", "its answer, or none within 5 s");
    let ask = Remedy { change: Some(ask), ..by_hand };
    Some(Found::new(title, text).with("open_max", d.open_max).remedies(vec![ask]))
}

fn no_syn_answered(report: &WatchReport) -> Ruling {
    // A full queue of a server on this host drops SYNs too, and is a finding of its own.
    let overflows = backlog(report).is_ok();
    let silent =
        |d: &&Destination| d.unanswered_max > 0 && d.open_max == 0 && ended(d) == 0 && !(overflows && d.server.is_some());
    let d = report.destinations.iter().find(silent).ok_or(Clear)?;
    // A connection that lasts a few milliseconds and that the other side closes first leaves nothing for a look to see.
    let Some(kernel) = report.kernel else {
        return undecided("no look saw an established connection, and the kernel's counters could not be read");
    };
    let established = kernel.opened_actively();
    if established > u64::from(d.unanswered_max) {
        return undecided(format!(
            "no look saw a connection to {} established, but the kernel counted {} that did not fail: whether its SYNs were answered is not known",
            d.destination,
            counted(established, "connection")
        ));
    }
    let title = format!("no SYN to {} was answered", d.destination);
    let text = format!(
        "At most {} waited at once, with a SYN that was sent again after a second and more, and none was seen established. Packets are lost on the way, a firewall drops them, or no machine has this address; a port at which nobody listens would have refused at once.",
        counted(d.unanswered_max, "connection")
    );
    let port = d.destination.port_number().unwrap_or_default();
    let see = advice(
        "see whether anything comes back",
        format!("tcpdump -ni any tcp port {port}"),
        "SYNs without a SYN-ACK: lost, or dropped there",
    );
    let found = Found::new(title, text).with("unanswered_max", d.unanswered_max);
    Ok(found.with("syn_retrans", kernel.syn_retrans).remedies(vec![see]))
}

fn of_output(report: &WatchReport, limit: Limit, what: &str) -> Ruling {
    let (lines, Some(first)) = said(report, limit) else { return Err(Clear) };
    let title = format!("{what} {}, by the command's output", counted(lines, "connection"));
    Ok(Found::new(title, first.says.clone()).with("lines", lines).remedies(remedies(report, limit, first.call, None)))
}

/// target-errors: answers with a bad status, where the output counts them.
pub(super) fn bad_answers(report: &WatchReport) -> Ruling {
    let o = &report.output;
    let n = o.bad_answers;
    if n == 0 {
        return Err(Clear);
    }
    let of = o.answers.map_or_else(|| counted(n, "answer"), |all| format!("{} of {}", count(n), counted(all, "answer")));
    let how = match (o.bad_status, n) {
        (Some(status), _) => format!("had status {status}"),
        (None, 1) => "was not 2xx or 3xx".to_owned(),
        (None, _) => "were not 2xx or 3xx".to_owned(),
    };
    let see: Vec<Remedy> = vec![advice("see one of them", "curl -v URL", "status, header and body of one answer")];
    let text = "The target was reached and answered; what it answered is its own affair.";
    let found = Found::new(format!("{of} {how}, by the command's output"), text.into()).with("answers", n);
    Ok(found.with("answers_all", o.answers).remedies(see))
}

/// How many of the answers were bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// at least half
    Most,
    /// fewer: the target works, but for these
    Few,
    /// the output does not count the good ones
    Unknown,
}

/// By the output's own count; where it has none, there were at least as many answers as connections.
pub(super) fn bad_share(report: &WatchReport) -> Bad {
    let twice = report.output.bad_answers.saturating_mul(2);
    match (report.output.answers, report.connections()) {
        (Some(all), _) if twice >= all => Bad::Most,
        (Some(_), _) => Bad::Few,
        (None, Some(c)) if twice < c.made => Bad::Few,
        (None, _) => Bad::Unknown,
    }
}
