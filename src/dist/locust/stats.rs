//! A run's seconds as a Locust worker reports them: what was counted since the last report.
//!
//! Request Count = requests and failures of this machine, as in our own CSV files for Locust. Those of this machine are
//! `num_none_requests`: they have no response time, so that they never enter a mean or a percentile.

use std::collections::BTreeMap;

use rmpv::Value;

use super::message::map;
use crate::model::outcome::{EndpointId, Failure, FailureSide};
use crate::stats::interval::Interval;
use crate::stats::sparse::Sparse;

/// Counts of one run that the master does not have yet.
#[derive(Debug, Clone, Default)]
pub struct Unreported {
    method: String,
    paths: Vec<String>,
    /// this machine's name
    host: String,
    /// Unix time of the run's start, seconds
    started: f64,
    entries: Vec<Entry>,
    errors: BTreeMap<(EndpointId, Option<Failure>), ErrorCount>,
}

/// One endpoint, or all of them.
#[derive(Debug, Clone, Default)]
struct Entry {
    requests: u64,
    none: u64,
    failures: u64,
    body_bytes: u64,
    times: Sparse,
    per_second: BTreeMap<u64, u64>,
    failed_per_second: BTreeMap<u64, u64>,
    /// Unix time of the last request
    last: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct ErrorCount {
    count: u64,
    first: u64,
    last: u64,
}

impl Unreported {
    /// Of a run that began at Unix time `started` on the machine `host`; `paths` in the order of its mix.
    pub fn new(method: &str, paths: Vec<String>, host: &str, started: f64) -> Self {
        let entries = vec![Entry::default(); paths.len()];
        Self { method: method.to_owned(), paths, host: host.to_owned(), started, entries, errors: BTreeMap::new() }
    }

    /// Adds a second of the run, which is known at Unix time `now`: the run's last one may be a part of a second. Locust
    /// divides by the time until the last request.
    pub fn add(&mut self, interval: &Interval, now: f64) {
        let at = self.started as u64 + interval.second;
        let end = (self.started + interval.second as f64 + 1.0).min(now);
        for (entry, second) in self.entries.iter_mut().zip(&interval.endpoints) {
            let c = second.counts;
            let (requests, failures) = (c.requests + c.local_failures, c.failures + c.local_failures);
            entry.requests += requests;
            entry.none += c.local_failures;
            entry.failures += failures;
            entry.body_bytes += c.body_bytes;
            entry.times.add(&second.answered);
            entry.times.add(&second.failed);
            if requests > 0 {
                *entry.per_second.entry(at).or_default() += requests;
                entry.last = Some(end);
            }
            if failures > 0 {
                *entry.failed_per_second.entry(at).or_default() += failures;
            }
        }
        for ((failure, endpoint), count) in &interval.failures {
            self.count_error(*endpoint, Some(*failure), *count, at);
        }
        // Kinds that found no row of the error table: Locust's sums are to be right all the same.
        for (n, second) in interval.endpoints.iter().enumerate() {
            let endpoint = EndpointId(n as u16);
            let named: u64 = interval.failures.iter().filter(|((_, e), _)| *e == endpoint).map(|(_, count)| count).sum();
            let rest = (second.counts.failures + second.counts.local_failures).saturating_sub(named);
            self.count_error(endpoint, None, rest, at);
        }
    }

    fn count_error(&mut self, endpoint: EndpointId, failure: Option<Failure>, count: u64, at: u64) {
        if count > 0 {
            let error = self.errors.entry((endpoint, failure)).or_insert(ErrorCount { first: at, ..ErrorCount::default() });
            error.count += count;
            error.last = at;
        }
    }

    /// Forgets what was not reported: statistics begin again.
    pub fn reset(&mut self) {
        self.entries.iter_mut().for_each(|e| *e = Entry::default());
        self.errors.clear();
    }

    /// What was counted until now, which is forgotten here.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let taken = self.clone();
        self.reset();
        taken
    }

    /// Takes back counts that did not arrive: they go with the next report.
    pub fn put_back(&mut self, lost: &Self) {
        for (entry, more) in self.entries.iter_mut().zip(&lost.entries) {
            entry.add(more);
        }
        for (of, more) in &lost.errors {
            let error = self.errors.entry(*of).or_insert(ErrorCount { count: 0, ..*more });
            error.count += more.count;
            (error.first, error.last) = (error.first.min(more.first), error.last.max(more.last));
        }
    }

    /// Requests in it, as Locust counts them.
    pub fn requests(&self) -> u64 {
        self.entries.iter().map(|e| e.requests).sum()
    }

    /// The data of a `stats` message with these users, by class.
    pub fn to_value(&self, users: &[(String, u32)]) -> Value {
        let mut total = Entry::default();
        self.entries.iter().for_each(|e| total.add(e));
        let named = self.paths.iter().zip(&self.entries).filter(|(_, e)| e.requests > 0);
        let stats = named.map(|(path, e)| e.to_value(path, &self.method, self.started)).collect();
        map([
            ("stats", Value::Array(stats)),
            ("stats_total", total.to_value("Aggregated", "", self.started)),
            ("errors", Value::Map(self.errors.iter().map(|(of, count)| self.error(*of, *count)).collect())),
            ("user_classes_count", users_value(users)),
            ("user_count", users_sum(users).into()),
        ])
    }

    fn error(&self, (endpoint, failure): (EndpointId, Option<Failure>), count: ErrorCount) -> (Value, Value) {
        let path = self.paths.get(usize::from(endpoint.0)).map_or("", String::as_str);
        let text = match failure {
            Some(f) if f.side() == FailureSide::Local => {
                format!("{} {} (this machine: {})", f.call.word(), f.name(), self.host)
            }
            Some(f) => {
                let errno = f.errno().map_or_else(String::new, |n| format!(" ({n})"));
                format!("{} {}{errno}: {}", f.call.word(), f.name(), f.message())
            }
            None => "other failures".to_owned(),
        };
        let error = map([
            ("name", path.into()),
            ("method", self.method.as_str().into()),
            ("error", text.as_str().into()),
            ("occurrences", count.count.into()),
            ("first_seen", (count.first as f64).into()),
            ("last_seen", (count.last as f64).into()),
        ]);
        (format!("{} {path} {text}", self.method).into(), error)
    }
}

impl Entry {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.none += other.none;
        self.failures += other.failures;
        self.body_bytes += other.body_bytes;
        self.times.add(&other.times);
        for (mine, theirs) in [(&mut self.per_second, &other.per_second), (&mut self.failed_per_second, &other.failed_per_second)]
        {
            for (at, count) in theirs {
                *mine.entry(*at).or_default() += count;
            }
        }
        self.last = self.last.into_iter().chain(other.last).reduce(f64::max);
    }

    fn to_value(&self, name: &str, method: &str, started: f64) -> Value {
        let ms = |us: Option<u32>| us.map_or(Value::Nil, |us| (f64::from(us) / 1000.0).into());
        let seconds =
            |counts: &BTreeMap<u64, u64>| Value::Map(counts.iter().map(|(at, n)| ((*at).into(), (*n).into())).collect());
        // In units of the key's third digit: bins of the same key are one entry, and no key depends on how a fraction is stored.
        let mut times: BTreeMap<u64, u64> = BTreeMap::new();
        for bin in self.times.bins() {
            *times.entry(three_digits(bin.us)).or_default() += u64::from(bin.count);
        }
        let key = |us: u64| if us.is_multiple_of(1000) { (us / 1000).into() } else { (us as f64 / 1000.0).into() };
        map([
            ("name", name.into()),
            ("method", method.into()),
            ("last_request_timestamp", self.last.map_or(Value::Nil, Value::from)),
            ("start_time", started.into()),
            ("num_requests", self.requests.into()),
            ("num_none_requests", self.none.into()),
            ("num_failures", self.failures.into()),
            ("total_response_time", (self.times.sum_us() as f64 / 1000.0).into()),
            ("max_response_time", (f64::from(self.times.max_us().unwrap_or(0)) / 1000.0).into()),
            ("min_response_time", ms(self.times.min_us())),
            ("total_content_length", self.body_bytes.into()),
            ("response_times", Value::Map(times.iter().map(|(us, n)| (key(*us), (*n).into())).collect())),
            ("num_reqs_per_sec", seconds(&self.per_second)),
            ("num_fail_per_sec", seconds(&self.failed_per_second)),
        ])
    }
}

/// Microseconds, rounded to three significant digits: 900 keys a decade, and the third digit of a time below 1 ms as well.
fn three_digits(us: u32) -> u64 {
    let mut unit = 1;
    while u64::from(us) / unit >= 1000 {
        unit *= 10;
    }
    (u64::from(us) + unit / 2) / unit * unit
}

/// Users by class, as messages have them.
pub(super) fn users_value(users: &[(String, u32)]) -> Value {
    Value::Map(users.iter().map(|(class, n)| (class.as_str().into(), (*n).into())).collect())
}

/// All of them.
pub(super) fn users_sum(users: &[(String, u32)]) -> u64 {
    users.iter().map(|(_, n)| u64::from(*n)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::{Call, Cause, EADDRNOTAVAIL};
    use crate::stats::counts::Counts;
    use crate::stats::interval::EndpointSecond;
    use crate::stats::sparse::Bin;

    fn times(us: &[u32]) -> Sparse {
        let mut all = Sparse::default();
        for us in us {
            all.add(&Sparse::from_sorted(vec![Bin { us: *us, count: 1 }], u64::from(*us), *us, *us));
        }
        all
    }

    fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
        value.as_map().and_then(|m| m.iter().find(|(k, _)| k.as_str() == Some(name))).map(|(_, v)| v).expect(name)
    }

    fn second(n: u64) -> Interval {
        let mut i = Interval::empty(n, 2);
        i.endpoints[0] = EndpointSecond {
            counts: Counts { requests: 4, failures: 1, local_failures: 3, cut: 2, body_bytes: 60 },
            answered: times(&[251, 147_400, 147_480]),
            failed: times(&[3_432_100]),
        };
        let no_port = Failure { port_bound: false, ..Failure::new(Call::Connect, Cause::Errno(EADDRNOTAVAIL)) };
        i.failures.insert((no_port, EndpointId(0)), 3);
        i
    }

    #[test]
    fn a_report_has_what_was_counted_since_the_last_one() {
        let mut u = Unreported::new("GET", vec!["/a".into(), "/b".into()], "w1", 1000.5);
        u.add(&second(0), 1001.6);
        u.add(&second(1), 1002.1);
        let users = [("Sockbench".to_owned(), 5)];
        let data = u.take().to_value(&users);
        let stats = field(&data, "stats").as_array().expect("a list");
        assert_eq!(stats.len(), 1, "an endpoint without requests has no row");
        for (entry, name) in [(&stats[0], "/a"), (field(&data, "stats_total"), "Aggregated")] {
            let number = |key| field(entry, key).as_f64().expect(key);
            assert_eq!(field(entry, "name").as_str(), Some(name));
            assert_eq!(["num_requests", "num_none_requests", "num_failures"].map(number), [14.0, 6.0, 8.0]);
            assert_eq!(["total_content_length", "max_response_time", "min_response_time"].map(number), [120.0, 3432.1, 0.251]);
            assert_eq!(number("last_request_timestamp"), 1002.1, "the last second was cut");
            let times: Vec<(f64, u64)> = field(entry, "response_times")
                .as_map()
                .expect("a map")
                .iter()
                .map(|(k, v)| (k.as_f64().expect("a number"), v.as_u64().expect("a count")))
                .collect();
            assert_eq!(times, [(0.251, 2), (147.0, 4), (3430.0, 2)], "three digits, those of this machine have none");
            let per_second = field(entry, "num_reqs_per_sec").as_map().expect("a map");
            assert_eq!(per_second.iter().map(|(k, _)| k.as_u64()).collect::<Vec<_>>(), [Some(1000), Some(1001)]);
        }
        let errors: Vec<(&str, u64)> = field(&data, "errors")
            .as_map()
            .expect("a map")
            .iter()
            .map(|(_, e)| (field(e, "error").as_str().expect("text"), field(e, "occurrences").as_u64().expect("a count")))
            .collect();
        assert_eq!(errors, [("other failures", 2), ("connect EADDRNOTAVAIL (this machine: w1)", 6)]);
        assert_eq!(field(&data, "user_count").as_u64(), Some(5));
        let empty = u.take().to_value(&users);
        assert!(field(&empty, "stats").as_array().is_some_and(Vec::is_empty));
        assert_eq!(field(field(&empty, "stats_total"), "num_requests").as_u64(), Some(0));
        assert!(field(field(&empty, "stats_total"), "min_response_time").is_nil());
    }

    #[test]
    fn what_did_not_arrive_is_in_the_next_report_as_if_it_had_waited() {
        let new = || Unreported::new("GET", vec!["/a".into(), "/b".into()], "w1", 1000.5);
        let (mut waited, mut lost) = (new(), new());
        for (n, now) in [(0, 1001.6), (1, 1002.6), (2, 1003.1)] {
            waited.add(&second(n), now);
            lost.add(&second(n), now);
            // Each report is cut on its way, and one of them twice.
            let report = lost.take();
            assert_eq!(report.requests(), 7 * (n + 1));
            lost.put_back(&report);
        }
        let users = [("Sockbench".to_owned(), 5)];
        assert_eq!(lost.to_value(&users), waited.to_value(&users));
    }

    #[test]
    fn keys_keep_three_digits() {
        for (us, key) in
            [(1, 1), (999, 999), (1000, 1000), (1234, 1230), (1235, 1240), (99_960, 100_000), (9_999_999, 10_000_000)]
        {
            assert_eq!(three_digits(us), key);
        }
    }
}
