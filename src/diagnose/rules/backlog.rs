//! The rule about the target's backlog: SYNs that are dropped, seen by the kernel's counters or by set-ups that took
//! a retry.

use super::target::is_connect_timeout;
use crate::diagnose::command::{count, load_after_sysctl, load_with, number, s};
use crate::diagnose::indicators::Rows;
use crate::diagnose::remedies::{advice, keep_alive};
use crate::diagnose::rule::{Found, Verdict};
use crate::diagnose::target::{Kind, own_flag, serve_with};
use crate::diagnose::thresholds::{HELD_UP_MS, SYN_RETRIES};
use crate::model::finding::Remedy;
use crate::model::limits;
use crate::model::result::RunResult;

/// target-backlog-overflow.
pub(in crate::diagnose) fn backlog_overflow(run: &RunResult) -> Verdict {
    let local = run.resources.target.is_some() || run.plan.target.own_server || run.plan.target.addr.ip().is_loopback();
    // The counters are this namespace's: they tell of the target only when it lives here.
    let counters = run.kernel.filter(|_| local);
    let dropped = counters.map(|k| k.listen_overflows.max(k.listen_drops));
    let (near_1s, near_3s) = run.totals.connects.map_or((0, 0), |c| (c.setup_near_1s, c.setup_near_3s));
    let cluster = near_1s.saturating_add(near_3s);
    let late = Rows::of(run, is_connect_timeout).count();
    let clustered = cluster >= SYN_RETRIES;
    // The counters are of all listeners of the namespace: where none of our set-ups was held up, another's overflowed.
    let t = &run.totals;
    // A set-up can still be under way at the end: a started user without its connection or, without keep-alive, an
    // attempt whose connection neither came to stand nor failed.
    let started = run.series.iter().map(|p| p.users_asked).max().filter(|n| *n > 0).unwrap_or(t.users_asked);
    let ended = t.local_failures.saturating_add(t.connections_opened).saturating_add(t.connects_failed);
    let stuck = if run.plan.keepalive { t.users_reached < started } else { t.attempts > ended };
    let held_up = t.connects.is_none_or(|c| c.setup_max_ms >= HELD_UP_MS) || cluster > 0 || late > 0 || stuck;
    let dropped = if held_up { dropped } else { dropped.map(|_| 0) };
    // Where the counters are the target's and say that nothing was dropped, a retry had another cause: a pair of ports
    // that the target had not let go of yet, say.
    let none_dropped = counters.is_some_and(|k| k.listen_overflows.max(k.listen_drops) == 0);
    if dropped.unwrap_or(0) == 0 && (!clustered || none_dropped) {
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
                "The queue of connections that wait for accept() was full at the target's side: the kernel dropped {} (ListenOverflows/ListenDrops of this network namespace). ",
                count(n, "connection attempt")
            );
        }
        _ => {
            text += "The target, or something before it, dropped SYNs: set-ups that took a retry are there, those in between are not. ";
        }
    }
    text += &format!(
        "A dropped SYN is sent again after 1 s and later, so {} took about 1 s and {near_3s} about 3 s",
        count(near_1s, "set-up")
    );
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
    // Where every answer ends its connection, a slow start changes only the start.
    let kept = run.plan.keepalive && run.totals.requests_per_connection.is_none_or(|n| n >= 2.0);
    let mut remedies = longer_queue(run);
    if !kept && run.plan.users > 1 {
        let half = run.plan.users / 2;
        let fewer = load_with(&run.plan, |p| p.users = half);
        remedies.push(advice(
            "make fewer connections at once",
            fewer,
            format!("at most {} at a time instead of {}", count(half, "set-up"), run.plan.users),
        ));
    }
    if kept && !run.plan.is_open_loop() && (run.plan.spawn_rate <= 0.0 || run.plan.spawn_rate > ramp.max(1.0)) {
        remedies.push(advice(
            "start the users one after the other",
            slower,
            if run.plan.spawn_rate > 0.0 {
                format!("a new connection every {} instead of {}/s", s(1.0 / ramp.max(1.0)), number(run.plan.spawn_rate))
            } else {
                format!("a new connection every {} instead of {} at once", s(1.0 / ramp.max(1.0)), run.plan.users)
            },
        ));
    }
    if let Some(keep) = keep_alive(run).filter(|_| !run.plan.keepalive) {
        let expected = format!("{} in all instead of one a request", count(run.plan.users, "set-up"));
        remedies.push(advice("keep connections", keep.command, expected));
    }
    remedies.push(advice(
        "watch the queue",
        format!("nstat -az TcpExtListenOverflows ; ss -ltn 'sport = :{}'", to.port()),
        "a number that rises; Recv-Q at Send-Q + 1 is a full queue",
    ));
    let title = match dropped.filter(|n| *n > 0) {
        Some(n) => format!(
            "the target's backlog overflowed: {} dropped, {} took 1 s or 3 s",
            count(n, "connection attempt"),
            count(cluster, "set-up")
        ),
        None => format!("{} took 1 s or 3 s: SYNs were dropped at the target", count(cluster, "connection set-up")),
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

/// What lengthens the target's backlog or empties it faster, as far as it is not so already.
fn longer_queue(run: &RunResult) -> Vec<Remedy> {
    const LONG: u32 = 4096;
    let mut remedies = Vec::new();
    let most = own_flag(run, "max-conns", limits::MAX_CONNS as u32).filter(|most| *most < run.plan.users);
    if let Some(most) = most {
        remedies.push(advice(
            format!("let the server hold more connections than {most}: further ones wait in the backlog"),
            serve_with(run, &[("max-conns", (run.plan.users + 64).to_string())]),
            format!("{} of {} users no longer wait for a place", run.plan.users - most, run.plan.users),
        ));
    }
    let short = run.host.sysctls.somaxconn.is_none_or(|n| n < u64::from(LONG));
    let settings: &[(&str, &str)] = if short { &[("net.core.somaxconn", "4096")] } else { &[] };
    let own = own_flag(run, "backlog", limits::LISTEN_BACKLOG as u32);
    let asks_little = own.is_some_and(|n| n < LONG);
    let expected = "room for 4096 waiting connections; set-ups stay below 1 s";
    if Kind::of(run) == Kind::Own {
        if short || asks_little {
            let command = load_after_sysctl(&run.plan, settings, |p| {
                if asks_little {
                    p.surroundings.set_server_flag("backlog", LONG);
                }
            });
            remedies.push(advice("give the server a longer backlog", command, expected));
        }
        return remedies;
    }
    let command = if short {
        "sysctl -w net.core.somaxconn=4096   # and listen(fd, 4096) in the target".to_owned()
    } else {
        format!("ss -ltn 'sport = :{}'", run.plan.target.addr.port())
    };
    let action = if short {
        "give the target a longer backlog, in the kernel and in its listen()"
    } else {
        "let the target ask for more in listen(), or accept faster: the kernel allows 4096 (Send-Q is what it asked for)"
    };
    remedies.push(advice(action, command, expected));
    remedies
}
