//! How a pool of source ports was used up: by what had the ports, in words and in remedies. P/T is about connections that
//! the client closed first; ports that something else has obey other rules.
//!
//! Not here: whether it happened ([`super::local`]), and the law itself ([`crate::diagnose::ports::budget`]).

use super::prelude::*;
use crate::model::explanation::Os;
use crate::model::result::Holder;
use crate::remedy::room_for;
use crate::remedy::systems::System;

/// Stretches of failures, and other destinations, that are named.
const NAMED: usize = 3;
/// A FIN_WAIT2 timeout that gives ports back soon, seconds.
const FIN_TIMEOUT_SHORT_S: u32 = 2;

/// The title's part about the ports.
pub(in crate::diagnose) fn in_use(run: &RunResult, seen: &Indicators, to: &str) -> String {
    match (seen.ports.holding, run.ports.as_ref().and_then(|p| Some((p.peak_used?, p.pool?)))) {
        (Some(Holding::Unseen(_)), Some((used, p))) => {
            format!("only {} of {} to {to} were seen in use", count(used), counted(p, "source port"))
        }
        (_, Some((_, p))) => format!("all {} to {to} were in use", counted(p, "source port")),
        _ => format!("every source port to {to} was in use"),
    }
}

pub(in crate::diagnose) fn story(run: &RunResult, seen: &Indicators, rows: &Rows<'_>, call: &str, errno: i32) -> String {
    let mut text = format!(
        "This machine had no source port left {}: {call}() failed with errno {errno} before a packet was sent. ",
        when(run, rows)
    );
    text += &who_has_them(run, seen);
    if seen.ports.by_law {
        text += &law(run, seen, rows.first_s());
    }
    if let Some(left) = run.ports.as_ref().and_then(|p| p.leftover_before).filter(|n| *n > 0) {
        text += &format!("{} of them were in use before the first request. ", count(left));
    }
    if let Some(free) = run.ports.as_ref().and_then(|p| p.free_again_in_s).filter(|f| *f > 0.0) {
        let until = if run.plan.environment.sandbox { "" } else { ": a remedy tried here before that still meets them" };
        text += &format!("All are free {} after the run{until}. ", seconds(free));
    }
    text + &windows(run, seen)
}

/// T in seconds, however long: `60 s`, `120 s`.
pub(super) fn hold_words(hold_s: f64) -> String {
    format!("{} s", number(hold_s))
}

fn windows(run: &RunResult, seen: &Indicators) -> String {
    let shows = match run.plan.port_mode {
        PortMode::Bind => "WSAENOBUFS 10055 at bind() (event 4231)",
        _ => "WSAEADDRINUSE 10048 at connect() (event 4227)",
    };
    if !seen.ports.by_law {
        return format!("Windows shows {shows}.");
    }
    let usual = System::of(Os::Windows);
    let sustains = rate(usual.budget().ceiling_cps());
    format!("Windows shows {shows}; its {} / {} sustain {sustains}/s.", counted(usual.pool, "port"), hold_words(usual.hold_s))
}

/// In which stretches of the run.
fn when(run: &RunResult, rows: &Rows<'_>) -> String {
    let (first, last) = (rows.first_s(), rows.last_s());
    let spans = &run.totals.local_failure_spans;
    if spans.len() > 1 && rows.count() == run.totals.local_failures {
        let named: Vec<_> = spans.iter().take(NAMED).map(|p| format!("{} to {}", seconds(p.from_s), seconds(p.to_s))).collect();
        let more = spans.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(", and {more} more up to {}", seconds(last)) } else { String::new() };
        return format!("in {} stretches ({}{more})", spans.len(), named.join(", "));
    }
    // Ports came back between the failures: connections were made in a second that lies wholly inside.
    let inside = |t_s: f64| t_s - 1.0 >= first && t_s <= last;
    if run.series.iter().any(|p| p.connects > 0 && inside(p.t_s)) {
        return format!("for some of the connections between {} and {}", seconds(first), seconds(last));
    }
    format!("from {} to {}", seconds(first), seconds(last))
}

fn who_has_them(run: &RunResult, seen: &Indicators) -> String {
    if run.ports.is_none() {
        return "What had them was not observed. ".into();
    }
    let list = states(run, seen);
    let why = match seen.ports.holding {
        Some(Holding::Unseen(n)) => return unseen(run, n, &list),
        Some(Holding::By(Holder::TimeWait)) => {
            let hold = seen.ports.hold.as_ref().map_or_else(String::new, |h| format!(" for {}", seconds(h.seconds)));
            if run.totals.connections_opened == 0 {
                format!(": the side that closes first keeps the port{hold}, and these are from before the run")
            } else {
                format!(
                    ": the side that closes first keeps the port{hold}, and that was the client for {} of the connections",
                    share(seen.ports.closed_by_client)
                )
            }
        }
        Some(Holding::By(Holder::FinWait2)) => {
            let timeout = run.host.sysctls.tcp_fin_timeout_s.map_or_else(String::new, |t| format!(" ({t} s)"));
            format!(
                ": the client closed and the target did not, so each port stays in use for tcp_fin_timeout{timeout}. The target \
                 is the cause: it answers and does not close its side. tcp_tw_reuse does not apply to FIN_WAIT2"
            )
        }
        Some(Holding::By(Holder::Open)) => {
            ": each port is free again when its connection ends, however long TIME_WAIT lasts".to_owned()
        }
        None => String::new(),
    };
    if list.is_empty() { "What had them is not known. ".into() } else { format!("At the peak {list}{why}. ") }
}

/// `28,232 ports were in TIME_WAIT, 3 had open connections`, the most first.
fn states(run: &RunResult, seen: &Indicators) -> String {
    let Some(ports) = run.ports.as_ref() else { return String::new() };
    let st = ports.states;
    let mut parts: Vec<(u32, &str)> = [
        (st.time_wait.or(ports.peak_time_wait), "were in TIME_WAIT"),
        (st.established, "had open connections"),
        (st.fin_wait2, "were in FIN_WAIT2 (the target has not closed its side)"),
        (st.close_wait, "were in CLOSE_WAIT (this client has not closed)"),
        (st.bound_only, "were bound but not connected"),
    ]
    .into_iter()
    .filter_map(|(n, what)| n.filter(|n| *n > 0).map(|n| (n, what)))
    .collect();
    parts.order_by_key(|p| std::cmp::Reverse(p.0));
    let known: u32 = parts.iter().map(|(n, _)| *n).fold(0, u32::saturating_add);
    if seen.ports.holding == Some(Holding::By(Holder::Open)) && known < run.totals.users_reached {
        return format!("{} of this run were open at the same time", counted(run.totals.users_reached, "connection"));
    }
    let words = parts.iter().enumerate().map(|(i, (n, what))| match (i, n) {
        (0, n) => format!("{} {what}", counted(*n, "port")),
        (_, n) => format!("{} {what}", count(*n)),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Ports that something else has. The kernel shows no difference between a port that was bound and one that it picked
/// itself, so only what is known is said.
fn unseen(run: &RunResult, unseen: u32, list: &str) -> String {
    let (used, p) = run.ports.as_ref().map_or((0, 0), |p| (p.peak_used.unwrap_or(0), p.pool.unwrap_or(0)));
    let list = if list.is_empty() { String::new() } else { format!(" ({list})") };
    let rows = run.ports.as_ref().map_or(&[][..], |p| &p.elsewhere);
    let named: Vec<_> = rows.iter().take(NAMED).map(|e| format!("{} to {}", count(e.ports), e.destination)).collect();
    let likely = if named.is_empty() {
        "At the end of the run no socket of the range was connected elsewhere: whatever had them was gone by then".to_owned()
    } else {
        format!(
            "At the end of the run {} of the range had sockets to other destinations ({}): these are the likely ones",
            counted(elsewhere(run), "port"),
            named.join(", ")
        )
    };
    format!(
        "Only {} of {} were seen in use to this destination{list}. So about {} belong to sockets that chose their port by bind(): \
         such a port is lost to connect(), whatever its destination. {likely}. P/T is not what ran out. ",
        count(used),
        count(p),
        count(unseen)
    )
}

/// P/T, and what the run made of it.
fn law(run: &RunResult, seen: &Indicators, first: f64) -> String {
    let Some(b) = seen.ports.budget.filter(|b| !b.hold.is_zero() && b.pool > 0) else { return String::new() };
    let ceiling = b.ceiling_cps();
    let made = cps_before(run, first).filter(|made| *made > ceiling);
    let made = made.map_or_else(String::new, |made| format!("; this run made {}/s until they ran out", rate(made)));
    format!(
        "{} / {} sustain {} connections/s to one destination{made}. ",
        counted(b.pool, "port"),
        hold_words(b.hold.as_secs_f64()),
        rate(ceiling)
    )
}

/// What helps against what had the ports.
pub(in crate::diagnose) fn remedies_against(run: &RunResult, seen: &Indicators, cause: Option<Holding>) -> Vec<Remedy> {
    let of = |names: &[Name]| -> Vec<Remedy> {
        for_run(&seen.situation(run)).into_iter().filter(|r| names.iter().any(|name| name.is(r))).collect()
    };
    match cause {
        Some(Holding::By(Holder::FinWait2)) => {
            let to = run.plan.target.addr;
            let mut list = vec![advice(
                "let the target close its side, after the answer or when it reads the end of the stream",
                format!("ss -tnp state close-wait 'sport = :{}'", to.port()),
                "0 lines: sockets listed here are those that the target has not closed",
            )];
            list.extend(of(&[Name::KeepAlive]));
            list.extend(shorter_fin_timeout(run, seen));
            list.extend(of(&[Name::WiderRange, Name::SourceIps, Name::Pace, Name::Wait, Name::Destinations]));
            list
        }
        Some(Holding::By(Holder::Open)) => {
            let mut list = of(&[Name::KeepAlive]);
            list.extend(seen.ports.pool.and_then(|p| fewer_at_once(run, p)));
            list.extend(of(&[Name::WiderRange, Name::SourceIps, Name::Destinations, Name::FreshNamespace]));
            list.push(look("the open sockets and their programs"));
            list
        }
        Some(Holding::Unseen(_)) => {
            let mut list = vec![look("programs with sockets inside the range: let them bind outside it, or not at all")];
            list.extend(of(&[Name::KeepAlive, Name::Ring, Name::WiderRange, Name::FreshNamespace]));
            list.push(advice(
                "see how many ports are free now",
                format!("sockbench ports {}", run.plan.target.addr),
                "all of them, if the programs that had them have ended: then run it again",
            ));
            list
        }
        Some(Holding::By(Holder::TimeWait)) | None => for_run(&seen.situation(run)),
    }
}

/// As many connections as leave room in the pool: as many as it has ports would be the next thing to warn of.
fn fewer_at_once(run: &RunResult, pool: u32) -> Option<Remedy> {
    let fits = room_for(pool);
    (fits < run.plan.users).then(|| {
        advice(
            "use fewer connections at once",
            load_with(&run.plan, |plan| plan.users = fits),
            format!("{} for {}, none missing", counted(fits, "connection"), counted(pool, "port")),
        )
        .promising(Prediction::at_most(Metric::LocalFailures, 0.0))
        .promising(Prediction::at_most(Metric::PeakShare, BUDGET_HIGH_SHARE))
    })
}

fn shorter_fin_timeout(run: &RunResult, seen: &Indicators) -> Option<Remedy> {
    run.host.sysctls.tcp_fin_timeout_s.is_none_or(|t| t > FIN_TIMEOUT_SHORT_S).then(|| {
        let setting = FIN_TIMEOUT_SHORT_S.to_string();
        let ceiling = seen.ports.pool.map_or_else(String::new, |p| {
            let sustained = f64::from(p) / f64::from(FIN_TIMEOUT_SHORT_S);
            format!(": {} / {setting} s sustain {}/s", counted(p, "port"), rate(sustained))
        });
        advice(
            "shorten FIN_WAIT2 (it does not shorten TIME_WAIT)",
            load_after_sysctl(&run.plan, &[("net.ipv4.tcp_fin_timeout", &setting)], |_| ()),
            format!("T = tcp_fin_timeout{ceiling}"),
        )
    })
}

fn look(expected: &str) -> Remedy {
    advice("see which programs use ports of the range", "ss -tanp", expected)
}
