//! Rules about the client as the limit: a saturated generator, users or a rate that were not reached.

use super::command::{count, load_with, number, percent, quoted, s};
use super::reading::{duration_s, rate_shortfall};
use super::remedies::{advice, keep_alive};
use super::rule::{Found, Verdict};
use super::target::Kind;
use super::thresholds::{
    ATTEMPTS_PER_USER, FALL_SHORT_REQUESTS, FALL_SHORT_SHARE, LATE_REQUESTS, LATENESS_MS, SATURATED_SECONDS, SATURATED_SHARE,
    SHORT_AT_ONCE_SHARE,
};
use crate::model::finding::Remedy;
use crate::model::result::RunResult;

/// generator-saturated.
pub(super) fn generator_saturated(run: &RunResult) -> Verdict {
    let c = &run.resources.client;
    // One late request among a hundred is the 99th percentile too, and a hiccup. 1 % at least are late.
    let times = c.late_requests.max(run.totals.attempts / 100);
    let late = c.lateness_p99_ms.filter(|l| run.plan.is_open_loop() && *l > LATENESS_MS && times >= LATE_REQUESTS);
    let Some(seconds) = c.saturated_seconds else {
        return match late {
            Some(_) => saturated(run, 0, late),
            None => Verdict::Unknown("the CPU of the client's threads was not measured".into()),
        };
    };
    if c.measured_seconds < SATURATED_SECONDS && late.is_none() {
        return Verdict::Unknown(format!("only {} s were measured", c.measured_seconds));
    }
    let busy = c.measured_seconds >= SATURATED_SECONDS && f64::from(seconds) > SATURATED_SHARE * f64::from(c.measured_seconds);
    if busy || late.is_some() { saturated(run, seconds, late) } else { Verdict::Clear }
}

fn saturated(run: &RunResult, seconds: u32, late: Option<f64>) -> Verdict {
    let c = &run.resources.client;
    let busiest = c.threads.iter().max_by(|a, b| (a.cpu_s + a.wait_s).total_cmp(&(b.cpu_s + b.wait_s)));
    let target = run.resources.target.as_ref().and_then(|t| t.busiest_thread_percent);
    let measured = c.measured_seconds;
    let mut text = String::new();
    if seconds > 0 {
        text += &format!(
            "A worker of the client had its core full (95 % and more, waiting for a core included) in {seconds} of {measured} measured seconds"
        );
        text += &match target {
            Some(t) => format!(", while the target's busiest thread used {t:.0} % of a core. "),
            None => ", and the target's threads could not be read. ".to_owned(),
        };
    }
    if let Some(ms) = late {
        text += &format!(
            "Due requests were written up to {} ms late (99th percentile) although a connection was free: the client could not keep its own schedule. ",
            number(ms.round())
        );
    }
    text += "The figures then describe the client: throughput is what it can make, and its own waiting is in the latencies. The target may be able to do more. The same happens to every load generator, on Windows too.";
    let (threads, cpus) = (run.plan.threads, run.host.cpus);
    let mut remedies = Vec::new();
    // Where the worker waited longer for a core than it had one, others took it: more workers would wait too.
    let waits = busiest.is_some_and(|t| t.wait_s > t.cpu_s);
    if let Some(t) = busiest.filter(|_| waits) {
        text += &format!(
            " The busiest worker waited {} for a core and had one for {}: other processes took the cores, the target perhaps among them.",
            s(t.wait_s),
            s(t.cpu_s)
        );
        remedies.push(advice(
            "see what takes the cores, and stop it for the run",
            "top -b -n 1 -o %CPU | head -n 15",
            format!("what stands above sockbench, in % of one of {cpus} cores"),
        ));
    } else if threads < cpus && run.plan.users > threads {
        let cpus = cpus.min(run.plan.users);
        let more = load_with(&run.plan, |p| p.threads = cpus);
        remedies.push(advice(
            "use more worker threads",
            more,
            format!(
                "{} instead of {threads}: up to {} times the rate, while cores are free",
                count(cpus, "worker"),
                number(f64::from(cpus) / f64::from(threads.max(1)))
            ),
        ));
    }
    let rps = run.totals.rps;
    let rate = (0.7 * if run.plan.is_open_loop() { rps.min(run.plan.rate) } else { rps }).floor().max(1.0);
    remedies.push(advice(
        "ask for a rate below the client's limit",
        load_with(&run.plan, |p| p.rate = rate),
        format!(
            "{} of the {} requests/s reached now: latencies without the client's own queue",
            percent(0.7),
            number(rps.round())
        ),
    ));
    if let Some(keep) = keep_alive(run).filter(|_| !run.plan.keepalive) {
        let action = "keep connections: a handshake costs the client more than a request";
        remedies.push(advice(action, keep.command, "30 to 70 us of CPU less per request"));
    }
    remedies.push(apart(run));
    let title = match late {
        Some(ms) if seconds == 0 => {
            format!("the client wrote due requests {} ms late (p99): it is the limit", number(ms.round()))
        }
        _ => format!("the client was the limit in {seconds} of {measured} measured seconds"),
    };
    Found::new(title, text)
        .with("saturated_seconds", seconds)
        .with("measured_seconds", measured)
        .with("lateness_p99_ms", c.lateness_p99_ms)
        .with("late_requests", c.lateness_p99_ms.map(|_| c.late_requests))
        .with("client_cpu_percent", c.cpu_percent_mean)
        .with("busiest_thread", busiest.map(|t| t.name.as_str()))
        .with("busiest_thread_cpu_s", busiest.map(|t| t.cpu_s))
        .with("busiest_thread_wait_s", busiest.map(|t| t.wait_s))
        .with("target_busiest_thread_percent", target)
        .with("threads", threads)
        .with("cpus", cpus)
        .remedies(remedies)
        .verdict()
}

/// Client and target on cores of their own, as far as there are any.
fn apart(run: &RunResult) -> Remedy {
    let cpus = run.host.cpus;
    let (action, effect) = ("give the client a core that the target does not use", "no core shared with the target");
    if cpus < 2 {
        let command = load_with(&run.plan, |p| {
            p.target.own_server = false;
            p.target.url = format!("http://TARGET-HOST:{}", p.target.addr.port());
            p.allow_remote = true;
        });
        return advice("run the client on another machine: this one has 1 core", command, effect);
    }
    let last = cpus - 1;
    if Kind::of(run) == Kind::Own && !run.plan.surroundings.sandbox {
        let mut serve = vec!["sockbench server".to_owned()];
        serve.extend(run.plan.surroundings.server.iter().map(|f| match f.split_once('=') {
            Some((name, value)) => format!("--{name} {}", quoted(value)),
            None => format!("--{f}"),
        }));
        let serve = serve.join(" ");
        let load = load_with(&run.plan, |p| {
            p.target.own_server = false;
            p.target.url = "http://127.0.0.1:8080".into();
        });
        let others = if last == 1 { "0".to_owned() } else { format!("0-{}", last - 1) };
        let command = format!("taskset -c {others} {serve} & sleep 1; taskset -c {last} {load}; kill %1");
        return advice(action, command, effect);
    }
    advice(action, format!("taskset -c {last} {}", load_with(&run.plan, |_| ())), format!("{effect}, once that has the others"))
}

/// How many of the asked users can be expected to hold a connection at the same time; none when it cannot be said.
fn expected_at_once(run: &RunResult) -> Option<f64> {
    let (plan, asked) = (&run.plan, f64::from(run.totals.users_asked.max(run.plan.users)));
    if plan.is_open_loop() || (plan.requests > 0 && run.totals.attempts < ATTEMPTS_PER_USER * u64::from(plan.users)) {
        return None;
    }
    if plan.requests == 0 && plan.ramp().as_secs_f64() + 1.0 > duration_s(run) {
        return None;
    }
    // A connection per answer is only held while the answer is under way; with think time hardly ever by all at once.
    let kept = plan.keepalive
        && run.totals.requests_per_connection.is_none_or(|n| n > 1.5 || run.totals.requests < u64::from(plan.users) * 2);
    match (kept, plan.think.max.is_zero()) {
        (true, _) => Some(asked * (1.0 - FALL_SHORT_SHARE)),
        (false, true) => Some(asked * SHORT_AT_ONCE_SHARE),
        (false, false) => None,
    }
}

/// As many connections as the rate needs at the time that an answer takes (Little's law), with a fifth to spare.
fn more_connections(run: &RunResult, have: u32) -> Remedy {
    let plan = &run.plan;
    let took = run.totals.service_latency_ms.map(|l| l.mean / 1000.0).filter(|s| s.is_finite() && *s > 0.0);
    let want = took.map_or(f64::from(have) * 2.0, |s| (plan.rate * s * 1.2).ceil());
    let want = (want.min(f64::from(plan.limits.users_max)) as u32).max(have.saturating_add(1));
    let per = took.unwrap_or(f64::from(want) / plan.rate.max(1e-9));
    advice(
        "give the schedule more connections, so that slow answers do not hold it up",
        load_with(plan, |p| p.users = want),
        format!(
            "{} carry {}/s when an answer takes {} as here, while it does not take longer",
            count(want, "connection"),
            number(plan.rate),
            s(per)
        ),
    )
}

/// users-not-reached.
pub(super) fn users_not_reached(run: &RunResult) -> Verdict {
    let (t, plan) = (&run.totals, &run.plan);
    if t.attempts == 0 {
        return Verdict::Unknown("no request was started".into());
    }
    let asked = t.users_asked.max(plan.users);
    let missing_rate =
        rate_shortfall(run).filter(|(missing, asked)| *missing > FALL_SHORT_SHARE * asked && *missing >= FALL_SHORT_REQUESTS);
    let ramp = plan.ramp().as_secs_f64();
    let started = run.series.iter().map(|p| p.users_asked).max().filter(|n| *n > 0);
    // The ramp was longer than the run: fewer users were ever started, whatever they held.
    let unstarted = !plan.is_open_loop() && plan.requests == 0 && ramp > duration_s(run) + 1.0;
    let too_few = expected_at_once(run).is_some_and(|e| f64::from(t.users_reached) < e && t.users_reached < asked);
    if missing_rate.is_none() && !too_few && !unstarted {
        return Verdict::Clear;
    }
    let duration = duration_s(run);
    let mut remedies = Vec::new();
    let (title, text) = if let Some((missing, all)) = missing_rate {
        let achieved = t.attempts as f64 / duration;
        let connections = more_connections(run, asked);
        // Ten digits of a percent are no rate that anybody would type.
        let rate = if achieved >= 10.0 { (achieved * 0.9).floor() } else { (achieved * 9.0).floor() / 10.0 };
        let lower = load_with(plan, |p| p.rate = rate.max(0.1));
        let lower = advice(
            "ask for a rate that can be reached",
            lower,
            format!("{}/s was reached", number((achieved * 10.0).round() / 10.0)),
        );
        // A full target answers no faster over more connections.
        let full = [super::rules_work::target_cpu(run), super::rules_work::queueing(run)];
        let is_full = full.iter().any(|v| matches!(v, Verdict::Finding(_)));
        remedies.extend(if is_full { [lower, connections] } else { [connections, lower] });
        (
            format!(
                "{}/s were asked and {}/s made: {} never started",
                number(plan.rate),
                number((achieved * 10.0).round() / 10.0),
                count(missing.round() as u64, "request")
            ),
            format!(
                "Of {} that the schedule wanted, {missing:.0} ({}) were not started, because {} busy or could not be made when they were \
                 due. The latencies of those that were started count from their due time; those of the others are in no figure. \
                 Read this run as {}/s, not as {}/s.",
                count(all.round() as u64, "request"),
                percent(missing / all.max(1.0)),
                if asked == 1 { "the only connection was".to_owned() } else { format!("all {asked} connections were") },
                number(achieved.round()),
                number(plan.rate)
            ),
        )
    } else if unstarted {
        let n = started.unwrap_or(t.users_reached);
        let longer = load_with(plan, |p| p.duration = std::time::Duration::from_secs((ramp * 2.0).ceil() as u64));
        let all = if asked == 1 { "the user".to_owned() } else { format!("all {asked} users") };
        remedies.push(advice("let the run outlast its ramp", longer, format!("{all} after {}", s(ramp))));
        let faster = load_with(plan, |p| p.spawn_rate = (f64::from(plan.users) / (duration / 3.0)).ceil());
        remedies.push(advice("start the users faster", faster, format!("{all} after {}", s(duration / 3.0))));
        (
            format!("{n} of {} started: the ramp takes {}, the run {}", count(asked, "user"), s(ramp), s(duration)),
            format!(
                "Users start at {}/s, so the last of {asked} would have started after {}, but the run ended after {}. Read its figures as those of {} at most.",
                number(plan.spawn_rate),
                s(ramp),
                s(duration),
                count(n, "user")
            ),
        )
    } else {
        let look = advice(
            "see what holds them while it runs",
            format!("ss -tan dst {} | awk '{{print $1}}' | sort | uniq -c", plan.target.addr.ip()),
            "SYN-SENT: the target does not accept; few ESTAB: it closes or refuses",
        );
        let (all, reached) = (count(asked, "user"), t.users_reached);
        if reached == 0 {
            // There is no smaller load that works: nothing did.
            let url = format!("http://{}{}", plan.target.authority, plan.mix.first().map_or("/", |m| m.path.as_str()));
            let hand = format!("curl -v {}", quoted(&url));
            remedies.push(advice(
                "make one connection by hand",
                hand,
                "an answer, or the reason why there is none: 1 instead of 0",
            ));
            remedies.push(look);
        } else {
            let fewer = load_with(plan, |p| p.users = reached);
            remedies.push(look);
            remedies.push(advice(
                "ask for what was reached",
                fewer,
                format!("{}, each with a connection", count(reached, "user")),
            ));
        }
        (
            format!("{reached} of {all} held a connection at the same time"),
            format!(
                "The plan asked for {all}, and {} held a connection at the same time: connections were refused, ended early, or took too long to make. {}",
                if reached == 0 { "none".to_owned() } else { format!("at most {reached}") },
                if reached == 0 {
                    "Nothing was measured of the target under load: read no rate or latency here as its own.".to_owned()
                } else {
                    format!("The concurrency of this run is what was reached; throughput and latency belong to it, not to {all}.")
                }
            ),
        )
    };
    Found::new(title, text)
        .with("users_asked", asked)
        .with("users_reached", t.users_reached)
        .with("users_started", started)
        .with("rate_asked", plan.is_open_loop().then_some(plan.rate))
        .with("rate_achieved", plan.is_open_loop().then_some(t.attempts as f64 / duration))
        .with("never_started", t.never_started)
        .with("connects_failed", t.connects_failed)
        .remedies(remedies)
        .verdict()
}
