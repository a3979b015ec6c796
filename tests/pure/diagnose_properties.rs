//! Rules on any facts: they never panic, keep the order, and never print what is not a number.

use crate::facts;
use proptest::prelude::*;
use serde_json::{Value, json};
use sockbench::testing::diagnose::{Diagnosis, diagnose, diagnose_study};
use sockbench::testing::model::{Closer, PortMode, RunResult, RunStamp, Severity, VerdictId};

/// A small deterministic source of choices, fed by proptest.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Paths to all leaves.
fn leaves(value: &Value, at: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| leaves(v, &format!("{at}/{k}"), into)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| leaves(v, &format!("{at}/{i}"), into)),
        _ => into.push(at.to_owned()),
    }
}

/// The run with a few leaves replaced by an extreme of their kind, or by null.
fn disturbed(base: &RunResult, seed: u64, changes: u64) -> Option<RunResult> {
    let mut doc = serde_json::to_value(base).unwrap();
    let mut paths = Vec::new();
    leaves(&doc, "", &mut paths);
    let mut dice = Dice(seed);
    // The series is most of the document; the few figures outside it decide more.
    let (series, others): (Vec<_>, Vec<_>) = paths.into_iter().partition(|p| p.starts_with("/series"));
    for _ in 0..changes {
        let from = if dice.roll(4) == 0 && !series.is_empty() { &series } else { &others };
        let leaf = doc.pointer_mut(&from[dice.roll(from.len() as u64) as usize]).unwrap();
        let changed = match leaf {
            Value::Number(n) if n.is_f64() => {
                [json!(0.0), json!(-1.5), json!(1e300), json!(1e-300), json!(0.5)][dice.roll(5) as usize].clone()
            }
            Value::Number(_) => {
                [json!(0), json!(1), json!(65_535), json!(4_294_967_295_u64), json!(u64::MAX)][dice.roll(5) as usize].clone()
            }
            Value::Bool(b) => json!(!*b),
            Value::Null => json!(1),
            _ => continue,
        };
        *leaf = if dice.roll(3) == 0 { Value::Null } else { changed };
    }
    let mut run: RunResult = serde_json::from_value(doc).ok()?;
    run.plan.port_mode =
        [PortMode::Auto, PortMode::Bind, PortMode::NoPort, PortMode::Ring, PortMode::Range][dice.roll(5) as usize];
    run.plan.closer = [Closer::Client, Closer::Client, Closer::Server, Closer::Reset][dice.roll(4) as usize];
    Some(run)
}

fn base(which: u8) -> RunResult {
    match which % 4 {
        0 => facts::healthy(),
        1 => facts::short(400.0),
        2 => facts::exhausted(),
        _ => {
            let mut run = facts::exhausted();
            run.plan.keepalive = true;
            facts::fail(&mut run, facts::status(503), 3, 0.0, 1.0);
            run
        }
    }
}

fn check(run: &RunResult) -> Result<(), TestCaseError> {
    let found = diagnose(run);
    prop_assert!(found.windows(2).all(|w| w[0].id < w[1].id));
    let text = serde_json::to_string(&found).unwrap();
    prop_assert!(!text.contains("NaN") && !text.contains(" inf"), "{text}");
    for f in &found {
        prop_assert!(f.evidence.values().all(|v| !v.is_null()), "{:?}", f.evidence);
        prop_assert!(f.remedies.len() >= 2 || !f.caused_by.is_empty(), "{}: {:?}", f.id.word(), f.remedies);
    }
    Ok(())
}

/// A spawn rate near zero makes a ramp that no `Duration` can hold.
#[test]
fn nor_on_a_ramp_without_end() {
    let run = disturbed(&base(2), 8_228_094_628_427_776_241, 2);
    if let Some(run) = run {
        check(&run).unwrap();
    }
    let mut run = facts::healthy();
    run.plan.spawn_rate = 1e-300;
    assert_eq!(run.plan.ramp(), std::time::Duration::MAX);
    check(&run).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_rule_never_panics_on_any_facts(which in 0_u8..4, seed in any::<u64>(), changes in 1_u64..7) {
        if let Some(run) = disturbed(&base(which), seed, changes) {
            check(&run)?;
        }
    }

    #[test]
    fn nor_on_figures_that_are_not_numbers(which in 0_u8..4, bad in prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]), at in 0_u8..8) {
        let mut run = base(which);
        match at {
            0 => run.duration_s = bad,
            1 => run.plan.rate = bad,
            2 => run.totals.rps = bad,
            3 => run.series.iter_mut().for_each(|p| p.connect_mean_us = Some(bad)),
            4 => run.errors.iter_mut().for_each(|e| e.first_s = bad),
            5 => run.endpoints.iter_mut().for_each(|e| e.latency_ms.as_mut().unwrap().p95 = bad),
            6 => run.ports.as_mut().unwrap().peak_share = Some(bad),
            _ => run.totals.latency_ms.as_mut().unwrap().mean = bad,
        }
        let _ = Diagnosis::of(&run);
    }

    #[test]
    fn a_study_of_any_steps(seeds in prop::collection::vec(any::<u64>(), 0..4)) {
        let steps: Vec<RunResult> = seeds.iter().filter_map(|s| disturbed(&base(*s as u8), *s, 3)).collect();
        let _ = diagnose_study(&steps);
    }

    /// Below saturation nothing is wrong: kept connections, or short ones below 70 % of the ceiling.
    #[test]
    fn a_healthy_run_has_no_error_or_warning(cps in 1.0_f64..320.0, kept in any::<bool>()) {
        let run = if kept { facts::healthy() } else { facts::short(cps) };
        let bad: Vec<_> = diagnose(&run).into_iter().filter(|f| f.severity != Severity::Info).collect();
        prop_assert!(bad.is_empty(), "{bad:?}");
        let diagnosis = Diagnosis::of(&run);
        prop_assert_eq!(diagnosis.validity.stamp, RunStamp::Valid);
        prop_assert_eq!(diagnosis.verdict.id, VerdictId::Healthy);
        prop_assert!(diagnosis.verdict.sentence.starts_with("OK"));
    }
}
