//! How a pool of source ports was used up: by what held the ports, in words and in remedies. The P/T law is about
//! connections that the client closed first; ports that something else holds obey other rules.
//!
//! Not here: whether it happened ([`super::local`]), and the law itself ([`crate::diagnose::ports::budget`]).

use crate::diagnose::indicators::{Holding, Indicators, Rows, cps_before, elsewhere, pool};
use crate::model::finding::Remedy;
use crate::model::plan::PortMode;
use crate::model::result::{Holder, RunResult};
use crate::remedy::ports::for_run;
use crate::remedy::{advice, cps, load_after_sysctl, load_with, percent, s};

/// Stretches of failures that are named.
const STRETCHES: usize = 3;
/// A FIN_WAIT2 timeout that gives ports back soon, seconds.
const FIN_TIMEOUT_SHORT_S: u32 = 2;

/// The title's part about what was held.
pub(in crate::diagnose) fn held_in_words(run: &RunResult, seen: &Indicators, to: &str, call: &str) -> String {
    match (seen.ports.holding, run.ports.as_ref().and_then(|p| Some((p.peak_used?, p.pool?)))) {
        (Some(Holding::Unseen(_)), Some((used, p))) => {
            format!("{call}() found no free port although only {used} of the {p} source ports to {to} were seen held")
        }
        (_, Some((_, p))) => format!("all {p} source ports to {to} were held when {call}() asked for one"),
        _ => format!("every source port to {to} was held when {call}() asked for one"),
    }
}

/// The explanation.
pub(in crate::diagnose) fn story(run: &RunResult, seen: &Indicators, rows: &Rows<'_>, call: &str, errno: i32) -> String {
    let cause = seen.ports.holding;
    let mut text = format!("Our own machine had no source port left {}: {}", when(run, rows), held_by(run, seen));
    if seen.ports.by_law {
        text += &law(run, seen, rows.first_s());
    }
    if let Some(left) = run.ports.as_ref().and_then(|p| p.leftover_before).filter(|n| *n > 0) {
        text += &format!("{left} of them were held already before the first request. ");
    }
    let windows = match run.plan.port_mode {
        PortMode::Bind => "WSAENOBUFS 10055 at bind(), event 4231",
        _ => "WSAEADDRINUSE 10048 (\"Only one usage of each socket address\") at connect(), event 4227",
    };
    let who = if cause == Some(Holding::By(Holder::FinWait2)) {
        "The target is the cause, not the CPU: it answers and does not close its side"
    } else {
        "It is not the target and not the CPU"
    };
    text += &format!("{who}: {call}() failed here with errno {errno} before a packet was sent. A Windows client shows {windows}");
    if seen.ports.by_law {
        text += "; its 16384 ports held for 120 s sustain 136.5/s";
    }
    text + "."
}

/// In which stretches of the run.
fn when(run: &RunResult, rows: &Rows<'_>) -> String {
    let (first, last) = (rows.first_s(), rows.last_s());
    let spans = &run.totals.local_failure_spans;
    if spans.len() > 1 && rows.count() == run.totals.local_failures {
        let named: Vec<_> = spans.iter().take(STRETCHES).map(|p| format!("{} to {}", s(p.from_s), s(p.to_s))).collect();
        let more = spans.len().saturating_sub(STRETCHES);
        let more = if more > 0 { format!(", and {more} more up to {}", s(last)) } else { String::new() };
        return format!("in {} stretches ({}{more})", spans.len(), named.join(", "));
    }
    // Ports came back between the failures: connections were made in a second that lies wholly inside.
    let inside = |t_s: f64| t_s - 1.0 >= first && t_s <= last;
    if run.series.iter().any(|p| p.connects > 0 && inside(p.t_s)) {
        return format!("for some of the connections between {} and {}", s(first), s(last));
    }
    format!("from {} to {}", s(first), s(last))
}

/// By what the pool was held.
fn held_by(run: &RunResult, seen: &Indicators) -> String {
    let cause = seen.ports.holding;
    let Some(ports) = run.ports.as_ref() else { return "what held them was not observed. ".into() };
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
    parts.sort_by_key(|p| std::cmp::Reverse(p.0));
    let mut list = parts.iter().map(|(n, what)| format!("{n} {what}")).collect::<Vec<_>>().join(", ");
    let counted: u32 = parts.iter().map(|(n, _)| *n).fold(0, u32::saturating_add);
    if cause == Some(Holding::By(Holder::Open)) && counted < run.totals.users_reached {
        list = format!("{} connections of this run were open at the same time", run.totals.users_reached);
    }
    let Some(cause) = cause else {
        return if list.is_empty() { "what held them is unknown. ".into() } else { format!("at the peak {list}. ") };
    };
    let why = match cause {
        Holding::Unseen(n) => return unseen(run, n, &list),
        Holding::By(Holder::TimeWait) => {
            let hold = seen.ports.hold.as_ref().map_or_else(String::new, |h| format!(" for {}", s(h.seconds)));
            if run.totals.connections_opened == 0 {
                format!("; the side that closes first keeps the port{hold}: they are from before, this run opened no connection")
            } else {
                format!(
                    "; the side that closes first keeps the port{hold}, and the client closed first in {} of the connections",
                    percent(seen.ports.closed_by_client)
                )
            }
        }
        Holding::By(Holder::FinWait2) => {
            let timeout = run.host.sysctls.tcp_fin_timeout_s.map_or_else(String::new, |t| format!(" ({t} s)"));
            format!(
                "; the client closed first and the target never closed, so each port stays held for tcp_fin_timeout{timeout}; \
                 tcp_tw_reuse does not apply to FIN_WAIT2"
            )
        }
        Holding::By(Holder::Open) => {
            "; each port is free again when its connection ends, and how long TIME_WAIT lasts is not what counts here".to_owned()
        }
    };
    format!("at the peak {list}{why}. ")
}

/// Ports that something else holds. The kernel shows no difference between a port that was bound and one that it picked
/// itself, so only what is known is said.
fn unseen(run: &RunResult, unseen: u32, list: &str) -> String {
    let (used, p) = run.ports.as_ref().map_or((0, 0), |p| (p.peak_used.unwrap_or(0), p.pool.unwrap_or(0)));
    let list = if list.is_empty() { String::new() } else { format!(" ({list})") };
    let rows = run.ports.as_ref().map_or(&[][..], |p| &p.elsewhere);
    let named: Vec<_> = rows.iter().take(STRETCHES).map(|e| format!("{} to {}", e.ports, e.destination)).collect();
    let likely = if named.is_empty() {
        "No socket inside the range was seen with another destination at the end of the run: the holders had gone by then"
            .to_owned()
    } else {
        format!(
            "{} ports inside the range had sockets with other destinations at the end of the run ({}): the likely holders",
            elsewhere(run),
            named.join(", ")
        )
    };
    format!(
        "only {used} of {p} were seen held towards this destination{list}, so about {unseen} are held by sockets that chose their \
         port by bind(): such a port is lost to a connect() that lets the kernel pick, whatever its destination. {likely}. P/T is not \
         what ran out. "
    )
}

/// P/T, and what the run made of it.
fn law(run: &RunResult, seen: &Indicators, first: f64) -> String {
    let Some(b) = seen.ports.budget.filter(|b| !b.hold.is_zero() && b.pool > 0) else { return String::new() };
    let ceiling = b.ceiling_cps();
    let mut text =
        format!("{} ports / {} sustain {} connections/s to one destination", b.pool, s(b.hold.as_secs_f64()), cps(ceiling));
    if let Some(rate) = cps_before(run, first).filter(|rate| *rate > ceiling) {
        text += &format!("; until then the run made {}/s", cps(rate));
    }
    text += &format!(". A port is free again {} after it was used", s(b.hold.as_secs_f64()));
    if let Some(free) = run.ports.as_ref().and_then(|p| p.free_again_in_s).filter(|f| *f > 0.0) {
        text += &format!("; after the run it takes {} until all are", s(free));
        if !run.plan.environment.sandbox {
            text += ", and a remedy tried on this host before that finds them held";
        }
    }
    text + ". "
}

/// What helps against the cause of this run's exhaustion.
pub(in crate::diagnose) fn remedies(run: &RunResult, seen: &Indicators) -> Vec<Remedy> {
    remedies_against(run, seen, seen.ports.holding)
}

/// What helps against this cause.
pub(in crate::diagnose) fn remedies_against(run: &RunResult, seen: &Indicators, cause: Option<Holding>) -> Vec<Remedy> {
    let of = |names: &[&str]| -> Vec<Remedy> {
        for_run(&seen.situation(run)).into_iter().filter(|r| r.name.as_deref().is_some_and(|n| names.contains(&n))).collect()
    };
    match cause {
        Some(Holding::By(Holder::FinWait2)) => {
            let to = run.plan.target.addr;
            let mut list = vec![advice(
                "let the target close its side, after the answer or when it reads the end of the stream",
                format!("ss -tnp state close-wait 'sport = :{}'", to.port()),
                "lists the sockets that the target has not closed: none, then the ports go to TIME_WAIT and T applies",
            )];
            list.extend(of(&["keep-alive"]));
            if run.host.sysctls.tcp_fin_timeout_s.is_none_or(|t| t > FIN_TIMEOUT_SHORT_S) {
                let setting = FIN_TIMEOUT_SHORT_S.to_string();
                let ceiling = pool(run).map_or_else(String::new, |p| {
                    format!(": {} ports / {setting} s sustain {}/s", p, cps(f64::from(p) / f64::from(FIN_TIMEOUT_SHORT_S)))
                });
                list.push(advice(
                    "shorten FIN_WAIT2 (it does not shorten TIME_WAIT)",
                    load_after_sysctl(&run.plan, &[("net.ipv4.tcp_fin_timeout", &setting)], |_| ()),
                    format!("T = tcp_fin_timeout{ceiling}"),
                ));
            }
            list.extend(of(&["wider-range", "source-ips", "pace", "wait", "destinations"]));
            list
        }
        Some(Holding::By(Holder::Open)) => {
            let mut list = of(&["keep-alive"]);
            if let Some(p) = pool(run).filter(|p| *p > 0 && run.plan.users > *p) {
                let command = load_with(&run.plan, |plan| plan.users = p);
                list.push(advice("use fewer connections at once", command, format!("{p} connections for {p} ports")));
            }
            list.extend(of(&["wider-range", "source-ips", "destinations", "fresh-namespace"]));
            list.push(look("which sockets are open, and whose"));
            list
        }
        Some(Holding::Unseen(_)) => {
            let mut list =
                vec![look("the programmes whose sockets are inside the range: let them bind outside it, or not at all")];
            list.extend(of(&["keep-alive", "ring", "wider-range", "fresh-namespace"]));
            list
        }
        Some(Holding::By(Holder::TimeWait)) | None => for_run(&seen.situation(run)),
    }
}

fn look(expected: &str) -> Remedy {
    advice("see which programmes hold ports of the range", "ss -tanp", expected)
}
