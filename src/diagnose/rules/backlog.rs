//! Rules about connections that took a retry of their SYN: the target's backlog overflowed, by the kernel's counters, or
//! something else lost SYNs.

use super::prelude::*;
use super::target::alone;
use crate::remedy::software::longer_backlog;
use crate::remedy::target::Kind;

/// Users that start one after the other do so within this time, seconds.
const RAMP_S: f64 = 10.0;

pub(in crate::diagnose) fn backlog_overflow(run: &RunResult, seen: &Indicators) -> Ruling {
    let overflow = seen.overflow.clone()?;
    let Overflow { dropped, retried, near_1s, near_3s, given_up, limit } = overflow;
    let somaxconn = run.host.sysctls.somaxconn;
    let mut text = match dropped {
        Some(n) => format!(
            "The target's queue of connections that wait for accept() was full: the kernel dropped {} (ListenOverflows, ListenDrops). ",
            counted(n, "connection attempt")
        ),
        None => {
            "The target, or something before it, dropped SYNs: connecting took about a second or several (SYN retries), and nothing in \
                 between. "
                .to_owned()
        }
    };
    let lost = if given_up > 0 { format!(", and {given_up} were given up") } else { String::new() };
    let later = if near_3s > 0 { format!(", {near_3s} about 3 s") } else { String::new() };
    text +=
        &format!("A dropped SYN is sent again a second later: {} took about 1 s{later}{lost}. ", counted(near_1s, "connection"));
    match (limit, somaxconn) {
        (Some(limit), _) => {
            let room = counted(limit.saturating_add(1), "connection");
            text += &format!(
                "The target's backlog, the queue of connections that its program has not accepted yet, has room for {room} (Send-Q of \
                 its listening socket is {limit}). "
            );
        }
        (None, Some(n)) => {
            text += &format!(
                "The target's backlog, the queue of connections that its program has not accepted yet, is the smaller of listen()'s argument and somaxconn = {n}. "
            );
        }
        (None, None) => {}
    }
    if accepts_nobody(run, &overflow) {
        text += "No user got an answer: the target's program does not accept() connections, or is stuck with its first. A longer queue \
                 helps against neither. ";
    }
    text += "The client sees latency and timeouts, never a port error. Windows refuses instead (10061) when its backlog is full.";
    let title = match dropped {
        Some(n) => format!("the target's backlog overflowed: {} dropped, {}", counted(n, "connection attempt"), took(&retried)),
        None => format!("{} to be made: SYNs were dropped on the way or at the target", took(&retried)),
    };
    Ok(Found::new(title, text)
        .with("listen_overflows", run.kernel.map(|k| k.listen_overflows).filter(|_| dropped.is_some()))
        .with("listen_drops", run.kernel.map(|k| k.listen_drops).filter(|_| dropped.is_some()))
        .with("setups_retried", retried.count)
        .with("setups_near_1s", near_1s)
        .with("setups_near_3s", near_3s)
        .with("setup_max_ms", run.totals.connects.map(|c| c.setup_max_ms))
        .with("connect_timeouts", given_up)
        .with("somaxconn", somaxconn)
        .with("backlog", limit)
        .with("retransmitted_segments", run.kernel.map(|k| k.retrans_segs))
        .remedies(remedies(run, seen, limit)))
}

/// The queue of a target of this machine overflowed, and not one request was answered: it is not slow, it accepts nobody.
fn accepts_nobody(run: &RunResult, overflow: &Overflow) -> bool {
    overflow.dropped.is_some() && run.totals.latency_ms.is_none() && run.totals.users_asked > 0
}

/// What shows where a program that accepts nobody is stuck.
pub(super) fn see_whether_stuck(run: &RunResult) -> Remedy {
    let expected = "where each of its threads waits; R is busy, T is stopped: kill -CONT lets it run again";
    let command = match &run.resources.target {
        Some(t) => format!("ps -L -o tid,stat,wchan:30,comm -p {}", t.pid),
        None => format!("ss -ltnp 'sport = :{}'", run.plan.target.addr.port()),
    };
    let expected = if run.resources.target.is_some() { expected } else { "its name and PID, where you may see them" };
    advice("see whether the target's program is stuck: it does not accept()", command, expected)
}

/// `25 connections took 1 s to 4.4 s`
fn took(retried: &Retried) -> String {
    let longest = retried.longest_ms / 1000.0;
    // Those near 1 s are the first retry.
    let how_long = if longest < 1.25 { "about 1 s".to_owned() } else { format!("1 s to {}", seconds(longest)) };
    format!("{} took {how_long}", counted(retried.count, "connection"))
}

/// The headline of both: how many, how long, and who lost the SYNs.
pub(in crate::diagnose) fn headline(run: &RunResult, seen: &Indicators) -> String {
    if seen.overflow.as_ref().is_ok_and(|o| accepts_nobody(run, o)) {
        let users = run.totals.users_asked;
        return format!(
            "target not accepting: 0 of {} got an answer; its program does not accept(), and its queue is full",
            counted(users, "user")
        );
    }
    let timeout = seconds(run.plan.timeout.as_secs_f64());
    let (retried, given_up, who) = match (seen.overflow.as_ref().ok(), seen.retried) {
        (Some(o), _) if o.dropped.is_some() => (o.retried, o.given_up, "the target is failing to accept them in time"),
        (Some(o), _) => (o.retried, o.given_up, "the way or the target's backlog is failing: SYNs are lost"),
        (None, Some(retried)) => (retried, 0, "the way to the target is failing: SYNs are lost, and no backlog overflowed"),
        (None, None) => (Retried { count: 0, longest_ms: 0.0 }, 0, "the target is failing to accept them in time"),
    };
    // Three of a million are another thing than three of four.
    let of = match run.totals.connections_opened {
        all if all > retried.count => format!(" of {}", count(all)),
        _ => String::new(),
    };
    let took = || took(&retried).replacen(' ', &format!("{of} "), 1);
    let many = match (retried.count, given_up) {
        (0, 0) => "some were still being made at the end".to_owned(),
        (0, n) => format!("{} not made within {timeout}", were(n)),
        (_, 0) => format!("{} to be made", took()),
        (_, n) => format!("{} to be made, and {n} more were not made within {timeout}", took()),
    };
    format!("slow connects: {many}; {who}")
}

fn were(n: u64) -> String {
    format!("{} {}", counted(n, "connection"), if n == 1 { "was" } else { "were" })
}

pub(in crate::diagnose) fn slow_connects(run: &RunResult, seen: &Indicators) -> Ruling {
    let retried = seen.retried.ok_or(Clear)?;
    let text = format!(
        "A lost SYN is sent again after 1 s, 2 s or 3 s: {}. No listener of this machine dropped one (ListenOverflows and ListenDrops stayed \
         at 0), so a filter, a lossy link, or an old connection with the same ports at the target lost them. The waiting is in the latency \
         of these requests, and no sign of a slow program.",
        took(&retried)
    );
    let port = run.plan.target.addr.port();
    let mut remedies = vec![
        advice(
            "see whether SYNs are sent again",
            "nstat -az TcpExtTCPSynRetrans TcpRetransSegs   # before and after a run",
            format!("{} less", counted(retried.count, "retry")),
        ),
        advice(
            "look for a rule that drops them",
            format!("nft list ruleset | grep -n {port}"),
            "0 rules that limit or drop new connections",
        ),
    ];
    remedies.extend(keep_alive(&seen.situation(run)).filter(|_| !run.plan.keepalive));
    Ok(Found::new(format!("{} to be made, and no backlog overflowed: SYNs were lost", took(&retried)), text)
        .with("setups_retried", retried.count)
        .with("setup_max_ms", retried.longest_ms)
        .with("retransmitted_segments", run.kernel.map(|k| k.retrans_segs))
        .remedies(remedies))
}

fn remedies(run: &RunResult, seen: &Indicators, limit: Option<u32>) -> Vec<Remedy> {
    if seen.overflow.as_ref().is_ok_and(|o| accepts_nobody(run, o)) {
        let mut remedies = vec![see_whether_stuck(run)];
        remedies.extend(alone(run, "still no answer: it is not the load".into()));
        remedies.push(watch_queue(run));
        return remedies;
    }
    let users = run.plan.users;
    // Over 10 s, or a third of a shorter run: a ramp that outlasts the run never has all users.
    let over_s = if run.plan.requests > 0 { RAMP_S } else { RAMP_S.min(run.plan.duration.as_secs_f64() / 3.0) };
    let ramp = (f64::from(users) / over_s.max(0.1)).ceil().max(1.0);
    // Where every answer ends its connection, a slow start changes only the start.
    let kept = run.plan.keepalive && run.totals.requests_per_connection.is_none_or(|n| n >= 2.0);
    let mut remedies = longer_queue(run, limit);
    if !kept && users > 1 {
        // No more than may wait at once, where that is known: then none is dropped, however slowly they are accepted.
        let most = limit.filter(|n| (1..users).contains(n)).unwrap_or(users / 2);
        let fewer = load_with(&run.plan, |p| p.users = most);
        let expected = match limit.filter(|n| *n == most) {
            Some(n) => format!("0 dropped: {} fit a backlog of {n}", counted(most, "connection")),
            None => format!("at most {} made at a time instead of {users}", counted(most, "connection")),
        };
        remedies.push(advice("make fewer connections at once", fewer, expected));
    }
    let at_will = !run.plan.is_open_loop() && run.plan.stages.is_none();
    if kept && at_will && (run.plan.spawn_rate <= 0.0 || run.plan.spawn_rate > ramp) {
        let now = if run.plan.spawn_rate > 0.0 {
            format!("{}/s", rate(run.plan.spawn_rate))
        } else {
            format!("{} at once", count(users))
        };
        remedies.push(advice(
            "start the users one after the other",
            load_with(&run.plan, |p| p.spawn_rate = ramp),
            format!("a new connection every {} instead of {now}", seconds(1.0 / ramp)),
        ));
    }
    if let Some(keep) = keep_alive(&seen.situation(run)).filter(|_| !run.plan.keepalive) {
        let expected = format!("{} in all instead of one per request", counted(users, "connection"));
        remedies.push(Remedy { expected, ..keep });
    }
    remedies.push(watch_queue(run));
    remedies
}

pub(super) fn watch_queue(run: &RunResult) -> Remedy {
    advice(
        "watch the queue",
        format!("ss -ltn 'sport = :{}'", run.plan.target.addr.port()),
        "Recv-Q of Send-Q + 1 is a full queue; nstat -az TcpExtListenOverflows counts what it drops",
    )
}

/// What lengthens the target's backlog or empties it faster, as far as it is not so already.
fn longer_queue(run: &RunResult, limit: Option<u32>) -> Vec<Remedy> {
    const LONG: u32 = 4096;
    let mut remedies = Vec::new();
    let most = own_flags(run).map(|f| f.max_conns.unwrap_or(limits::MAX_CONNS) as u32).filter(|most| *most < run.plan.users);
    if let Some(most) = most {
        remedies.push(advice(
            format!("let the server take more connections than {most}: further ones wait in the backlog"),
            serve_with(run, |f| f.max_conns = Some((run.plan.users + 64) as usize)),
            format!("{} of {} users no longer wait for a place", run.plan.users - most, run.plan.users),
        ));
    }
    let short = run.host.sysctls.somaxconn.is_none_or(|n| n < u64::from(LONG));
    let settings: &[(&str, &str)] = if short { &[("net.core.somaxconn", "4096")] } else { &[] };
    let own = own_flags(run).map(|f| f.backlog.unwrap_or(limits::LISTEN_BACKLOG) as u32);
    let asks_little = own.is_some_and(|n| n < LONG);
    let expected = "room for 4,096 waiting connections: connecting takes less than 1 s";
    if Kind::of(run) == Kind::Own {
        if short || asks_little {
            let command = load_after_sysctl(&run.plan, settings, |p| {
                if asks_little {
                    p.environment.server.backlog = Some(LONG.cast_signed());
                }
            });
            remedies.push(advice("give the server a longer backlog", command, expected));
        }
        return remedies;
    }
    // What a program asks for in listen() is its own; the kernel's limit is the smaller one only where they are equal.
    let by_kernel = short && limit.is_none_or(|n| run.host.sysctls.somaxconn.is_none_or(|most| u64::from(n) >= most));
    let name = run.resources.target.as_ref().map_or("", |t| t.name.as_str());
    let asks = longer_backlog(name);
    let (action, command) = if by_kernel {
        (
            "give the target a longer backlog, in the kernel and in its listen()".to_owned(),
            "sysctl -w net.core.somaxconn=4096".to_owned(),
        )
    } else {
        let than = limit.map_or_else(|| "more".to_owned(), |n| format!("more than {n}"));
        (format!("let the target ask for {than} in listen(), or accept faster"), asks.to_owned())
    };
    remedies.push(advice(action, command, expected));
    remedies
}
