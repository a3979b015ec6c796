//! When a server cannot accept: when a shortage begins and ends, seen from the count of its pauses. Pure.

use std::time::Duration;

use crate::model::time::Stamp;

/// Without a pause for this long, a shortage is over.
const OVER_AFTER: Duration = Duration::from_secs(1);

/// What has changed since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// connections wait, because accept(2) fails with this errno
    Began(i32),
    /// they are accepted again, after so long and so many pauses
    Ended(Duration, u64),
}

/// A shortage as looks at the count of pauses show it.
#[derive(Debug, Default)]
pub struct Shortage {
    pauses: u64,
    /// its beginning, and the count before it
    since: Option<(Stamp, u64)>,
    latest: Stamp,
}

impl Shortage {
    /// A look: so many pauses in all until `now`, the latest for `errno`.
    pub fn look(&mut self, now: Stamp, pauses: u64, errno: i32) -> Option<Change> {
        let before = std::mem::replace(&mut self.pauses, pauses);
        if pauses > before {
            self.latest = now;
            if self.since.is_some() {
                return None;
            }
            self.since = Some((now, before));
            return Some(Change::Began(errno));
        }
        let (since, count) = self.since.filter(|_| now.since(self.latest) >= OVER_AFTER)?;
        self.since = None;
        Some(Change::Ended(self.latest.since(since), pauses - count))
    }
}

#[cfg(test)]
mod tests {
    use nix::libc;

    use super::*;

    #[test]
    fn a_shortage_is_named_once_and_its_end_once() {
        let ms = Stamp::from_millis;
        let mut s = Shortage::default();
        assert_eq!(s.look(ms(0), 0, 0), None);
        assert_eq!(s.look(ms(200), 2, libc::EMFILE), Some(Change::Began(libc::EMFILE)));
        assert_eq!(s.look(ms(400), 4, libc::EMFILE), None);
        assert_eq!(s.look(ms(1300), 4, libc::EMFILE), None, "not yet over");
        assert_eq!(s.look(ms(1400), 4, libc::EMFILE), Some(Change::Ended(Duration::from_millis(200), 4)));
        assert_eq!(s.look(ms(1600), 4, libc::EMFILE), None);
        assert_eq!(s.look(ms(1800), 5, libc::ENFILE), Some(Change::Began(libc::ENFILE)));
        assert_eq!(s.look(ms(2800), 5, libc::ENFILE), Some(Change::Ended(Duration::ZERO, 1)), "its own pauses only");
    }
}
