//! `/metrics` in the Prometheus text format, version 0.0.4. Pure: numbers in, text out.

use super::counters::{BUCKETS_US, Summary};
use crate::model::metrics::{Exposition, Kind};

/// A pool at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolState {
    pub(super) name: &'static str,
    pub(super) workers: usize,
    pub(super) capacity: usize,
    pub(super) waiting: usize,
    pub(super) busy: u64,
}

/// The process at one moment; what could not be read is left out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ProcessState {
    pub(super) cpu_s: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) open_fds: Option<u64>,
    pub(super) max_fds: Option<u64>,
    pub(super) start_s: Option<f64>,
}

/// One figure of a pool.
type PoolValue = fn(&PoolState) -> u64;

/// The whole page.
pub(super) fn render(s: &Summary, pools: &[PoolState], process: &ProcessState) -> String {
    use Kind::{Counter, Gauge, Histogram};
    let mut o = Exposition::default();
    o.family("http_requests_total", Counter, "Answers given, by endpoint, method and status.");
    for (handler, method, code, n) in &s.answers {
        o.value(&[("handler", *handler), ("method", *method), ("code", *code)], *n as f64);
    }
    let help = "From the request's last byte of head to the answer's last byte given to the kernel.";
    o.family("http_request_duration_seconds", Histogram, help);
    for (handler, buckets, sum_us) in &s.durations {
        let mut so_far = 0;
        let bounds = BUCKETS_US.iter().map(|bound| (*bound as f64 / 1e6).to_string()).chain(["+Inf".to_owned()]);
        for (bound, n) in bounds.zip(buckets) {
            so_far += n;
            o.part("_bucket", &[("handler", *handler), ("le", bound.as_str())], so_far as f64);
        }
        o.part("_sum", &[("handler", *handler)], *sum_us as f64 / 1e6);
        o.part("_count", &[("handler", *handler)], so_far as f64);
    }
    o.single("sockbench_connections", Gauge, "Connections open now.", s.accepted.saturating_sub(s.closed()) as f64);
    o.single("sockbench_connections_accepted_total", Counter, "Connections accepted.", s.accepted as f64);
    o.family("sockbench_connections_closed_total", Counter, "Connections ended, by reason.");
    for (reason, n) in &s.closes {
        o.value(&[("reason", *reason)], *n as f64);
    }
    let unsent = "Answers made that the end of their connection left unsent.";
    o.single("sockbench_answers_unsent_total", Counter, unsent, s.unsent as f64);
    let pauses = "Pauses of accept(2) for lack of descriptors or memory.";
    o.single("sockbench_accept_pauses_total", Counter, pauses, s.accept_pauses as f64);
    let gauges: [(&str, &str, PoolValue); 4] = [
        ("sockbench_pool_queue_depth", "Jobs that wait.", |p| p.waiting as u64),
        ("sockbench_pool_queue_capacity", "Jobs that may wait.", |p| p.capacity as u64),
        ("sockbench_pool_busy", "Threads at work.", |p| p.busy),
        ("sockbench_pool_workers", "Threads.", |p| p.workers as u64),
    ];
    for (name, help, value) in gauges {
        o.family(name, Gauge, help);
        for p in pools {
            o.value(&[("pool", p.name)], value(p) as f64);
        }
    }
    let number = |v: Option<u64>| v.map(|v| v as f64);
    for (name, kind, help, value) in [
        ("process_cpu_seconds_total", Counter, "CPU time used.", process.cpu_s),
        ("process_resident_memory_bytes", Gauge, "Resident memory.", number(process.resident_bytes)),
        ("process_virtual_memory_bytes", Gauge, "Virtual memory.", number(process.virtual_bytes)),
        ("process_open_fds", Gauge, "Open descriptors, of the event loop where its table is its own.", number(process.open_fds)),
        ("process_max_fds", Gauge, "Most descriptors that may be open.", number(process.max_fds)),
        ("process_start_time_seconds", Gauge, "Start, in Unix time.", process.start_s),
    ] {
        o.single(name, kind, help, value);
    }
    o.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::request::Method;
    use crate::http1::status::Status;
    use crate::model::time::Stamp;
    use crate::server::counters::{Answered, Counters};
    use crate::server::route::Handler;

    #[test]
    fn the_page_reads_as_prometheus_text() {
        let c = Counters::default();
        let one = Answered { handler: Handler::Io, method: Method::Get, status: Status::Ok, since: Stamp::ZERO };
        c.answered(&one, Stamp::from_millis(200));
        let pool = PoolState { name: "io", workers: 2, capacity: 9, waiting: 1, busy: 2 };
        let text = render(&Summary::of(&[c]), &[pool], &ProcessState { max_fds: Some(7), ..Default::default() });
        for line in [
            "http_requests_total{handler=\"/io\",method=\"GET\",code=\"200\"} 1",
            "http_request_duration_seconds_bucket{handler=\"/io\",le=\"0.1\"} 0",
            "http_request_duration_seconds_bucket{handler=\"/io\",le=\"0.25\"} 1",
            "http_request_duration_seconds_bucket{handler=\"/io\",le=\"+Inf\"} 1",
            "http_request_duration_seconds_sum{handler=\"/io\"} 0.2",
            "http_request_duration_seconds_count{handler=\"/io\"} 1",
            "sockbench_connections_closed_total{reason=\"drain\"} 0",
            "sockbench_pool_queue_depth{pool=\"io\"} 1",
            "process_max_fds 7",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(!text.contains("process_open_fds"), "what is unknown is not shown as 0");
        for l in text.lines().filter(|l| !l.starts_with('#')) {
            let (_, value) = l.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap();
        }
    }
}
