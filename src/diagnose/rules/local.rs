//! Rules about failures of our own machine: no port, no descriptor.

use super::exhaustion::{self, story};
use crate::diagnose::indicators::{Indicators, Kind, Rows, cps_before, elsewhere, name_of, unnamed};
use crate::diagnose::rule::{Found, Ruling};
use crate::diagnose::thresholds::ECHO_SOON_S;
use crate::model::outcome::{ENFILE, FailureSide};
use crate::model::result::RunResult;
use crate::remedy::{advice, count as counted, load_with, s};

/// The gap between the totals and the error table hides this kind of failure.
pub(super) fn hidden(run: &RunResult) -> Ruling {
    match unnamed(run, FailureSide::Local) {
        0 => Ruling::Clear,
        n => Ruling::Undecided(format!("{n} failures of this machine have no row in the error table")),
    }
}

/// local-ports-exhausted.
pub(in crate::diagnose) fn ports_exhausted(run: &RunResult, seen: &Indicators) -> Ruling {
    let rows = Rows::kind(run, Kind::NoPort);
    let Some(row) = rows.largest() else { return hidden(run) };
    if seen.ports.exhausted == 0 {
        return Ruling::Clear;
    }
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
            .with("pool", seen.ports.pool)
            .with("hold_s", seen.ports.hold.as_ref().map(|h| h.seconds))
            .with("ceiling_cps", seen.ports.budget.map(|b| b.ceiling_cps()))
            .with("peak_used", held)
            .with("time_wait", states.time_wait)
            .with("established", states.established)
            .with("fin_wait2", states.fin_wait2)
            .with("bound_only", states.bound_only)
            .with("first_s", rows.first_s())
            .with("last_s", rows.last_s())
            .with("predicted_first_s", forecast.map(|f| f.exhausted_at_s))
            .with("rate_until_first_cps", cps_before(run, rows.first_s()))
            .with("ports_elsewhere", Some(elsewhere(run)).filter(|n| *n > 0))
            .with("free_again_in_s", run.ports.as_ref().and_then(|p| p.free_again_in_s))
            .with("closed_first_by_client_share", seen.ports.closed_by_client)
    };
    let held = exhaustion::held_in_words(run, seen, &to, call);
    let title = format!("{} could not be made: {held} ({})", counted(count, "connection"), name_of(row));
    found(title, story(run, seen, &rows, call, errno)).remedies(exhaustion::remedies(run, seen)).ruling()
}

fn destination(run: &RunResult) -> String {
    run.ports.as_ref().map_or_else(|| run.plan.target.addr.to_string(), |p| p.destination.clone())
}

/// local-fd-limit.
pub(in crate::diagnose) fn fd_limit(run: &RunResult, _: &Indicators) -> Ruling {
    let rows = Rows::kind(run, Kind::NoDescriptor);
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
        let command = again.after("sysctl -w fs.file-max=1000000");
        remedies.push(advice("raise the machine's limit", command, "room for 1000000 open files"));
    } else {
        let again = load_with(&run.plan, |_| ());
        remedies.push(advice(
            "raise the limit for this shell",
            again.clone().after(&format!("ulimit -n {want}")),
            format!("room for {} and 64 files more", counted(users, "connection")),
        ));
        remedies.push(advice(
            "raise it for a service",
            again.under(&format!("systemd-run --property=LimitNOFILE={want} --pty --")),
            format!("the same, {want} descriptors, under systemd"),
        ));
    }
    let fit = limit
        .map_or_else(|| u64::from(reached.max(1)), |n| n.saturating_sub(64).max(1))
        .min(u64::from(users.saturating_sub(1).max(1)));
    let fewer = load_with(&run.plan, |p| p.users = fit as u32);
    remedies.push(advice("use fewer connections at once", fewer, format!("{} fit into the limit", counted(fit, "connection"))));
    Found::new(format!("{} could not be made: {} ({limit_text})", counted(rows.count(), "socket"), name_of(row)), text)
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
        .ruling()
}

/// failures-will-return.
pub(in crate::diagnose) fn failures_return(run: &RunResult, seen: &Indicators) -> Ruling {
    let rows = Rows::kind(run, Kind::NoPort);
    if rows.is_empty() {
        return hidden(run);
    }
    if seen.ports.exhausted == 0 {
        return Ruling::Clear;
    }
    let Some(hold) = seen.ports.hold.as_ref() else {
        return Ruling::Undecided("how long a port stays held here: tcp_tw_reuse and tcp_timestamps could not be read".into());
    };
    let ports = run.ports.as_ref();
    let nothing_opened = run.totals.connections_opened == 0 && ports.and_then(|p| p.leftover_before).unwrap_or(0) == 0;
    if hold.seconds <= 0.0 || !seen.ports.by_law || nothing_opened || seen.ports.closed_by_client <= 0.5 {
        return Ruling::Clear;
    }
    let (t, end, first) = (hold.seconds, seen.duration_s, rows.first_s());
    // The first echo after the run's end; those inside it were measured, not predicted.
    let periods = ((end - first) / t).floor() + 1.0;
    let next = first + periods * t;
    let inside: Vec<f64> = (1..).map(|k| first + f64::from(k) * t).take_while(|at| *at < end).take(100).collect();
    let seen = if inside.is_empty() {
        String::new()
    } else {
        format!(" This run was long enough to meet {} of these echoes, from {} on.", inside.len(), s(inside[0]))
    };
    let from_empty = ports.and_then(|p| p.leftover_before).unwrap_or(0) == 0;
    let dead = ports.and_then(|p| p.forecast.as_ref()).map(|f| f.dead_s).or((from_empty && first < t).then_some(t - first));
    let until_next = match next - end {
        soon if soon < ECHO_SOON_S => "just as it ended".to_owned(),
        later => format!("{} after its end", s(later)),
    };
    let length = dead.map_or_else(String::new, |d| format!(" Each time up to {} long.", s(d)));
    let text = format!(
        "The failures come back every {}: ports return in the order in which they were used, and where no connection could be made then, \
         none is given back now. The next time is {} after the start of the run ({until_next}).{length}{seen} \
         A rate below P/T ends it; a pause of {} clears it. On Windows it is the same with T = 120 s.",
        s(t),
        s(next),
        s(t)
    );
    Found::new(format!("if the load goes on, the failures return every {}, next {} after the start", s(t), s(next)), text)
        .with("every_s", t)
        .with("first_s", first)
        .with("next_s", next)
        .with("dead_s", dead)
        .with("echoes_in_run", inside.len() as u64)
        .ruling()
}
