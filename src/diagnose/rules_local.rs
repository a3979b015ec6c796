//! Rules about failures of our own machine: no port, no descriptor.

use super::command::{count as counted, cps, load_with, percent, s};
use super::reading::{Rows, budget, closed_by_client, cps_before, duration_s, exhaustion, hold, pool, unnamed};
use super::remedies::{advice, for_ports};
use super::rule::{Found, Verdict};
use super::thresholds::POOL_NOT_FULL_SHARE;
use crate::model::outcome::{EMFILE, ENFILE};
use crate::model::plan::{Closer, PortMode};
use crate::model::result::RunResult;

/// The gap between the totals and the error table hides this kind of failure.
pub(super) fn hidden(run: &RunResult) -> Verdict {
    match unnamed(run, true) {
        0 => Verdict::Clear,
        n => Verdict::Unknown(format!("{n} failures of our own machine have no row in the error table")),
    }
}

/// local-ports-exhausted.
pub(super) fn ports_exhausted(run: &RunResult) -> Verdict {
    let rows = exhaustion(run);
    let Some(row) = rows.largest() else { return hidden(run) };
    let (count, to) = (rows.count(), destination(run));
    let (call, errno) = (row.call.word(), row.errno.unwrap_or(0));
    let held = run.ports.as_ref().and_then(|p| p.peak_used);
    let found = |title: String, text: String| {
        let states = run.ports.as_ref().map(|p| p.states).unwrap_or_default();
        let forecast = run.ports.as_ref().and_then(|p| p.forecast.as_ref());
        Found::new(title, text)
            .with("failures", count)
            .with("call", call)
            .with("errno", errno)
            .with("windows_code", row.windows_code)
            .with("pool", pool(run))
            .with("hold_s", hold(run).map(|h| h.seconds))
            .with("ceiling_cps", budget(run).map(|b| b.ceiling_cps()))
            .with("peak_used", held)
            .with("time_wait", states.time_wait)
            .with("established", states.established)
            .with("fin_wait2", states.fin_wait2)
            .with("bound_only", states.bound_only)
            .with("first_s", rows.first_s())
            .with("last_s", rows.last_s())
            .with("predicted_first_s", forecast.map(|f| f.exhausted_at_s))
            .with("rate_cps", cps_before(run, rows.first_s()))
            .with("free_again_in_s", run.ports.as_ref().and_then(|p| p.free_again_in_s))
            .with("closed_first_by_client_share", closed_by_client(run))
    };
    if let Some((used, p)) = held.zip(pool(run))
        && f64::from(used) < POOL_NOT_FULL_SHARE * f64::from(p)
        && run.totals.connections_opened == 0
    {
        return no_address(run, &found, used, p);
    }
    let all = pool(run).map_or_else(|| "every source port".to_owned(), |p| format!("all {p} source ports"));
    let title = format!(
        "{} could not be made: {all} to {to} were held when {call}() asked for one ({})",
        counted(count, "connection"),
        row.name
    );
    found(title, story(run, &rows, call, errno)).remedies(for_ports(run)).verdict()
}

/// connect 99 although the range is nearly free: there is no local address for the destination.
fn no_address(run: &RunResult, found: &dyn Fn(String, String) -> Found, used: u32, p: u32) -> Verdict {
    let to = destination(run);
    let text = format!(
        "The kernel refused a local address for {to} although only {used} of {p} ports were held, and no connection succeeded at all. \
         So the range is not what ran out: this machine has no address that can reach the destination (for ::1 and other IPv6 \
         addresses: IPv6 is off; otherwise: no address on that interface). Linux uses the same EADDRNOTAVAIL 99 for both; Windows \
         keeps them apart: 10049 for this one, 10048 for ports."
    );
    let remedies = vec![
        advice(
            "ask which source address the route gives",
            format!("ip route get {}", run.plan.target.addr.ip()),
            "an error here is the cause",
        ),
        advice(
            "use the IPv4 address of the target",
            load_with(&run.plan, |p| {
                p.target.own_server = false;
                p.target.url = format!("http://127.0.0.1:{}", p.target.addr.port());
            }),
            "connects, where only IPv6 is off",
        ),
    ];
    found(format!("no local address reaches {to}: {used} of {p} ports were held, so the range did not run out"), text)
        .remedies(remedies)
        .verdict()
}

fn story(run: &RunResult, rows: &Rows<'_>, call: &str, errno: i32) -> String {
    let first = rows.first_s();
    let mut text = format!("Our own machine had no source port left from {} to {}: ", s(first), s(rows.last_s()));
    text += &held_by(run);
    if let Some(b) = budget(run).filter(|b| !b.hold.is_zero() && b.pool > 0) {
        let ceiling = b.ceiling_cps();
        text +=
            &format!("{} ports / {} sustain {} connections/s to one destination", b.pool, s(b.hold.as_secs_f64()), cps(ceiling));
        match cps_before(run, first) {
            Some(rate) if rate > ceiling => {
                text += &format!("; the run made {}/s, which uses them up after {}", cps(rate), s(f64::from(b.pool) / rate));
            }
            _ => {}
        }
        text += ". ";
        text += &format!("The first ports were free again {} after they were used", s(b.hold.as_secs_f64()));
        if let Some(free) = run.ports.as_ref().and_then(|p| p.free_again_in_s).filter(|f| *f > 0.0) {
            text += &format!("; after the run it takes {} until all are", s(free));
        }
        text += ". ";
    }
    if let Some(left) = run.ports.as_ref().and_then(|p| p.leftover_before).filter(|n| *n > 0) {
        text += &format!("{left} of them were held already before the first request. ");
    }
    let windows = match run.plan.port_mode {
        PortMode::Bind => "WSAENOBUFS 10055 at bind(), event 4231",
        _ => "WSAEADDRINUSE 10048 (\"Only one usage of each socket address\") at connect(), event 4227",
    };
    text += &format!(
        "It is not the target and not the CPU: {call}() failed here with errno {errno} before a packet was sent. A Windows client shows {windows}; its 16384 ports held for 120 s sustain 136.5/s."
    );
    text
}

/// By what the pool was held.
fn held_by(run: &RunResult) -> String {
    let Some(ports) = run.ports.as_ref() else {
        return "what held them was not observed. ".into();
    };
    let st = ports.states;
    let tw = ports.peak_time_wait.or(st.time_wait);
    let mut parts: Vec<(u32, &str)> = [
        (tw, "were in TIME_WAIT"),
        (st.established, "had open connections"),
        (st.fin_wait2, "were in FIN_WAIT2 (the target has not closed its side)"),
        (st.close_wait, "were in CLOSE_WAIT (this client has not closed)"),
        (st.bound_only, "were bound but not connected"),
    ]
    .into_iter()
    .filter_map(|(n, what)| n.filter(|n| *n > 0).map(|n| (n, what)))
    .collect();
    parts.sort_by_key(|p| std::cmp::Reverse(p.0));
    let Some((most, what)) = parts.first().copied() else { return "what held them is unknown. ".into() };
    let list = parts.iter().map(|(n, what)| format!("{n} {what}")).collect::<Vec<_>>().join(", ");
    let why = if tw == Some(most) && what.contains("TIME_WAIT") {
        let share = closed_by_client(run);
        let hold = hold(run).map_or_else(String::new, |h| format!(" for {}", s(h.seconds)));
        format!(
            "; the side that closes first keeps the port{hold}, and the client closed first in {} of the connections",
            percent(share)
        )
    } else {
        String::new()
    };
    format!("at the peak {list}{why}. ")
}

fn destination(run: &RunResult) -> String {
    run.ports.as_ref().map_or_else(|| run.plan.target.addr.to_string(), |p| p.destination.clone())
}

/// local-fd-limit.
pub(super) fn fd_limit(run: &RunResult) -> Verdict {
    let rows = Rows::of(run, |e| e.local && matches!(e.errno, Some(EMFILE | ENFILE)));
    let Some(row) = rows.largest() else { return hidden(run) };
    let (users, reached) = (run.plan.users, run.totals.users_reached);
    let whole_system = row.errno == Some(ENFILE);
    let limit = run.host.nofile;
    let limit_text = limit.map_or_else(|| "its limit (not readable)".to_owned(), |n| format!("its limit of {n}"));
    let who = if whole_system {
        "the whole machine has as many open files as fs.file-max allows"
    } else {
        &format!("this process has as many descriptors open as {limit_text} allows")
    };
    let text = format!(
        "Every connection needs a descriptor, and {who}: socket() failed before there was anything to connect. {reached} of {} held a \
         connection at the same time. It is not the target and not the ports; on Windows the same shows as WSAEMFILE 10024.",
        counted(users, "user")
    );
    let want = u64::from(users) + 64;
    let mut remedies = Vec::new();
    if whole_system {
        let again = load_with(&run.plan, |_| ());
        let command = format!("sysctl -w fs.file-max=1000000 && {again}");
        remedies.push(advice("raise the machine's limit", command, "room for 1000000 open files"));
    } else {
        let again = load_with(&run.plan, |_| ());
        remedies.push(advice(
            "raise the limit for this shell",
            format!("ulimit -n {want} && {again}"),
            format!("room for {} and 64 files more", counted(users, "connection")),
        ));
        remedies.push(advice(
            "raise it for a service",
            format!("systemd-run --property=LimitNOFILE={want} --pty -- {again}"),
            format!("the same, {want} descriptors, under systemd"),
        ));
    }
    let fit = limit
        .map_or_else(|| u64::from(reached.max(1)), |n| n.saturating_sub(64).max(1))
        .min(u64::from(users.saturating_sub(1).max(1)));
    let fewer = load_with(&run.plan, |p| p.users = fit as u32);
    remedies.push(advice("use fewer connections at once", fewer, format!("{} fit into the limit", counted(fit, "connection"))));
    Found::new(format!("{} could not be made: {} ({limit_text})", counted(rows.count(), "socket"), row.name), text)
        .with("failures", rows.count())
        .with("call", row.call.word())
        .with("errno", row.errno)
        .with("windows_code", row.windows_code)
        .with("nofile", limit)
        .with("users_asked", users)
        .with("users_reached", reached)
        .with("first_s", rows.first_s())
        .with("last_s", rows.last_s())
        .remedies(remedies)
        .verdict()
}

/// failures-will-return.
pub(super) fn failures_return(run: &RunResult) -> Verdict {
    let rows = exhaustion(run);
    if rows.is_empty() {
        return hidden(run);
    }
    let Some(hold) = hold(run) else {
        return Verdict::Unknown("how long a port stays held here: tcp_tw_reuse and tcp_timestamps could not be read".into());
    };
    let ports = run.ports.as_ref();
    let (time_wait, established) = (ports.and_then(|p| p.peak_time_wait), ports.and_then(|p| p.states.established));
    let by_time_wait = time_wait.is_none_or(|tw| tw > 0 && tw >= established.unwrap_or(0));
    let no_address = run.totals.connections_opened == 0 && ports.and_then(|p| p.leftover_before).unwrap_or(0) == 0;
    if hold.seconds <= 0.0 || !by_time_wait || no_address || run.plan.closer != Closer::Client {
        return Verdict::Clear;
    }
    let (t, end, first) = (hold.seconds, duration_s(run), rows.first_s());
    // The first echo after the run's end; those inside it were measured, not predicted.
    let periods = ((end - first) / t).floor() + 1.0;
    let next = first + periods * t;
    let inside: Vec<f64> = (1..).map(|k| first + f64::from(k) * t).take_while(|at| *at < end).take(100).collect();
    let seen = if inside.is_empty() {
        String::new()
    } else {
        format!(" This run was long enough to meet {} of these echoes, from {} on.", inside.len(), s(inside[0]))
    };
    let dead = ports.and_then(|p| p.forecast.as_ref()).map(|f| f.dead_s);
    let length = dead.map_or_else(String::new, |d| format!(" Each time up to {} long.", s(d)));
    let text = format!(
        "The failures come back every {}: ports return in the order in which they were used, and where no connection could be made then, \
         none is given back now. The next time is {} after the start of the run ({} after its end).{length}{seen} \
         A rate below P/T ends it; a pause of {} clears it. On Windows it is the same with T = 120 s.",
        s(t),
        s(next),
        s(next - end),
        s(t)
    );
    let keep = for_ports(run);
    let name = |n: &str| keep.iter().find(|r| r.name.as_deref() == Some(n)).cloned();
    let mut remedies: Vec<_> = ["keep-alive", "server-closes", "ring", "pace", "wait"].iter().filter_map(|n| name(n)).collect();
    if remedies.len() < 2 {
        remedies = keep;
    }
    Found::new(format!("if the load goes on, the failures return every {}, next {} after the start", s(t), s(next)), text)
        .with("every_s", t)
        .with("first_s", first)
        .with("next_s", next)
        .with("dead_s", dead)
        .with("echoes_in_run", inside.len() as u64)
        .remedies(remedies)
        .verdict()
}
