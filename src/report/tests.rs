//! Whole renderings of two runs, as snapshots.

use super::chart::{EndpointTimes, run_charts};
use super::fixture;
use super::hlog::HlogWriter;
use super::locust_csv::{History, failures_csv, stats_csv};
use super::style::Style;
use super::text::{Detail, Page, render_run};
use super::{html, json, locust};
use crate::model::course::{LevelOf, Stage, Stages};
use crate::model::finding::{Severity, Spoils};
use crate::model::outcome::Cause;
use crate::model::plan::{Destination, Pinning, PortMode, PortRange, Unreached};
use crate::model::result::{
    ClockOffset, CoreUse, Doubt, Machine, MachinePoint, MachinePorts, PlannedStart, RunResult, Validity, Verdict, VerdictId,
};
use crate::stats::aggregate::Aggregate;

fn full() -> Page {
    Page { detail: Detail::Full, ..Page::plain() }
}

#[test]
fn a_healthy_run_as_text() {
    insta::assert_snapshot!(render_run(&fixture::healthy().run, &full()));
}

#[test]
fn a_broken_run_as_text() {
    insta::assert_snapshot!(render_run(&fixture::broken().run, &full()));
}

#[test]
fn text_keeps_within_the_width_of_a_terminal() {
    for f in [fixture::healthy(), fixture::broken()] {
        let text = render_run(&f.run, &full());
        let longest = text.lines().filter(|l| !l.trim_start().starts_with(['$', 'W'])).map(|l| l.chars().count()).max();
        assert!(longest <= Some(120), "{longest:?}");
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    let run = fixture::broken().run;
    let coloured = render_run(&run, &Page { style: Style::Ansi, ..full() });
    let bare: String =
        coloured.split('\u{1b}').enumerate().map(|(i, s)| if i == 0 { s } else { s.split_once('m').unwrap().1 }).collect();
    assert_ne!(bare, coloured);
    assert_eq!(bare, render_run(&run, &full()));
}

#[test]
fn the_csv_files_of_a_broken_run() {
    let f = fixture::broken();
    insta::assert_snapshot!("stats_csv", stats_csv(&f.run).unwrap().replace('\r', "\\r"));
    insta::assert_snapshot!("failures_csv", failures_csv(&f.run).unwrap().replace('\r', "\\r"));
    insta::assert_snapshot!("history_csv", History::of(&f.seconds).render(&f.run).unwrap().replace('\r', "\\r"));
}

#[test]
fn the_last_row_of_the_history_agrees_with_the_stats() {
    let f = fixture::broken();
    let history = History::of(&f.seconds).render(&f.run).unwrap();
    let last: Vec<&str> = history.lines().last().unwrap().split(',').collect();
    let (_, all) = locust::rows(&f.run);
    let times = all.times_ms.unwrap();
    assert_eq!(last[17..19], [all.requests.to_string(), all.failures.to_string()]);
    assert_eq!(last[20..23], [format!("{:?}", times.mean), format!("{:?}", times.min), format!("{:?}", times.max)]);
    assert_eq!(last[23], format!("{:?}", all.content_size_mean));
}

#[test]
fn the_aggregated_row_is_the_sum_of_the_others() {
    let (rows, all) = locust::rows(&fixture::broken().run);
    assert_eq!(rows.iter().map(|r| r.requests).sum::<u64>(), all.requests);
    assert_eq!(rows.iter().map(|r| r.failures).sum::<u64>(), all.failures);
    assert!(rows.windows(2).all(|w| w[0].name < w[1].name), "rows by name");
}

#[test]
fn fixtures_are_sound_documents() {
    for f in [fixture::healthy(), fixture::broken()] {
        assert_eq!(f.run.unexplained_nulls(), Vec::<String>::new());
        let t = &f.run.totals;
        assert_eq!(t.attempts, t.requests + t.local_failures + t.cut);
    }
}

#[test]
fn an_empty_run_renders_in_every_format() {
    let plan = crate::stats::fixture::plan();
    let mut run = crate::stats::fixture::blank(&plan);
    Aggregate::new(&plan).fill(&mut run, std::time::Duration::ZERO, &[]);
    for key in run.unexplained_nulls() {
        run.explain_null(&key, "not observed in this test");
    }
    insta::assert_snapshot!("empty_run_text", render_run(&run, &full()));
    assert!(json::render(&run).unwrap().ends_with("}\n"));
    assert!(stats_csv(&run).unwrap().contains(",Aggregated,0,0,0,0.0,0,0,0.0,0.0,0.0,N/A,N/A"));
    assert_eq!(failures_csv(&run).unwrap().lines().count(), 1);
    assert_eq!(History::default().render(&run).unwrap().lines().count(), 1);
    assert!(HlogWriter::begin(Vec::new(), &run.started_at, &plan).is_ok());
    for (_, chart) in run_charts(&run, &EndpointTimes::default()) {
        assert!(!chart.to_svg().contains("NaN"));
    }
}

/// As if two machines had made it, the first one alone without ports.
fn merged(run: &mut RunResult) {
    let clock = ClockOffset { offset_s: 1.25, within_s: 0.008, requests: 8 };
    let machine = |name: &str, number: u64| Machine {
        name: name.into(),
        shard: Some(number as u32),
        kernel: run.host.kernel.clone(),
        cpus: 2,
        started_at: run.started_at.clone(),
        from_s: number - 1,
        began_s: Some(0.6 * (number - 1) as f64),
        late_s: Some(0.25),
        clock: Some(clock),
        duration_s: run.duration_s,
        users: run.plan.users / 2,
        port_mode: PortMode::Ring,
        port_range: Some(PortRange { lo: 10_000, hi: 32_000 }),
        sources: vec![[10, 0, 0, number as u8].into()],
        attempts: run.totals.attempts / 2,
        requests: run.totals.requests / 2,
        failures: run.totals.failures / 2,
        local_failures: run.totals.local_failures * (2 - number),
        cut: 0,
        connections_opened: 10,
        latency_ms: run.totals.latency_ms,
        ports: run.ports.as_ref().map(|p| MachinePorts {
            source: p.source.clone(),
            pool: p.pool,
            hold_s: p.hold_s,
            ceiling_cps: Some(8.0),
            rate_cps: p.rate_cps,
            peak_used: p.peak_used,
            peak_share: p.peak_share,
            peak_time_wait: p.peak_time_wait,
            peak_in_use: p.peak_in_use,
        }),
        client_cpu_percent_mean: Some(3.5),
        client_rss_bytes_max: Some(9 << 20),
        host_cpu_percent_mean: Some(12.0),
        host_memory_percent_max: Some(30.0),
        verdict: run.verdict.clone(),
        stamp: run.validity.stamp,
        series: vec![MachinePoint {
            t_s: 1.0,
            rps: 10.0,
            failures_per_s: 0.0,
            local_failures_per_s: 0.0,
            ports_used: Some(10),
            time_wait: Some(9),
            client_cpu_percent: Some(3.5),
            host_cpu_percent: Some(12.0),
        }],
    };
    run.machines = vec![machine("w1", 1), machine("loadgen-eu-west-1b", 2)];
    for finding in &mut run.findings {
        finding.machines = vec!["w1".into()];
        finding.title = format!("w1: {}", finding.title);
    }
    run.verdict.sentence = format!("w1: {}", run.verdict.sentence);
    run.verdict.who = Some("w1".into());
    run.verdict.short.get_or_insert_with(|| run.verdict.sentence.clone());
    run.verdict.since_s.get_or_insert(1.0);
}

#[test]
fn a_merged_run_names_its_machines() {
    let mut run = fixture::broken().run;
    merged(&mut run);
    (run.ports, run.ports_all) = (None, Vec::new());
    run.explain_null("ports", "each machine has its own: machines[]");
    let text = render_run(&run, &Page::plain());
    assert!(text.lines().count() <= Page::LINES && text.lines().all(|l| l.chars().count() <= Page::WIDTH), "{text}");
    insta::assert_snapshot!("a_merged_run_as_text", text);
    let mut many = run.clone();
    many.machines = (0..50).map(|_| run.machines[1].clone()).collect();
    let text = render_run(&many, &Page::plain());
    assert!(text.lines().count() <= Page::LINES && text.contains("and 46 more"), "{text}");
    assert_eq!(render_run(&many, &full()).matches("loadgen-eu-west-1b").count(), 54, "-v has all");
}

/// A document of an earlier version has no kinds of doubts, and no name of the machines that its first sentence is about.
#[test]
fn a_run_stored_by_an_earlier_version_reads_the_same() {
    let mut of_machines = fixture::broken().run;
    merged(&mut of_machines);
    for mut run in [fixture::healthy().run, fixture::broken().run, of_machines] {
        // As the diagnosis writes them: such a reason is the title of its finding.
        let titles = run.findings.iter().filter(|f| f.severity != Severity::Info && run.machines.is_empty());
        let mut doubts: Vec<(Doubt, String)> = titles.map(|f| (Doubt::Finding(f.id), f.title.clone())).collect();
        doubts.push((Doubt::OnlyErrors, "every answer was an error".into()));
        if !run.machines.is_empty() {
            doubts = vec![(Doubt::Machines, "w1: every answer was an error".into())];
        }
        run.validity = Validity::new(run.validity.stamp, doubts);
        let mut value = serde_json::to_value(&run).unwrap();
        value["validity"].as_object_mut().unwrap().remove("kinds");
        value["verdict"].as_object_mut().unwrap().remove("who");
        let older = json::parse(&value.to_string()).unwrap();
        assert_eq!((&older.validity, &older.verdict), (&run.validity, &run.verdict));
        assert_eq!(render_run(&older, &full()), render_run(&run, &full()));
    }
}

#[test]
fn the_machines_of_an_older_verdict_are_those_that_its_sentence_begins_with() {
    let who = |sentence: &str, machines: &[&str]| {
        let mut run = fixture::broken().run;
        merged(&mut run);
        let first = run.machines[0].clone();
        let one = |name: &&str| Machine { name: (*name).into(), ..first.clone() };
        (run.machines, run.verdict) = (machines.iter().map(one).collect(), Verdict::new(VerdictId::PortBound, sentence));
        json::parse(&serde_json::to_string(&run).unwrap()).unwrap().verdict.who
    };
    let five = ["a", "b: 1", "c", "d", "e"];
    for begins in ["a", "b: 1", "b: 1, c", "a, c, d and 1 more of 5 machines", "all 5 machines (first a)"] {
        assert_eq!(who(&format!("{begins}: no port: none was left"), &five).as_deref(), Some(begins));
    }
    for other in ["no port was left: all in use", "x: no port", "a, x: no port", "all 4 machines (first a): no port"] {
        assert_eq!(who(other, &five), None, "{other}");
    }
    assert_eq!(who("a: no port", &[]), None);
}

/// Every key of the document, array elements as `[]`; the figures of a latency and of a phase are listed once.
fn keys_of(value: &serde_json::Value, at: &str, into: &mut std::collections::BTreeSet<String>) {
    match value {
        // A document of its own, and a target as above.
        _ if ["destinations[]", "plan.destinations[].target"].contains(&at) => {}
        serde_json::Value::Array(items) => items.iter().for_each(|item| keys_of(item, &format!("{at}[]"), into)),
        // Names chosen by the run, not by the schema.
        serde_json::Value::Object(_) if at.ends_with(".status") || at.ends_with(".evidence") => {}
        serde_json::Value::Object(map) => {
            let at = match (map.contains_key("p99_99"), map.len() == 2 && map.contains_key("p99")) {
                (true, _) => "latency",
                (_, true) => "phase",
                _ => at,
            };
            for (key, item) in map {
                let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                into.insert(path.clone());
                keys_of(item, &path, into);
            }
        }
        _ => {}
    }
}

#[test]
fn the_documentation_of_the_schema_has_exactly_its_keys() {
    let mut keys = std::collections::BTreeSet::new();
    for mut f in [fixture::healthy(), fixture::broken()] {
        // Of a name with several addresses.
        let target = &mut f.run.plan.target;
        target.unreached.push(Unreached { addr: target.addr, cause: Cause::SelfConnect });
        let each = vec![Stage { duration: std::time::Duration::from_secs(9), to: 50.0 }];
        (f.run.plan.stages, f.run.plan.preconnect) = (Some(Stages { of: LevelOf::Rate, each }), Some(1));
        (f.run.plan.pin, f.run.plan.busy_poll) = (Pinning::Auto, true);
        f.run.resources.target.iter_mut().for_each(|t| t.busy_poll = true);
        f.run.resources.client.cores = vec![CoreUse { core: 0, cpu_s: 0.5 }];
        let (other, all_ports) = (f.run.clone(), f.run.ports_all.clone());
        f.run.resources.other_targets_cpu_percent_mean = Some(9.0);
        f.run.series.iter_mut().for_each(|p| p.other_targets_cpu_percent = Some(9.0));
        merged(&mut f.run);
        to_two_destinations(&mut f.run, other);
        f.run.totals.steady.iter_mut().for_each(|s| s.to_s = Some(40.0));
        f.run.resources.target = f.run.destinations[0].resources.target.clone();
        f.run.ports_all = all_ports;
        f.run.validity.stopped = true;
        f.run.findings.iter_mut().for_each(|finding| finding.spoils = Some(Spoils::RatesAndLatencies));
        (f.run.plan.led, f.run.careful) = (true, vec!["w1: only 3 answers".into()]);
        f.run.plan = f.run.plan.sharded(1, 2);
        (f.run.host.name, f.run.host.boot_id) = (Some("w1".into()), Some("b".into()));
        f.run.start = Some(PlannedStart { at: f.run.started_at.clone(), late_s: 0.0, clock: f.run.machines[0].clock });
        f.run.kernel.iter_mut().for_each(|k| (k.syn_retrans, k.dest_unreachable) = (Some(0), Some(0)));
        keys_of(&serde_json::to_value(&f.run).unwrap(), "", &mut keys);
    }
    let documented: std::collections::BTreeSet<String> = include_str!("../../docs/JSON.md")
        .lines()
        .filter_map(|l| l.strip_prefix("| `")?.split_once("` |").map(|(key, _)| key.to_owned()))
        .collect();
    let missing: Vec<_> = keys.difference(&documented).collect();
    let stale: Vec<_> = documented.difference(&keys).collect();
    assert!(missing.is_empty() && stale.is_empty(), "docs/JSON.md lacks {missing:?} and has too many {stale:?}");
}

/// As if it had gone to two destinations, the first of which is `self`'s and the second had no trouble.
fn to_two_destinations(run: &mut RunResult, other: RunResult) {
    let mut parts = [run.clone(), other];
    for (part, port) in parts.iter_mut().zip([8080, 8081]) {
        part.plan.target.addr.set_port(port);
        part.plan.target.authority = part.plan.target.addr.to_string();
        if let Some(ports) = &mut part.ports {
            ports.destination = part.plan.target.authority.clone();
        }
    }
    let weights = [9, 1];
    let destination = |(part, weight): (&RunResult, u64)| Destination { target: part.plan.target.clone(), weight };
    run.plan.destinations = parts.iter().zip(weights).map(destination).collect();
    run.plan.mix = parts.iter().flat_map(|p| p.plan.mix.iter().map(|m| m.as_url(&p.plan.target.authority))).collect();
    let name = parts[0].plan.target.authority.clone();
    for finding in &mut run.findings {
        finding.destinations = vec![name.clone()];
        finding.title = format!("{name}: {}", finding.title);
    }
    run.verdict.sentence = format!("{name}: {}", run.verdict.sentence);
    run.verdict.short = run.verdict.short.as_ref().map(|short| format!("{name}: {short}"));
    run.verdict.who = Some(name);
    run.ports_all = parts.iter().filter_map(|p| p.ports.clone()).collect();
    run.resources.target = None;
    for key in ["resources.target", "ports_all[].forecast"] {
        run.explain_null(key, "each destination has its own: destinations[]");
    }
    run.destinations = parts.to_vec();
}

#[test]
fn a_run_to_several_destinations_has_a_row_for_each() {
    let mut run = fixture::broken().run;
    to_two_destinations(&mut run, fixture::healthy().run);
    let text = render_run(&run, &Page::plain());
    assert!(text.lines().count() <= Page::LINES && text.lines().all(|l| l.chars().count() <= Page::WIDTH), "{text}");
    insta::assert_snapshot!("a_run_to_two_destinations_as_text", text);
    let whole = render_run(&run, &full());
    assert_eq!(whole.matches("weight  req/s").count(), 1, "each row once: {whole}");
    assert!(whole.contains("To 127.0.0.1:8080: ") && whole.contains("To 127.0.0.1:8081: "), "{whole}");
    let page = html::render_run(&run, &EndpointTimes::default());
    assert!(page.contains("to 127.0.0.1:8081") && page.contains("Destinations"), "a curve and a row each");
    let stored = json::render(&run).unwrap();
    assert_eq!(json::parse(&stored).unwrap(), run, "it is read again as it was written");
    let mut many = run.clone();
    many.destinations = (0..12).map(|n| run.destinations[n % 2].clone()).collect();
    let text = render_run(&many, &Page::plain());
    assert!(text.lines().count() <= Page::LINES && text.contains("and 6 more"), "{text}");
    assert_eq!(render_run(&many, &full()).matches("weight  req/s").count(), 2, "a few, and all");
    let mut few = run;
    (few.totals.requests, few.totals.failures, few.duration_s) = (2, 0, 200.0);
    let text = render_run(&few, &Page::plain());
    assert!(text.contains("answered  failed"), "few answers are no rate: {text}");
}
