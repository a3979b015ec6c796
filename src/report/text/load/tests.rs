//! Stored runs as a person reads them: what each says, that it fits one screen, and that it breaks well.

use crate::model::course::{LevelOf, Stages};
use crate::model::plan::PortMode;
use crate::model::result::RunResult;
use crate::report::json;
use crate::report::text::{Detail, Page, render_run};

const RUNS: [(&str, &str); 7] = [
    ("healthy", include_str!("../../../../tests/data/runs/healthy.json")),
    ("exhausted", include_str!("../../../../tests/data/runs/exhausted.json")),
    ("saturated", include_str!("../../../../tests/data/runs/saturated.json")),
    ("queueing", include_str!("../../../../tests/data/runs/queueing.json")),
    ("refused", include_str!("../../../../tests/data/runs/refused.json")),
    ("generator", include_str!("../../../../tests/data/runs/generator.json")),
    ("gone", include_str!("../../../../tests/data/runs/gone.json")),
];

fn stored() -> impl Iterator<Item = (&'static str, RunResult)> {
    RUNS.into_iter().map(|(name, document)| (name, json::parse(document).unwrap()))
}

#[test]
fn each_reads_like_this() {
    for (name, run) in stored() {
        insta::assert_snapshot!(name, render_run(&run, &Page::plain()));
    }
}

#[test]
fn a_load_that_its_stages_end_does_not_go_on() {
    let (_, mut run) = stored().find(|(name, _)| *name == "exhausted").unwrap();
    let goes_on = |run: &RunResult| render_run(run, &Page::plain()).contains("if the load goes on");
    assert!(goes_on(&run));
    run.plan.stages = Some(Stages { of: LevelOf::Users, each: Vec::new() });
    assert!(!goes_on(&run));
}

#[test]
fn each_fits_one_screen_and_says_its_verdict_first() {
    for (name, run) in stored() {
        let text = render_run(&run, &Page::plain());
        assert!(text.lines().count() <= Page::LINES, "{name}: {} lines\n{text}", text.lines().count());
        let widest = text.lines().map(|l| l.chars().count()).max();
        assert!(widest <= Some(Page::WIDTH), "{name}: {widest:?} columns\n{text}");
        let first = text.lines().next().unwrap_or_default();
        assert_eq!(first.starts_with("OK"), run.verdict.id == crate::model::result::VerdictId::Healthy, "{name}: {first}");
    }
}

/// Words without the marks around them: `12 %` is not in `112 %`.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(|word| word.trim_matches([',', ';', ':', '(', ')']).to_owned()).collect()
}

/// What a page leaves out because the headline says it is there.
#[test]
fn the_headline_has_the_figures_that_it_is_said_to_have() {
    use super::said::Said;
    use crate::diagnose::Form;
    use crate::model::figures::{count, seconds, share};
    let mut asked = 0;
    for (name, run) in stored().chain([("broken", crate::report::fixture::broken().run)]) {
        let (said, text) = (Said::by_headline(&run), super::headline::sentence(&run));
        let mut figures: Vec<String> = [said.since_s(), said.until_s()].into_iter().flatten().map(seconds).collect();
        figures.extend(said.counted().map(|c| match c.form {
            Form::All => count(c.n),
            Form::Share => format!("{} of {}", share(c.n as f64 / c.of as f64), count(c.of)),
            Form::Count => format!("{} of {}", count(c.n), count(c.of)),
        }));
        figures.extend(said.ports_share().map(share));
        for figure in figures {
            asked += 1;
            let (figure, text) = (words(&figure), words(&text));
            assert!(text.windows(figure.len()).any(|some| some == figure), "{name}: no {figure:?} in {text:?}");
        }
    }
    assert_eq!(asked, 3, "figures over all stored runs");
}

#[test]
fn on_60_columns_lines_break_between_words() {
    for (name, run) in stored() {
        let narrow = render_run(&run, &Page::plain().wide(60));
        let wide = render_run(&run, &Page::plain().wide(120));
        let wide: Vec<&str> = wide.split_whitespace().collect();
        for line in narrow.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            // A word that is longer than a line is on a line of its own; rows by second may sum other seconds.
            assert!(line.chars().count() <= 60 || words.len() == 1, "{name}: {line}\n{narrow}");
            let by_second = words.iter().filter(|w| w.chars().all(|c| c.is_ascii_digit() || c == ',')).count() > 3;
            assert!(by_second || words.iter().all(|w| wide.contains(w)), "{name}: {line}\n{narrow}");
        }
    }
}

#[test]
fn no_key_of_the_document_and_no_evidence_is_on_the_page() {
    for (name, run) in stored() {
        let text = render_run(&run, &Page::plain());
        let keys = run.findings.iter().flat_map(|f| f.evidence.keys()).filter(|key| key.contains('_'));
        for key in keys {
            assert!(!text.contains(key.as_str()), "{name}: {key}\n{text}");
        }
        for full in run.findings.iter().flat_map(|f| &f.remedies).filter(|r| r.change.is_some()) {
            assert!(!text.contains(&full.command), "{name}: {}\n{text}", full.command);
        }
    }
}

/// Neither a rate nor a share of CPU follows from a moment.
#[test]
fn a_run_of_a_moment_has_no_rate_and_no_share() {
    let (_, mut run) = stored().find(|(name, _)| *name == "healthy").unwrap();
    (run.duration_s, run.plan.requests) = (0.003, 10);
    (run.totals.requests, run.totals.attempts, run.endpoints[0].requests) = (10, 10, 10);
    run.resources.client.cpu_percent_mean = None;
    run.resources.target.as_mut().unwrap().cpu_percent_mean = None;
    let why = "too short for CPU, which needs 200 ms between two readings";
    for key in ["client", "target", "host"] {
        run.explain_null(&format!("resources.{key}.cpu_percent_mean"), why);
    }
    let text = render_run(&run, &Page::plain());
    assert!(!text.contains("req/s"), "{text}");
    assert!(text.contains("answered  10 of 10, 0 failed"), "{text}");
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains(&format!("the client's CPU, the target's CPU, the host's CPU not measured: {why}")), "{text}");
}

/// A failing target answers a few of many requests: these have a rate, and the few answers do not.
#[test]
fn a_number_has_a_rate_where_it_is_large_enough_itself() {
    let (_, mut run) = stored().find(|(name, _)| *name == "healthy").unwrap();
    (run.duration_s, run.totals.steady) = (60.0, None);
    (run.totals.attempts, run.totals.requests, run.totals.failures) = (5000, 5000, 4990);
    let full = |run: &RunResult| {
        let text = render_run(run, &Page { detail: Detail::Full, ..Page::plain() });
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let text = full(&run);
    assert!(text.contains("83.3 requests/s tried, 0.17 answered (means of the whole run; 10 answers: too few"), "{text}");
    (run.duration_s, run.totals.requests, run.totals.failures) = (0.5, 5000, 0);
    assert!(full(&run).contains("(of 5,000 requests in 0.5 s: too short for a rate that holds)"), "{}", full(&run));
}

/// A queue shorter than the work is no finding yet; but it is not the users alone who set the pace.
#[test]
fn a_queue_of_the_target_is_named_beside_the_users() {
    let (_, mut run) = stored().find(|(name, _)| *name == "healthy").unwrap();
    let flat = |run: &RunResult| render_run(run, &Page::plain()).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat(&run).contains("limit the users: "), "{}", flat(&run));
    let e = &mut run.endpoints[0];
    let (p50, name) = (e.latency_ms.unwrap().p50, e.name.clone());
    let pair = |p50: f64| crate::model::result::PhaseMs { p50, p99: p50 };
    e.server_timing_ms = Some(crate::model::result::ServerTimingMs { queue: pair(0.45 * p50), work: pair(0.55 * p50) });
    let text = flat(&run);
    assert!(text.contains("limit the users, and the target's queue (") && text.contains(&format!("ms of {name})")), "{text}");
}

/// Ports that an earlier run left in TIME_WAIT are not this run's.
#[test]
fn ports_of_before_the_run_are_named() {
    let (_, mut run) = stored().find(|(name, _)| *name == "healthy").unwrap();
    let ports = run.ports.as_mut().unwrap();
    (ports.pool, ports.peak_in_use, ports.peak_used, ports.peak_share) = (Some(1000), Some(410), Some(410), Some(0.41));
    ports.leftover_before = Some(390);
    let flat = |run: &RunResult| render_run(run, &Page::plain()).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat(&run).contains("ports 41 % (39 % before the run)"), "{}", flat(&run));
    run.ports.as_mut().unwrap().leftover_before = Some(4);
    assert!(flat(&run).contains("ports 41 %") && !flat(&run).contains("before the run"), "{}", flat(&run));
}

/// Users without pauses always want more: something limits them.
#[test]
fn a_closed_loop_without_pauses_has_a_limit() {
    let (_, mut run) = stored().find(|(name, _)| *name == "healthy").unwrap();
    let flat = |run: &RunResult| render_run(run, &Page::plain()).split_whitespace().collect::<Vec<_>>().join(" ");
    // The users alone would make far more.
    run.totals.latency_ms.as_mut().unwrap().mean /= 10.0;
    run.plan.think = crate::model::plan::Think::default();
    (run.resources.client.cpu_percent_mean, run.plan.threads) = (Some(30.0), 1);
    run.resources.target = None;
    assert!(flat(&run).contains("limit what limits is not known"), "{}", flat(&run));
    run.resources.host.cpu_percent_mean = Some(99.0);
    assert!(flat(&run).contains("limit the CPU of this machine: every core is busy"), "{}", flat(&run));
    run.plan.busy_poll = true;
    assert!(flat(&run).contains("limit what limits is not known"), "threads that poll fill cores without work: {}", flat(&run));
    run.plan.busy_poll = false;
    run.resources.client.cpu_percent_mean = Some(89.0);
    assert!(flat(&run).contains("limit perhaps the client's CPU"), "{}", flat(&run));
    // The search for a port, where half of the pool is in use at (P/2)/T.
    run.plan.keepalive = false;
    run.plan.port_mode = PortMode::Auto;
    run.totals.steady = None;
    (run.closes.client, run.closes.server, run.closes.reset) = (1, 0, 0);
    run.totals.connections_opened = run.totals.requests;
    let rps = run.totals.requests as f64 / run.duration_s;
    let pool = (2.0 * rps * 60.0) as u32;
    let ports = run.ports.as_mut().unwrap();
    ports.hold_s = Some(60.0);
    (ports.pool, ports.peak_in_use, ports.peak_used) = (Some(pool), Some(pool / 2), Some(pool / 2));
    run.host.sysctls.tcp_max_tw_buckets = None;
    assert!(flat(&run).contains("limit the kernel's search for a free source port"), "{}", flat(&run));
    assert!(!flat(&run).contains("none reached"), "{}", flat(&run));
}
