//! What the headline of a page says, so that no paragraph says it again: whose verdict it is, and which figures it has.
//!
//! It is asked by what decided the verdict, never by its words.

use super::subject;
use crate::diagnose::Form;
use crate::model::finding::{Finding, FindingId as Id};
use crate::model::outcome::Call;
use crate::model::result::{ErrorRow, RunResult, VerdictId};

/// The headline of a run.
pub(super) struct Said<'a> {
    run: &'a RunResult,
    /// the finding that it is about
    about: Option<&'a Finding>,
}

/// Failures as a headline counts them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Counted {
    /// how many
    pub(super) n: u64,
    /// of how many
    pub(super) of: u64,
    /// which of both it says
    pub(super) form: Form,
}

impl<'a> Said<'a> {
    pub(super) fn by_headline(run: &'a RunResult) -> Self {
        Self { run, about: subject(run) }
    }

    fn about(&self) -> Option<Id> {
        self.about.map(|f| f.id)
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.about?.evidence.get(key)?.as_f64()
    }

    fn word(&self, key: &str) -> Option<&'a str> {
        self.about?.evidence.get(key)?.as_str()
    }

    /// It is the title of the finding, or says as much.
    pub(super) fn has_title(&self) -> bool {
        match self.about() {
            Some(Id::GeneratorSaturated) => false,
            // A quota is named with its figures, other programs are not.
            Some(Id::HostContended) => self.number("quota_cores").is_some(),
            _ => true,
        }
    }

    /// It has the figures of requests that never started.
    pub(super) fn has_never_started(&self) -> bool {
        self.about() == Some(Id::UsersNotReached) && self.run.verdict.id == VerdictId::Healthy
    }

    /// The share of the ports in use that it has.
    pub(super) fn ports_share(&self) -> Option<f64> {
        let share = self.number("peak_share").filter(|_| self.about() == Some(Id::PortBudgetHigh))?;
        self.number("exhausted_at_s").is_none().then_some(share)
    }

    /// Rates that it has, per second: what was asked for, what came at most.
    pub(super) fn rates(&self) -> impl Iterator<Item = f64> {
        let run = self.run;
        let asked = (run.plan.is_open_loop() && run.plan.stages.is_none()).then_some(run.plan.rate);
        let is_limit = run.verdict.id == VerdictId::TargetBound || self.about() == Some(Id::GeneratorSaturated);
        asked.into_iter().chain(run.totals.steady.as_ref().map(|s| s.rps).or(Some(run.totals.rps)).filter(|_| is_limit))
    }

    /// The failures that it counts; none where it counts none.
    pub(super) fn counted(&self) -> Option<Counted> {
        let (run, t) = (self.run, &self.run.totals);
        let failing = run.verdict.id == VerdictId::TargetFailing;
        let n = self.number("failures").or_else(|| self.number("unanswered"))? as u64;
        let as_form = |of: u64, form: Form| Some(Counted { n, of, form });
        let takes_turns = self.number("every_nth").is_some();
        match self.about()? {
            Id::LocalPortBusy => as_form(t.attempts, Form::Count),
            Id::ClientLimit => as_form(t.requests, Form::Count),
            Id::TargetRefused if failing => as_form(t.requests, Form::Count),
            Id::TargetResets | Id::TargetMalformed | Id::TargetTimeouts | Id::TargetErrors if failing && takes_turns => {
                as_form(t.requests, Form::Count)
            }
            // Of answers without their end the title has the number.
            Id::TargetTimeouts if failing && self.are_all_begun() => as_form(t.requests, Form::All),
            Id::TargetResets | Id::TargetMalformed | Id::TargetTimeouts if failing => {
                as_form(t.requests, Form::of(n, t.requests))
            }
            Id::TargetErrors if failing && self.word("call") != Some(Call::Http.word()) => as_form(t.requests, Form::All),
            Id::TargetErrors if failing => {
                let answers = t.requests.saturating_sub(t.failures).saturating_add(n);
                as_form(answers, if n >= answers { Form::All } else { Form::Share })
            }
            Id::TargetHangs if failing => as_form(t.requests, Form::All),
            _ => None,
        }
    }

    /// Of every request that timed out a part of the answer came, and nothing was answered.
    fn are_all_begun(&self) -> bool {
        self.number("with_part_of_an_answer").is_some_and(|n| Some(n) == self.number("failures"))
            && self.run.totals.latency_ms.is_none()
    }

    /// When it says that failures began, seconds.
    pub(super) fn since_s(&self) -> Option<f64> {
        let verdict = &self.run.verdict;
        match (verdict.id, self.about()?) {
            (VerdictId::PortBound, Id::LocalPortsExhausted)
            | (VerdictId::FdBound, _)
            | (VerdictId::TargetGone, Id::TargetGone) => verdict.since_s,
            (_, Id::ClientStalled | Id::TargetStalled) => self.number("from_s"),
            (VerdictId::TargetFailing, Id::TargetRefused) => match self.word("when") {
                Some("at-first") => None,
                _ => self.number("away_from_s").or_else(|| self.number("first_s")),
            },
            (VerdictId::TargetFailing, id) if is_in_part(id) => self.number("since_s"),
            _ => None,
        }
    }

    /// When it says that they ended, seconds.
    pub(super) fn until_s(&self) -> Option<f64> {
        match (self.run.verdict.id, self.about()?) {
            (_, Id::ClientStalled | Id::TargetStalled) => self.number("to_s"),
            (VerdictId::TargetFailing, Id::TargetRefused) => match self.word("when") {
                Some("to-the-end") => None,
                _ => self.number("away_to_s").or_else(|| self.number("last_s")),
            },
            (VerdictId::TargetFailing, id) if is_in_part(id) => {
                // A moment has one time.
                self.number("until_s").filter(|until| self.number("since_s").is_none_or(|since| until - since >= 1.0))
            }
            _ => None,
        }
    }

    /// It names what failed in this row: the status, or the fault of the answer.
    pub(super) fn names(&self, row: &ErrorRow) -> bool {
        match (self.run.verdict.id, self.about()) {
            (VerdictId::ClientBound, Some(Id::ClientLimit)) => row.limit.is_some() || self.word("name") == Some(&row.name),
            (VerdictId::TargetFailing, Some(Id::TargetMalformed)) => self.word("fault") == Some(&row.name),
            (VerdictId::TargetFailing, Some(Id::TargetErrors)) => row.call == Call::Http,
            _ => false,
        }
    }

    /// It has the timeout.
    pub(super) fn has_timeout(&self) -> bool {
        let timeout_ms = self.run.plan.timeout.as_secs_f64() * 1000.0;
        match self.about() {
            Some(Id::TargetTimeouts) => self.run.verdict.id == VerdictId::TargetFailing,
            Some(Id::TargetHangs) => self.number("waited_max_ms") == Some(timeout_ms),
            Some(Id::TargetBacklogOverflow | Id::SlowConnects) => self.number("connect_timeouts").is_some_and(|n| n > 0.0),
            _ => false,
        }
    }

    /// The sentences of the finding's explanation, but for those that say what the headline or the lines below say, and, where
    /// it has one, the one about Windows.
    pub(super) fn sentences_but<'b>(&self, all: Vec<&'b str>) -> Vec<&'b str> {
        let Some(about) = self.about else { return all };
        let is_told = self.has_title() || self.run.errors.is_empty();
        let (from, to) = match about.id {
            Id::PortSearchSlow | Id::LocalPortsExhausted => (0, 0),
            Id::PortBudgetHigh => (1, 1 + usize::from(self.number("exhausted_at_s").is_some()) + 1),
            Id::TargetBacklogOverflow => (1, 2),
            Id::LocalFdLimit | Id::TargetHangs | Id::ClientLimit | Id::TargetMalformed | Id::TargetCpuSaturated => (0, 2),
            Id::TargetErrors if self.number("share_meanwhile").is_some() => (0, 2),
            // What came of answers that did not end is beside the failures.
            Id::TargetTimeouts if self.are_all_begun() => (0, 2),
            Id::UsersNotReached if self.run.verdict.id == VerdictId::Healthy => (0, 2),
            _ => (0, usize::from(is_told)),
        };
        let is_of_windows = match about.id {
            Id::LocalPortsExhausted
            | Id::LocalPortBusy
            | Id::LocalFdLimit
            | Id::TargetRefused
            | Id::TargetResets
            | Id::TargetTimeouts
            | Id::TargetBacklogOverflow
            | Id::PortSearchSlow => true,
            Id::UsersNotReached => self.run.verdict.id == VerdictId::ClientBound,
            _ => false,
        };
        let left_out = |text: &str| is_of_windows && (text.starts_with("Windows ") || text.starts_with("On Windows "));
        let but = all.into_iter().enumerate().filter(|(at, text)| !(from..to).contains(at) && !left_out(text));
        but.map(|(_, text)| text).collect()
    }
}

/// Its title says of which part of the run it is.
fn is_in_part(id: Id) -> bool {
    matches!(id, Id::TargetResets | Id::TargetTimeouts | Id::TargetMalformed | Id::TargetErrors)
}
