//! Means over time, and the process that listens at a destination, look by look.

use super::look::ServerLook;
use crate::model::watch::Server;

/// The process that listens at a destination, so far.
#[derive(Debug, Default)]
pub(super) struct ServerSeen {
    last: ServerLook,
    cpu: Mean,
    ran: Mean,
    waited: Mean,
    queue_max: u32,
    queue_limit: u32,
    close_wait_max: u32,
    descriptors: Option<(u32, Option<u64>)>,
    pub(super) listened: bool,
    listens: bool,
    listened_s: Option<[f64; 2]>,
    /// connects that had failed by then
    failed: Option<[u64; 2]>,
}

/// A mean over time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mean {
    sum: f64,
    span_s: f64,
}

impl Mean {
    pub(super) fn add(&mut self, value: Option<f64>, span_s: f64) {
        if let Some(value) = value.filter(|_| span_s > 0.0) {
            self.sum += value * span_s;
            self.span_s += span_s;
        }
    }

    pub(super) fn value(&self) -> Option<f64> {
        (self.span_s > 0.0).then(|| self.sum / self.span_s)
    }
}

impl ServerSeen {
    /// `failed` are the connects that have failed in the network namespace since the start.
    pub(super) fn on_look(&mut self, look: &ServerLook, close_wait: u32, span_s: f64, at_s: f64, failed: Option<u64>) {
        self.cpu.add(look.cpu_percent, span_s);
        self.ran.add(look.ran.map(|ran| ran * 100.0), span_s);
        self.waited.add(look.waited.map(|waited| waited * 100.0), span_s);
        self.close_wait_max = self.close_wait_max.max(close_wait);
        self.listens = look.queue.is_some();
        self.listened |= self.listens;
        if self.listens {
            self.listened_s.get_or_insert([at_s, at_s])[1] = at_s;
            if let Some(failed) = failed {
                self.failed.get_or_insert([failed, failed])[1] = failed;
            }
        }
        if let Some(queue) = look.queue {
            if queue.waiting >= self.queue_max {
                self.queue_limit = queue.limit;
            }
            self.queue_max = self.queue_max.max(queue.waiting);
        }
        self.descriptors = self.descriptors.max(look.descriptors);
        if look.pid != 0 {
            self.last = look.clone();
        }
    }

    /// `failed` are the connects that failed in all.
    pub(super) fn row(&self, failed: Option<u64>) -> Server {
        Server {
            pid: self.last.pid,
            name: self.last.name.clone(),
            cpu_percent_mean: self.cpu.value(),
            busiest_thread_percent: self.ran.value(),
            thread_waited_percent: self.waited.value(),
            queue_max: self.queue_max,
            queue_limit: self.queue_limit,
            close_wait_max: self.close_wait_max,
            descriptors_max: self.descriptors.map(|d| d.0),
            descriptor_limit: self.descriptors.and_then(|d| d.1),
            listens_at_end: self.listens,
            listened_s: self.listened_s,
            failed_outside: self.failed.zip(failed).map(|([first, last], all)| [first, all.saturating_sub(last)]),
        }
    }
}
