//! The end of a run as it shows whether the target went away: the last answer, connections refused after it, and
//! connections that were open when the run ended.

use crate::model::outcome::{Call, Cause, ECONNREFUSED, Failure, Outcome, Sample};
use crate::model::result::AfterLastAnswer;
use crate::model::time::Stamp;

/// Of one worker, or of all. Merging is order-free.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    /// NEVER is no answer's time: none came
    last_answer: Option<Stamp>,
    /// of each worker: connections refused since its own last answer
    refused: Vec<Refused>,
    /// connections that were open at the end
    open: u64,
}

#[derive(Debug, Clone, Copy)]
struct Refused {
    first: Stamp,
    last: Stamp,
    count: u64,
}

impl Tail {
    /// A sample of this worker ended.
    pub fn on_end(&mut self, sample: &Sample) {
        match sample.outcome {
            Outcome::Answered { .. } => self.on_answer(sample.ended),
            Outcome::Failed(failure) if matches!(failure.call, Call::Http | Call::Protocol) => self.on_answer(sample.ended),
            Outcome::Failed(failure) if is_refused(failure) => self.on_refused(sample.ended),
            Outcome::Failed(_) | Outcome::Local(_) | Outcome::Cut => {}
        }
    }

    fn on_answer(&mut self, at: Stamp) {
        self.last_answer = self.last_answer.max(Some(at));
        self.refused.clear();
    }

    fn on_refused(&mut self, at: Stamp) {
        match self.refused.first_mut() {
            Some(refused) => {
                refused.last = refused.last.max(at);
                refused.count += 1;
            }
            None => self.refused.push(Refused { first: at, last: at, count: 1 }),
        }
    }

    /// A connection was open when the run ended.
    pub fn on_open_at_end(&mut self) {
        self.open += 1;
    }

    /// Adds another worker's.
    pub fn add(&mut self, other: &Self) {
        self.last_answer = self.last_answer.max(other.last_answer);
        self.refused.extend_from_slice(&other.refused);
        self.open += other.open;
    }

    /// In the form of a result; none where nothing was answered.
    pub fn to_row(&self) -> Option<AfterLastAnswer> {
        let last = self.last_answer?;
        let after: Vec<&Refused> = self.refused.iter().filter(|r| r.last > last).collect();
        Some(AfterLastAnswer {
            last_answer_s: last.as_secs_f64(),
            refused: after.iter().map(|r| r.count).sum(),
            // What one worker saw before another one's last answer is before it.
            first_refused_s: after.iter().map(|r| r.first.max(last)).min().map(Stamp::as_secs_f64),
            last_refused_s: after.iter().map(|r| r.last).max().map(Stamp::as_secs_f64),
            open_connections: self.open,
        })
    }
}

/// Nothing listened.
fn is_refused(failure: Failure) -> bool {
    failure.cause == Cause::SelfConnect || (failure.call, failure.cause) == (Call::Connect, Cause::Errno(ECONNREFUSED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::EndpointId;

    fn sample(ended_ms: u64, outcome: Outcome) -> Sample {
        Sample {
            endpoint: EndpointId(0),
            intended: None,
            started: Stamp::ZERO,
            connected: None,
            sent: None,
            first_byte: None,
            ended: Stamp::from_millis(ended_ms),
            outcome,
            bytes_in: 0,
            body_bytes: 0,
            bytes_out: 0,
            server_timing_us: None,
        }
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
            assert_eq!((row.last_answer_s, row.refused, row.open_connections), (0.7, 3, 1), "{order:?}");
            assert_eq!((row.first_refused_s, row.last_refused_s), (Some(0.7), Some(0.99)), "{order:?}");
        }
    }
}
