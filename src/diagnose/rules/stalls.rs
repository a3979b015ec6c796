//! Rules about what stalled: requests without an answer, the client, the target.

use super::backlog;
use super::capacity::who_takes_the_cores;
use super::prelude::*;
use super::target::alone;
use super::unfinished;
use crate::model::result::Stretch;

/// Why a target's process ran no code, as titles say it.
const STOPPED: &str = "the target's process was stopped (SIGSTOP, a debugger)";

/// Two looks at whether the target is stopped are not further apart.
const STOPPED_LOOKS_S: f64 = 1.0;

pub(in crate::diagnose) fn target_hangs(run: &RunResult, seen: &Indicators) -> Ruling {
    let hang = seen.hang.clone()?;
    let (n, waited) = (hang.requests(), seconds(hang.waited_ms / 1000.0));
    let slowest = hang.slowest_ms.map(|ms| seconds(ms / 1000.0));
    let mut text = match (hang.in_flight, hang.timed_out) {
        (in_flight, 0) => {
            format!("{} had no whole answer when the run ended, each on a connection of its own. ", counted(in_flight, "request"))
        }
        (0, timed_out) => {
            format!("{} had no whole answer when the timeout of {waited} ended them. ", counted(timed_out, "request"))
        }
        (in_flight, timed_out) => format!(
            "{} had no whole answer: the timeout ended {timed_out}, and {in_flight} were still in flight when the run ended. ",
            counted(n, "request")
        ),
    };
    text += &match &slowest {
        Some(slowest) => format!("They waited up to {waited}; the slowest answered request took {slowest}. "),
        None => format!("They waited up to {waited}, and no other request was answered either. "),
    };
    if hang.begun > 0 {
        text += &match hang.begun {
            n if n < hang.requests() => format!("Of {n} of them part of the answer came, and its end did not{}. ", so_far(run)),
            1 => format!("Part of the answer came, and its end did not{}. ", so_far(run)),
            _ => format!("Of each, part of the answer came, and its end did not{}. ", so_far(run)),
        };
    }
    if let (Some(since), Some(rps)) = (hang.since_s, hang.rps_before) {
        // No rate follows from less than a second.
        let read = if since < SHORT_RUN_S { String::new() } else { format!(", read {} req/s until then", rate(rps)) };
        text += &format!("From {} on nothing was answered: the rates of the whole run mix both parts{read}. ", seconds(since));
    }
    let unfinished = unfinished::longest(run).filter(|_| hang.begun >= n);
    text += match unfinished {
        Some(_) => "It is no matter of speed: what came, came at once.",
        None if hang.never_accepted.is_some() => {
            "The connections were established by the kernel; the target's program never accepted them: they wait in its accept queue."
        }
        None => "These requests were sent and not answered.",
    };
    if run.totals.latency_ms.is_some() {
        text += " Latency figures leave these requests out.";
    }
    // Waits that are many times the slowest answer do not end: more time changes nothing.
    let may_be_slow = hang.slowest_ms.is_none_or(|slowest| hang.waited_ms < STUCK_TIMES * slowest);
    let longer = (hang.waited_ms / 1000.0 * 3.0).ceil().max(30.0);
    let mut remedies = unfinished.map_or_else(Vec::new, |(received, _)| unfinished::remedies(run, &received));
    let answer = format!("an answer within {}, or none at all", slowest.unwrap_or_else(|| seconds(longer)));
    let mut by_hand = match hang.never_accepted {
        Some(_) => vec![backlog::see_whether_stuck(run), backlog::watch_queue(run)],
        None => unfinished::ask_by_hand(run, n, answer),
    };
    if hang.never_accepted.is_some() {
        by_hand.extend(alone(run, "still no answer: it is not the load".into()));
    } else if may_be_slow {
        by_hand.push(advice(
            "wait longer, to see whether it is slow or stuck",
            load_with(&run.plan, |p| {
                let time = Duration::from_secs(longer as u64);
                p.timeout = time;
                p.duration = if p.duration.is_zero() { p.duration } else { p.duration.max(time * 2) };
            }),
            format!("answers within {} are slow ones; what is left is stuck", seconds(longer)),
        ));
    } else if run.plan.users > 1 {
        by_hand.extend(alone(run, "the same waits with 1 request at a time are not the load's".into()));
    }
    let was_stopped = is_stopped_at_end(run) || hang.in_flight == 0 && was_stopped_meanwhile(run);
    let stopped = run.resources.target.as_ref().map(|t| t.pid).filter(|_| was_stopped);
    // More time changes nothing about an answer without an end.
    match (stopped, unfinished) {
        (Some(pid), _) => remedies = against_stop(pid),
        (None, Some(_)) => remedies.extend(by_hand.into_iter().skip(1).take(1)),
        (None, None) => remedies.extend(by_hand),
    }
    let late = hang.since_s.filter(|since| hang.slowest_ms.is_some() && *since > run.duration_s * MID_RUN_SHARE);
    let when = late.map_or_else(String::new, |since| format!(" sent since {}", seconds(since)));
    let title = match (stopped, unfinished) {
        (Some(_), _) => format!("{}{when} got no answer: {STOPPED}", counted(n, "request")),
        (None, Some((received, _))) => {
            format!("{}{when} did not end: {}", counted(n, "answer"), unfinished::missing(&received))
        }
        (None, None) => match hang.never_accepted {
            Some(waiting) => format!("{}, and its program accepted none of them", accepts_none(waiting)),
            None => format!("{}{when} waited up to {waited} and got no answer", counted(n, "request")),
        },
    };
    Ok(Found::new(title, text)
        .with("unanswered", n)
        .with("in_flight_at_end", hang.in_flight)
        .with("timed_out", hang.timed_out)
        .with("with_part_of_an_answer", hang.begun)
        .with("first_bytes", run.totals.partial_answer.as_ref().map(|p| p.first_bytes.clone()))
        .with("connections", hang.in_flight.max(u64::from(hang.timed_out > 0)))
        .with("accept_queue", hang.never_accepted)
        .with("waited_max_ms", hang.waited_ms)
        .with("slowest_answered_ms", hang.slowest_ms)
        .with("since_s", hang.since_s)
        .with("rps_before", hang.rps_before)
        .remedies(remedies)
        .caused_only_by(if hang.is_own_stall {
            vec![Id::ClientStalled]
        } else if may_be_slow && seen.contention.as_ref().ok().is_some_and(|c| c.starves_target) {
            // Threads that are stuck do not wait for a core; those of a target that had none may only be slow.
            vec![Id::HostContended]
        } else {
            Vec::new()
        }))
}

/// `20 connections were established by the kernel`
fn accepts_none(waiting: u32) -> String {
    let were = if waiting == 1 { "was" } else { "were" };
    format!("{} {were} established by the kernel", counted(waiting, "connection"))
}

/// The observer saw the target's process stopped at its last looks, which are a quarter of a second apart.
fn is_stopped_at_end(run: &RunResult) -> bool {
    let target = run.resources.target.as_ref();
    target.and_then(|t| t.stopped.as_ref()?.last()).is_some_and(|s| s.to_s + STOPPED_LOOKS_S >= run.duration_s)
}

/// The target's process was stopped for most of each wait that the timeout ended.
fn was_stopped_meanwhile(run: &RunResult) -> bool {
    let stopped = run.resources.target.as_ref().and_then(|t| t.stopped.as_deref()).unwrap_or(&[]);
    let rows = Rows::kind(run, Kind::AnswerTimeout);
    cover(run, stopped, [rows.first_s(), rows.last_s()], run.plan.timeout.as_secs_f64())
}

/// What came of the answer that was waited for longest: `: it stopped after 5 of the 100 bytes of its body (received: "...")`.
fn so_far(run: &RunResult) -> String {
    match unfinished::longest(run) {
        Some((received, "")) => format!(": it {}", received.in_words()),
        Some((received, bytes)) => format!(": it {} (received: \"{bytes}\")", received.in_words()),
        None => String::new(),
    }
}

pub(in crate::diagnose) fn client_stalled(run: &RunResult, seen: &Indicators) -> Ruling {
    let stalls = seen.client_stalls.clone()?;
    let times =
        if stalls.times == 1 { String::new() } else { format!(", {} times, {} in all", stalls.times, seconds(stalls.total_s)) };
    let [from, to, length] = in_words(stalls);
    let text = format!(
        "No thread of this program ran from {from} to {to}{times}. It was stopped (SIGSTOP, a debugger, a suspended machine), or the \
         machine had no time for it (a paused virtual machine, swapping). Answers that came meanwhile were read late, and \
         nothing was sent. Read no latency above {length} as the target's."
    );
    let again = load_with(&run.plan, |_| ());
    let remedies = vec![
        advice(
            "run it again, undisturbed",
            again,
            format!("0 s without a running thread instead of {}", seconds(stalls.total_s)),
        ),
        advice(
            "see whether the machine itself stalls",
            "vmstat 1 5",
            "st above 0: the host of a virtual machine takes the CPU; si and so above 0: it swaps",
        ),
    ];
    let title = format!("this program stalled for {length}, from {from} to {to}");
    Ok(evidence(Found::new(title, text), stalls).with("share_of_run", stalls.total_s / seen.duration_s).remedies(remedies))
}

/// The common evidence of stretches.
fn evidence(found: Found, stalls: Stalls) -> Found {
    let Stretch { from_s, to_s } = stalls.longest;
    found
        .with("stalls", stalls.times as u64)
        .with("longest_s", stalls.longest.length_s())
        .with("from_s", from_s)
        .with("to_s", to_s)
        .with("total_s", stalls.total_s)
}

/// The longest stretch: from, to, how long.
fn in_words(stalls: Stalls) -> [String; 3] {
    [stalls.longest.from_s, stalls.longest.to_s, stalls.longest.length_s()].map(seconds)
}

/// What shows the reason, by who stalled: a signal and a frozen group leave nothing in a log.
fn against_stalls(run: &RunResult, stalls: Stalls, still: Still) -> Vec<Remedy> {
    let [from, to, _] = in_words(stalls);
    let log = || {
        advice(
            "read the target's log at that time",
            log_since(run, stalls.longest.from_s),
            format!("what it did from {from} to {to} of the run: a garbage collection, a checkpoint, a reload, a lock"),
        )
    };
    let again = || {
        advice(
            "run longer, to see whether it recurs",
            load_with(&run.plan, |p| p.duration = p.duration.max(Duration::from_secs(60))),
            format!("{} in the time of this run; a period is seen from 3 on", counted(stalls.times as u64, "stall")),
        )
    };
    match (still, run.resources.target.as_ref().map(|t| t.pid)) {
        (Still::TargetStopped, Some(pid)) => against_stop(pid),
        (Still::TargetIdle, Some(pid)) => vec![
            advice(
                "see what it waits for, while it stands still",
                format!("ps -L -o tid,stat,wchan:30,comm -p {pid}"),
                "do_freezer_trap or D: paused (docker pause, a frozen cgroup); futex: a lock; a poll or a read: another service",
            ),
            log(),
            again(),
        ],
        (Still::Host | Still::HostFull, _) => vec![who_takes_the_cores(), again()],
        _ => vec![log(), again()],
    }
}

/// What shows who stopped the target's process, and what lets it go on.
fn against_stop(pid: u32) -> Vec<Remedy> {
    vec![
        advice(
            "see who stops it, while it is stopped",
            format!("grep -E 'State|PPid|TracerPid' /proc/{pid}/status"),
            "T: a signal (Ctrl-Z in its shell, kill -STOP of a script, SIGTTIN or SIGTTOU of a terminal); t: a debugger or \
             strace, TracerPid names it. No log has a line about it",
        ),
        advice("let it go on", format!("kill -CONT {pid}"), "state S or R, and answers at once; a debugger must detach"),
    ]
}

pub(in crate::diagnose) fn target_stalled(run: &RunResult, seen: &Indicators) -> Ruling {
    let stall = seen.target_stall.clone()?;
    let TargetStall { stalls, still, in_flight, .. } = stall;
    let [from, to, length] = in_words(stalls);
    let often = match stalls.times {
        1 => String::new(),
        n => format!(
            " That is the longest of {n} such stretches between {} and {}, {} together.",
            seconds(stalls.first_s),
            seconds(stalls.last_s),
            seconds(stalls.total_s)
        ),
    };
    let (who, why) = match still {
        Still::TargetStopped => (
            "target",
            "The target's process was stopped meanwhile (state T: a signal such as SIGSTOP, or a debugger). The client ran.",
        ),
        Still::TargetIdle => (
            "target",
            "The target's process used no CPU meanwhile: it waited for something (a lock, a disk, another service). The client ran.",
        ),
        Still::TargetBusy => (
            "target",
            "The target's process used CPU meanwhile and answered nobody: a long job in its only thread, or a garbage collection. The client ran.",
        ),
        Still::Host => ("host", "Threads waited for a core meanwhile: other programs of this machine had them."),
        Still::HostFull => (
            "undecided",
            "The target's process used no CPU meanwhile, and no core of this machine was idle: either other programs had the cores, \
             or it waited for something else (a lock, a disk, another service).",
        ),
        Still::Unseen => (
            "undecided",
            "The client ran. What the target did cannot be seen from here: its program stalled, or the way to it lost packets.",
        ),
    };
    let text = format!(
        "From {from} to {to} nothing was answered while up to {} waited.{often} {why} Rates are means over these stretches too.",
        counted(in_flight, "request")
    );
    let remedies = against_stalls(run, stalls, still);
    let why = if still == Still::TargetStopped { format!(": {STOPPED}") } else { String::new() };
    Ok(evidence(Found::new(format!("nothing was answered for {length}, from {from} to {to}{why}"), text), stalls)
        .with("in_flight", in_flight)
        .with("stood_still", who)
        .with("rps", run.totals.rps)
        .remedies(remedies)
        .caused_only_by(if matches!(still, Still::Host | Still::HostFull) { vec![Id::HostContended] } else { Vec::new() }))
}
