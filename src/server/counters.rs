//! What one reactor counts: written by that reactor alone, read by any thread, exact. Pure.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use super::route::Handler;
use crate::http1::request::Method;
use crate::http1::status::Status;
use crate::model::time::Stamp;

/// Upper bounds of `http_request_duration_seconds`, microseconds.
pub const BUCKETS_US: [u64; 14] =
    [100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 10_000_000];

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
#[repr(u8)]
pub enum CloseReason {
    /// the client sent its FIN between requests
    ClientFin,
    /// the client sent its FIN inside a request
    ClientTruncated,
    /// the client reset the connection, or it broke
    ClientReset,
    /// `Connection: close` was agreed
    Announced,
    /// a refused request
    Refused,
    /// no request for the idle timeout
    IdleTimeout,
    /// head not whole in time
    HeaderTimeout,
    /// body stalled
    BodyTimeout,
    /// the client does not read
    WriteTimeout,
    /// epoll_ctl(2) failed: memory, or fs.epoll.max_user_watches
    Unwatched,
    /// ended by a drain after its last answer
    Drain,
    /// still busy when the drain timed out
    DrainCut,
}

impl CloseReason {
    /// All, in the order of their `usize` values.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The label's value.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Label `method`: what is not GET or HEAD, or was not understood, is `other`.
pub const METHODS: [&str; 3] = ["GET", "HEAD", "other"];

/// One answer, for the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// endpoint
    pub handler: Handler,
    /// method
    pub method: Method,
    /// status
    pub status: Status,
    /// when the whole head had come
    pub since: Stamp,
}

const HANDLERS: usize = Handler::ALL.len();
const STATUSES: usize = Status::ALL.len();

/// A counter that one thread writes: a load and a store, no locked instruction.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds; only the owning thread may.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed) + n, Ordering::Relaxed);
    }

    /// Reads, from any thread.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one reactor.
#[derive(Debug)]
pub struct Counters {
    answers: [[[Count; STATUSES]; METHODS.len()]; HANDLERS],
    buckets: [[Count; BUCKETS_US.len() + 1]; HANDLERS],
    sum_us: [Count; HANDLERS],
    closes: [Count; CloseReason::ALL.len()],
    /// connections accepted
    pub accepted: Count,
    /// answers made that the connection's end left unsent
    pub unsent: Count,
    /// accept(2) failed, and the reactor paused
    pub accept_pauses: Count,
    /// errno of the latest of these
    accept_errno: AtomicI32,
}

impl Default for Counters {
    fn default() -> Self {
        let zero = || Count::default();
        Self {
            answers: std::array::from_fn(|_| std::array::from_fn(|_| std::array::from_fn(|_| zero()))),
            buckets: std::array::from_fn(|_| std::array::from_fn(|_| zero())),
            sum_us: std::array::from_fn(|_| zero()),
            closes: std::array::from_fn(|_| zero()),
            accepted: zero(),
            unsent: zero(),
            accept_pauses: zero(),
            accept_errno: AtomicI32::new(0),
        }
    }
}

impl Counters {
    /// An answer's last byte was given to the kernel at `now`.
    pub fn answered(&self, a: &Answered, now: Stamp) {
        let h = a.handler as usize;
        self.answers[h][a.method as usize][a.status as usize].add(1);
        let us = now.micros_since(a.since);
        self.sum_us[h].add(us);
        self.buckets[h][BUCKETS_US.partition_point(|b| *b < us)].add(1);
    }

    /// accept(2) failed with `errno`, and the reactor pauses.
    pub fn accept_paused(&self, errno: i32) {
        self.accept_errno.store(errno, Ordering::Relaxed);
        self.accept_pauses.add(1);
    }

    /// Errno of the latest pause; none without one.
    pub fn accept_errno(&self) -> Option<i32> {
        (self.accept_pauses.get() > 0).then(|| self.accept_errno.load(Ordering::Relaxed))
    }

    /// A connection ended.
    pub fn closed(&self, reason: CloseReason) {
        self.closes[reason as usize].add(1);
    }
}

/// The counters of all reactors at one moment, added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// handler, method, code and count, where it is not zero
    pub answers: Vec<(&'static str, &'static str, &'static str, u64)>,
    /// per handler: counts per bucket (not cumulative; the last has no bound), and the sum in microseconds
    pub durations: Vec<(&'static str, [u64; BUCKETS_US.len() + 1], u64)>,
    /// close reasons and counts, all of them
    pub closes: Vec<(&'static str, u64)>,
    /// connections accepted
    pub accepted: u64,
    /// answers left unsent
    pub unsent: u64,
    /// pauses of accept(2)
    pub accept_pauses: u64,
}

impl Summary {
    /// Adds up.
    pub fn of(reactors: &[Counters]) -> Self {
        let sum = |pick: &dyn Fn(&Counters) -> u64| reactors.iter().map(pick).sum::<u64>();
        let mut s = Self {
            accepted: sum(&|c| c.accepted.get()),
            unsent: sum(&|c| c.unsent.get()),
            accept_pauses: sum(&|c| c.accept_pauses.get()),
            ..Self::default()
        };
        for (h, handler) in Handler::ALL.iter().enumerate() {
            for (m, method) in METHODS.iter().enumerate() {
                for (k, status) in Status::ALL.iter().enumerate() {
                    let n = sum(&|c| c.answers[h][m][k].get());
                    if n > 0 {
                        s.answers.push((handler.name(), method, status.code(), n));
                    }
                }
            }
            let buckets = std::array::from_fn(|b| sum(&|c| c.buckets[h][b].get()));
            s.durations.push((handler.name(), buckets, sum(&|c| c.sum_us[h].get())));
        }
        s.closes = CloseReason::ALL.iter().map(|r| (r.name(), sum(&|c| c.closes[*r as usize].get()))).collect();
        s
    }

    /// Answers in all.
    pub fn answered(&self) -> u64 {
        self.answers.iter().map(|a| a.3).sum()
    }

    /// Connections whose request a drain cut, because its time was up.
    pub fn cut(&self) -> u64 {
        let cut = CloseReason::DrainCut.name();
        self.closes.iter().filter(|c| c.0 == cut).map(|c| c.1).sum()
    }

    /// Connections that ended.
    pub fn closed(&self) -> u64 {
        self.closes.iter().map(|c| c.1).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_two_reactors_add_up() {
        let (a, b) = (Counters::default(), Counters::default());
        let one = Answered { handler: Handler::Io, method: Method::Head, status: Status::Ok, since: Stamp::ZERO };
        a.answered(&one, Stamp::from_millis(200));
        b.answered(&one, Stamp::from_millis(1));
        b.closed(CloseReason::Drain);
        let s = Summary::of(&[a, b]);
        assert_eq!(s.answers, [("/io", "HEAD", "200", 2)]);
        let (_, buckets, sum) = s.durations[Handler::Io as usize];
        assert_eq!((sum, buckets[3], buckets[10], buckets.iter().sum::<u64>()), (201_000, 1, 1, 2));
        assert_eq!((s.answered(), s.closed()), (2, 1));
    }

    #[test]
    fn orders_match() {
        assert!(CloseReason::ALL.iter().enumerate().all(|(i, r)| *r as usize == i));
        assert!(Handler::ALL.iter().enumerate().all(|(i, r)| *r as usize == i));
        assert!(Status::ALL.iter().enumerate().all(|(i, r)| *r as usize == i));
        assert_eq!(METHODS[Method::Head as usize], "HEAD");
    }
}
