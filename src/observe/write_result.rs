//! An observation written into a run result: figures where there are some, a reason for each null.

use std::collections::HashMap;

use super::listing::TARGET_ELSEWHERE;
use super::observation::{Observation, ObservedSecond};
use super::threads::SHARE_SPAN_MIN;
use crate::model::result::{HostResources, RunResult, SeriesPoint, ThreadRow, full_client_seconds};
use crate::sys::sysctl::read_sysctls;

const END_HIDDEN: &str = "its process has ended; how is hidden from other users (/proc/PID/stat shows them 0)";
/// Why a run shorter than [`SHARE_SPAN_MIN`] has no share of CPU.
const TOO_SHORT: &str = "too short for CPU, which needs 200 ms between two readings";
const NO_LOOK: &str = "the observer did not look in this second";

impl Observation {
    /// Fills `ports{}`, `kernel{}`, `resources{}` and the observed columns of `series[]`, and explains every null
    /// among them. To be called after the counted part is filled: rate and duration come from there.
    pub fn apply(&self, result: &mut RunResult) {
        self.apply_ports(result);
        result.kernel = self.counters.known().copied();
        if let Some(why) = self.counters.reason() {
            result.explain_null("kernel", why);
        }
        self.apply_series(result);
        self.apply_resources(result);
        let (now, missing) = read_sysctls();
        for (key, reason) in missing {
            result.explain_null(&key.replacen("host.sysctls.", "host.sysctls_at_end.", 1), reason);
        }
        result.host.sysctls_at_end = Some(now);
    }

    fn apply_resources(&self, result: &mut RunResult) {
        let no_second = self.seconds.iter().find_map(|s| s.client.reason()).unwrap_or(TOO_SHORT);
        let client = &mut result.resources.client;
        client.cpu_percent_mean = self.client.cpu_percent_mean();
        client.cpu_percent_max = self.client.cpu_percent_max;
        client.rss_bytes_max = self.client.rss_bytes_max;
        client.threads.clone_from(&self.threads);
        client.busiest_thread = busiest_worker(&self.threads, result.duration_s);
        client.cores.clone_from(&self.client_cores);
        client.throttling = self.throttling;
        let (full, measured) = full_client_seconds(&result.series);
        client.measured_seconds = measured;
        client.saturated_seconds = (measured > 0).then_some(full);
        result.resources.target = self.target.known().cloned();
        result.resources.host =
            HostResources { cpu_percent_mean: self.host.cpu_percent_mean(), memory_percent_max: self.memory_percent_max };

        let no_threads = self.threads_error.as_deref().unwrap_or("no load worker was seen over a whole second");
        let hidden = "its threads' times cannot be read (/proc/PID/task/*/schedstat)";
        let is_short = self.target.known().is_some_and(|t| t.cpu_percent_mean.is_none());
        let no_host = self.seconds.iter().find_map(|s| s.host.reason()).unwrap_or(TOO_SHORT);
        result.explain_nulls(&[
            ("resources.client.cpu_percent_mean", no_second),
            ("resources.client.cpu_percent_max", no_second),
            ("resources.client.rss_bytes_max", no_second),
            ("resources.client.saturated_seconds", no_threads),
            ("resources.client.busiest_thread", no_threads),
            ("resources.target", self.target.reason().unwrap_or_default()),
            ("resources.target.cpu_percent_mean", TOO_SHORT),
            ("resources.target.cpu_percent_max", TOO_SHORT),
            ("resources.target.rss_bytes_max", TOO_SHORT),
            ("resources.target.threads", hidden),
            ("resources.target.busiest_thread_percent", if is_short { TOO_SHORT } else { hidden }),
            ("resources.host.cpu_percent_mean", no_host),
            ("resources.host.memory_percent_max", no_host),
        ]);
        if self.target_end_hidden {
            result.explain_null("resources.target.ended", END_HIDDEN);
        }
    }

    fn apply_series(&self, result: &mut RunResult) {
        let mut reasons: Vec<(&'static str, String)> = Vec::new();
        let mut note = |key: &'static str, why: Option<&str>| {
            if let Some(why) = why
                && !reasons.iter().any(|(k, _)| *k == key)
            {
                reasons.push((key, why.to_owned()));
            }
        };
        let mut by_second: HashMap<u64, &ObservedSecond> = HashMap::with_capacity(self.seconds.len());
        for second in &self.seconds {
            by_second.entry(second.index).or_insert(second);
        }
        let duration_s = result.duration_s;
        for (i, point) in result.series.iter_mut().enumerate() {
            match by_second.get(&(i as u64)) {
                Some(second) => {
                    fill_point(point, second, &mut note);
                    if duration_s < SHARE_SPAN_MIN.as_secs_f64() {
                        (point.client_cpu_percent, point.target_cpu_percent) = (None, None);
                        note("client_cpu_percent", Some(TOO_SHORT));
                        note("target_cpu_percent", Some(TOO_SHORT));
                    }
                }
                None => COLUMNS.iter().for_each(|key| note(key, Some(NO_LOOK))),
            }
        }
        for (key, why) in reasons {
            result.explain_null(&format!("series[].{key}"), why);
        }
    }
}

/// The share of the run that the load thread that ran most was on a core.
fn busiest_worker(threads: &[ThreadRow], duration_s: f64) -> Option<f64> {
    let most = threads.iter().filter(|t| t.name.starts_with(super::WORKER_PREFIX)).map(|t| t.cpu_s).reduce(f64::max)?;
    (duration_s >= SHARE_SPAN_MIN.as_secs_f64()).then(|| (most / duration_s).clamp(0.0, 1.0))
}

const COLUMNS: [&str; 9] = [
    "ports_used",
    "time_wait",
    "time_wait_target_side",
    "client_cpu_percent",
    "client_rss_bytes",
    "target_cpu_percent",
    "target_rss_bytes",
    "host_cpu_percent",
    "host_memory_percent",
];

pub(super) fn fill_point(point: &mut SeriesPoint, second: &ObservedSecond, note: &mut impl FnMut(&'static str, Option<&str>)) {
    let count = second.count.known();
    point.ports_used = count.map(|c| c.used);
    point.time_wait = count.map(|c| c.states.time_wait);
    point.time_wait_target_side = count.and_then(|c| c.time_wait_target_side);
    if count.is_some_and(|c| c.time_wait_target_side.is_none()) {
        note("time_wait_target_side", Some(TARGET_ELSEWHERE));
    }
    let client = second.client.known();
    point.client_cpu_percent = client.map(|u| u.cpu_percent);
    point.client_rss_bytes = client.map(|u| u.rss_bytes);
    let workers = client.and_then(|u| u.threads);
    point.client_busiest_percent = workers.map(|w| w.ran * 100.0);
    point.client_wait_percent = workers.map(|w| w.waited_most * 100.0);
    let target = second.target.known();
    point.target_cpu_percent = target.map(|u| u.cpu_percent);
    point.target_rss_bytes = target.map(|u| u.rss_bytes);
    let threads = target.and_then(|u| u.threads);
    point.target_busiest_percent = threads.map(|t| t.ran * 100.0);
    point.target_wait_percent = threads.map(|t| t.waited * 100.0);
    let host = second.host.known();
    point.host_cpu_percent = host.map(|h| h.cpu_percent);
    point.host_memory_percent = host.map(|h| h.memory_percent);
    point.accept_queue = second.accept_queue.map(|q| q.waiting);
    point.accept_queue_limit = second.accept_queue.map(|q| q.limit);
    let whys = [second.count.reason(), second.client.reason(), second.target.reason(), second.host.reason()];
    for (key, why) in COLUMNS.iter().zip([0, 0, 0, 1, 1, 2, 2, 3, 3].map(|i: usize| whys[i])) {
        note(key, why);
    }
}

/// For a run without an observer: every observed key is null for `reason`.
pub fn apply_unobserved(result: &mut RunResult, reason: &str) {
    let client = ["cpu_percent_mean", "cpu_percent_max", "rss_bytes_max", "saturated_seconds", "busiest_thread"];
    let keys = ["ports", "kernel", "resources.target"].map(str::to_owned).into_iter();
    let keys = keys.chain(client.map(|key| format!("resources.client.{key}")));
    let keys = keys.chain(["cpu_percent_mean", "memory_percent_max"].map(|key| format!("resources.host.{key}")));
    for key in keys.chain(COLUMNS.map(|key| format!("series[].{key}"))) {
        result.explain_null(&key, reason);
    }
}
