//! Rows of the error table by what they are to the rules: one kind each, decided by call, cause, phase and port choice.
//! No text of a row decides anything.

use std::borrow::Cow;

use super::prelude::*;
use crate::model::outcome::{
    Call, EADDRNOTAVAIL, ECONNABORTED, ECONNREFUSED, ECONNRESET, EMFILE, ENFILE, EPIPE, ETIMEDOUT, Failure, FailureSide,
};
use crate::model::result::NoPort;

/// Kinds named in a sentence.
const KINDS_NAMED: usize = 4;
/// Endpoints named in a sentence.
const ENDPOINTS_NAMED: usize = 3;

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::diagnose) enum Kind {
    NoPort,
    /// one particular source port was in use
    PortBusy,
    /// the source address is not this host's
    ForeignSource,
    NoDescriptor,
    /// another refusal of this machine: no route, policy, no memory
    OwnMachine,
    /// nothing listens at the target
    Refused,
    /// the socket connected to itself: nothing listens at the target either
    SelfConnect,
    /// the target ended the connection before it answered
    Reset,
    ConnectTimeout,
    AnswerTimeout,
    /// the answer broke the protocol
    Malformed,
    /// the answer was over a limit of sockbench's own
    OwnLimit,
    /// a status of 400 or above
    Status,
    /// another failure at the target
    OtherAtTarget,
    /// further kinds in one row: which is not known
    Unnamed,
}

impl Kind {
    pub(in crate::diagnose) fn of(row: &ErrorRow) -> Self {
        let Some(failure) = row.failure() else { return Self::Unnamed };
        match row.no_port() {
            Some(NoPort::Exhausted) => return Self::NoPort,
            Some(NoPort::Busy) => return Self::PortBusy,
            None => {}
        }
        if row.local { Self::on_this_machine(failure) } else { Self::at_target(failure, row.phase) }
    }

    const fn on_this_machine(failure: Failure) -> Self {
        match (failure.call, failure.cause) {
            (_, Cause::Errno(EMFILE | ENFILE)) => Self::NoDescriptor,
            (Call::Bind, Cause::Errno(EADDRNOTAVAIL)) => Self::ForeignSource,
            _ => Self::OwnMachine,
        }
    }

    fn at_target(failure: Failure, phase: Option<Phase>) -> Self {
        match (failure.call, failure.cause) {
            (_, Cause::SelfConnect) => Self::SelfConnect,
            (Call::Connect, Cause::Errno(ECONNREFUSED)) => Self::Refused,
            (Call::Timeout, _) | (_, Cause::Errno(ETIMEDOUT) | Cause::TimedOut(_)) => {
                let connecting = failure.call == Call::Connect || phase == Some(Phase::Connecting);
                if connecting || failure.cause == Cause::TimedOut(Phase::Connecting) {
                    Self::ConnectTimeout
                } else {
                    Self::AnswerTimeout
                }
            }
            (_, Cause::Eof) | (Call::Read | Call::Write | Call::Connect, Cause::Errno(ECONNRESET | EPIPE | ECONNABORTED)) => {
                Self::Reset
            }
            (_, Cause::Malformed(fault)) if fault.own_limit().is_some() => Self::OwnLimit,
            (_, Cause::Malformed(_)) => Self::Malformed,
            (_, Cause::Status(_)) => Self::Status,
            (_, Cause::Errno(_) | Cause::NoAddress) => Self::OtherAtTarget,
        }
    }

    /// Nothing was ready to take the connection.
    pub(in crate::diagnose) const fn is_refused(self) -> bool {
        matches!(self, Self::Refused | Self::SelfConnect)
    }

    pub(in crate::diagnose) const fn is_timeout(self) -> bool {
        matches!(self, Self::ConnectTimeout | Self::AnswerTimeout)
    }
}

/// Rows of the error table that one rule is about.
#[derive(Debug, Clone)]
pub(in crate::diagnose) struct Rows<'a>(pub(in crate::diagnose) Vec<&'a ErrorRow>);

impl<'a> Rows<'a> {
    /// The rows that are `wanted`, without those of [`is_of_the_stop`].
    pub(in crate::diagnose) fn of(run: &'a RunResult, wanted: impl Fn(&ErrorRow) -> bool) -> Self {
        Self(run.errors.iter().filter(|e| e.count > 0 && !is_of_the_stop(run, e) && wanted(e)).collect())
    }

    pub(in crate::diagnose) fn are(run: &'a RunResult, wanted: impl Fn(Kind) -> bool) -> Self {
        Self::of(run, |row| wanted(Kind::of(row)))
    }

    pub(in crate::diagnose) fn kind(run: &'a RunResult, kind: Kind) -> Self {
        Self::are(run, |k| k == kind)
    }

    pub(in crate::diagnose) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::diagnose) fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, r| sum.saturating_add(r.count))
    }

    /// The most frequent row; of equals the first.
    pub(in crate::diagnose) fn largest(&self) -> Option<&'a ErrorRow> {
        self.0.iter().copied().reduce(|a, b| if b.count > a.count { b } else { a })
    }

    pub(in crate::diagnose) fn first_s(&self) -> f64 {
        self.0.iter().map(|r| r.first_s).fold(f64::INFINITY, f64::min)
    }

    pub(in crate::diagnose) fn last_s(&self) -> f64 {
        self.0.iter().map(|r| r.last_s).fold(0.0, f64::max)
    }

    /// `12 x ECONNRESET at read(), 3 x EOF at read()`, the most frequent first, equal kinds of all endpoints summed; one
    /// kind alone is not counted again.
    pub(in crate::diagnose) fn in_words(&self) -> String {
        let mut kinds: Vec<(String, u64)> = Vec::new();
        for row in &self.0 {
            let kind = words(row);
            match kinds.iter_mut().find(|k| k.0 == kind) {
                Some(known) => known.1 = known.1.saturating_add(row.count),
                None => kinds.push((kind, row.count)),
            }
        }
        if let [(kind, _)] = kinds.as_slice() {
            return kind.clone();
        }
        kinds.order_by_key(|k| std::cmp::Reverse(k.1));
        kinds.truncate(KINDS_NAMED);
        kinds.iter().map(|(kind, n)| format!("{} x {kind}", count(*n))).collect::<Vec<_>>().join(", ")
    }

    /// The same after a clause: `: 12 x while connecting, 3 x while reading`, or ` while connecting`.
    pub(in crate::diagnose) fn after_a_clause(&self) -> String {
        let words = self.in_words();
        let phase = |row: &ErrorRow| match row.failure()?.cause {
            Cause::TimedOut(phase) => Some(phase),
            _ => None,
        };
        // All timed out at the same step: the clause goes on.
        let first = self.0.first().and_then(|row| phase(row));
        let goes_on = first.is_some() && self.0.iter().all(|row| phase(row) == first);
        if goes_on { format!(" {words}") } else { format!(": {words}") }
    }

    /// The endpoints hit, the first few by name.
    pub(in crate::diagnose) fn endpoints(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for row in &self.0 {
            if !names.contains(&row.endpoint.as_str()) {
                names.push(&row.endpoint);
            }
        }
        let rest = names.len().saturating_sub(ENDPOINTS_NAMED);
        names.truncate(ENDPOINTS_NAMED);
        if rest > 0 { format!("{} and {rest} more", names.join(", ")) } else { names.join(", ") }
    }
}

/// Before the end of a run that somebody stopped: longer than the signal takes to reach this program and its workers.
const STOP_S: f64 = 0.25;

/// What came only when the run was being stopped says nothing of the target: a signal to a process group, as Ctrl-C sends,
/// reaches the target of the same terminal too.
pub(in crate::diagnose) fn is_of_the_stop(run: &RunResult, row: &ErrorRow) -> bool {
    !row.local && row.call != Call::Http && is_in_the_stop(run, row.first_s)
}

/// The same by the time of the first failure, seconds from the run's start. A run that was all stop has nothing else to
/// judge by.
pub(super) fn is_in_the_stop(run: &RunResult, first_s: f64) -> bool {
    run.was_stopped() && run.duration_s > 2.0 * STOP_S && first_s + STOP_S >= run.duration_s
}

/// How much of the end of a run belongs to its stop, seconds: zero where nobody stopped it.
pub(super) fn stop_s(run: &RunResult) -> f64 {
    if run.was_stopped() { STOP_S } else { 0.0 }
}

/// A row's kind of failure, made from its typed cause.
fn words(row: &ErrorRow) -> String {
    let Some(failure) = row.failure() else { return "further kinds".to_owned() };
    match failure.cause {
        Cause::Status(status) => format!("status {status}"),
        Cause::Malformed(_) => failure.name().into_owned(),
        Cause::TimedOut(phase) => format!("while {}", phase.words()),
        Cause::Errno(_) | Cause::Eof | Cause::SelfConnect | Cause::NoAddress => {
            format!("{} at {}()", failure.name(), row.call.word())
        }
    }
}

/// The short name of a row's failure, made from its typed cause.
pub(in crate::diagnose) fn name_of(row: &ErrorRow) -> Cow<'static, str> {
    row.failure().map_or(Cow::Borrowed("further kinds"), Failure::name)
}

/// What happened, in words made from its typed cause.
pub(in crate::diagnose) fn message_of(row: &ErrorRow) -> String {
    row.failure().map_or_else(|| "further kinds of failure".to_owned(), Failure::message)
}

/// Failures of the totals that no row of the error table names, on this machine or at the target.
pub(in crate::diagnose) fn unnamed(run: &RunResult, side: FailureSide) -> u64 {
    let here = |e: &&ErrorRow| e.local == (side == FailureSide::Local) && e.failure().is_some();
    let named = run.errors.iter().filter(here).fold(0_u64, |sum, e| sum.saturating_add(e.count));
    let all = match side {
        FailureSide::Local => run.totals.local_failures,
        FailureSide::Target => run.totals.failures,
    };
    all.saturating_sub(named)
}
