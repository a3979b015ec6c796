//! Of the requests in flight at the end: what had come of an answer to the one that had waited longest.

use super::errors::Evidence;
use crate::model::outcome::{EndpointId, Sample};
use crate::model::time::Stamp;

/// Of one worker, or of all. Merging is order-free.
#[derive(Debug, Clone, Default)]
pub struct Partial(Option<Oldest>);

/// The request of which an answer had begun and that was sent first.
#[derive(Debug, Clone)]
pub struct Oldest {
    /// where
    pub endpoint: EndpointId,
    /// when its last byte was sent
    pub sent: Stamp,
    /// when the run ended
    pub ended: Stamp,
    /// what came of its answer
    pub evidence: Evidence,
}

impl Partial {
    /// One that the end of the run cut off; `evidence` is asked only where it can be the oldest.
    pub fn keep(&mut self, cut: &Sample, evidence: impl FnOnce() -> Option<Evidence>) {
        let Some(sent) = cut.sent.filter(|_| cut.first_byte.is_some()) else { return };
        if self.0.as_ref().is_some_and(|oldest| oldest.sent <= sent) {
            return;
        }
        if let Some(evidence) = evidence() {
            self.0 = Some(Oldest { endpoint: cut.endpoint, sent, ended: cut.ended, evidence });
        }
    }

    /// The same in a run in which the first of these endpoints is number `first`.
    pub(super) fn move_by(&mut self, first: u16) {
        if let Some(oldest) = &mut self.0 {
            oldest.endpoint = oldest.endpoint.moved(first);
        }
    }

    /// Adds another worker's.
    pub fn add(&mut self, other: &Self) {
        let age = |p: &Self| p.0.as_ref().map_or((Stamp::NEVER, EndpointId(u16::MAX)), |o| (o.sent, o.endpoint));
        if age(other) < age(self) {
            self.0.clone_from(&other.0);
        }
    }

    /// The oldest; none where no answer had begun.
    pub fn oldest(&self) -> Option<&Oldest> {
        self.0.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::received::Received;

    fn cut(sent_ms: u64, begun: bool) -> Sample {
        Sample {
            sent: Some(Stamp::from_millis(sent_ms)),
            first_byte: begun.then(|| Stamp::from_millis(sent_ms + 1)),
            ended: Stamp::from_millis(1000),
            bytes_out: 50,
            ..Sample::begun(EndpointId(0), None, Stamp::ZERO)
        }
    }

    fn kept(all: &[(u64, bool)]) -> Partial {
        let mut partial = Partial::default();
        for (sent_ms, begun) in all {
            let received = Received {
                bytes: *sent_ms,
                head_complete: true,
                bare_lf: false,
                status: None,
                framing: None,
                missing_bytes: None,
            };
            partial.keep(&cut(*sent_ms, *begun), || Evidence::of(received, b"HTTP"));
        }
        partial
    }

    #[test]
    fn the_one_that_waited_longest_is_kept_of_all_workers() {
        let bytes = |p: &Partial| p.oldest().map(|o| o.evidence.received.bytes);
        assert_eq!(bytes(&kept(&[(50, false)])), None, "nothing came");
        let (a, b) = (kept(&[(10, false), (300, true), (200, true)]), kept(&[(100, true)]));
        for (mut sum, other) in [(a.clone(), &b), (b.clone(), &a)] {
            sum.add(other);
            assert_eq!(bytes(&sum), Some(100));
        }
    }
}
