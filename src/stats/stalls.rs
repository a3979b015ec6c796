//! What stalled, as one worker saw it: stretches without an answer, stretches in which the worker itself did not
//! run, and requests that were in flight when the run ended.
//!
//! Over several workers a stretch counts where all of them share it: a target is silent when nobody got an answer, a
//! client stalled when none of its workers ran. Merging is order-free.

use crate::model::order::Order as _;
use crate::model::outcome::{Call, Outcome, Sample};
use crate::model::result::{InFlight, Silence, Stretch};
use crate::model::time::Stamp;

/// Shorter stretches than this, nanoseconds, are not kept.
pub const STRETCH_MIN_NS: u64 = 200_000_000;
/// With nothing in flight for no longer than this, nanoseconds, after a request that timed out, a stretch without an answer
/// goes on with the next request.
const IDLE_MAX_NS: u64 = 50_000_000;
/// Stretches kept of one worker; then a longer one replaces the shortest.
const STRETCHES: usize = 256;
/// Stretches of a result.
const ROWS: usize = 100;

/// Stretches of one worker without an answer.
#[derive(Debug, Clone)]
pub struct Silences {
    last_answer: Stamp,
    /// since when requests were in flight all the while; NEVER: none began yet
    busy_since: Stamp,
    /// when the last request in flight ended
    idle_since: Stamp,
    in_flight: u32,
    quiet: Vec<Quiet>,
}

/// A stretch of one worker without an answer, with requests in flight or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quiet {
    from: Stamp,
    to: Stamp,
    /// from then on requests were in flight to its end; NEVER: none were at its end
    busy_from: Stamp,
    in_flight: u32,
}

impl Default for Silences {
    fn default() -> Self {
        Self { last_answer: Stamp::ZERO, busy_since: Stamp::NEVER, idle_since: Stamp::ZERO, in_flight: 0, quiet: Vec::new() }
    }
}

impl Silences {
    /// A request began.
    pub fn on_begin(&mut self, at: Stamp) {
        if self.in_flight == 0 && (self.busy_since == Stamp::NEVER || at.0.saturating_sub(self.idle_since.0) > IDLE_MAX_NS) {
            self.busy_since = at;
        }
        self.in_flight += 1;
    }

    /// A request ended before the run did. An answer, a broken one too, ends a silence; a failure of a call does not.
    pub fn on_end(&mut self, sample: &Sample) {
        let is_answer = match sample.outcome {
            Outcome::Answered { .. } => true,
            Outcome::Failed(failure) => matches!(failure.call, Call::Http | Call::Protocol),
            Outcome::Local(_) | Outcome::Cut => false,
        };
        if is_answer {
            self.push(sample.ended);
            self.last_answer = self.last_answer.max(sample.ended);
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.in_flight == 0 {
            // Only a request that waited until its timeout leaves a silence that the next request continues.
            let waited = matches!(sample.outcome, Outcome::Failed(failure) if failure.call == Call::Timeout);
            self.idle_since = if waited { sample.ended } else { Stamp::ZERO };
            if !waited {
                self.busy_since = Stamp::NEVER;
            }
        }
    }

    /// Ends the recording.
    pub fn finish(mut self, now: Stamp) -> SharedSilences {
        if self.in_flight == 0 {
            self.busy_since = Stamp::NEVER;
        }
        self.push(now);
        SharedSilences(Some(self.quiet))
    }

    fn push(&mut self, to: Stamp) {
        if to.0.saturating_sub(self.last_answer.0) < STRETCH_MIN_NS {
            return;
        }
        let one = Quiet { from: self.last_answer, to, busy_from: self.busy_since, in_flight: self.in_flight };
        keep_longest(&mut self.quiet, one, |q| q.to.0 - q.from.0);
    }
}

/// In the order of time; where there is no room, the shortest goes.
fn keep_longest<T>(list: &mut Vec<T>, one: T, length: impl Fn(&T) -> u64) {
    if list.len() >= STRETCHES {
        let Some(shortest) = (0..list.len()).min_by_key(|i| length(&list[*i])) else { return };
        if length(&list[shortest]) >= length(&one) {
            return;
        }
        list.remove(shortest);
    }
    list.push(one);
}

/// Silences that all workers share so far; of no worker yet, everything.
#[derive(Debug, Clone, Default)]
pub struct SharedSilences(Option<Vec<Quiet>>);

impl SharedSilences {
    /// Keeps what both share. Order-free.
    pub fn add(&mut self, other: &Self) {
        self.0 = shared(self.0.take(), other.0.as_ref(), |a, b| {
            let (from, to) = (a.from.max(b.from), a.to.min(b.to));
            (from < to).then(|| Quiet {
                from,
                to,
                busy_from: a.busy_from.min(b.busy_from),
                in_flight: a.in_flight.saturating_add(b.in_flight),
            })
        });
    }

    /// The stretch between two answers, or before the first or after the last one, in which `first_s` and `last_s` lie. What
    /// several workers share may be shorter than what one keeps: as with one, only 0.2 s and more count.
    pub fn around(&self, first_s: f64, last_s: f64) -> Option<Stretch> {
        let long = |q: &&Quiet| q.to.0 - q.from.0 >= STRETCH_MIN_NS;
        let all = self.0.iter().flatten().filter(long).map(|q| stretch(q.from, q.to));
        all.filter(|s| s.from_s <= first_s && s.to_s >= last_s).max_by(|a, b| a.length_s().total_cmp(&b.length_s()))
    }

    /// Stretches of 0.2 s and more in which requests were in flight all the while, the longest hundred in the order of
    /// time.
    pub fn to_rows(&self) -> Vec<Silence> {
        let silent = self.0.iter().flatten().filter_map(|q| {
            let from = q.from.max(q.busy_from);
            (from < q.to && q.to.0 - from.0 >= STRETCH_MIN_NS)
                .then(|| Silence { stretch: stretch(from, q.to), in_flight: q.in_flight })
        });
        let mut rows: Vec<Silence> = silent.collect();
        rows.order_by(|a, b| b.stretch.length_s().total_cmp(&a.stretch.length_s()));
        rows.truncate(ROWS);
        rows.order_by(|a, b| a.stretch.from_s.total_cmp(&b.stretch.from_s));
        rows
    }
}

/// Stretches in which a worker did not run although its wait was over: stopped, without a core, swapped out.
#[derive(Debug, Clone, Default)]
pub struct Standstills(Option<Vec<(Stamp, Stamp)>>);

impl Standstills {
    /// Of one worker, none yet.
    pub const fn of_worker() -> Self {
        Self(Some(Vec::new()))
    }

    /// The worker meant to go on at `from`, and did at `to`.
    pub fn record(&mut self, from: Stamp, to: Stamp) {
        keep_longest(self.0.get_or_insert_default(), (from, to), |(from, to)| to.0.saturating_sub(from.0));
    }

    /// Keeps what both share. Order-free.
    pub fn add(&mut self, other: &Self) {
        self.0 = shared(self.0.take(), other.0.as_ref(), |a, b| {
            let (from, to) = (a.0.max(b.0), a.1.min(b.1));
            (from < to).then_some((from, to))
        });
    }

    /// Stretches of 0.2 s and more in which no worker ran; none when no worker has reported.
    pub fn to_rows(&self) -> Option<Vec<Stretch>> {
        let is_long = |(from, to): &&(Stamp, Stamp)| to.0 - from.0 >= STRETCH_MIN_NS;
        Some(self.0.as_ref()?.iter().filter(is_long).take(ROWS).map(|(from, to)| stretch(*from, *to)).collect())
    }
}

/// Pieces that two lists share, where `both` gives one; a list that is not there yet shares everything.
fn shared<T: Copy>(mine: Option<Vec<T>>, theirs: Option<&Vec<T>>, both: impl Fn(T, T) -> Option<T>) -> Option<Vec<T>> {
    match (mine, theirs) {
        (Some(mine), Some(theirs)) => Some(mine.iter().flat_map(|a| theirs.iter().filter_map(|b| both(*a, *b))).collect()),
        (mine, theirs) => mine.or_else(|| theirs.cloned()),
    }
}

fn stretch(from: Stamp, to: Stamp) -> Stretch {
    Stretch { from_s: from.as_secs_f64(), to_s: to.as_secs_f64() }
}

/// Requests in flight at the end of the run.
#[derive(Debug, Clone, Default)]
pub struct Unanswered {
    seen: InFlight,
    oldest_sent: Option<Stamp>,
    /// how long each one waited since it was sent, microseconds
    waits_us: Vec<u64>,
    /// of these: on a connection that has carried no answer
    unserved_us: Vec<u64>,
}

impl Unanswered {
    /// One that the end of the run cut off.
    pub fn record(&mut self, sample: &Sample) {
        self.seen.count += 1;
        let Some(sent) = sample.sent else {
            self.seen.connecting += u64::from(sample.connected.is_none() && sample.bytes_out == 0);
            return;
        };
        match sample.first_byte {
            Some(_) => self.seen.receiving += 1,
            None => self.seen.waiting += 1,
        }
        self.oldest_sent = Some(self.oldest_sent.map_or(sent, |oldest| oldest.min(sent)));
        self.waits_us.push(sample.ended.micros_since(sent));
    }

    /// The connection of `cut`, which was just recorded, has carried no answer.
    pub fn record_unserved(&mut self, cut: &Sample) {
        self.unserved_us.extend(cut.sent.map(|sent| cut.ended.micros_since(sent)));
    }

    /// A connection that is open at the end has carried an answer.
    pub fn record_served(&mut self) {
        self.seen.served += 1;
    }

    /// Adds another worker. Order-free.
    pub fn add(&mut self, other: &Self) {
        self.seen.served += other.seen.served;
        self.unserved_us.extend_from_slice(&other.unserved_us);
        self.seen.count += other.seen.count;
        self.seen.connecting += other.seen.connecting;
        self.seen.waiting += other.seen.waiting;
        self.seen.receiving += other.seen.receiving;
        self.oldest_sent = self.oldest_sent.into_iter().chain(other.oldest_sent).min();
        self.waits_us.extend_from_slice(&other.waits_us);
    }

    /// As a result has it; `slowest_us` is what the slowest answered request took.
    pub fn to_row(&self, slowest_us: Option<u64>) -> InFlight {
        let overdue = |waits: &[u64]| waits.iter().filter(|us| slowest_us.is_none_or(|slowest| **us > slowest)).count() as u64;
        InFlight {
            overdue: overdue(&self.waits_us),
            unserved: overdue(&self.unserved_us),
            waited_max_ms: self.waits_us.iter().max().map_or(0.0, |us| *us as f64 / 1000.0),
            oldest_sent_s: self.oldest_sent.map(Stamp::as_secs_f64),
            ..self.seen
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::{Cause, EndpointId, Failure, Phase};

    const OK: Outcome = Outcome::Answered { status: 200 };

    fn sample(started_ms: u64, ended_ms: u64, outcome: Outcome) -> Sample {
        let started = Stamp::from_millis(started_ms);
        let begun = Sample::begun(EndpointId(0), None, started);
        Sample { sent: Some(started), ended: Stamp::from_millis(ended_ms), outcome, bytes_out: 50, ..begun }
    }

    fn of(requests: &[(u64, u64, Outcome)], end_ms: u64) -> SharedSilences {
        let mut events: Vec<(u64, Option<Sample>)> = Vec::new();
        for (started, ended, outcome) in requests {
            events.push((*started, None));
            events.push((*ended, Some(sample(*started, *ended, *outcome))));
        }
        events.sort_by_key(|(at, _)| *at);
        let mut silences = Silences::default();
        for (at, ended) in events {
            match ended {
                None => silences.on_begin(Stamp::from_millis(at)),
                Some(s) if s.outcome != Outcome::Cut => silences.on_end(&s),
                Some(_) => {}
            }
        }
        silences.finish(Stamp::from_millis(end_ms))
    }

    fn rows(s: &SharedSilences) -> Vec<(f64, f64, u32)> {
        s.to_rows().iter().map(|s| (s.stretch.from_s, s.stretch.to_s, s.in_flight)).collect()
    }

    #[test]
    fn a_stretch_without_an_answer_counts_while_requests_are_in_flight() {
        assert_eq!(rows(&of(&[(0, 10, OK), (20, 2020, OK), (2030, 2040, OK)], 3000)), [(0.02, 2.02, 1)], "not the idle end");
        assert_eq!(rows(&of(&[(0, 10, OK), (900, 910, OK)], 1000)), [], "think time is no silence");
        assert_eq!(rows(&of(&[(0, 10, OK), (20, 3000, Outcome::Cut)], 3000)), [(0.02, 3.0, 1)], "to the end");
    }

    #[test]
    fn a_request_that_times_out_does_not_end_a_silence() {
        let late = Outcome::of(Failure { port_bound: true, ..Failure::new(Call::Timeout, Cause::TimedOut(Phase::Waiting)) });
        let silent = of(&[(0, 10, OK), (10, 510, late), (511, 1011, late), (1012, 1400, OK)], 1400);
        assert_eq!(rows(&silent), [(0.01, 1.4, 1)]);
        assert_eq!(rows(&of(&[(0, 10, OK), (10, 510, late)], 3000)), [], "the end was idle");
    }

    #[test]
    fn what_workers_share_is_a_stretch_only_where_it_is_long() {
        let mut both = of(&[(0, 300, OK), (300, 900, OK)], 1000);
        both.add(&of(&[(0, 850, OK)], 1000));
        assert_eq!(both.around(0.4, 0.5), Some(Stretch { from_s: 0.3, to_s: 0.85 }));
        // The second answers at 0.85 s, the first at 0.9 s: no worker alone would keep 50 ms.
        assert_eq!(both.around(0.86, 0.87), None);
    }

    #[test]
    fn requests_that_fail_at_once_make_no_silence() {
        let local = Outcome::of(Failure::new(Call::Connect, Cause::Errno(crate::model::outcome::EADDRNOTAVAIL)));
        let tries: Vec<_> = (0..50).map(|n| (20 + n * 20, 20 + n * 20, local)).collect();
        let all = [&[(0, 10, OK)][..], &tries, &[(1020, 1030, OK)]].concat();
        assert_eq!(rows(&of(&all, 1100)), []);
    }

    #[test]
    fn workers_share_a_silence_in_any_order() {
        let (a, b) = (of(&[(0, 10, OK), (20, 2020, OK)], 2100), of(&[(0, 500, OK), (1500, 1900, OK)], 2100));
        let both = |mut a: SharedSilences, b: &SharedSilences| {
            a.add(b);
            rows(&a)
        };
        // The second worker had nothing in flight from 0.5 to 1.5 s, but the first had.
        let expected = [(0.01, 0.5, 2), (0.5, 1.9, 2)];
        assert_eq!(both(a.clone(), &b), expected);
        assert_eq!(both(b, &a), expected);
        assert_eq!(both(SharedSilences::default(), &a), rows(&a), "no worker yet");
    }

    #[test]
    fn a_client_stands_still_when_no_worker_runs() {
        let stood = |spans: &[(u64, u64)]| {
            let mut s = Standstills::of_worker();
            for (from, to) in spans {
                s.record(Stamp::from_millis(*from), Stamp::from_millis(*to));
            }
            s
        };
        let mut all = Standstills::default();
        assert_eq!(all.to_rows(), None);
        all.add(&stood(&[(1000, 3000), (5000, 5300)]));
        all.add(&stood(&[(900, 2900)]));
        assert_eq!(all.to_rows(), Some(vec![Stretch { from_s: 1.0, to_s: 2.9 }]));
    }

    #[test]
    fn what_is_in_flight_at_the_end_is_told_apart() {
        let mut u = Unanswered::default();
        u.record(&Sample { sent: None, bytes_out: 0, ..sample(900, 1000, Outcome::Cut) });
        u.record(&sample(100, 1000, Outcome::Cut));
        let mut other = Unanswered::default();
        other.record(&Sample { first_byte: Some(Stamp::from_millis(990)), ..sample(980, 1000, Outcome::Cut) });
        // The first one's connection has carried no answer, another worker's is open and has.
        u.record_unserved(&sample(100, 1000, Outcome::Cut));
        other.record_served();
        u.add(&other);
        let row = u.to_row(Some(50_000));
        assert_eq!((row.unserved, row.served), (1, 1));
        assert_eq!((row.count, row.connecting, row.waiting, row.receiving, row.overdue), (3, 1, 1, 1, 1));
        assert_eq!((row.waited_max_ms, row.oldest_sent_s), (900.0, Some(0.1)));
        assert_eq!(u.to_row(None).overdue, 2, "nothing was answered: all that were sent");
        assert_eq!(u.to_row(Some(900_000)).overdue, 0, "as long as the slowest answer is not longer");
    }

    #[test]
    fn what_two_workers_have_in_flight_adds_up_and_who_has_sent_a_part_no_longer_connects() {
        let unserved = |ended| {
            let mut u = Unanswered::default();
            u.record(&sample(100, ended, Outcome::Cut));
            u.record_unserved(&sample(100, ended, Outcome::Cut));
            u.record(&Sample { sent: None, bytes_out: 10, ..sample(900, ended, Outcome::Cut) });
            u.record(&Sample { sent: None, bytes_out: 0, ..sample(900, ended, Outcome::Cut) });
            u.record_served();
            u
        };
        let mut all = unserved(1000);
        all.add(&unserved(900));
        let row = all.to_row(None);
        assert_eq!((row.count, row.connecting, row.waiting, row.unserved, row.served), (6, 2, 2, 2, 2));
    }

    #[test]
    fn the_longest_stretches_are_kept() {
        let mut s = Standstills::of_worker();
        s.record(Stamp::ZERO, Stamp::from_millis(9000));
        for n in 0..1000_u64 {
            s.record(Stamp::from_millis(10_000 + n * 1000), Stamp::from_millis(10_250 + n * 1000 + n / 10));
        }
        let rows = s.to_rows().unwrap();
        assert_eq!((rows.len(), rows[0].to_s), (ROWS, 9.0));
        assert!(rows[1].from_s > 700.0, "those after the first that were longer: {:?}", rows[1]);
    }
}
