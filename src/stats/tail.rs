//! The end of a run as it shows whether the target went away: the last answer, connections refused after it, and
//! connections that were open when the run ended.

use crate::model::outcome::{Call, Cause, ECONNREFUSED, Failure, Outcome, Sample};
use crate::model::result::AfterLastAnswer;
use crate::model::time::Stamp;

/// Refusals are kept by slots of this length, so that a worker's row need not be kept whole: an hour without a target is
/// at most 180,000 slots.
const SLOT_NS: u64 = 20_000_000;

/// Of one worker, or of all. Merging is order-free, and it does not matter which worker saw a sample.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    /// none: no answer came
    last_answer: Option<Stamp>,
    /// connections refused in the slots after that of the last answer, by slot, ascending
    refused: Vec<Refused>,
    /// connections that were open at the end
    open: u64,
}

/// One slot with at least one refused connection.
#[derive(Debug, Clone, Copy)]
struct Refused {
    first: Stamp,
    last: Stamp,
    count: u64,
}

impl Refused {
    fn slot(&self) -> u64 {
        slot(self.first)
    }
}

fn slot(at: Stamp) -> u64 {
    at.0 / SLOT_NS
}

impl Tail {
    /// A sample of this worker ended.
    pub fn on_end(&mut self, sample: &Sample) {
        match sample.outcome {
            Outcome::Answered { .. } => self.on_answer(sample.ended),
            Outcome::Failed(failure) if matches!(failure.call, Call::Http | Call::Protocol) => self.on_answer(sample.ended),
            Outcome::Failed(failure) if is_refused(failure) => {
                self.on_refused(Refused { first: sample.ended, last: sample.ended, count: 1 });
            }
            Outcome::Failed(_) | Outcome::Local(_) | Outcome::Cut => {}
        }
    }

    fn on_answer(&mut self, at: Stamp) {
        self.last_answer = self.last_answer.max(Some(at));
        self.refused.retain(|r| r.slot() > slot(at));
    }

    fn on_refused(&mut self, more: Refused) {
        if self.last_answer.is_some_and(|at| more.slot() <= slot(at)) {
            return;
        }
        // Times ascend but for those of other workers: the slot is the last one, or near it.
        let after = self.refused.iter().rposition(|r| r.slot() <= more.slot()).map_or(0, |i| i + 1);
        match after.checked_sub(1).map(|i| &mut self.refused[i]) {
            Some(same) if same.slot() == more.slot() => {
                same.first = same.first.min(more.first);
                same.last = same.last.max(more.last);
                same.count += more.count;
            }
            _ => self.refused.insert(after, more),
        }
    }

    /// A connection was open when the run ended.
    pub fn on_open_at_end(&mut self) {
        self.open += 1;
    }

    /// Adds another worker's.
    pub fn add(&mut self, other: &Self) {
        if let Some(at) = other.last_answer {
            self.on_answer(at);
        }
        for refused in &other.refused {
            self.on_refused(*refused);
        }
        self.open += other.open;
    }

    /// In the form of a result; none where nothing was answered.
    pub fn to_row(&self) -> Option<AfterLastAnswer> {
        Some(AfterLastAnswer {
            last_answer_s: self.last_answer?.as_secs_f64(),
            refused: self.refused.iter().map(|r| r.count).sum(),
            first_refused_s: self.refused.first().map(|r| r.first.as_secs_f64()),
            last_refused_s: self.refused.last().map(|r| r.last.as_secs_f64()),
            open_connections: self.open,
        })
    }
}

/// Nothing listened.
pub(super) fn is_refused(failure: Failure) -> bool {
    failure.cause == Cause::SelfConnect || (failure.call, failure.cause) == (Call::Connect, Cause::Errno(ECONNREFUSED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::EndpointId;

    fn sample(ended_ms: u64, outcome: Outcome) -> Sample {
        Sample { ended: Stamp::from_millis(ended_ms), outcome, ..Sample::begun(EndpointId(0), None, Stamp::ZERO) }
    }

    fn tail(answers: &[u64], refused: &[u64]) -> Tail {
        let mut tail = Tail::default();
        let no = Outcome::of(Failure::new(Call::Connect, Cause::Errno(ECONNREFUSED)));
        let mut all: Vec<_> = answers.iter().map(|ms| sample(*ms, Outcome::Answered { status: 200 })).collect();
        all.extend(refused.iter().map(|ms| sample(*ms, no)));
        all.sort_by_key(|s| s.ended);
        for s in &all {
            tail.on_end(s);
        }
        tail
    }

    #[test]
    fn only_what_was_refused_after_the_last_answer_counts() {
        let row = tail(&[100, 900], &[200, 950, 990]).to_row().unwrap();
        assert_eq!((row.last_answer_s, row.refused), (0.9, 2));
        assert_eq!((row.first_refused_s, row.last_refused_s), (Some(0.95), Some(0.99)));
        assert_eq!(tail(&[100, 900], &[200]).to_row().unwrap().refused, 0);
        assert_eq!(tail(&[], &[200]).to_row(), None);
        // Times of two workers are not finer than a slot: what was refused in that of the last answer is not after it.
        for (answer, refused) in [(901, 919), (919, 901)] {
            assert_eq!(tail(&[answer], &[refused, 921]).to_row().unwrap().refused, 1, "{answer} and {refused}");
        }
    }

    #[test]
    fn workers_add_up_in_any_order() {
        let each = [tail(&[500], &[600, 990]), tail(&[700], &[980]), tail(&[400], &[450])];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut all = Tail::default();
            for i in order {
                all.add(&each[i]);
            }
            all.on_open_at_end();
            let row = all.to_row().unwrap();
            assert_eq!((row.last_answer_s, row.refused, row.open_connections), (0.7, 2, 1), "{order:?}");
            assert_eq!((row.first_refused_s, row.last_refused_s), (Some(0.98), Some(0.99)), "{order:?}");
        }
    }
}
