//! What stops a process from outside: a CPU quota, a stop signal.

use crate::model::result::{Stretch, Throttling};
use crate::model::time::Stamp;
use crate::sys::cgroup::{CpuCounters, CpuGroups};

/// Stretches that are kept; further ones are the same story.
const STRETCHES_MAX: usize = 100;

/// The CPU quota of a process from its start to a reading.
#[derive(Debug)]
pub(super) struct QuotaMeter {
    /// none where no quota is in force, or its counters cannot be read
    before: Option<(CpuGroups, CpuCounters)>,
}

impl QuotaMeter {
    /// Starts measuring the quota of `pid`.
    pub(super) fn start(pid: u32) -> Self {
        let counters = |groups: CpuGroups| {
            groups.read_quota_cores().ok()??;
            Some((groups.read_counters().ok()?, groups)).map(|(counters, groups)| (groups, counters))
        };
        Self { before: CpuGroups::read_of(pid).ok().and_then(counters) }
    }

    /// What the quota did since the start.
    pub(super) fn read(&self) -> Option<Throttling> {
        let (groups, before) = self.before.as_ref()?;
        let now = groups.read_counters().ok()?;
        let added = |now: u64, before: u64| now.saturating_sub(before);
        Some(Throttling {
            quota_cores: groups.read_quota_cores().ok()??,
            periods: added(now.periods, before.periods),
            throttled_periods: added(now.throttled, before.throttled),
            throttled_s: added(now.throttled_us, before.throttled_us) as f64 / 1e6,
        })
    }
}

/// Looks at a process that is stopped or not, joined to stretches: from the first look that saw it stopped to the last.
#[derive(Debug, Default)]
pub(super) struct StopWatch {
    pub(super) stretches: Vec<Stretch>,
    is_stopped: bool,
}

impl StopWatch {
    pub(super) fn on_look(&mut self, now: Stamp, is_stopped: bool) {
        let at_s = now.as_secs_f64();
        match (self.is_stopped, is_stopped) {
            (false, true) if self.stretches.len() < STRETCHES_MAX => self.stretches.push(Stretch { from_s: at_s, to_s: at_s }),
            (true, true) => {
                if let Some(last) = self.stretches.last_mut() {
                    last.to_s = at_s;
                }
            }
            _ => {}
        }
        self.is_stopped = is_stopped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_at_a_stopped_process_join_to_stretches() {
        let mut watch = StopWatch::default();
        for (ms, is_stopped) in [(0, false), (250, true), (500, true), (750, true), (1000, false), (1250, true)] {
            watch.on_look(Stamp::from_millis(ms), is_stopped);
        }
        let seen: Vec<_> = watch.stretches.iter().map(|s| (s.from_s, s.to_s)).collect();
        assert_eq!(seen, [(0.25, 0.75), (1.25, 1.25)]);
    }
}
