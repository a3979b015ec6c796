//! What a row of the catalogue is, and how its first finding is compared with what was injected.

use serde_json::Value;
use sockbench::testing::model::{Finding, FindingId, RunResult, Severity, VerdictId};

use crate::witness::{self, Seen};

/// One row: a fault, or a healthy run.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// what must be found; none for a healthy run
    pub(crate) expected: Option<FindingId>,
    /// further errors and warnings that are true of this fault
    pub(crate) also: &'static [FindingId],
    /// settings of its namespace
    pub(crate) sysctls: &'static [&'static str],
    /// needs the machine for itself
    pub(crate) alone: bool,
    /// starts programs itself that take the cores
    pub(crate) rivals: bool,
    pub(crate) run: fn() -> RunResult,
    pub(crate) check: fn(&mut Check<'_>),
}

/// A row that only names its fault; `..ROW` fills the rest.
pub(crate) const ROW: Case = Case {
    name: "",
    expected: None,
    also: &[],
    sysctls: &[],
    alone: false,
    rivals: false,
    run: || unreachable!("each row has a run"),
    check: |_| (),
};

/// What became of a row.
pub(crate) enum Outcome {
    /// errors and warnings in their order, and what is wrong
    Ran { found: Vec<FindingId>, wrong: Vec<String> },
    /// the machine had no core to spare, as an independent witness saw: the run that says so is right, but the row
    /// shows nothing else
    Disturbed { found: Vec<FindingId>, why: String },
    /// this kernel or system cannot do it
    Skipped(String),
}

/// The run, its finding, and what is wrong with it.
pub(crate) struct Check<'a> {
    pub(crate) run: &'a RunResult,
    finding: Option<&'a Finding>,
    wrong: Vec<String>,
}

impl<'a> Check<'a> {
    /// Everything that is wrong with `run` as the outcome of `case`.
    pub(crate) fn all(case: &Case, run: &'a RunResult, seen: &Seen) -> (Vec<FindingId>, Vec<String>) {
        // Other programs that the witness saw too, beside a cause that leads the page, are true of this machine.
        let led = run.verdict.id != VerdictId::HostBound && seen.others_percent >= crate::rig::OTHERS_PERCENT;
        let aside = case.expected.is_some() && case.expected != Some(FindingId::HostContended) && led;
        let bad = |f: &&Finding| f.severity != Severity::Info && !(aside && f.id == FindingId::HostContended);
        let found: Vec<FindingId> = run.findings.iter().filter(bad).map(|f| f.id).collect();
        let finding = case.expected.and_then(|id| run.findings.iter().find(|f| f.id == id));
        let mut check = Check { run, finding, wrong: Vec::new() };
        let first = run.findings.iter().find(bad);
        match case.expected {
            None => {
                if let Some(f) = first {
                    check.say(format!("{} in a healthy run: {}", f.id.word(), f.title));
                }
            }
            // It only ever follows from another.
            Some(FindingId::FailuresWillReturn) => {
                check.that("caused_by", finding.is_some_and(|f| f.caused_by == [FindingId::LocalPortsExhausted]));
            }
            Some(id) if first.map(|f| f.id) != Some(id) => {
                check.say(format!("first finding {:?}, not {}", first.map(|f| (f.id.word(), &f.title)), id.word()));
            }
            Some(_) => {}
        }
        for id in found.iter().filter(|id| case.expected.is_some_and(|e| e != **id) && !case.also.contains(id)) {
            let title = run.findings.iter().find(|f| f.id == *id).map(|f| f.title.as_str());
            check.say(format!("also {}, which nothing injected: {title:?}", id.word()));
        }
        let t = &run.totals;
        check.same("attempts add up", t.attempts, t.requests + t.local_failures + t.cut);
        if case.expected.is_none() || finding.is_some() {
            (case.check)(&mut check);
            for wrong in witness::of(case.expected).contradicts(run, seen) {
                check.say(format!("the witness: {wrong}"));
            }
        }
        let ruled_out = witness::of(case.expected).not;
        if let Some(not) = ruled_out.filter(|id| found.contains(id) && !case.also.contains(id)) {
            check.say(format!("{} was to be ruled out", not.word()));
        }
        if let (false, Some(f)) = (check.wrong.is_empty(), finding) {
            check.say(format!("its evidence: {}", serde_json::to_string(&f.evidence).unwrap()));
        }
        if !check.wrong.is_empty() {
            let rows: Vec<String> =
                run.errors.iter().map(|e| format!("{} x {} {} {}", e.count, e.call.word(), e.name, e.endpoint)).collect();
            check.say(format!("{rows:?} {t:?}"));
        }
        (found, check.wrong)
    }

    fn say(&mut self, what: String) {
        self.wrong.push(what);
    }

    pub(crate) fn that(&mut self, what: &str, holds: bool) {
        if !holds {
            self.say(format!("not so: {what}"));
        }
    }

    pub(crate) fn same<T: PartialEq + std::fmt::Debug + Copy>(&mut self, what: &str, is: T, should: T) {
        if is != should {
            self.say(format!("{what}: {is:?}, not {should:?}"));
        }
    }

    /// A number of the evidence.
    pub(crate) fn number(&mut self, key: &str) -> f64 {
        let value = self.finding.and_then(|f| f.evidence.get(key)).and_then(Value::as_f64);
        if value.is_none() {
            self.say(format!("no number {key} in its evidence"));
        }
        value.unwrap_or(f64::NAN)
    }

    /// The evidence says exactly this number.
    pub(crate) fn is(&mut self, key: &str, should: impl Into<f64>) {
        let (is, should) = (self.number(key), should.into());
        if is != should {
            self.say(format!("{key}: {is}, not {should}"));
        }
    }

    /// The evidence says exactly this count.
    pub(crate) fn counts(&mut self, key: &str, should: u64) {
        self.is(key, should as f64);
    }

    /// The evidence says these words.
    pub(crate) fn word(&mut self, key: &str, should: &str) {
        let is = self.finding.and_then(|f| f.evidence.get(key)).and_then(Value::as_str).map(str::to_owned);
        if is.as_deref() != Some(should) {
            self.say(format!("{key}: {is:?}, not {should:?}"));
        }
    }

    /// The evidence's number lies in between, both included.
    pub(crate) fn between(&mut self, key: &str, lo: f64, hi: f64) {
        let is = self.number(key);
        if !(lo..=hi).contains(&is) {
            self.say(format!("{key}: {is}, not between {lo} and {hi}"));
        }
    }

    /// Call, errno, Windows code and count of a failure, the last also against the error table.
    pub(crate) fn failure(&mut self, call: &str, errno: Option<i32>, windows: Option<i32>) {
        self.word("call", call);
        for (key, code) in [("errno", errno), ("windows_code", windows)] {
            if let Some(code) = code {
                self.is(key, code);
            }
        }
        let rows = self.run.count_errors(|e| e.call.word() == call && e.errno == errno);
        self.counts("failures", rows);
        self.that("there are failures", rows > 0);
        let (first, last) = (self.number("first_s"), self.number("last_s"));
        self.that("first_s <= last_s within the run", 0.0 <= first && first <= last && last <= self.run.duration_s + 0.5);
    }
}
