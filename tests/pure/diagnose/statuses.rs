//! Statuses of 400 and above: what they say of the request and of the load, and where their remedies send.

use sockbench::testing::model::{FindingId as Id, LatencyMs, MixEntry, Phase, RunResult};

use super::fires;
use crate::facts::{fail, healthy, late, latency, second, status};

/// Every answer of the run has this status.
fn only(n: u16) -> RunResult {
    let mut run = healthy();
    (run.totals.requests, run.totals.attempts, run.totals.latency_ms) = (0, 0, None);
    run.endpoints.truncate(1);
    (run.endpoints[0].requests, run.endpoints[0].status) = (600, [(n.to_string(), 600)].into());
    fail(&mut run, status(n), 600, 0.0, 59.9);
    run
}

/// So many of 4,500 good answers of one endpoint have this status.
fn some(n: u16, count: u64, first_s: f64) -> RunResult {
    let mut run = healthy();
    run.endpoints[0].status.insert(n.to_string(), count);
    run.endpoints[0].requests += count;
    fail(&mut run, status(n), count, first_s, 59.9);
    run
}

fn explanation(run: &RunResult) -> String {
    fires(Id::TargetErrors, run).explanation
}

/// The lines of its remedies.
fn commands(run: &RunResult) -> Vec<String> {
    fires(Id::TargetErrors, run).remedies.into_iter().map(|r| r.command).collect()
}

#[test]
fn what_is_wrong_with_the_request_is_said_and_no_lighter_load_is_advised() {
    for (n, says, command) in [
        (404, "the path or the Host is wrong", "--header 'Host: NAME'"),
        (410, "the path or the Host is wrong", "--header 'Host: NAME'"),
        (401, "wants credentials", "--header 'Authorization: Bearer TOKEN'"),
        (403, "does not let this request in", "--header 'Authorization: Bearer TOKEN'"),
        (407, "A proxy wants credentials", "--header 'Proxy-Authorization: Basic BASE64'"),
        (405, "does not accept this method", "curl -I -X OPTIONS"),
    ] {
        let run = only(n);
        let f = fires(Id::TargetErrors, &run);
        assert!(f.explanation.contains(says) && f.explanation.contains("not the load"), "{n}: {}", f.explanation);
        let commands = commands(&run);
        assert!(commands.iter().any(|c| c.contains(command)), "{n}: {commands:?}");
        assert!(!commands.iter().any(|c| c.contains("--conns 1 ") || c.contains("--conns 25 ")), "{n}: {commands:?}");
    }
}

#[test]
fn what_the_run_says_already_is_not_advised() {
    for (n, name) in [(404, "host"), (401, "authorization"), (403, "Cookie")] {
        let mut run = only(n);
        run.plan.headers.push((name.into(), "x".into()));
        assert!(!commands(&run).iter().any(|c| c.contains("NAME'") || c.contains("TOKEN")), "{n}");
    }
}

/// With the path, the share and the second of the first one.
#[test]
fn a_failure_of_the_program_sends_to_its_log() {
    for n in [500, 502, 504, 599] {
        let log = &fires(Id::TargetErrors, &only(n)).remedies[0];
        assert!(log.action.contains(" log") && log.action.contains("GET /health, from 0 s"), "{n}: {}", log.action);
        assert!(log.command.starts_with("journalctl -S") && log.expected.contains("100 %"), "{n}: {log:?}");
    }
    let mut run = only(500);
    run.resources.target.as_mut().unwrap().name = "nginx".into();
    assert_eq!(commands(&run)[0], "tail -n 50 /var/log/nginx/error.log");
}

#[test]
fn what_is_let_in_at_other_times_is_not_the_request() {
    for n in [401, 403, 404, 405, 407, 410, 501] {
        // One answer in 97, and all from the middle on.
        for (count, first_s) in [(46, 0.1), (3000, 30.5)] {
            let run = some(n, count, first_s);
            let (text, commands) = (explanation(&run), commands(&run));
            assert!(!text.contains("not the load"), "{n}: {text}");
            assert!(!commands.iter().any(|c| c.contains("--header") || c.contains("OPTIONS")), "{n}: {commands:?}");
            assert!(commands[0].starts_with("journalctl -S"), "{n}: {commands:?}");
        }
    }
    let text = explanation(&some(403, 3000, 30.5));
    assert!(text.contains("a limit of requests") && text.contains("something ran full over time"), "{text}");
}

#[test]
fn the_path_alone_says_nothing_of_the_host() {
    let mut run = only(404);
    run.plan.headers.push(("Host".into(), "site".into()));
    let remedies = fires(Id::TargetErrors, &run).remedies;
    assert_eq!(remedies[0].command, "curl -i -H 'Host: site' http://10.0.0.1:80/health");
    assert_eq!(remedies[1].command, "curl -i -H 'Host: site' http://10.0.0.1:80/");
    assert!(remedies[1].expected.ends_with("404 too says nothing more"), "{}", remedies[1].expected);

    // The page at / of the site that the entry names.
    let rename = |run: &mut RunResult, name: &str| {
        (run.errors[0].endpoint, run.endpoints[0].name) = (name.into(), name.into());
        run.plan.mix = vec![MixEntry { path: name.into(), weight: 1 }];
    };
    let mut other = only(404);
    rename(&mut other, "http://b:81/x");
    assert_eq!(commands(&other)[1], "curl -i http://b:81/");
    rename(&mut other, "/?page=1");
    assert!(!commands(&other).iter().any(|c| c.ends_with(":80/")), "{:?}", commands(&other));
}

#[test]
fn a_site_that_the_url_names_is_not_asked_for_by_name_again() {
    for (host, asks) in [("10.0.0.1", true), ("::1", true), ("localhost", false), ("example.com", false)] {
        let mut run = only(404);
        run.plan.target.host = host.into();
        assert_eq!(commands(&run).iter().any(|c| c.contains("Host: NAME")), asks, "{host}");
    }
}

#[test]
fn the_runs_own_server_is_known() {
    let mut run = only(404);
    run.plan.target.own_server = true;
    let commands = commands(&run);
    assert!(!commands.iter().any(|c| c.contains("Host:") || c.ends_with('/')), "{commands:?}");
    assert!(commands[1].contains("/health=1,/io=1,/cpu=1"), "{commands:?}");
    assert!(!explanation(&run).contains("Host"), "{}", explanation(&run));
}

#[test]
fn what_serves_nothing_is_not_full() {
    let run = only(503);
    let (text, commands) = (explanation(&run), commands(&run));
    assert!(text.contains("not ready") && !text.contains("full"), "{text}");
    assert!(!commands.iter().any(|c| c.contains("--conns 25")), "{commands:?}");
    // Where it took some that it works on for long, all others were refused: it is full.
    let mut busy = only(503);
    busy.totals.in_flight.as_mut().unwrap().waited_max_ms = 50_000.0;
    let mut slow = only(503);
    fail(&mut slow, late(Phase::Waiting), 4, 30.0, 59.0);
    for run in [busy, slow] {
        assert!(explanation(&run).contains("full"), "{}", explanation(&run));
    }
}

/// The log of one row's failures, not of all rows.
#[test]
fn the_log_is_read_for_the_row_that_is_named() {
    let mut run = some(500, 900, 20.0);
    fail(&mut run, status(500), 100, 5.0, 50.0);
    run.errors[1].endpoint = "/items".into();
    let log = &fires(Id::TargetErrors, &run).remedies[0];
    assert!(log.action.ends_with("GET /health, from 20 s of the run on"), "{}", log.action);
    assert_eq!(
        (log.command.as_str(), log.expected.as_str()),
        ("journalctl -S '2026-11-24 10:00:20 UTC'", "why 9 % of the requests were 500")
    );
    run.resources.target.as_mut().unwrap().name = "nginx".into();
    let log = &fires(Id::TargetErrors, &run).remedies[0];
    assert!(log.action.contains("the last lines") && !log.action.contains("of the run on"), "{}", log.action);
}

#[test]
fn a_rate_limit_sends_to_the_rate_that_it_accepted() {
    let run = only(429);
    let first = &fires(Id::TargetErrors, &run).remedies[0];
    assert!(first.command.contains("--requests 1"), "{}", first.command);
    // The endpoint that was refused, and no other of the mix.
    assert!(first.command.contains("/health") && !first.command.contains("/items"), "{}", first.command);
    assert_eq!(first.expected, "answered: the limit is per period");

    // A store for the first moment, then 50 of 150 in each second.
    let mut run = some(429, 6000, 0.3);
    run.endpoints.truncate(1);
    run.endpoints[0].requests = run.totals.requests;
    run.series = (0..60).map(|i| second(i, 50, 150.0, 29.7)).collect();
    run.series.iter_mut().skip(1).for_each(|p| p.failures_per_s = 100.0);
    assert!(commands(&run)[0].contains("--rate 50 "), "{:?}", commands(&run));
    // Half of the requests are for the endpoint that has the limit: the other half is as good as it was.
    run.endpoints[0].requests /= 2;
    run.series.iter_mut().skip(1).for_each(|p| p.failures_per_s = 50.0);
    assert!(commands(&run)[0].contains("--rate 50 "), "{:?}", commands(&run));
}

/// What ran full stays full, and one user alone can reach a limit.
#[test]
fn a_failure_at_times_that_comes_again_alone_can_be_of_the_load() {
    for n in [403, 429, 500, 503] {
        for remedy in fires(Id::TargetErrors, &some(n, 3000, 30.5)).remedies {
            assert!(!remedy.expected.contains("not the load"), "{n}: {}", remedy.expected);
        }
    }
    assert!(!commands(&some(429, 3000, 0.3)).iter().any(|c| c.contains("--conns 1 --duration")));
    assert!(fires(Id::TargetErrors, &only(503)).remedies.iter().any(|r| r.expected.contains("not the load")));
}

/// The mean over a run is no rate at which anything was accepted.
#[test]
fn a_quota_that_is_used_up_promises_no_rate() {
    for period in [60, 20] {
        let mut run = some(429, 8000, 0.3);
        run.endpoints.truncate(1);
        run.endpoints[0].requests = run.totals.requests;
        run.series = (0..60).map(|i| second(i, 50, 150.0, 29.7)).collect();
        run.series.iter_mut().enumerate().filter(|(i, _)| i % period != 0).for_each(|(_, p)| p.failures_per_s = 150.0);
        assert!(commands(&run)[0].contains("--requests 1"), "{:?}", commands(&run));
    }
}

/// It says of the load what the course of the load says, and no more.
#[test]
fn when_it_began_says_whether_it_is_the_load() {
    let of = |run: &mut RunResult, users: &dyn Fn(f64) -> u32| {
        run.series.iter_mut().for_each(|p| p.users_asked = users(p.t_s));
        explanation(run)
    };
    let says = |users: &dyn Fn(f64) -> u32, first_s: f64| {
        of(&mut (if first_s > 0.0 { some(500, 600, first_s) } else { only(500) }), users)
    };
    let slow = |users: &dyn Fn(f64) -> u32, first_s: f64| {
        let mut run = some(504, 600, first_s);
        run.totals.failed_latency_ms = Some(LatencyMs { min: 6000.0, ..latency(6000.0 / 0.9) });
        of(&mut run, users)
    };
    for (text, phrase) in [
        (says(&|_| 1, 0.0), "It came from the first request on, with 1 user: load is not the cause."),
        (says(&|_| 50, 0.0), "It came from the first request on, with 50 users: load is hardly the cause."),
        (says(&|t| (t as u32).min(60), 29.5), "It began at 29.5 s, as users rose to 30 of 60: load is the likely cause."),
        (
            says(&|t| if t > 30.0 { 40 } else { 10 }, 31.5),
            "It began at 31.5 s, as users rose to 40 of 40: load is the likely cause.",
        ),
        // One user each 5 s, and the last came 4 s before.
        (says(&|t| t as u32 / 5 + 1, 28.5), "It began at 28.5 s, as users rose to 6 of 13: load is the likely cause."),
        (says(&|_| 50, 29.5), "It began at 29.5 s, and the number of users was the same before: something ran full over time"),
        (says(&|_| 1, 29.5), "It began at 29.5 s, and the number of users was the same before: something ran full over time"),
        // Fewer than there were, and more than there were at first.
        (
            says(&|t| if t < 10.0 { 10 } else { (70 - t as u32).max(20) }, 29.5),
            "It began at 29.5 s, and the number of users was higher before: something ran full",
        ),
        // Seen after 6 s: sent before the users rose.
        (slow(&|t| if t > 34.0 { 40 } else { 10 }, 38.0), "It began at 32 s, and the number of users was the same before"),
    ] {
        assert!(text.contains(phrase), "{phrase}\n{text}");
    }
    let rose = slow(&|t| if t > 30.0 { 40 } else { 10 }, 36.5);
    assert!(rose.contains("as users rose to 40 of 40"), "{rose}");
    // A limit takes a moment to be reached, by one user too; and an open loop has no users.
    let mut open = only(503);
    (open.plan.rate, open.plan.users) = (300.0, 10);
    let silent = [of(&mut some(503, 600, 0.2), &|_| 1), of(&mut open, &|_| 1), of(&mut open, &|_| 10), explanation(&only(404))];
    for text in silent {
        assert!(!text.contains("It came") && !text.contains("It began"), "{text}");
    }
}
