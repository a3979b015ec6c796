//! The rule about the target's backlog: SYNs that are dropped, seen by the kernel's counters or by set-ups that took
//! a retry.

use crate::diagnose::indicators::{Indicators, Overflow};
use crate::diagnose::rule::{Found, Ruling};
use crate::model::figures::{count, counted, rate, seconds};
use crate::model::finding::Remedy;
use crate::model::limits;
use crate::model::result::RunResult;
use crate::remedy::target::{Kind, own_flags, serve_with};
use crate::remedy::{advice, keep_alive, load_after_sysctl, load_with};

/// Users that start one after the other do so within this time, seconds.
const RAMP_S: f64 = 10.0;

/// target-backlog-overflow.
pub(in crate::diagnose) fn backlog_overflow(run: &RunResult, seen: &Indicators) -> Ruling {
    Ruling::about(&seen.overflow, |overflow| overflowed(run, seen, *overflow))
}

fn overflowed(run: &RunResult, seen: &Indicators, overflow: Overflow) -> Ruling {
    let Overflow { dropped, near_1s, near_3s, given_up } = overflow;
    let cluster = near_1s.saturating_add(near_3s);
    let somaxconn = run.host.sysctls.somaxconn;
    let mut text = match dropped {
        Some(n) => format!(
            "The target's queue of connections that wait for accept() was full: the kernel dropped {} (ListenOverflows, ListenDrops). ",
            counted(n, "connection attempt")
        ),
        None => {
            "The target, or something before it, dropped SYNs: connecting took about 1 s or 3 s (SYN retries), and nothing in \
                 between. "
                .to_owned()
        }
    };
    let lost = if given_up > 0 { format!(", and {given_up} were given up") } else { String::new() };
    text += &format!(
        "A dropped SYN is sent again after 1 s and 3 s: {} took about 1 s, {near_3s} about 3 s{lost}. ",
        counted(near_1s, "connection")
    );
    if let Some(n) = somaxconn {
        text += &format!("The backlog is the smaller of listen()'s argument and somaxconn = {n}. ");
    }
    text += "The client sees latency and timeouts, never a port error. Windows refuses instead (10061) when its backlog is full.";
    let title = match dropped {
        Some(n) => format!(
            "the target's backlog overflowed: {} dropped, {} took 1 s or 3 s",
            counted(n, "connection attempt"),
            counted(cluster, "connection")
        ),
        None => format!("{} took 1 s or 3 s to be made: SYNs were dropped at the target", counted(cluster, "connection")),
    };
    Found::new(title, text)
        .with("listen_overflows", run.kernel.map(|k| k.listen_overflows).filter(|_| dropped.is_some()))
        .with("listen_drops", run.kernel.map(|k| k.listen_drops).filter(|_| dropped.is_some()))
        .with("setups_near_1s", near_1s)
        .with("setups_near_3s", near_3s)
        .with("setup_max_ms", run.totals.connects.map(|c| c.setup_max_ms))
        .with("connect_timeouts", given_up)
        .with("somaxconn", somaxconn)
        .with("retransmitted_segments", run.kernel.map(|k| k.retrans_segs))
        .remedies(remedies(run, seen))
        .ruling()
}

fn remedies(run: &RunResult, seen: &Indicators) -> Vec<Remedy> {
    let users = run.plan.users;
    // Over 10 s, or a third of a shorter run: a ramp that outlasts the run never has all users.
    let over_s = if run.plan.requests > 0 { RAMP_S } else { RAMP_S.min(run.plan.duration.as_secs_f64() / 3.0) };
    let ramp = (f64::from(users) / over_s.max(0.1)).ceil().max(1.0);
    // Where every answer ends its connection, a slow start changes only the start.
    let kept = run.plan.keepalive && run.totals.requests_per_connection.is_none_or(|n| n >= 2.0);
    let mut remedies = longer_queue(run);
    if !kept && users > 1 {
        let fewer = load_with(&run.plan, |p| p.users /= 2);
        let expected = format!("at most {} made at a time instead of {users}", counted(users / 2, "connection"));
        remedies.push(advice("make fewer connections at once", fewer, expected));
    }
    if kept && !run.plan.is_open_loop() && (run.plan.spawn_rate <= 0.0 || run.plan.spawn_rate > ramp) {
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
    remedies.push(advice(
        "watch the queue",
        format!("nstat -az TcpExtListenOverflows ; ss -ltn 'sport = :{}'", run.plan.target.addr.port()),
        "a number that rises; Recv-Q of Send-Q + 1 is a full queue",
    ));
    remedies
}

/// What lengthens the target's backlog or empties it faster, as far as it is not so already.
fn longer_queue(run: &RunResult) -> Vec<Remedy> {
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
    let command = if short {
        "sysctl -w net.core.somaxconn=4096   # and listen(fd, 4096) in the target".to_owned()
    } else {
        format!("ss -ltn 'sport = :{}'", run.plan.target.addr.port())
    };
    let action = if short {
        "give the target a longer backlog, in the kernel and in its listen()"
    } else {
        "let the target ask for more in listen(), or accept faster (Send-Q is what it asked for)"
    };
    remedies.push(advice(action, command, expected));
    remedies
}
