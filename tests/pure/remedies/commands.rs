//! For any plan that the command line accepts: every command of every remedy is accepted too, and differs from the run
//! by exactly the change that it names.

use proptest::prelude::*;
use sockbench::testing::cli::read_command;
use sockbench::testing::diagnose::diagnose;
use sockbench::testing::model::{LoadPlan, PortMode, Remedy, RunResult};
use sockbench::testing::remedy::command;

use super::typed::read;
use crate::diagnose::{firing, own_cpu};

/// Flags of `sockbench load` with values that they take, some of which exclude each other; at most one of each row.
const FLAGS: &[&[&str]] = &[
    &["--conns 1", "--conns 7", "-c 40", "--users 2k"],
    &["--requests 1", "-n 5k"],
    &["--duration 4.5s", "-d 3m", "--run-time 90ms"],
    &["--rate 0.125", "-R 3000", "--spawn-rate 12.625", "-r 0.3", "--think 0s..500ms", "--think 30ms", "--think 'exp(30ms)'"],
    &["--stages 2s@40,1.5s@0", "--stages 0s@9,3s@90,3s@9", "--stages 3s@90.5/s,2s@7/s"],
    &["--arrivals poisson", "--arrivals burst:20"],
    &["--preconnect 3", "--preconnect 0"],
    &["--warmup 20ms", "--warmup 1250us"],
    &["--threads 2", "--threads 1"],
    &["--pin auto", "--pin off"],
    &["--busy-poll"],
    &["--seed 77"],
    &["--timeout 2.5005s", "--timeout 1h"],
    &["--no-keepalive"],
    &["--no-keepalive --closer server", "--closer client", "--closer reset"],
    &[
        "--port-mode auto",
        "--port-mode bind",
        "--port-mode no-port",
        "--port-mode ring",
        "--port-mode ring --port-range 10000-10999",
        "--port-mode range --port-range 40000-41000",
        "--port-range 20000-20001",
    ],
    &["--reuse-addr"],
    &["--source 127.0.0.1", "--source 127.0.0.3,127.0.0.2", "--source 127.0.0.0/28"],
    &["--allow-remote"],
    &["--no-observe"],
    &["--mix /cpu=1", "--mix '/io?ms=5,/cpu?a=b&c=d'", "--mix /health=50,/io=30,/cpu=20", "--mix /health=9,/cpu=4294"],
    &["--method POST", "--method GET", "-X PUT"],
    &[r#"--header 'X-A: b c; d="e"'"#, r#"-H "Cookie: k='v'""#, "--header X-Dash:-x"],
    &["-H 'Connection: close'"],
    &["--head-bytes 9k"],
    &["--head-fields 77"],
    &["--body-bytes 123456"],
    &[r#"--body 'it '\''is'\'' {"a": 1} \ $HOME `x` !'"#, "--body=-1", "--body @@text", "--body ''"],
    &[
        "--sandbox",
        "--sandbox --sysctl net.ipv4.tcp_tw_reuse=0 --sysctl 'net.ipv4.ip_local_port_range=20000 20999' --address 10.9.9.1/32",
    ],
];
/// Flags of its own server.
const SERVER: &[&str] = &[
    "cpu-iterations=10k",
    "cpu-work=1.5s",
    "cpu-work=0.0000015s",
    "cpu-workers=1",
    "cpu-workers=8192",
    "io-workers=3",
    "io-workers=8192",
    "queue=1M",
    "queue=1",
    "keepalive=off",
    "closer=client",
    "idle-timeout=1ms",
    "max-conns=1",
    "max-conns=1M",
    "backlog=1",
    "reactors=3",
    "pin=auto",
    "busy-poll=on",
    "cpu-pin=false",
    "io-sleep=20ms",
];

fn arguments() -> impl Strategy<Value = Vec<String>> {
    let flags: Vec<_> = FLAGS.iter().map(|row| prop::option::weighted(0.3, prop::sample::select(*row))).collect();
    let server = prop::collection::vec(prop::sample::select(SERVER), 0..3);
    let target =
        prop::sample::select(vec!["", "", "", "http://127.0.0.1:8080", "http://127.0.0.1:65535/a?b=c,d", "http://[::1]:81/"]);
    (flags, server, target).prop_map(|(flags, server, target)| {
        let given = flags.into_iter().flatten().filter(|text| target.is_empty() || !text.contains("--sandbox"));
        let mut words = vec!["load".to_owned()];
        words.extend(std::iter::once(target).chain(given).flat_map(|text| shlex::split(text).unwrap()));
        if target.is_empty() {
            words.extend(server.iter().flat_map(|flag| ["--server".to_owned(), (*flag).to_owned()]));
        }
        words
    })
}

/// Every flag of the help page is drawn above, or is about where results go, or about other machines: a remedy is tried on
/// one, with the part of the plan that this one had.
#[test]
fn no_flag_is_forgotten() {
    let aside =
        ["run-time", "output", "json", "csv", "html", "overwrite", "quiet", "no-color", "fail-on-errors", "threshold", "help"];
    let aside = [
        &aside[..],
        &["locust-table", "verbose", "fail-on-invalid", "junit", "live", "live-remote", "otlp", "shard", "start-at"],
    ]
    .concat();
    let page = include_str!("../../snapshots/help/load-long.snap");
    let lines = page.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let flags = lines.filter_map(|line| line.split([' ', ',']).find(|word| word.starts_with("--")));
    let drawn = FLAGS.concat().join(" ") + " --server";
    let named: Vec<&str> =
        flags.map(|flag| flag.trim_start_matches("--")).filter(|name| name.starts_with(char::is_alphabetic)).collect();
    let forgotten: Vec<_> = named.iter().filter(|n| !aside.contains(n) && !drawn.contains(&format!("--{n}"))).collect();
    assert!(named.len() > 25 && forgotten.is_empty(), "{forgotten:?} of {named:?}");
}

/// The commands of sockbench within a line of a shell.
fn commands(line: &str) -> Vec<Vec<String>> {
    let words = shlex::split(line).unwrap_or_else(|| panic!("open quotes: {line}"));
    let apart = |word: &String| match word.strip_suffix(';') {
        Some(word) => vec![word.to_owned(), ";".to_owned()],
        None => vec![word.clone()],
    };
    let words: Vec<String> = words.iter().flat_map(apart).collect();
    words
        .split(|word| ["&&", "&", "|", ";"].contains(&word.as_str()) || word.starts_with('#'))
        .filter_map(|segment| segment.iter().position(|word| word == "sockbench").map(|at| segment[at + 1..].to_vec()))
        .collect()
}

/// A flag with its value, and which of several of its name it is.
#[derive(Debug, Clone, PartialEq)]
struct Flag {
    key: String,
    words: Vec<String>,
}

fn flags(words: &[String]) -> Vec<Flag> {
    let mut all: Vec<Flag> = Vec::new();
    for word in words {
        match all.last_mut() {
            Some(flag)
                if !word.starts_with("--")
                    && flag.words.len() == 1
                    && flag.words[0].starts_with("--")
                    && !flag.words[0].contains('=') =>
            {
                let keyed = ["--server", "--sysctl"].contains(&flag.key.as_str());
                let each = ["--header", "--address"].contains(&flag.key.as_str());
                let key = if keyed {
                    word.split('=').next().unwrap()
                } else if each {
                    word
                } else {
                    ""
                };
                flag.key = format!("{} {key}", flag.key);
                flag.words.push(word.clone());
            }
            _ if word.starts_with("http://") => all.push(Flag { key: "URL".into(), words: vec![word.clone()] }),
            _ => {
                let name = word.split('=').next().unwrap();
                let key = if name == "--header" { word.clone() } else { name.to_owned() };
                all.push(Flag { key, words: vec![word.clone()] });
            }
        }
    }
    for flag in &mut all {
        flag.key = flag.key.trim_end().to_owned();
    }
    all
}

/// The words of `base` with the change of a remedy made by hand, as a reader would.
fn by_hand(base: &[String], change: &str) -> Vec<String> {
    // What comes before or around the run is no flag of it.
    let of_flags = |part: &str| part.starts_with("--") || part.starts_with("drop ") || part.starts_with("http://");
    let change = change.split(", then ").last().unwrap();
    let at = change.match_indices(", ").map(|(at, _)| at + 2).chain([0]).filter(|at| of_flags(&change[*at..])).min();
    let Some(change) = at.map(|at| &change[at..]) else { return base.to_vec() };
    let (set, dropped) = match (change.strip_prefix("drop "), change.split_once(", drop ")) {
        (Some(dropped), _) => ("", dropped),
        (None, Some((set, dropped))) => (set, dropped),
        (None, None) => (change, ""),
    };
    let mut all = flags(base);
    let dropped = dropped.replace("the URL", "URL");
    for gone in flags(&shlex::split(&dropped).unwrap()) {
        all.retain(|flag| flag.key != gone.key && flag.key.split(' ').next() != Some(&gone.key));
    }
    for new in flags(&shlex::split(set).unwrap()) {
        all.retain(|flag| flag.key != new.key);
        all.push(new);
    }
    all.into_iter().flat_map(|flag| flag.words).collect()
}

fn check(plan: &LoadPlan, remedy: &Remedy) -> Result<(), TestCaseError> {
    let said = format!("{remedy:#?}");
    // Ports that only the wider range has: the command line looks at this host, which has not got it yet.
    if remedy.name.as_deref() == Some("wider-range") && plan.port_mode == PortMode::Range {
        return Ok(());
    }
    for words in commands(&remedy.command) {
        prop_assert!(read_command(&words).is_ok(), "{:?}: {}", read_command(&words), said);
    }
    prop_assert!(!remedy.action.is_empty() && !remedy.expected.is_empty(), "{}", said);
    // One run again: its change by hand makes the same plan.
    let loads: Vec<_> = commands(&remedy.command).into_iter().filter(|words| words[0] == "load").collect();
    if let [words] = loads.as_slice() {
        let advised = read_command(words).unwrap().unwrap();
        let base = shlex::split(&command::load(plan)).unwrap();
        let own = |mut p: LoadPlan| {
            if p.target.own_server {
                p.target = plan.target.clone();
                p.target.own_server = true;
            }
            p
        };
        let change = remedy.change.as_deref().unwrap_or_default();
        let hand = by_hand(&base[2..], change);
        let by_hand = read_command(&[vec!["load".to_owned()], hand.clone()].concat());
        let by_hand = by_hand.map_err(|e| TestCaseError::fail(format!("{e}: {hand:?}: {said}")))?.unwrap();
        prop_assert_eq!(own(by_hand), own(advised), "{:?}: {}", hand, said);
    }
    Ok(())
}

/// Runs that raise findings: one for each id, and a pool of sockbench's own server that queues, with and without a full CPU.
fn raising() -> Vec<RunResult> {
    let mut io = own_cpu(20, 1800.0, 5.0, &[]);
    io.endpoints[0].name = "/io".into();
    let full = [own_cpu(20, 570.0, 97.0, &[]), own_cpu(20, 270.0, 190.0, &[]), io];
    firing().into_iter().map(|(_, run)| run).chain(full).collect()
}

fn with_plan(run: RunResult, plan: &LoadPlan) -> RunResult {
    let mut run = RunResult { plan: plan.clone(), ..run };
    if run.endpoints.len() > 1 {
        for (endpoint, entry) in run.endpoints.iter_mut().zip(&plan.mix) {
            endpoint.name.clone_from(&entry.path);
        }
    }
    run
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn commands_are_accepted_and_change_what_they_say(words in arguments(), which in 0..raising().len()) {
        let Ok(Some(plan)) = read_command(&words) else { return Ok(()) };
        let typed = command::load(&plan);
        prop_assert_eq!(read(&typed, &plan), Ok(plan.clone()), "{}", typed);
        for finding in diagnose(&with_plan(raising().swap_remove(which), &plan)) {
            for remedy in &finding.remedies {
                check(&plan, remedy)?;
            }
        }
    }
}

/// The strategy above is no sieve that lets nothing through.
#[test]
fn most_arguments_of_the_property_are_accepted() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let drawn = (0..400).map(|_| arguments().new_tree(&mut runner).unwrap().current());
    let accepted = drawn.filter(|words| read_command(words).is_ok()).count();
    assert!(accepted > 130, "{accepted} of 400");
}
