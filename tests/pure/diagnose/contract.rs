//! What is true of all findings: their shape, their order, and that a healthy run has none.

use sockbench::testing::diagnose::{Diagnosis, diagnose, table};
use sockbench::testing::model::{Call, Closer, Finding, FindingId as Id, PortMode, PortRange, Severity};

use super::firing::firing;
use super::ids;
use crate::facts::{errno, exhausted, fail, healthy, short, status};

/// Numbers of commands are as a person types them: no zeros at the end of a fraction, and no digits that nobody would type.
#[test]
fn commands_have_numbers_that_a_person_would_type() {
    for (id, run) in firing() {
        let found = diagnose(&run);
        let commands = found.iter().flat_map(|f| &f.remedies).flat_map(|r| [Some(&r.command), r.change.as_ref()]).flatten();
        for word in commands.flat_map(|c| c.split(|c: char| !c.is_ascii_digit() && c != '.')) {
            // An address has several points.
            let Some((_, fraction)) = word.split_once('.').filter(|(_, rest)| !rest.contains('.')) else { continue };
            assert!(!fraction.ends_with('0') && fraction.len() < 5, "{}: {word}", id.word());
        }
    }
}

#[test]
fn a_finding_names_its_number_two_remedies_their_commands_and_effects() {
    for (id, run) in firing() {
        for f in diagnose(&run) {
            let word = f.id.word();
            assert!(f.title.chars().any(|c| c.is_ascii_digit()), "{word}: {}", f.title);
            // What follows from another finding leaves the advice to it.
            let follows = !f.caused_by.is_empty();
            assert!(f.remedies.len() >= 2 || follows, "{word}: {:?}", f.remedies);
            assert!(!f.evidence.is_empty() && f.evidence.values().all(|v| !v.is_null()), "{word}: {:?}", f.evidence);
            assert!(!f.explanation.is_empty(), "{word}");
            assert_eq!(f.severity, f.id.severity());
            for r in &f.remedies {
                assert!(!r.command.is_empty() && !r.action.is_empty(), "{word} ({}): {r:?}", id.word());
                assert!(!r.expected.is_empty() && r.proven.is_none(), "{word}: {r:?}");
            }
            let numbers = f.remedies.iter().filter(|r| r.expected.chars().any(|c| c.is_ascii_digit())).count();
            assert!(numbers >= 1 || follows, "{word}: no remedy says its effect in numbers: {:?}", f.remedies);
        }
    }
}

#[test]
fn a_healthy_run_is_clear_of_errors_and_warnings() {
    let mut rate = healthy();
    rate.plan.think = sockbench::testing::model::Think::default();
    rate.plan.rate = 150.0;
    rate.resources.client.lateness_p99_ms = Some(1.2);
    let mut server_closes = short(3000.0);
    server_closes.plan.closer = Closer::Server;
    let n = server_closes.totals.connections_opened;
    server_closes.closes = sockbench::testing::model::Closes { server: n, ..Default::default() };
    let ports = server_closes.ports.as_mut().unwrap();
    (ports.hold_s, ports.peak_used, ports.peak_share) = (Some(0.0), Some(20), Some(0.001));
    let mut ring = short(5000.0);
    ring.plan.port_mode = PortMode::Ring;
    ring.plan.reuse_addr = true;
    ring.plan.port_range = Some(PortRange { lo: 10_000, hi: 13_999 });
    let ports = ring.ports.as_mut().unwrap();
    (ports.pool, ports.hold_s, ports.peak_used, ports.peak_share) = (Some(4000), Some(0.0), Some(4000), Some(1.0));
    // A default Linux box on 127.0.0.1: all ports are in TIME_WAIT, and are taken again after 1 s.
    let mut loopback = short(1000.0);
    loopback.plan.target = sockbench::testing::model::Target::own(([127, 0, 0, 1], 8080).into());
    let ports = loopback.ports.as_mut().unwrap();
    (ports.hold_s, ports.ceiling_cps, ports.search_cps) = (Some(1.0), Some(28_232.0), Some(14_116.0));
    let mut short_well_below = short(200.0);
    short_well_below.plan.rate = 200.0;
    short_well_below.resources.client.lateness_p99_ms = Some(0.4);
    let runs = vec![
        ("keep-alive", healthy()),
        ("rate", rate),
        ("server closes", server_closes),
        ("ring", ring),
        ("loopback", loopback),
        ("short", short_well_below),
    ];
    for (name, run) in runs {
        let bad: Vec<Finding> = diagnose(&run).into_iter().filter(|f| f.severity != Severity::Info).collect();
        assert!(bad.is_empty(), "{name}: {bad:#?}");
    }
}

#[test]
fn every_error_and_warning_has_a_witness() {
    for rule in table::rules() {
        assert_eq!(rule.witness.is_empty(), rule.id.severity() == Severity::Info, "{}", rule.id.word());
    }
}

/// Every rule can be a cause, and what could not be decided is named as a cause is. A rule with remedies says what they are about.
#[test]
fn every_rule_says_what_it_is_and_when_it_fires() {
    for rule in table::rules() {
        for (field, text) in [("says", rule.says), ("fires", rule.fires), ("as_cause", rule.as_cause)] {
            assert!(!text.is_empty(), "{}: {field}", rule.id.word());
        }
    }
    for (id, run) in firing() {
        let has_remedies = diagnose(&run).iter().any(|f| f.id == id && !f.remedies.is_empty());
        let rule = table::rule_of(id).unwrap();
        assert!(!has_remedies || !rule.advises.is_empty(), "{}: advises", id.word());
    }
}

#[test]
fn findings_come_in_the_order_of_the_contract() {
    assert_eq!(table::rules().map(|r| r.id).collect::<Vec<_>>(), Id::ALL);
    let mut run = exhausted();
    fail(&mut run, status(500), 9, 1.0, 2.0);
    fail(&mut run, errno(Call::Connect, 111), 9, 1.0, 2.0);
    let found = ids(&diagnose(&run));
    let mut sorted = found.clone();
    sorted.sort();
    assert_eq!(found, sorted);
    assert!(found.starts_with(&[Id::LocalPortsExhausted, Id::TargetRefused, Id::TargetErrors]), "{found:?}");
}

/// A count of one is followed by the singular, in every text of every finding.
#[test]
fn one_is_singular() {
    let plural = |text: &str| {
        let words: Vec<&str> = text.split([' ', ',', ';', ':', '(', ')']).collect();
        let nouns =
            ["users", "connections", "requests", "ports", "answers", "sockets", "set-ups", "workers", "failures", "cores"];
        words.windows(2).any(|w| w[0] == "1" && nouns.contains(&w[1]))
    };
    for (_, mut run) in firing() {
        run.plan.users = 1;
        run.totals.users_asked = 1;
        run.host.cpus = 1;
        run.errors.iter_mut().for_each(|e| e.count = 1);
        (run.totals.users_reached, run.totals.connections_opened) =
            (run.totals.users_reached.min(1), run.totals.connections_opened);
        for f in diagnose(&run) {
            let texts = [&f.title, &f.explanation].into_iter().chain(f.remedies.iter().flat_map(|r| [&r.action, &r.expected]));
            for text in texts {
                assert!(!plural(text), "{}: {text}", f.id.word());
            }
        }
    }
}

/// Rules read what happened by its type. Whatever the error table says in words, they find the same.
#[test]
fn no_rule_reads_a_text_of_the_error_table() {
    for (id, run) in firing() {
        let mut noisy = run.clone();
        for (n, row) in noisy.errors.iter_mut().enumerate() {
            (row.name, row.message) = (format!("noise {n}"), format!("while connecting, EOF {n}"));
        }
        noisy.unavailable.clear();
        assert_eq!(Diagnosis::of(&noisy), Diagnosis::of(&run), "{}", id.word());
    }
}
