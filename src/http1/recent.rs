//! Heads that a loop has read lately, with what they say. Load sends the same head again and again: one that equals a kept
//! one byte for byte says the same, since reading a head is a pure function of its bytes and of limits that do not change
//! during a run. Comparing 100 bytes costs a tenth of parsing them.
//!
//! One table belongs to a whole loop, not to a connection: an idle connection keeps nothing here.

/// Heads that are kept; the oldest goes first.
const HEADS: usize = 4;
/// Longest head that is kept, bytes.
const LONGEST: usize = 1024;

/// The heads read last, each ending with its blank line, and what was read from each.
#[derive(Debug)]
pub struct RecentHeads<T> {
    heads: Vec<(Vec<u8>, T)>,
    oldest: usize,
}

impl<T> Default for RecentHeads<T> {
    fn default() -> Self {
        Self { heads: Vec::new(), oldest: 0 }
    }
}

impl<T: Copy> RecentHeads<T> {
    /// What the head says with which `bytes` begin, and its length; none when no kept head is there.
    pub fn find(&self, bytes: &[u8]) -> Option<(T, usize)> {
        self.heads.iter().find(|(head, _)| bytes.starts_with(head)).map(|(head, says)| (*says, head.len()))
    }

    /// Keeps `head`, one whole sound head with its blank line, in place of the oldest.
    pub fn keep(&mut self, head: &[u8], says: T) {
        debug_assert!(head.ends_with(b"\r\n\r\n"), "a whole head");
        if head.len() > LONGEST {
            return;
        }
        if self.heads.len() < HEADS {
            self.heads.push((head.to_vec(), says));
            return;
        }
        let (bytes, kept) = &mut self.heads[self.oldest];
        bytes.clear();
        bytes.extend_from_slice(head);
        *kept = says;
        self.oldest = (self.oldest + 1) % HEADS;
    }
}

/// Heads that the tests of exactness try; where nothing is optimised, fewer.
#[cfg(test)]
pub(crate) const MUTATED_HEADS: u32 = if cfg!(debug_assertions) { 40_000 } else { 1_000_000 };

/// `head` as it is, or with up to three of its bytes replaced, doubled or left out, or cut.
#[cfg(test)]
pub(crate) fn mutated(head: &[u8], rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = head.to_vec();
    for _ in 0..rng.usize(..4) {
        let at = rng.usize(..bytes.len());
        match rng.u8(..4) {
            0 => bytes[at] = rng.u8(..),
            1 => bytes.insert(at, bytes[at]),
            2 if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => bytes.truncate(at + 1),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_head_is_found_in_front_of_more_and_the_oldest_goes() {
        let mut recent = RecentHeads::default();
        let head = |n: usize| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
        for n in 0..=HEADS {
            assert_eq!(recent.find(&head(n)), None);
            recent.keep(&head(n), n);
        }
        assert_eq!(recent.find(&head(0)), None, "gone");
        for n in 1..=HEADS {
            assert_eq!(recent.find(&[&head(n), &b"GET "[..]].concat()), Some((n, head(n).len())));
            assert_eq!(recent.find(&head(n)[..head(n).len() - 1]), None, "not whole");
        }
    }

    #[test]
    fn a_long_head_is_not_kept() {
        let mut recent = RecentHeads::default();
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(LONGEST)).into_bytes();
        recent.keep(&head, ());
        assert_eq!(recent.find(&head), None);
    }
}
