//! The bytes of a busy connection, and the free list they return to: an idle connection owns none. Pure.

use super::counters::Answered;
use crate::model::limits;

/// Buffers that stay allocated for reuse.
const SPARE_MAX: usize = 1024;
/// Capacity above which a buffer is not kept for reuse.
const KEPT_CAPACITY: usize = 16 * 1024;

/// Bytes read but not parsed, and answers not sent.
#[derive(Debug, Default)]
pub struct Buffers {
    input: Vec<u8>,
    input_at: usize,
    /// answers are appended here
    pub output: Vec<u8>,
    sent: usize,
    marks: Vec<(usize, Answered)>,
}

impl Buffers {
    /// Whether bytes wait to be parsed.
    pub fn has_input(&self) -> bool {
        self.input_at < self.input.len()
    }

    /// Keeps bytes for later.
    pub fn keep_input(&mut self, bytes: &[u8]) {
        if self.input_at > 0 {
            self.input.drain(..self.input_at);
            self.input_at = 0;
        }
        self.input.extend_from_slice(bytes);
    }

    /// The bytes kept, and where the unparsed ones begin; [`Buffers::put_input`] gives them back.
    pub fn take_input(&mut self) -> (Vec<u8>, usize) {
        (std::mem::take(&mut self.input), self.input_at)
    }

    /// Gives back what [`Buffers::take_input`] took; the first `at` bytes are parsed.
    pub fn put_input(&mut self, input: Vec<u8>, at: usize) {
        self.input = input;
        self.input_at = at;
        if at == self.input.len() {
            self.input.clear();
            self.input_at = 0;
        }
    }

    /// Answers not sent.
    pub fn unsent(&self) -> &[u8] {
        &self.output[self.sent..]
    }

    /// The output ends with a whole answer.
    pub fn mark(&mut self, answered: Answered) {
        self.marks.push((self.output.len(), answered));
    }

    /// `n` bytes were sent: calls `each` for every answer that is complete.
    pub fn on_sent(&mut self, n: usize, mut each: impl FnMut(&Answered)) {
        self.sent += n;
        let out = self.marks.partition_point(|(end, _)| *end <= self.sent);
        self.marks.drain(..out).for_each(|(_, a)| each(&a));
        if self.sent == self.output.len() {
            self.output.clear();
            self.sent = 0;
        } else if self.sent >= limits::WRITE_HIGH_WATER {
            // A pipelining client that never lets the output run dry: what is sent must not pile up.
            self.output.drain(..self.sent);
            self.marks.iter_mut().for_each(|(end, _)| *end -= self.sent);
            self.sent = 0;
        }
    }

    /// Nothing is kept.
    pub fn is_empty(&self) -> bool {
        !self.has_input() && self.unsent().is_empty()
    }

    /// Forgets everything; how many answers were not sent.
    pub fn clear(&mut self) -> usize {
        let unsent = self.marks.len();
        self.input.clear();
        self.output.clear();
        self.marks.clear();
        (self.input_at, self.sent) = (0, 0);
        unsent
    }

    fn is_modest(&self) -> bool {
        self.input.capacity() <= KEPT_CAPACITY && self.output.capacity() <= KEPT_CAPACITY
    }
}

/// The free list.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "boxes move between here and the connections: a pointer, not 100 bytes each")]
pub struct Spare(Vec<Box<Buffers>>);

impl Spare {
    /// Empty buffers.
    pub fn take(&mut self) -> Box<Buffers> {
        self.0.pop().unwrap_or_default()
    }

    /// Takes back empty buffers, unless there are enough.
    pub fn give(&mut self, buffers: Option<Box<Buffers>>) {
        if let Some(b) = buffers
            && self.0.len() < SPARE_MAX
            && b.is_modest()
        {
            debug_assert!(b.is_empty(), "given back empty");
            self.0.push(b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::request::Method;
    use crate::http1::status::Status;
    use crate::model::time::Stamp;
    use crate::server::route::Handler;

    #[test]
    fn an_answer_is_counted_when_its_last_byte_is_sent_also_after_what_was_sent_is_dropped() {
        let answered = Answered { handler: Handler::Health, method: Method::Get, status: Status::Ok, since: Stamp::ZERO };
        let mut b = Buffers::default();
        let sent = |b: &mut Buffers, n| {
            let mut count = 0;
            b.on_sent(n, |_| count += 1);
            count
        };
        b.output = vec![0; limits::WRITE_HIGH_WATER];
        b.mark(answered);
        b.output.extend_from_slice(&[1; 10]);
        b.mark(answered);
        assert_eq!(sent(&mut b, limits::WRITE_HIGH_WATER - 1), 0);
        assert_eq!(sent(&mut b, 1), 1);
        assert_eq!(b.unsent(), [1; 10], "all else is dropped");
        assert_eq!((sent(&mut b, 9), sent(&mut b, 1)), (0, 1));
        assert!(b.is_empty());
    }
}
