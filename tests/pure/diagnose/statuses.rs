//! Statuses of 400 and above: what they say of the request and of the load, and where their remedies send.

use sockbench::testing::model::{FindingId as Id, RunResult};

use super::fires;
use crate::facts::{fail, healthy, status};

/// Every answer of the run has this status.
fn only(n: u16) -> RunResult {
    let mut run = healthy();
    (run.totals.requests, run.totals.attempts, run.totals.latency_ms) = (0, 0, None);
    run.endpoints.truncate(1);
    run.endpoints[0].status = [(n.to_string(), 600)].into();
    fail(&mut run, status(n), 600, 0.0, 59.9);
    run
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
fn a_rate_limit_sends_to_the_rate_that_it_accepted() {
    let mut run = only(429);
    assert!(commands(&run)[0].contains("--requests 1"), "{:?}", commands(&run));
    // 9,000 answered in 60 s.
    run.totals.requests += 9000;
    assert!(commands(&run)[0].contains("--rate 150"), "{:?}", commands(&run));
}

#[test]
fn when_it_began_says_whether_it_is_the_load() {
    let says = |users: &dyn Fn(f64) -> u32, first_s: f64| {
        let mut run = if first_s > 0.0 { healthy() } else { only(500) };
        if first_s > 0.0 {
            fail(&mut run, status(500), 600, first_s, 59.9);
        }
        run.series.iter_mut().for_each(|p| p.users_asked = users(p.t_s));
        fires(Id::TargetErrors, &run).explanation
    };
    for (text, phrase) in [
        (says(&|_| 1, 0.0), "It came with 1 user: load is not the cause."),
        (says(&|_| 50, 0.0), "It came from the first request on, with 50 users: load is hardly the cause."),
        (says(&|t| (t as u32).min(60), 29.5), "It began at 29.5 s, as users rose to 30 of 60: load is the likely cause."),
        (
            says(&|t| if t > 30.0 { 40 } else { 10 }, 31.5),
            "It began at 31.5 s, as users rose to 40 of 40: load is the likely cause.",
        ),
        (says(&|_| 50, 29.5), "It began at 29.5 s, and the load was the same before: something else changed."),
    ] {
        assert!(text.contains(phrase), "{phrase}\n{text}");
    }
    // A status that is the request's says nothing of the load.
    let f = fires(Id::TargetErrors, &only(404));
    assert!(!f.explanation.contains("It came"), "{}", f.explanation);
}
