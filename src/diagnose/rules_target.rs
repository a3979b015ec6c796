//! Rules about failures at the target: refused, dropped, reset, late, malformed, answered with an error.

use super::command::{load_with, number, percent, s};
use super::reading::{Rows, unnamed};
use super::remedies::advice;
use super::rule::{Found, Verdict};
use super::thresholds::SYN_RETRIES;
use crate::model::outcome::{Call, ECONNREFUSED, ECONNRESET, EPIPE, ETIMEDOUT};
use crate::model::result::{ErrorRow, RunResult};

/// ECONNABORTED, Linux.
const ECONNABORTED: i32 = 103;
/// The name of a self-connect in the error table.
const SELF_CONNECT: &str = "SELFCONNECT";
/// How the message of a timeout names its phase (`model::outcome`).
const WHILE_CONNECTING: &str = "while connecting";

fn hidden(run: &RunResult) -> Verdict {
    match unnamed(run, false) {
        0 => Verdict::Clear,
        n => Verdict::Unknown(format!("{n} failures at the target have no row in the error table")),
    }
}

fn is_refused(e: &ErrorRow) -> bool {
    !e.local && e.call == Call::Connect && (e.errno == Some(ECONNREFUSED) || e.name == SELF_CONNECT)
}

fn is_timeout(e: &ErrorRow) -> bool {
    !e.local && (e.call == Call::Timeout || e.errno == Some(ETIMEDOUT))
}

fn is_connect_timeout(e: &ErrorRow) -> bool {
    is_timeout(e) && (e.call == Call::Connect || e.message.contains(WHILE_CONNECTING))
}

fn is_reset(e: &ErrorRow) -> bool {
    let by_errno = matches!(e.errno, Some(ECONNRESET | EPIPE | ECONNABORTED));
    !e.local && matches!(e.call, Call::Read | Call::Write | Call::Connect) && (by_errno || e.name == "EOF")
}

fn is_malformed(e: &ErrorRow) -> bool {
    !e.local && e.call == Call::Protocol
}

/// Statuses, and whatever no other rule of this file is about: nothing at the target goes unnamed.
fn is_other(e: &ErrorRow) -> bool {
    !e.local && e.name != "OTHER" && !is_refused(e) && !is_timeout(e) && !is_reset(e) && !is_malformed(e)
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
pub(super) fn refused(run: &RunResult) -> Verdict {
    let rows = Rows::of(run, is_refused);
    if rows.is_empty() {
        return hidden(run);
    }
    let to = run.plan.target.addr;
    let own = Rows::of(run, |e| is_refused(e) && e.name == SELF_CONNECT).count();
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
            "{lead}{own} sockets connected to themselves: the target's port lies inside the range of source ports, and the kernel picked the very same one. "
        );
    } else if inside {
        text += "Its port lies inside the range of source ports, where a dead port can even connect to itself. ";
    }
    text += "The network works and the client had a port; a full backlog would not refuse but drop (target-backlog-overflow). Windows shows WSAECONNREFUSED 10061.";
    let mut remedies = vec![
        advice(
            "start the target, or correct the address",
            format!("ss -ltn 'sport = :{}'", to.port()),
            format!("a line means that something listens: {} failures fewer", rows.count()),
        ),
        advice(
            "look why it stopped listening",
            format!("sockbench server --listen {to}"),
            "sockbench's own server at the same address answers every request",
        ),
    ];
    if inside {
        remedies.push(advice(
            "keep the kernel from giving the target's port to clients",
            format!("sysctl -w net.ipv4.ip_local_reserved_ports={}", to.port()),
            "no self-connects: one port less in the pool",
        ));
    }
    let title = match (real, own) {
        (0, own) => format!("{own} connections to {to} connected to themselves: nothing listens there"),
        (real, 0) => format!("{real} connections to {to} were refused (ECONNREFUSED)"),
        (real, own) => format!("{real} connections to {to} were refused and {own} connected to themselves"),
    };
    evidence(Found::new(title, text), &rows)
        .with("self_connects", own)
        .with("port_in_local_range", u32::from(inside))
        .remedies(remedies)
        .verdict()
}

/// target-backlog-overflow.
pub(super) fn backlog_overflow(run: &RunResult) -> Verdict {
    let local = run.resources.target.is_some() || run.plan.target.own_server || run.plan.target.addr.ip().is_loopback();
    // The counters are this namespace's: they tell of the target only when it lives here.
    let counters = run.kernel.filter(|_| local);
    let dropped = counters.map(|k| k.listen_overflows.max(k.listen_drops));
    let (near_1s, near_3s) = run.totals.connects.map_or((0, 0), |c| (c.setup_near_1s, c.setup_near_3s));
    let cluster = near_1s.saturating_add(near_3s);
    let late = Rows::of(run, is_connect_timeout).count();
    let clustered = cluster >= SYN_RETRIES;
    if dropped.unwrap_or(0) == 0 && !clustered {
        return match (dropped, run.totals.connects) {
            (None, _) if late > 0 => {
                Verdict::Unknown("connects timed out, and the target's ListenOverflows cannot be read from here".into())
            }
            (None, None) if run.totals.attempts > 0 => {
                Verdict::Unknown("neither ListenOverflows nor the durations of connection set-ups are known".into())
            }
            _ => Verdict::Clear,
        };
    }
    let to = run.plan.target.addr;
    let somaxconn = run.host.sysctls.somaxconn;
    let mut text = String::new();
    match dropped {
        Some(n) if n > 0 => {
            text += &format!(
                "The queue of connections that wait for accept() was full at the target's side: the kernel dropped connection attempts {n} times (ListenOverflows/ListenDrops of this network namespace). "
            );
        }
        _ => {
            text += "The target, or something before it, dropped SYNs: set-ups that took a retry are there, those in between are not. ";
        }
    }
    text +=
        &format!("A dropped SYN is sent again after 1 s and later, so {near_1s} set-ups took about 1 s and {near_3s} about 3 s");
    if late > 0 {
        text += &format!(", and {late} were given up");
    }
    text += ". The client sees latency and timeouts, never \"refused\" and never a port error";
    if let Some(n) = somaxconn {
        text += &format!("; the backlog is the smaller of listen()'s argument and somaxconn = {n}");
    }
    text += ". Windows refuses instead (WSAECONNREFUSED 10061) when its backlog is full.";
    let ramp = f64::from(run.plan.users) / 10.0;
    let slower = load_with(&run.plan, |p| p.spawn_rate = ramp.max(1.0));
    let mut remedies = vec![advice(
        "give the target a longer backlog and faster accepts",
        "sysctl -w net.core.somaxconn=4096   # and listen(fd, 4096) in the target",
        "room for 4096 waiting connections; set-ups stay below 1 s",
    )];
    if !run.plan.is_open_loop() && (run.plan.spawn_rate <= 0.0 || run.plan.spawn_rate > ramp.max(1.0)) {
        remedies.push(advice(
            "start the users one after the other",
            slower,
            format!("{} new connections/s instead of {} at once", number(ramp.max(1.0)), run.plan.users),
        ));
    }
    if !run.plan.keepalive {
        let keep = load_with(&run.plan, |p| p.keepalive = true);
        remedies.push(advice("keep connections", keep, format!("{} set-ups in all instead of one a request", run.plan.users)));
    }
    remedies.push(advice(
        "watch the queue",
        format!("ss -ltn 'sport = :{}'   # Recv-Q against Send-Q; nstat -az TcpExtListenOverflows", to.port()),
        "Recv-Q at Send-Q + 1 is a full queue",
    ));
    let title = match dropped.filter(|n| *n > 0) {
        Some(n) => format!("the target's backlog overflowed: {n} connection attempts dropped, {cluster} set-ups took 1 s or 3 s"),
        None => format!("{cluster} connection set-ups took 1 s or 3 s: SYNs were dropped at the target"),
    };
    Found::new(title, text)
        .with("listen_overflows", counters.map(|k| k.listen_overflows))
        .with("listen_drops", counters.map(|k| k.listen_drops))
        .with("setups_near_1s", near_1s)
        .with("setups_near_3s", near_3s)
        .with("setup_max_ms", run.totals.connects.map(|c| c.setup_max_ms))
        .with("connect_timeouts", late)
        .with("somaxconn", somaxconn)
        .with("retransmitted_segments", run.kernel.map(|k| k.retrans_segs))
        .remedies(remedies)
        .verdict()
}

/// target-resets.
pub(super) fn resets(run: &RunResult) -> Verdict {
    let rows = Rows::of(run, is_reset);
    if rows.is_empty() {
        return hidden(run);
    }
    let reused = Rows::of(run, |e| is_reset(e) && e.reused).count();
    let fresh = rows.count() - reused;
    let mut text = format!("The target ended connections before it had answered: {}. ", rows.in_words());
    if reused > 0 {
        text += &format!(
            "Of these {reused} were on connections that had carried an answer before: the target closed an idle connection while the next request was on its way (its idle timeout is shorter than the users' pauses, or it limits requests per connection). "
        );
    }
    if fresh > 0 {
        text += &format!(
            "On fresh connections it was {fresh}: the target accepted and hung up, as a crashing worker, a connection limit or a TLS port does. "
        );
    }
    text += "These are failures of the target, counted and never retried in silence. Windows shows WSAECONNRESET 10054.";
    let mut remedies = Vec::new();
    if reused > 0 {
        remedies.push(advice(
            "let the target keep idle connections longer than the users pause",
            "sockbench server --idle-timeout 75s",
            format!("no resets on reused connections: {reused} failures fewer"),
        ));
        if run.plan.keepalive {
            let short = load_with(&run.plan, |p| p.keepalive = false);
            remedies.push(advice(
                "measure with a connection per request, to tell the race from a crash",
                short,
                "resets that stay are not the idle race; mind the port budget",
            ));
        }
    }
    if fresh > 0 {
        remedies.push(advice(
            "read the target's log at the times of the resets",
            "journalctl --since -10min | grep -iE 'reset|worker|killed|limit'",
            format!("{fresh} hang-ups between {} and {} of the run", s(rows.first_s()), s(rows.last_s())),
        ));
    }
    let fewer = load_with(&run.plan, |p| p.users = (p.users / 2).max(1));
    remedies.push(advice("try with half of the users", fewer, "no resets below a connection limit of the target"));
    let title = format!("{} requests ended with the connection: {}", rows.count(), rows.in_words());
    evidence(Found::new(title, text), &rows)
        .with("on_reused_connections", reused)
        .with("on_fresh_connections", fresh)
        .with("endpoints", rows.endpoints())
        .remedies(remedies)
        .verdict()
}

/// target-timeouts. Those at connect belong to the backlog where it overflowed.
pub(super) fn timeouts(run: &RunResult) -> Verdict {
    let overflow = matches!(backlog_overflow(run), Verdict::Finding(_));
    let rows = Rows::of(run, |e| is_timeout(e) && !(overflow && is_connect_timeout(e)));
    if rows.is_empty() {
        return hidden(run);
    }
    let connecting = Rows::of(run, |e| is_connect_timeout(e) && !overflow).count();
    let waiting = rows.count() - connecting;
    let limit = run.plan.timeout.as_secs_f64();
    let mut text = format!("The target did not answer within {}: {}. ", s(limit), rows.in_words());
    if connecting > 0 {
        text += &format!(
            "In {connecting} of them no connection came to stand: SYNs or their answers were lost (a firewall that drops, a dead address, a full backlog elsewhere). "
        );
    }
    if waiting > 0 {
        text += &format!(
            "In {waiting} the connection stood and the answer did not come in time: the target is too slow for this load, or stuck. "
        );
    }
    text += "Windows shows WSAETIMEDOUT 10060.";
    let p99 = run.totals.latency_ms.map(|l| l.p99);
    let longer = load_with(&run.plan, |_| ()) + &format!(" --timeout {}s", number((limit * 3.0).ceil()));
    let fewer = load_with(&run.plan, |p| {
        p.users = (p.users / 2).max(1);
        p.rate /= 2.0;
    });
    let mut remedies = vec![
        advice("halve the load, to see whether the target is slow or stuck", fewer, "no timeouts when it was the load"),
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
                format!("ss -tn state syn-sent dst {}", run.plan.target.addr.ip()),
                "lines that stay are SYNs without an answer",
            ),
        );
    }
    evidence(Found::new(format!("{} requests timed out after {}: {}", rows.count(), s(limit), rows.in_words()), text), &rows)
        .with("timeout_s", limit)
        .with("while_connecting", connecting)
        .with("after_connecting", waiting)
        .with("endpoints", rows.endpoints())
        .remedies(remedies)
        .verdict()
}

/// target-malformed.
pub(super) fn malformed(run: &RunResult) -> Verdict {
    let rows = Rows::of(run, is_malformed);
    let Some(row) = rows.largest() else { return hidden(run) };
    let text = format!(
        "Answers broke HTTP/1.1 (RFC 9112): {}. The commonest: {} at {}. The connection is closed after such an answer, because where the next one \
         begins is unknown. Neither ports nor load explain this by themselves; a target that is killed or overloaded in the middle of an answer does.",
        rows.in_words(),
        row.message,
        row.endpoint
    );
    let base = format!("http://{}", run.plan.target.authority);
    let remedies = vec![
        advice(
            "look at one raw answer",
            format!("curl -v --raw '{base}{}'", row.endpoint),
            "shows the head and the length that it announces",
        ),
        advice(
            "try with one user, to tell a broken answer from a broken-off one",
            load_with(&run.plan, |p| p.users = 1),
            format!("the same faults with 1 user instead of {}: the target's own, not the load's", run.plan.users),
        ),
    ];
    evidence(Found::new(format!("{} answers were malformed: {}", rows.count(), rows.in_words()), text), &rows)
        .with("fault", row.name.as_str())
        .with("endpoints", rows.endpoints())
        .remedies(remedies)
        .verdict()
}

/// target-errors.
pub(super) fn errors(run: &RunResult) -> Verdict {
    let rows = Rows::of(run, is_other);
    let Some(row) = rows.largest() else { return hidden(run) };
    let share = rows.count() as f64 / run.totals.requests.max(1) as f64;
    let is_status = row.call == Call::Http;
    let mut text = format!("The target failed {} of the requests: {} at {}. ", percent(share), rows.in_words(), rows.endpoints());
    let mut remedies = Vec::new();
    match row.name.as_str() {
        "503" | "429" => {
            text += "The connection worked and the target said that it will not take more: a queue or a rate limit is full. ";
            remedies.push(advice(
                "give the target a longer queue or more workers",
                "sockbench server --queue 4096 --io-workers 256 --cpu-workers 2",
                "503 only when 4096 jobs wait (1024 by default)",
            ));
            let fewer = load_with(&run.plan, |p| p.users = (p.users / 2).max(1));
            remedies.push(advice("offer less", fewer, "half the requests in flight"));
        }
        name if is_status && name.starts_with('4') => {
            text +=
                "The connection worked; statuses of 400 and above mean that the target does not accept the request as it is. ";
        }
        _ if is_status => text += "The connection worked; the target reports a failure of its own. ",
        _ => text += "No answer came: the way to the target failed, named here by call and errno. ",
    }
    text += "Ports and TIME_WAIT have no part in it; on Windows the failure reads the same.";
    let base = format!("http://{}", run.plan.target.authority);
    remedies.push(advice(
        "ask for one by hand",
        format!("curl -i '{base}{}'", row.endpoint),
        format!("the same {} without load means it is not the load", row.name),
    ));
    let one = load_with(&run.plan, |p| p.users = 1);
    remedies.push(advice(
        "try with one user",
        one,
        format!("{} of the requests failed with {} users", percent(share), run.plan.users),
    ));
    evidence(Found::new(format!("{} requests failed at the target: {}", rows.count(), rows.in_words()), text), &rows)
        .with("share", share)
        .with("name", row.name.as_str())
        .with("endpoints", rows.endpoints())
        .remedies(remedies)
        .verdict()
}
