//! When a server cannot accept: which errors of accept(2) are worth a pause, and when a shortage begins and ends, seen from
//! the count of its pauses. Pure.

use std::time::Duration;

use nix::libc;

use crate::model::time::Stamp;

/// Without a pause for this long, a shortage is over.
const OVER_AFTER: Duration = Duration::from_secs(1);

/// Whether the next accept(2) can be tried at once after this error: it was about the connection alone that was to be
/// accepted. accept(2) names these; any other, such as EMFILE, ENFILE, ENOBUFS and ENOMEM, would come again and again.
pub(super) fn is_of_one_connection(errno: i32) -> bool {
    matches!(
        errno,
        libc::ECONNABORTED
            | libc::EINTR
            | libc::EPERM
            | libc::ENETDOWN
            | libc::EPROTO
            | libc::ENOPROTOOPT
            | libc::EHOSTDOWN
            | libc::ENONET
            | libc::EHOSTUNREACH
            | libc::EOPNOTSUPP
            | libc::ENETUNREACH
    )
}

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
    }

    #[test]
    fn an_errno_that_nobody_knows_is_worth_a_pause() {
        let at_once: Vec<i32> = (1..=4095).filter(|errno| is_of_one_connection(*errno)).collect();
        assert_eq!(at_once.len(), 11, "{at_once:?}");
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EBADF, libc::EINVAL, 4000] {
            assert!(!is_of_one_connection(errno), "{errno}");
        }
    }
}
