//! Rules about failures at the target: refused, dropped, reset, late, malformed, answered with an error.

use std::time::Duration;

use super::work::more_workers;
use crate::diagnose::indicators::{Indicators, Kind, Rows, message_of, name_of, unnamed};
use crate::diagnose::rule::{Found, Ruling};
use crate::model::finding::{FindingId as Id, Remedy};
use crate::model::limits;
use crate::model::outcome::{Failure, FailureSide};
use crate::model::plan::MixEntry;
use crate::model::result::RunResult;
use crate::remedy::target::{Pool, own_flags, serve_with};
use crate::remedy::{advice, count, load_after_sysctl, load_with, longer_idle, number, percent, quoted, s};

/// The gap between the totals and the error table hides this kind of failure.
fn hidden(run: &RunResult) -> Ruling {
    match unnamed(run, FailureSide::Target) {
        0 => Ruling::Clear,
        n => Ruling::Undecided(format!("{n} failures at the target have no row in the error table")),
    }
}

/// The common evidence of rows.
fn evidence(found: Found, rows: &Rows<'_>) -> Found {
    let row = rows.largest();
    found
        .with("failures", rows.count())
        .with("call", row.map(|r| r.call.word()))
        .with("errno", row.and_then(|r| r.errno))
        .with("windows_code", row.and_then(|r| r.windows_code))
        .with("first_s", rows.first_s())
        .with("last_s", rows.last_s())
}

/// target-refused.
pub(in crate::diagnose) fn refused(run: &RunResult, _: &Indicators) -> Ruling {
    let rows = Rows::are(run, Kind::is_refused);
    if rows.is_empty() {
        return hidden(run);
    }
    let to = run.plan.target.addr;
    let own = Rows::kind(run, Kind::SelfConnect).count();
    let real = rows.count() - own;
    let range = run.host.sysctls.ip_local_port_range;
    let inside = range.is_some_and(|[lo, hi]| (lo..=hi).contains(&to.port()));
    let answered = run.totals.requests > run.totals.failures;
    let mut text = if real == 0 {
        format!("Nothing listened at {to}, but no connect() was refused: ")
    } else if answered {
        format!(
            "Nothing listened at {to} from {} to {}, though other requests were answered: the target stopped, was restarted, or closed its listener for a while. ",
            s(rows.first_s()),
            s(rows.last_s())
        )
    } else {
        format!("Nothing listens at {to}: its machine answered each SYN with RST. ")
    };
    if own > 0 {
        let lead = if real == 0 { "" } else { "Besides, " };
        text += &format!(
            "{lead}{} connected to itself: the target's port lies inside the range of source ports, and the kernel picked the very same one. ",
            count(own, "socket")
        );
    } else if inside {
        text += "Its port lies inside the range of source ports, where a dead port can even connect to itself. ";
    }
    text += "The network works and the client had a port; a full backlog would not refuse but drop (target-backlog-overflow). Windows shows WSAECONNREFUSED 10061.";
    let own_server = load_with(&run.plan, |p| {
        p.target.own_server = true;
        p.mix = vec![MixEntry { path: "/health".into(), weight: 1 }];
        (p.method, p.body) = ("GET".into(), String::new());
        p.allow_remote = false;
    });
    let mut remedies = vec![
        advice(
            "see whether anything listens there; if not, start the target, if so, correct the address",
            format!("ss -ltnp 'sport = :{}'", to.port()),
            format!("a line with the process that listens: {} less", count(rows.count(), "failure")),
        ),
        advice(
            "take the same load to a server that sockbench starts itself, to tell the target from this machine",
            own_server,
            format!("0 of {} refused", count(rows.count(), "connection")),
        ),
    ];
    if answered {
        remedies.insert(
            1,
            advice(
                "look why it stopped listening",
                "journalctl --since -10min | grep -iE 'exit|killed|oom|restart|listen'",
                format!("its end or restart between {} and {} of the run", s(rows.first_s()), s(rows.last_s())),
            ),
        );
    }
    if inside {
        remedies.push(advice(
            "keep the kernel from giving the target's port to clients",
            load_after_sysctl(&run.plan, &[("net.ipv4.ip_local_reserved_ports", &to.port().to_string())], |_| ()),
            "no self-connects: one port less in the pool",
        ));
    }
    let title = match (real, own) {
        (0, 1) => format!("1 connection to {to} connected to itself: nothing listens there"),
        (0, own) => format!("{own} connections to {to} connected to themselves: nothing listens there"),
        (real, 0) => format!("{} to {to} refused (ECONNREFUSED)", count(real, "connection")),
        (real, own) => format!("{} to {to} refused, and {own} connected to themselves", count(real, "connection")),
    };
    evidence(Found::new(title, text), &rows)
        .with("self_connects", own)
        .with("port_in_local_range", u32::from(inside))
        .remedies(remedies)
        .ruling()
}

/// target-resets.
pub(in crate::diagnose) fn resets(run: &RunResult, seen: &Indicators) -> Ruling {
    let rows = Rows::kind(run, Kind::Reset);
    if rows.is_empty() {
        return hidden(run);
    }
    let reused = Rows::of(run, |e| Kind::of(e) == Kind::Reset && e.reused).count();
    let fresh = rows.count() - reused;
    let mut text = format!("The target ended connections before it had answered: {}. ", rows.in_words());
    // Those of a target that went away have no other reason.
    let went = seen.gone.is_some_and(|gone| rows.first_s() >= gone.since_s);
    if reused > 0 && !went {
        text += &format!(
            "Of these {reused} came on a connection that had carried an answer before: the target closed an idle connection while the next request was on its way (its idle timeout is shorter than the users' pauses, or it limits requests per connection). "
        );
    }
    if fresh > 0 && !went {
        text += &format!(
            "On fresh connections it was {fresh}: the target accepted and hung up, as a crashing worker, a connection limit or a TLS port does. "
        );
    }
    text += "These are failures of the target, counted and never retried in silence. Windows shows WSAECONNRESET 10054.";
    let mut remedies = Vec::new();
    if reused > 0 && !went {
        let expected = format!("no resets on reused connections: {} less", count(reused, "failure"));
        remedies.push(longer_idle(run, expected));
        if run.plan.keepalive {
            let short = load_with(&run.plan, |p| p.keepalive = false);
            remedies.push(advice(
                "measure with a connection per request, to tell the race from a crash",
                short,
                "resets that stay are not the idle race; mind the port budget",
            ));
        }
    }
    if fresh > 0 && !went {
        remedies.push(advice(
            "read the target's log at the times of the resets",
            "journalctl --since -10min | grep -iE 'reset|worker|killed|limit'",
            format!("{} between {} and {} of the run", count(fresh, "hang-up"), s(rows.first_s()), s(rows.last_s())),
        ));
    }
    remedies.extend((!went).then(|| less_load(run, "no resets below a connection limit of the target".into())));
    let title = format!("{} ended with the connection: {}", count(rows.count(), "request"), rows.in_words());
    evidence(Found::new(title, text), &rows)
        .with("on_reused_connections", reused)
        .with("on_fresh_connections", fresh)
        .with("endpoints", rows.endpoints())
        .remedies(remedies)
        .caused_only_by(if went { vec![Id::TargetGone] } else { vec![Id::TargetBacklogOverflow] })
        .ruling()
}

/// target-timeouts. Those at connect belong to the backlog where it overflowed.
pub(in crate::diagnose) fn timeouts(run: &RunResult, seen: &Indicators) -> Ruling {
    let overflow = seen.overflow.is_yes();
    let rows = Rows::are(run, |kind| kind.is_timeout() && !(overflow && kind == Kind::ConnectTimeout));
    if rows.is_empty() {
        return hidden(run);
    }
    let connecting = if overflow { 0 } else { Rows::kind(run, Kind::ConnectTimeout).count() };
    let waiting = rows.count() - connecting;
    let limit = run.plan.timeout.as_secs_f64();
    let mut text = format!("The target did not answer within {}: {}. ", s(limit), rows.in_words());
    if connecting > 0 {
        text += &format!(
            "For {connecting} of them no connection came to stand: SYNs or their answers were lost (a firewall that drops, a dead address, a full backlog elsewhere). "
        );
    }
    if waiting > 0 {
        text += &format!(
            "In {waiting} the connection stood and the answer did not come in time: the target is too slow for this load, or stuck. "
        );
    }
    text += "Windows shows WSAETIMEDOUT 10060.";
    let p99 = run.totals.latency_ms.map(|l| l.p99);
    let longer = load_with(&run.plan, |p| p.timeout = Duration::try_from_secs_f64((limit * 3.0).ceil()).unwrap_or(p.timeout));
    let mut remedies = vec![
        less_load(run, "no timeouts when it was the load, and not a target that is stuck".into()),
        advice(
            "wait longer, to see the whole distribution",
            longer,
            p99.map_or_else(
                || format!("answers up to {} are counted", s(limit * 3.0)),
                |p| format!("answers up to {} are counted; p99 of those in time is {} ms", s(limit * 3.0), number(p.round())),
            ),
        ),
    ];
    if connecting > 0 {
        remedies.insert(
            0,
            advice(
                "see whether SYNs are answered at all",
                format!("ss -tn state syn-sent dst {}   # while it runs", run.plan.target.addr.ip()),
                "lines that stay are SYNs without an answer",
            ),
        );
    }
    let title = format!("{} timed out after {}: {}", count(rows.count(), "request"), s(limit), rows.in_words());
    evidence(Found::new(title, text), &rows)
        .with("timeout_s", limit)
        .with("while_connecting", connecting)
        .with("after_connecting", waiting)
        .with("endpoints", rows.endpoints())
        .remedies(remedies)
        .ruling()
}

/// target-malformed.
pub(in crate::diagnose) fn malformed(run: &RunResult, _: &Indicators) -> Ruling {
    let rows = Rows::kind(run, Kind::Malformed);
    let Some(row) = rows.largest() else { return hidden(run) };
    let text = format!(
        "Answers broke HTTP/1.1 (RFC 9112): {}. The commonest: {} at {}. The connection is closed after such an answer, because where the next one \
         begins is unknown. Neither ports nor load explain this by themselves; a target that is killed or overloaded in the middle of an answer does.",
        rows.in_words(),
        message_of(row),
        row.endpoint
    );
    let base = format!("http://{}", run.plan.target.authority);
    let remedies = vec![
        advice(
            "look at one raw answer",
            format!("curl -v --raw {}", quoted(&format!("{base}{}", row.endpoint))),
            "shows the head and the length that it announces",
        ),
        alone(run, "the same faults with 1 request at a time: the target's own, not the load's".into()),
    ];
    evidence(Found::new(format!("{} malformed: {}", count(rows.count(), "answer"), rows.in_words()), text), &rows)
        .with("fault", name_of(row).into_owned())
        .with("endpoints", rows.endpoints())
        .remedies(remedies)
        .ruling()
}

/// target-errors.
pub(in crate::diagnose) fn errors(run: &RunResult, _: &Indicators) -> Ruling {
    let rows = Rows::are(run, |kind| matches!(kind, Kind::Status | Kind::OtherAtTarget));
    let Some(row) = rows.largest() else { return hidden(run) };
    let share = rows.count() as f64 / run.totals.requests.max(1) as f64;
    let status = row.failure().and_then(Failure::status);
    let mut text = format!("The target failed {} of the requests: {} at {}. ", percent(share), rows.in_words(), rows.endpoints());
    let mut remedies = Vec::new();
    match status {
        Some(503 | 429) => {
            text += "The connection worked and the target said that it will not take more: a queue or a rate limit is full. ";
            if Pool::of(run, &row.endpoint).is_some() {
                let queue = own_flags(run).and_then(|f| f.queue).unwrap_or(limits::QUEUE) as u32;
                let longer = queue.max(run.plan.users / 2).saturating_mul(2);
                let longer_queue = advice(
                    "give its pools a longer queue: waits instead of 503",
                    serve_with(run, |f| f.queue = Some(longer as usize)),
                    format!("503 only when {longer} jobs wait in a pool"),
                );
                // A queue shorter than the users refuses some of them however fast the workers are.
                let is_short = queue < run.plan.users;
                remedies.extend(is_short.then(|| longer_queue.clone()));
                remedies.extend(more_workers(run, &row.endpoint));
                remedies.extend((!is_short).then_some(longer_queue));
            }
            remedies.push(less_load(run, "no refusals below the target's limit".into()));
        }
        Some(400..500) => {
            text +=
                "The connection worked; statuses of 400 and above mean that the target does not accept the request as it is. ";
        }
        Some(_) => text += "The connection worked; the target reports a failure of its own. ",
        None => text += "No answer came: the way to the target failed, named here by call and errno. ",
    }
    text += "Ports and TIME_WAIT have no part in it; on Windows the failure reads the same.";
    let base = format!("http://{}", run.plan.target.authority);
    remedies.push(advice(
        "ask for one by hand",
        format!("curl -i {}", quoted(&format!("{base}{}", row.endpoint))),
        format!("the same {} without load means it is not the load", name_of(row)),
    ));
    let with = count(run.plan.users, "user");
    remedies.push(alone(run, format!("{} of the requests failed with {with}", percent(share))));
    evidence(Found::new(format!("{} failed at the target: {}", count(rows.count(), "request"), rows.in_words()), text), &rows)
        .with("share", share)
        .with("name", name_of(row).into_owned())
        .with("endpoints", rows.endpoints())
        .remedies(remedies)
        .ruling()
}

/// Half of the load: users in a closed loop, rate in an open one; a pause where there is one user only.
fn less_load(run: &RunResult, expected: String) -> Remedy {
    if run.plan.is_open_loop() {
        return advice("try with half of the rate", load_with(&run.plan, |p| p.rate /= 2.0), expected);
    }
    if run.plan.users > 1 {
        return advice("try with half of the users", load_with(&run.plan, |p| p.users /= 2), expected);
    }
    let pause = run.plan.think.max.saturating_mul(2).max(Duration::from_millis(500));
    advice("let the user pause longer between requests", load_with(&run.plan, |p| p.think.max = pause), expected)
}

/// One user, or one request where there is one user already.
fn alone(run: &RunResult, expected: String) -> Remedy {
    if run.plan.users > 1 {
        return advice("try with one user", load_with(&run.plan, |p| p.users = 1), expected);
    }
    let once = load_with(&run.plan, |p| (p.requests, p.duration) = (1, Duration::ZERO));
    advice("try one request", once, expected)
}
