//! Rules about failures of this machine: no port, no descriptor.

use super::exhaustion;
use super::prelude::*;
use super::target::{evidence, hidden};
use crate::model::outcome::ENFILE;

pub(in crate::diagnose) fn ports_exhausted(run: &RunResult, seen: &Indicators) -> Ruling {
    let rows = Rows::kind(run, Kind::NoPort);
    let Some(row) = rows.largest() else { return hidden(run, FailureSide::Local) };
    if seen.ports.exhausted == 0 {
        return Err(Clear);
    }
    let (failed, to) = (rows.count(), destination(run));
    let (call, errno) = (row.call.word(), row.errno.unwrap_or(0));
    let states = run.ports.as_ref().map(|p| p.states).unwrap_or_default();
    let forecast = run.ports.as_ref().and_then(|p| p.forecast.as_ref());
    let title = format!(
        "{} found no source port: {} ({})",
        counted(failed, "connection"),
        exhaustion::in_use(run, seen, &to),
        name_of(row)
    );
    Ok(evidence(Found::new(title, exhaustion::story(run, seen, &rows, call, errno)), &rows)
        .with("pool", seen.ports.pool)
        .with("hold_s", seen.ports.hold.as_ref().map(|h| h.seconds))
        .with("ceiling_cps", seen.ports.budget.map(|b| b.ceiling_cps()))
        .with("peak_used", run.ports.as_ref().and_then(|p| p.peak_used))
        .with("time_wait", states.time_wait)
        .with("established", states.established)
        .with("fin_wait2", states.fin_wait2)
        .with("bound_only", states.bound_only)
        .with("predicted_first_s", forecast.map(|f| f.exhausted_at_s))
        .with("rate_until_first_cps", cps_before(run, rows.first_s()))
        .with("ports_elsewhere", Some(elsewhere(run)).filter(|n| *n > 0))
        .with("free_again_in_s", run.ports.as_ref().and_then(|p| p.free_again_in_s))
        .with("closed_first_by_client_share", seen.ports.closed_by_client)
        .remedies(exhaustion::remedies_against(run, seen, seen.ports.holding)))
}

fn destination(run: &RunResult) -> String {
    run.ports.as_ref().map_or_else(|| run.plan.target.addr.to_string(), |p| p.destination.clone())
}

pub(in crate::diagnose) fn fd_limit(run: &RunResult, _: &Indicators) -> Ruling {
    let rows = Rows::kind(run, Kind::NoDescriptor);
    let Some(row) = rows.largest() else { return hidden(run, FailureSide::Local) };
    let (users, reached) = (run.plan.users, run.totals.users_reached);
    let whole_system = row.errno == Some(ENFILE);
    let limit = run.host.nofile;
    let who = match (whole_system, limit) {
        (true, _) => "this machine has as many open files as fs.file-max allows".to_owned(),
        (false, Some(n)) => format!("this program may have {n} open files (ulimit -n)"),
        (false, None) => "this program has as many open files as its limit allows".to_owned(),
    };
    let text = format!(
        "Every connection needs a file descriptor, and {who}. So {}() failed before there was anything to connect. {} of {} had \
         a connection at the same time. It is neither the target nor the ports. Windows shows WSAEMFILE 10024.",
        row.call.word(),
        count(reached),
        counted(users, "user")
    );
    let title = format!(
        "{} found no file descriptor ({}{})",
        counted(rows.count(), "connection"),
        name_of(row),
        limit.filter(|_| !whole_system).map_or_else(String::new, |n| format!(", limit {n}"))
    );
    Ok(evidence(Found::new(title, text), &rows)
        .with("nofile", limit)
        .with("users_asked", users)
        .with("users_reached", reached)
        .remedies(more_descriptors(run, whole_system)))
}

fn more_descriptors(run: &RunResult, whole_system: bool) -> Vec<Remedy> {
    let (users, reached) = (run.plan.users, run.totals.users_reached);
    let want = u64::from(users) + 64;
    let again = load_with(&run.plan, |_| ());
    let mut remedies = Vec::new();
    if whole_system {
        let command = again.after("sysctl -w fs.file-max=1000000");
        remedies.push(advice("raise the limit of this machine", command, "room for 1,000,000 open files"));
    } else {
        remedies.push(advice(
            "raise the hard limit of this shell, as root: sockbench raises the soft one by itself",
            again.clone().after(&format!("sudo prlimit --pid $$ --nofile={want}")),
            format!("room for {} and 64 other files", counted(users, "connection")),
        ));
        remedies.push(advice(
            "raise it for a service",
            again.under(&format!("systemd-run --property=LimitNOFILE={want} --pty --")),
            format!("the same {} descriptors under systemd", count(want)),
        ));
    }
    // As many as were open at once fit; where none was, the limit without what a program itself needs.
    let fits = match (reached, run.host.nofile) {
        (0, Some(limit)) => limit.saturating_sub(64).max(1) as u32,
        (0, None) => 1,
        (reached, _) => reached,
    };
    let fewer = fits.min(users.saturating_sub(1)).max(1);
    remedies.push(advice(
        "use fewer connections at once",
        load_with(&run.plan, |p| p.users = fewer),
        format!("{} were open at the same time in this run", counted(fewer, "connection")),
    ));
    remedies
}

pub(in crate::diagnose) fn failures_return(run: &RunResult, seen: &Indicators) -> Ruling {
    let rows = Rows::kind(run, Kind::NoPort);
    if rows.is_empty() {
        return hidden(run, FailureSide::Local);
    }
    if seen.ports.exhausted == 0 {
        return Err(Clear);
    }
    let Some(hold) = seen.ports.hold.as_ref() else {
        return undecided("T for this destination: tcp_tw_reuse and tcp_timestamps could not be read");
    };
    let ports = run.ports.as_ref();
    let leftover = ports.and_then(|p| p.leftover_before).unwrap_or(0);
    let nothing_opened = run.totals.connections_opened == 0 && leftover == 0;
    if hold.seconds <= 0.0 || !seen.ports.by_law || nothing_opened || seen.ports.closed_by_client <= 0.5 {
        return Err(Clear);
    }
    let (t, end, first) = (hold.seconds, seen.duration_s, rows.first_s());
    // The first recurrence after the run's end; those inside it were measured, not predicted.
    let periods = ((end - first) / t).floor() + 1.0;
    let next = first + periods * t;
    let inside: Vec<f64> = (1..).map(|k| first + f64::from(k) * t).take_while(|at| *at < end).take(100).collect();
    let dead = ports.and_then(|p| p.forecast.as_ref()).map(|f| f.dead_s).or((leftover == 0 && first < t).then_some(t - first));
    let until_next = match next - end {
        soon if soon < ECHO_SOON_S => "just as it ended".to_owned(),
        later => format!("{} after its end", seconds(later)),
    };
    let mut text = format!(
        "The failures recur every {}: ports come back in the order in which they were used, and where no connection could be made, none \
         comes back one T later. The next time is {} after the start of the run ({until_next}).",
        seconds(t),
        seconds(next)
    );
    if let Some(d) = dead {
        text += &format!(" Each time lasts up to {}.", seconds(d));
    }
    if let Some(at) = inside.first() {
        let times = if inside.len() == 1 { "once".to_owned() } else { format!("{} times", inside.len()) };
        text += &format!(" This run met it {times}, from {} on.", seconds(*at));
    }
    text += &format!(" A rate below P/T ends it; a pause of {} clears it. On Windows T is 120 s.", seconds(t));
    Ok(Found::new(
        format!("if the load goes on, the failures recur every {}, next {} after the start", seconds(t), seconds(next)),
        text,
    )
    .with("every_s", t)
    .with("first_s", first)
    .with("next_s", next)
    .with("dead_s", dead)
    .with("echoes_in_run", inside.len() as u64))
}
