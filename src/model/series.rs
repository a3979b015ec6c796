//! One second of a run as a point of its series. Re-exported by [`result`](super::result), whose document it is part of.

use super::limits::{FULL_IDLE_PERCENT, FULL_RAN_PERCENT, ROOM_PERCENT};

/// One second of the run.
#[apply(record)]
#[derive(Copy, Default)]
#[allow(missing_docs, reason = "contract keys")]
pub struct SeriesPoint {
    /// end of the second, from the run's start
    pub t_s: f64,
    pub users_asked: u32,
    pub users: u32,
    /// requests that ended in it, per second
    pub rps: f64,
    pub attempts_per_s: f64,
    pub failures_per_s: f64,
    pub local_failures_per_s: f64,
    /// null when nothing was answered in it
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    /// additive; absent when nothing was answered in it
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
    /// duration of connect(2); null when none was called
    pub connect_p50_us: Option<f64>,
    pub connect_p95_us: Option<f64>,
    /// additive
    pub connect_mean_us: Option<f64>,
    /// additive: connections opened in it
    pub connects: u64,
    pub ports_used: Option<u32>,
    pub time_wait: Option<u32>,
    pub time_wait_target_side: Option<u32>,
    /// additive: how long this program did not run in this second, milliseconds; absent where it was not recorded
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_stalled_ms: Option<f64>,
    pub client_cpu_percent: Option<f64>,
    /// additive: the load thread that ran most in it, percent of a core (waiting for one excluded); absent where not read
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_busiest_percent: Option<f64>,
    /// additive: the load thread that waited most for a core, percent of the time (schedstat); absent where not read
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_wait_percent: Option<f64>,
    /// additive: the load thread that waited least for events, percent of the time (with the wait for a core with
    /// which such a wait ends; a thread that loses its core while it works is not idle meanwhile); absent where it was not recorded
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_idle_percent: Option<f64>,
    pub target_cpu_percent: Option<f64>,
    /// additive: of the targets of the run's other destinations; absent where there are none, or where that of one is not known
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_targets_cpu_percent: Option<f64>,
    /// additive: the thread of a local target that ran most in it, percent of a core; absent where not read
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_busiest_percent: Option<f64>,
    /// additive: how long the busiest thread of a local target waited for a core, percent of the time; absent where not read
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_wait_percent: Option<f64>,
    /// additive: connections that a local target had not accepted when it was looked at, of all that listen at its address;
    /// absent where not read
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_queue: Option<u32>,
    /// additive: how many may wait there: the smaller of listen()'s argument and somaxconn; absent where not read
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_queue_limit: Option<u32>,
    pub host_cpu_percent: Option<f64>,
    pub host_memory_percent: Option<f64>,
    pub client_rss_bytes: Option<u64>,
    pub target_rss_bytes: Option<u64>,
}

impl SeriesPoint {
    /// Whether a load thread had no time left while the target had room, or could not be read: the thread ran nearly all the
    /// time, or its loop hardly ever waited because there was always something to do. None where neither was measured.
    pub fn is_client_full(&self) -> Option<bool> {
        let ran = self.client_busiest_percent.map(|ran| ran >= FULL_RAN_PERCENT);
        let never_idle = self.is_client_never_idle();
        let is_full = ran.or(never_idle)? || never_idle == Some(true);
        let target = self.target_busiest_percent.map(|ran| ran + self.target_wait_percent.unwrap_or(0.0));
        Some(is_full && target.is_none_or(|busy| busy <= 100.0 - ROOM_PERCENT))
    }

    /// Whether the loop of a load thread hardly ever waited for events. None where that was not measured.
    pub fn is_client_never_idle(&self) -> Option<bool> {
        self.client_idle_percent.map(|idle| idle <= FULL_IDLE_PERCENT)
    }
}

/// The points that are of a whole second: of a run that is short, or was ended, the last one is not. A short rest joins the
/// second before it, which is then longer.
pub fn whole_seconds(series: &[SeriesPoint]) -> impl Iterator<Item = &SeriesPoint> {
    let began = std::iter::once(0.0).chain(series.iter().map(|p| p.t_s));
    series.iter().zip(began).filter(|(p, from)| p.t_s - from > 1.0 - 1e-6).map(|(p, _)| p)
}

/// Whole seconds in which the client was full, and those of which that is known.
pub fn full_client_seconds(series: &[SeriesPoint]) -> (u32, u32) {
    let known = || whole_seconds(series).filter_map(SeriesPoint::is_client_full);
    (known().filter(|full| *full).count() as u32, known().count() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second that was not measured whole is not judged.
    #[test]
    fn a_part_of_a_second_is_no_full_second() {
        let series = |ends: &[f64]| -> Vec<SeriesPoint> {
            let full = SeriesPoint { client_busiest_percent: Some(100.0), ..SeriesPoint::default() };
            ends.iter().map(|t_s| SeriesPoint { t_s: *t_s, ..full }).collect()
        };
        for (ends, whole) in
            [(&[0.004][..], 0), (&[0.95], 0), (&[1.0], 1), (&[1.0, 1.3], 1), (&[1.0, 2.04], 2), (&[1.0, 2.0, 3.0], 3)]
        {
            assert_eq!(full_client_seconds(&series(ends)), (whole, whole), "{ends:?}");
        }
    }
}
