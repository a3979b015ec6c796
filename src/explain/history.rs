//! When the failures of a history began and ended, at which rates; and P and T solved backwards from it.
//!
//! While calls fail for lack of a port, every port that comes back is taken at once: calls made up to t, less those
//! made up to t - T, are the P ports in use.

use super::csv_rows::{LocustError, at, column, field, reader};
use crate::model::explanation::Measured;

/// Seconds without a failure after which a stretch of failures is over.
const QUIET_S: f64 = 3.0;
/// Seconds by which a failure's own time and its row may differ: rows are written once a second.
const ROW_S: f64 = 1.5;

/// Which of a history's failures ports may be the limit of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Share {
    /// how many there are; all of the history's when not known
    pub(super) count: Option<u64>,
    /// seconds of the Unix epoch between which they came, where the file says so
    pub(super) between: Option<(f64, f64)>,
}

/// One second of the aggregated history: time, requests and failures so far.
struct Second {
    t: f64,
    requests: u64,
    failures: u64,
    /// calls that got a port, so far
    connected: u64,
}

/// A history as a curve of the calls that got a port.
pub(super) struct History {
    seconds: Vec<Second>,
    start: f64,
    /// rows before the first failure for lack of a port, and of the last one of that stretch
    stretch: Option<(usize, usize)>,
    pub(super) measured: Measured,
}

impl History {
    /// Errors: not a history, or too short.
    pub(super) fn read(text: &str, share: Share) -> Result<Self, LocustError> {
        let mut seconds = seconds(text)?;
        let (Some(first), Some(last)) = (seconds.first(), seconds.last()) else { return Err(LocustError::Short) };
        // Locust's first row may come some seconds before the first request. A history whose first row has requests
        // began a row's length before it, with none.
        let start = seconds.iter().rev().find(|s| s.requests == 0).map(|s| s.t);
        let row_s = seconds.get(1).map_or(1.0, |second| second.t - first.t).max(1e-3);
        let start = start.unwrap_or(first.t - row_s);
        if last.t <= start {
            return Err(LocustError::Short);
        }
        if first.requests > 0 {
            seconds.insert(0, Second { t: start, requests: 0, failures: 0, connected: 0 });
        }
        let port_failures = count_connected(&mut seconds, share);
        let stretch = stretch(&seconds);
        let measured = measured(&seconds, start, stretch, port_failures);
        Ok(Self { seconds, start, stretch, measured })
    }

    /// Ports in use when the first call failed, if each is in use for `hold_s`; none without a failure.
    pub(super) fn pool_for(&self, hold_s: f64) -> Option<u64> {
        let (t, connected) = onset(&self.seconds, self.start, self.stretch?.0);
        let returned = self.connected_until(t - hold_s).floor() as u64;
        Some(connected.saturating_sub(returned))
    }

    /// T, seconds: how long before the end of the failures the ports were taken that came back then; none where they
    /// did not stop.
    pub(super) fn hold_for(&self, pool: u64) -> Option<f64> {
        self.measured.dead_s?;
        let end = &self.seconds[self.stretch?.1];
        let returned = end.connected.saturating_sub(pool) as f64;
        Some(end.t - self.time_of(returned))
    }

    /// Time and calls that had a port by then, from the start on.
    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        let rows = self.seconds.iter().skip_while(|s| s.t <= self.start);
        std::iter::once((self.start, 0.0)).chain(rows.map(|s| (s.t, s.connected as f64)))
    }

    fn connected_until(&self, t: f64) -> f64 {
        along(self.points(), t)
    }

    /// The last time at which no more than `connected` calls had a port.
    fn time_of(&self, connected: f64) -> f64 {
        along(self.points().map(|(t, connected)| (connected, t)), connected)
    }
}

/// The height at `x` of the line through these points, which never fall; level before the first and after the last.
fn along(points: impl Iterator<Item = (f64, f64)>, x: f64) -> f64 {
    let mut before: Option<(f64, f64)> = None;
    for here in points {
        if x < here.0 {
            return before.map_or(here.1, |a| a.1 + (here.1 - a.1) * (x - a.0) / (here.0 - a.0));
        }
        before = Some(here);
    }
    before.map_or(0.0, |last| last.1)
}

/// Fills in the calls that got a port; returns the failures that did not.
fn count_connected(seconds: &mut [Second], share: Share) -> u64 {
    let within = share.between.filter(|(from, to)| seconds.iter().any(|s| s.t >= *from && s.t <= to + ROW_S));
    let (mut before, mut without) = (0_u64, 0_u64);
    for s in seconds.iter_mut() {
        let more = s.failures.saturating_sub(before);
        before = s.failures;
        if within.is_none_or(|(from, to)| s.t >= from - ROW_S && s.t <= to + ROW_S) {
            without = without.saturating_add(more).min(share.count.unwrap_or(u64::MAX));
        }
        s.connected = s.requests.saturating_sub(without);
    }
    without
}

/// Calls that did not get a port, so far.
const fn refused(s: &Second) -> u64 {
    s.requests.saturating_sub(s.connected)
}

fn stretch(seconds: &[Second]) -> Option<(usize, usize)> {
    let onset = seconds.windows(2).position(|w| refused(&w[1]) > refused(&w[0]))?;
    // The stretch ends at the last growth before QUIET_S without any.
    let mut end = onset + 1;
    for (i, w) in seconds.windows(2).enumerate().skip(onset) {
        if refused(&w[1]) > refused(&w[0]) {
            end = i + 1;
        } else if w[1].t - seconds[end].t >= QUIET_S {
            break;
        }
    }
    Some((onset, end))
}

/// When calls began to get no port, and how many had one by then. Rows are a second apart: in the one with the first
/// failure calls got a port at the rate before, until there was none.
fn onset(seconds: &[Second], start: f64, before: usize) -> (f64, u64) {
    let (a, b) = (&seconds[before], &seconds[before + 1]);
    let rate = if a.t > start { a.connected as f64 / (a.t - start) } else { 0.0 };
    let more = b.connected.saturating_sub(a.connected);
    let lasted = if rate > 0.0 { (more as f64 / rate).min(b.t - a.t) } else { 0.0 };
    (a.t + lasted, b.connected)
}

fn measured(seconds: &[Second], start: f64, stretch: Option<(usize, usize)>, port_failures: u64) -> Measured {
    let last = &seconds[seconds.len() - 1];
    let duration_s = last.t - start;
    let mut out = Measured {
        onset_s: duration_s,
        dead_s: None,
        successes_before: last.connected,
        rate_before_cps: last.connected as f64 / duration_s,
        fail_rate_cps: 0.0,
        recovered_rate_cps: None,
        failures: last.failures,
        port_failures,
        successes: last.requests.saturating_sub(last.failures),
        duration_s,
    };
    let Some((before, end)) = stretch.map(|(a, b)| (a, &seconds[b])) else { return out };
    let (onset_t, made) = onset(seconds, start, before);
    let stopped = last.t - end.t >= QUIET_S;
    let span = (end.t - onset_t).max(1e-9);
    out.onset_s = onset_t - start;
    out.dead_s = stopped.then_some(span);
    out.successes_before = made;
    out.rate_before_cps = if onset_t > start { made as f64 / (onset_t - start) } else { 0.0 };
    out.fail_rate_cps = (refused(end) - refused(&seconds[before])) as f64 / span;
    out.recovered_rate_cps = stopped.then(|| last.connected.saturating_sub(end.connected) as f64 / (last.t - end.t));
    out
}

fn seconds(text: &str) -> Result<Vec<Second>, LocustError> {
    let (mut csv, head) = reader(text)?;
    let (time, name) = (column(&head, "Timestamp")?, column(&head, "Name")?);
    let (requests, failures) = (column(&head, "Total Request Count")?, column(&head, "Total Failure Count")?);
    let mut out: Vec<Second> = Vec::new();
    for (i, record) in csv.records().enumerate() {
        let record = record.map_err(|e| at(i + 2, e))?;
        let field = |n: usize| field(&record, n);
        if field(name) != "Aggregated" {
            continue;
        }
        let t = field(time)
            .parse::<f64>()
            .ok()
            .filter(|t| t.is_finite())
            .ok_or_else(|| at(i + 2, format!("timestamp {:?}", field(time))))?;
        let count = |n: usize| field(n).parse::<u64>().map_err(|_| at(i + 2, format!("count {:?}", field(n))));
        if out.last().is_some_and(|before| t < before.t) {
            return Err(at(i + 2, format!("timestamp {t} after a later one: the clock was set back")));
        }
        out.push(Second { t, requests: count(requests)?, failures: count(failures)?, connected: 0 });
    }
    if out.len() < 2 || out.windows(2).any(|w| w[1].failures < w[0].failures || w[1].requests < w[0].requests) {
        return Err(LocustError::Short);
    }
    Ok(out)
}
