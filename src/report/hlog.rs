//! The raw histograms: an HdrHistogram interval log (format 1.3, V2 deflate), readable by HdrHistogram's own tools.
//!
//! One line per endpoint and second, tagged with the endpoint: latency of answered requests in microseconds. A second
//! in which requests failed at the target has a further line tagged `failed:` and the endpoint. Together with
//! `run.json` this is the durable form of a run.
//!
//! Format: HdrHistogram's HistogramLogWriter (Java); tags have no comma, space or line break, so those are
//! percent-encoded.

use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};

use crate::model::limits::{LATENCY_DIGITS, LATENCY_MAX_US};
use crate::model::order::Order as _;
use crate::model::plan::{LoadPlan, MixEntry};
use crate::model::result::RunResult;
use crate::stats::interval::Interval;
use crate::stats::sparse::{Bin, Sparse};

/// Tag prefix of requests that failed at the target.
const FAILED: &str = "failed:";

/// Why an interval log could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum HlogError {
    /// the sink failed
    #[error("interval log: {0}")]
    Io(#[from] io::Error),
    /// the run's start is not a time
    #[error("interval log: started_at `{0}`: not an RFC 3339 time")]
    Start(String),
    /// a line that is not an interval, or a histogram that does not decode
    #[error("interval log: line {line}: {why}")]
    Line {
        /// counted from 1, over intervals
        line: usize,
        /// what was wrong
        why: String,
    },
}

/// Writes the log second by second.
pub struct HlogWriter<W> {
    out: W,
    tags: Vec<String>,
    serializer: V2DeflateSerializer,
    line: Vec<u8>,
}

impl<W: Write> HlogWriter<W> {
    /// Writes the head. `started_at` is the run's RFC 3339 start.
    pub fn begin(mut out: W, started_at: &str, plan: &LoadPlan) -> Result<Self, HlogError> {
        let epoch_s = seconds_of(started_at)?;
        writeln!(out, "#[sockbench: microseconds; tag = endpoint (answered), failed:endpoint (failed at the target)]")?;
        writeln!(out, "#[Histogram log format version 1.3]")?;
        writeln!(out, "#[StartTime: {epoch_s:.3} (seconds since epoch), {started_at}]")?;
        writeln!(out, "#[BaseTime: {epoch_s:.3} (seconds since epoch)]")?;
        writeln!(out, "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"")?;
        let tags = plan.mix.iter().map(tag).collect();
        Ok(Self { out, tags, serializer: V2DeflateSerializer::new(), line: Vec::new() })
    }

    /// Writes the lines of one second, all workers merged.
    pub fn write(&mut self, interval: &Interval) -> Result<(), HlogError> {
        for i in 0..self.tags.len().min(interval.endpoints.len()) {
            let endpoint = &interval.endpoints[i];
            let tag = self.tags[i].clone();
            self.write_line(interval.second, &tag, &endpoint.answered)?;
            if !endpoint.failed.is_empty() {
                self.write_line(interval.second, &format!("{FAILED}{tag}"), &endpoint.failed)?;
            }
        }
        Ok(())
    }

    fn write_line(&mut self, second: u64, tag: &str, bins: &Sparse) -> Result<(), HlogError> {
        self.line.clear();
        let histogram = dense(bins);
        IntervalLogWriterBuilder::new()
            .begin_log_with(&mut self.line, &mut self.serializer)?
            .write_histogram(&histogram, Duration::from_secs(second), Duration::from_secs(1), Tag::new(tag))
            .map_err(|e| HlogError::Io(io::Error::other(e.to_string())))?;
        Ok(self.out.write_all(&self.line)?)
    }

    /// Flushes and gives the sink back.
    pub fn finish(mut self) -> Result<W, HlogError> {
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Seconds since 1970 of an RFC 3339 time.
pub(super) fn seconds_of(rfc3339: &str) -> Result<f64, HlogError> {
    let time = humantime::parse_rfc3339(rfc3339).map_err(|_| HlogError::Start(rfc3339.to_owned()))?;
    Ok(time.duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64()))
}

/// RFC 3339 time, whole seconds, of seconds since 1970.
pub(super) fn rfc3339_of(epoch_s: f64) -> String {
    let millis = crate::model::time::rfc3339_of(epoch_s);
    millis.split_once('.').map_or_else(|| millis.clone(), |(seconds, _)| format!("{seconds}Z"))
}

fn tag(entry: &MixEntry) -> String {
    entry.path.replace(',', "%2C").replace(' ', "%20").replace('\r', "%0D").replace('\n', "%0A")
}

fn dense(bins: &Sparse) -> Histogram<u64> {
    let high = u64::from(bins.max_us().unwrap_or(2)).max(2);
    let mut histogram =
        Histogram::new_with_bounds(1, high, LATENCY_DIGITS).expect("the bounds are in order, the digits in 1..=5");
    histogram.auto(true);
    for bin in bins.bins() {
        let recorded = histogram.record_n(u64::from(bin.us), u64::from(bin.count));
        debug_assert!(recorded.is_ok(), "a histogram that grows by itself takes every bin");
    }
    histogram
}

/// Reads a log back into seconds, oldest first. Counts that a log does not have are taken from `run`: local
/// failures from its series, body sizes from its endpoints. Means are exact to three digits.
pub fn read(log: &[u8], run: &RunResult) -> Result<Vec<Interval>, HlogError> {
    let tags: Vec<String> = run.plan.mix.iter().map(tag).collect();
    let mut seconds: Vec<Interval> = Vec::new();
    let mut deserializer = Deserializer::new();
    let intervals = IntervalLogIterator::new(log).filter(|e| !matches!(e, Ok(LogEntry::BaseTime(_) | LogEntry::StartTime(_))));
    for (at, entry) in intervals.enumerate() {
        let bad = |why: String| HlogError::Line { line: at + 1, why };
        let LogEntry::Interval(interval) = entry.map_err(|e| bad(format!("{e:?}")))? else { continue };
        let tag = interval.tag().map_or("", |t| t.as_str());
        let (name, failed) = tag.strip_prefix(FAILED).map_or((tag, false), |name| (name, true));
        let Some(endpoint) = tags.iter().position(|t| t == name) else {
            return Err(bad(format!("tag `{tag}` is no endpoint of the run")));
        };
        let bytes = decode_base64(interval.encoded_histogram()).ok_or_else(|| bad("not base64".into()))?;
        let histogram: Histogram<u64> = deserializer.deserialize(&mut bytes.as_slice()).map_err(|e| bad(format!("{e:?}")))?;
        let second = second_at(&mut seconds, interval.start_timestamp().as_secs(), tags.len());
        let slot = &mut second.endpoints[endpoint];
        let bins = sparse(&histogram);
        slot.counts.requests += bins.count();
        if failed {
            slot.counts.failures += bins.count();
            slot.failed.add(&bins);
        } else {
            slot.answered.add(&bins);
        }
    }
    seconds.order_by_key(|s| s.second);
    complete(&mut seconds, run);
    Ok(seconds)
}

fn second_at(seconds: &mut Vec<Interval>, second: u64, endpoints: usize) -> &mut Interval {
    let at = seconds.iter().rposition(|s| s.second == second).unwrap_or_else(|| {
        seconds.push(Interval::empty(second, endpoints));
        seconds.len() - 1
    });
    &mut seconds[at]
}

fn sparse(histogram: &Histogram<u64>) -> Sparse {
    let mut sum_us = 0;
    let bins = histogram.iter_recorded().map(|v| {
        let us = v.value_iterated_to().min(LATENCY_MAX_US);
        sum_us = u64::saturating_add(sum_us, histogram.median_equivalent(us).saturating_mul(v.count_at_value()));
        Bin { us: u32::try_from(us).unwrap_or(u32::MAX), count: u32::try_from(v.count_at_value()).unwrap_or(u32::MAX) }
    });
    let bins: Vec<Bin> = bins.collect();
    let (min, max) = (bins.first().map_or(0, |b| b.us), bins.last().map_or(0, |b| b.us));
    Sparse::from_sorted(bins, sum_us, min, max)
}

/// Adds what only the result knows.
fn complete(seconds: &mut [Interval], run: &RunResult) {
    let mut from = 0.0;
    for (i, point) in run.series.iter().enumerate() {
        let local = (point.local_failures_per_s * (point.t_s - from)).round() as u64;
        from = point.t_s;
        if let Some(first) = seconds.iter_mut().find(|s| s.second == i as u64).and_then(|s| s.endpoints.first_mut()) {
            first.counts.local_failures = local;
        }
    }
    for second in seconds {
        for (slot, endpoint) in second.endpoints.iter_mut().zip(&run.endpoints) {
            slot.counts.body_bytes = (endpoint.content_size_mean.unwrap_or(0.0) * slot.answered.count() as f64).round() as u64;
        }
    }
}

/// RFC 4648 section 4, also without its padding, and with unused bits that are not zero, as some writers leave them. None for
/// anything else.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(&STANDARD, NO_PAD.with_decode_allow_trailing_bits(true));
    LENIENT.decode(text.trim_end_matches('=')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn written(f: &fixture::Fixture) -> Vec<u8> {
        let mut log = HlogWriter::begin(Vec::new(), &f.run.started_at, &f.run.plan).unwrap();
        f.seconds.iter().for_each(|s| log.write(s).unwrap());
        log.finish().unwrap()
    }

    #[test]
    fn a_log_read_back_has_every_request_in_its_second() {
        let f = fixture::broken();
        let back = read(&written(&f), &f.run).unwrap();
        assert_eq!(back.len(), f.seconds.len());
        for (ours, theirs) in back.iter().zip(&f.seconds) {
            assert_eq!(ours.second, theirs.second);
            for (a, b) in ours.endpoints.iter().zip(&theirs.endpoints) {
                assert_eq!((a.counts.requests, a.counts.failures), (b.counts.requests, b.counts.failures));
                assert_eq!((a.answered.bins(), a.failed.bins()), (b.answered.bins(), b.failed.bins()));
            }
            let local = |i: &Interval| i.counts().local_failures;
            assert_eq!(local(ours), local(theirs));
        }
    }

    #[test]
    fn the_head_is_what_histogram_log_readers_look_for() {
        let text = String::from_utf8(written(&fixture::healthy())).unwrap();
        let lines: Vec<_> = text.lines().take(6).collect();
        assert_eq!(lines[1], "#[Histogram log format version 1.3]");
        assert_eq!(lines[2], "#[StartTime: 1795514400.000 (seconds since epoch), 2026-11-24T10:00:00Z]");
        assert!(lines[5].starts_with("Tag=/health,0.000,1.000,") && lines[5].contains(",HISTFA"), "{}", lines[5]);
    }

    #[test]
    fn tags_hold_neither_comma_nor_space() {
        let entry = MixEntry { path: "/a,b c".into(), weight: 1 };
        assert!(Tag::new(&tag(&entry)).is_some());
        assert_eq!(tag(&entry), "/a%2Cb%20c");
    }

    #[test]
    fn a_foreign_tag_is_an_error_with_its_line() {
        let f = fixture::healthy();
        let text = String::from_utf8(written(&f)).unwrap().replacen("Tag=/health", "Tag=/other", 1);
        let message = read(text.as_bytes(), &f.run).unwrap_err().to_string();
        assert_eq!(message, "interval log: line 1: tag `/other` is no endpoint of the run");
    }

    #[test]
    fn base64_is_decoded_as_rfc_4648_says_and_as_other_writers_end_it() {
        for text in ["Zm9vYg==", "Zm9vYg=", "Zm9vYg", "Zm9vYh==", "Zm9vYv"] {
            assert_eq!(decode_base64(text).as_deref(), Some(b"foob".as_slice()), "{text}");
        }
        // Six bits are no byte: the text was cut.
        assert_eq!(decode_base64("Zm9vY"), None);
        assert_eq!(decode_base64("Zm9vYmE=").as_deref(), Some(b"fooba".as_slice()));
        assert_eq!(decode_base64("Zm9v").as_deref(), Some(b"foo".as_slice()));
        assert_eq!(decode_base64("Zm 9v"), None);
    }
}
