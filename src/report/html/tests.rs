//! Pages of fixed results: how they read, that no name gets out of its place, and that they stay small.

use super::{render_comparison, render_rehearsal, render_run, render_study};
use crate::model::comparison::Unlike;
use crate::model::figures::count;
use crate::model::rehearsal::{Accident, AccidentSecond, Commands, Course, Effect, REHEARSAL_SCHEMA, Rehearsal, Row, Sides};
use crate::model::result::{SeriesPoint, Tool, Verdict};
use crate::model::study::{Analysis, STUDY_SCHEMA, StepKind, StepRow, StudyResult};
use crate::report::chart::EndpointTimes;
use crate::report::fixture::{self, Fixture};
use crate::report::text::{self, Detail, Page};
use crate::stats::interval::Interval;

/// What names, statuses and error texts try to be.
const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "line\r\nbreak\u{0}\u{1b}[31mred\u{1b}[0m\u{7}",
    "=cmd|' /C calc'!A0",
    "</style></svg></title><script>",
    "\u{202e}gpj.exe\u{200b}",
    "]]><!-- --> &lt; &amp; ${{7*7}}",
];

fn page_of(f: &Fixture) -> String {
    render_run(&f.run, &EndpointTimes::of(&f.seconds))
}

fn study_of(fixtures: &[Fixture]) -> StudyResult {
    let steps: Vec<_> = fixtures
        .iter()
        .zip([10, 50, 100])
        .map(|(f, users)| {
            let mut run = f.run.clone();
            run.plan.users = users;
            run
        })
        .collect();
    let rows = steps
        .iter()
        .map(|run| StepRow::of(run).called(StepKind::Users { of: run.plan.users, started: None, keepalive: None }))
        .collect();
    StudyResult {
        schema: STUDY_SCHEMA.into(),
        tool: Tool { version: "0".into() },
        command: "sockbench study".into(),
        name: "experiment".into(),
        started_at: "2026-11-24T09:00:00Z".into(),
        duration_s: 40.0,
        verdict: Verdict { sentence: "port-bound at 50 users".into(), ..Verdict::default() },
        not_run: Vec::new(),
        steps_planned: 2,
        stopped: false,
        ended: "all steps ran".into(),
        steps,
        cooldowns: Vec::new(),
        analysis: Analysis { rows, ..Analysis::default() },
        comparison: Vec::new(),
        findings: Vec::new(),
        unavailable: Vec::new(),
    }
}

fn rehearsal() -> Rehearsal {
    let row = |remedy: &str, verdict: Effect, made: u64| Row {
        remedy: remedy.into(),
        what: format!("what {remedy} does"),
        asked: 300,
        made: Some(made),
        errors: Vec::new(),
        rate_cps: Some(812.0),
        connections: Some(made),
        connect_us: None,
        time_wait: Sides { client: Some(50), server: Some(0) },
        predicted: Some(300),
        measured: Some(made),
        verdict,
        price: if verdict == Effect::AtAPrice { "less load".into() } else { String::new() },
        reason: String::new(),
        commands: Commands { linux: "sockbench load --x".into(), windows: "netsh x".into(), macos: None },
        paced_cps: None,
        rehearsed_at: None,
    };
    let course = |first: f64| Course {
        first_failure_s: Some(first),
        recovered_s: Some(3.0),
        echo_s: vec![4.0, 7.0],
        failures: 650,
        successes: 400,
    };
    let seconds = [(100, 0), (40, 60), (0, 100), (100, 0)];
    let seconds =
        seconds.iter().zip(1..).map(|((made, failed), t)| AccidentSecond { t_s: f64::from(t), made: *made, failed: *failed });
    Rehearsal {
        schema: REHEARSAL_SCHEMA.into(),
        kernel: "6.18".into(),
        started_at: "2026-11-24T09:00:00Z".into(),
        duration_s: 11.2,
        accident: Some(Accident {
            pool: 100,
            hold_s: 3.0,
            rate_cps: 100.0,
            duration_s: 4.0,
            predicted: course(1.0),
            measured: course(1.01),
            seconds: seconds.collect(),
        }),
        baseline: row("baseline", Effect::Baseline, 50),
        rows: vec![
            row("keep-alive", Effect::Helps, 300),
            row("pace", Effect::AtAPrice, 300),
            row("fin-timeout", Effect::NoEffect, 50),
        ],
        unavailable: Vec::new(),
    }
}

#[test]
fn the_text_of_a_study_keeps_to_its_page() {
    let study = study_of(&[fixture::healthy(), fixture::broken()]);
    for detail in [Detail::Brief, Detail::Full] {
        let text = text::render_study(&study, &Page { detail, ..Page::plain() });
        assert!(text.lines().all(|line| line.chars().count() <= Page::WIDTH), "{text}");
    }
}

fn pages() -> [(&'static str, String); 5] {
    let (healthy, broken) = (fixture::healthy(), fixture::broken());
    let times = [EndpointTimes::of(&healthy.seconds), EndpointTimes::of(&broken.seconds)];
    let (a, b) = (page_of(&healthy), page_of(&broken));
    let study = render_study(&study_of(&[healthy, broken]), &times);
    [
        ("healthy", a),
        ("broken", b),
        ("study", study),
        ("rehearsal", render_rehearsal(&rehearsal())),
        ("compare", render_comparison(&fixture::comparison())),
    ]
}

/// A page as text to read: a line for each element with text, pictures by their names.
fn outline(page: &str) -> String {
    let mut rest = page.to_owned();
    for (open, close) in [("<style>", "</style>"), ("<script>", "</script>")] {
        let (from, to) = (rest.find(open).unwrap(), rest.find(close).unwrap());
        rest.replace_range(from..to + close.len(), "");
    }
    while let Some(from) = rest.find("<svg") {
        let to = from + rest[from..].find("</svg>").unwrap();
        let name = rest[from..to].split_once("<title").and_then(|(_, t)| t.split_once('>')?.1.split_once('<'));
        let name = name.map_or_else(String::new, |(title, _)| format!("[picture: {title}]"));
        rest.replace_range(from..to + "</svg>".len(), &name);
    }
    for block in ["<p", "<h", "<li", "<tr", "<dt", "<section", "<figure", "<article", "<summary", "<div", "<span", "<b"] {
        rest = rest.replace(block, &format!("\n{block}"));
    }
    let mut out = String::new();
    for line in rest.lines() {
        let mut text = String::new();
        let mut inside = false;
        for c in line.chars() {
            match c {
                '<' => {
                    inside = true;
                    let between = text.ends_with(|c: char| !c.is_whitespace());
                    text += if between && line.starts_with("<tr") { " | " } else { "" };
                }
                '>' => inside = false,
                c if !inside => text.push(c),
                _ => {}
            }
        }
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        let indent = match line.get(..3).unwrap_or("") {
            "<h1" | "<h2" => "\n# ",
            "<h3" | "<h4" => "\n## ",
            "<sp" | "<b>" | "<b " => "  | ",
            _ => "  ",
        };
        out += &format!("{indent}{text}\n");
    }
    out
}

/// Elements that are opened are closed, in order; attributes are quoted; text has no control characters.
fn assert_well_formed(page: &str) {
    let visible = |c: char| !c.is_control() || c == '\n';
    assert!(page.chars().all(visible), "control characters: {:?}", page.chars().find(|c| !visible(*c)));
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page;
    while let Some(from) = rest.find('<') {
        rest = &rest[from + 1..];
        let raw = ["style", "script"].into_iter().find(|name| rest.starts_with(&format!("{name}>")));
        if let Some(name) = raw {
            rest = &rest[rest.find(&format!("</{name}>")).unwrap() + name.len() + 3..];
            continue;
        }
        let mut quoted = false;
        let end = rest.char_indices().find(|(_, c)| {
            quoted ^= *c == '"';
            *c == '>' && !quoted
        });
        let tag = &rest[..end.expect("each tag ends").0];
        assert!(!tag.contains('<'), "a tag in a tag: {tag}");
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap();
        match tag {
            _ if tag.starts_with('!') || ["meta", "br"].contains(&name) => {}
            _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "closed out of order"),
            _ => {
                for attribute in tag.split('"').step_by(2).skip(1) {
                    assert!(attribute.is_empty() || attribute.starts_with([' ', '\n']), "`{tag}`");
                }
                open.push(name);
            }
        }
    }
    assert_eq!(open, [""; 0], "left open");
}

fn assert_asks_nobody(page: &str) {
    for word in ["http-equiv=\"refresh\"", "<link", "<img", "<iframe", "src=", "@import", "url(http", "fetch(", "XMLHttpRequest"]
    {
        let allowed = if word == "src=" { page.matches("src=x onerror").count() } else { 0 };
        assert_eq!(page.matches(word).count(), allowed, "{word}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn pages_read_like_this() {
    for (name, page) in pages() {
        insta::assert_snapshot!(name, outline(&page));
    }
}

#[test]
fn pages_are_well_formed_and_ask_nobody() {
    for (_, page) in pages() {
        assert_well_formed(&page);
        assert_asks_nobody(&page);
        assert_eq!(page.matches("<script").count(), 1);
    }
}

#[test]
fn every_id_is_there_once_and_every_chart_has_its_name() {
    for (kind, page) in pages() {
        let mut ids: Vec<&str> = page.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{kind}");
        let named = page.split("aria-labelledby=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
        for name in named {
            assert!(page.contains(&format!("<title id=\"{name}\">")), "{kind}: {name}");
        }
    }
}

#[test]
fn a_hostile_name_stays_text() {
    let long = "x<b>".repeat(2500);
    for hostile in HOSTILE.into_iter().chain([long.as_str()]) {
        let mut f = fixture::broken();
        let name = || hostile.to_owned();
        for (e, n) in f.run.endpoints.iter_mut().zip(0..) {
            (e.name, e.method) = (format!("{hostile}{n}"), name());
            e.status.insert(name(), 3);
        }
        for row in &mut f.run.errors {
            (row.endpoint, row.message, row.method, row.name) = (name(), name(), name(), name());
        }
        for row in &mut f.run.surplus {
            (row.endpoint, row.first_bytes) = (name(), name());
        }
        for finding in &mut f.run.findings {
            (finding.title, finding.explanation) = (name(), name());
            finding.evidence.insert(name(), serde_json::Value::String(name()));
            for r in &mut finding.remedies {
                (r.action, r.command, r.expected) = (name(), name(), name());
                (r.change, r.price, r.windows_command) = (Some(name()), Some(name()), Some(name()));
            }
        }
        for row in &mut f.run.unavailable {
            row.reason = name();
        }
        (f.run.command, f.run.started_at, f.run.verdict.sentence) = (name(), name(), name());
        (f.run.plan.target.url, f.run.plan.target.authority) = (name(), name());
        f.run.host.kernel = name();
        if let Some(ports) = &mut f.run.ports {
            (ports.source, ports.destination) = (name(), name());
        }
        let mut compared = fixture::comparison();
        compared.base.name = name();
        for pair in &mut compared.pairs {
            (pair.side.name, pair.sentence) = (name(), name());
            pair.careful.push(name());
            pair.environment.push(Unlike { key: name(), base: name(), other: name() });
            pair.endpoints.iter_mut().for_each(|e| e.name = name());
        }
        let compared = render_comparison(&compared);
        let study = study_of(&[fixture::healthy(), f]);
        let run = render_run(&study.steps[1], &EndpointTimes::default());
        for page in [run, render_study(&study, &[]), compared] {
            assert_well_formed(&page);
            assert_eq!(page.matches("<script").count(), 1, "{hostile:.60}");
            assert!(!page.contains("<img") && !page.contains("x<b>x") && !page.contains('\u{202e}'), "{hostile:.60}");
        }
    }
}

/// A run of `seconds`, all columns busy, and its seconds by endpoint.
fn long(seconds: u64) -> (Fixture, EndpointTimes) {
    let f = fixture::broken();
    let (mut run, short) = (f.run, f.seconds);
    let last = run.series.len();
    let points: Vec<SeriesPoint> = run.series.clone();
    run.series.clear();
    let mut times = EndpointTimes::default();
    for n in 0..seconds {
        let wave = (n * 7919 % 1000) as f64;
        let of = &points[(n as usize) % last];
        run.series.push(SeriesPoint {
            t_s: (n + 1) as f64,
            rps: of.rps + wave,
            p50_ms: Some(1.0 + wave),
            p95_ms: Some(2.0 + wave * 2.0),
            p99_ms: Some(3.0 + wave * 3.0),
            client_rss_bytes: Some(9_000_000 + n * 5000),
            ..*of
        });
        times.push(&Interval { second: n, ..short[(n as usize) % short.len()].clone() });
    }
    run.duration_s = seconds as f64;
    (Fixture { run, seconds: Vec::new() }, times)
}

#[test]
fn a_page_is_small() {
    let mut sizes = Vec::new();
    for (seconds, most) in [(180, 1_000_000), (3600, 5_000_000)] {
        let (f, times) = long(seconds);
        let page = render_run(&f.run, &times);
        assert!(page.len() < most, "{seconds} s: {} bytes", count(page.len() as u64));
        assert_well_formed(&page);
        sizes.push(page.len());
    }
    assert!(sizes[1] < sizes[0] * 20, "an hour is thinned: {sizes:?}");
}

#[test]
fn a_peak_of_one_second_in_an_hour_is_drawn() {
    let (mut f, times) = long(3600);
    for p in &mut f.run.series {
        p.client_cpu_percent = Some(2.0);
        p.target_cpu_percent = Some(1.0);
    }
    let flat = render_run(&f.run, &times);
    f.run.series[1234].client_cpu_percent = Some(95.0);
    let peak = render_run(&f.run, &times);
    assert_ne!(flat, peak);
    let cpu = |page: &str| {
        let from = page.find("id=\"chart-cpu\"").unwrap();
        page[from..from + page[from..].find("</figure>").unwrap()].matches(">80<").count()
    };
    assert!(cpu(&peak) > cpu(&flat), "the axis reaches it");
}

#[test]
fn what_was_not_recorded_is_said_in_its_place() {
    let f = fixture::broken();
    let page = render_run(&f.run, &EndpointTimes::default());
    assert_eq!(page.matches("run.hlog, which is not beside run.json").count(), 2, "heat map and endpoints");
    assert!(page.contains("target: not measured"), "CPU of a target that could not be read");
}

#[test]
fn the_script_is_short() {
    assert!(include_str!("page.js").lines().count() <= 150);
}
