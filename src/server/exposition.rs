//! `/metrics` in the Prometheus text format, version 0.0.4. Pure: numbers in, text out.

use std::fmt::Write as _;

use super::counters::{BUCKETS_US, Summary};

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
    let mut o = String::with_capacity(8 * 1024);
    // Writing to a String cannot fail; `let _` says so in one place.
    let _ = write_all(&mut o, s, pools, process);
    o
}

fn write_all(o: &mut String, s: &Summary, pools: &[PoolState], process: &ProcessState) -> std::fmt::Result {
    head(o, "http_requests_total", "counter", "Answers given, by endpoint, method and status.")?;
    for (handler, method, code, n) in &s.answers {
        writeln!(o, "http_requests_total{{handler=\"{handler}\",method=\"{method}\",code=\"{code}\"}} {n}")?;
    }
    let name = "http_request_duration_seconds";
    head(o, name, "histogram", "From the request's last byte of head to the answer's last byte given to the kernel.")?;
    for (handler, buckets, sum_us) in &s.durations {
        let mut so_far = 0;
        for (bound, n) in BUCKETS_US.iter().zip(buckets) {
            so_far += n;
            writeln!(o, "{name}_bucket{{handler=\"{handler}\",le=\"{}\"}} {so_far}", *bound as f64 / 1e6)?;
        }
        let total: u64 = buckets.iter().sum();
        writeln!(o, "{name}_bucket{{handler=\"{handler}\",le=\"+Inf\"}} {total}")?;
        writeln!(o, "{name}_sum{{handler=\"{handler}\"}} {}", *sum_us as f64 / 1e6)?;
        writeln!(o, "{name}_count{{handler=\"{handler}\"}} {total}")?;
    }
    head(o, "sockbench_connections", "gauge", "Connections open now.")?;
    writeln!(o, "sockbench_connections {}", s.accepted.saturating_sub(s.closed()))?;
    head(o, "sockbench_connections_accepted_total", "counter", "Connections accepted.")?;
    writeln!(o, "sockbench_connections_accepted_total {}", s.accepted)?;
    head(o, "sockbench_connections_closed_total", "counter", "Connections ended, by reason.")?;
    for (reason, n) in &s.closes {
        writeln!(o, "sockbench_connections_closed_total{{reason=\"{reason}\"}} {n}")?;
    }
    head(o, "sockbench_answers_unsent_total", "counter", "Answers made that the end of their connection left unsent.")?;
    writeln!(o, "sockbench_answers_unsent_total {}", s.unsent)?;
    head(o, "sockbench_accept_pauses_total", "counter", "Pauses of accept(2) for lack of descriptors or memory.")?;
    writeln!(o, "sockbench_accept_pauses_total {}", s.accept_pauses)?;
    let gauges: [(&str, &str, PoolValue); 4] = [
        ("sockbench_pool_queue_depth", "Jobs that wait.", |p| p.waiting as u64),
        ("sockbench_pool_queue_capacity", "Jobs that may wait.", |p| p.capacity as u64),
        ("sockbench_pool_busy", "Threads at work.", |p| p.busy),
        ("sockbench_pool_workers", "Threads.", |p| p.workers as u64),
    ];
    for (name, help, value) in gauges {
        head(o, name, "gauge", help)?;
        for p in pools {
            writeln!(o, "{name}{{pool=\"{}\"}} {}", p.name, value(p))?;
        }
    }
    let bytes = |v: Option<u64>| v.map(|v| v as f64);
    for (name, kind, help, value) in [
        ("process_cpu_seconds_total", "counter", "CPU time used.", process.cpu_s),
        ("process_resident_memory_bytes", "gauge", "Resident memory.", bytes(process.resident_bytes)),
        ("process_virtual_memory_bytes", "gauge", "Virtual memory.", bytes(process.virtual_bytes)),
        ("process_open_fds", "gauge", "Open descriptors.", bytes(process.open_fds)),
        ("process_max_fds", "gauge", "Most descriptors that may be open.", bytes(process.max_fds)),
        ("process_start_time_seconds", "gauge", "Start, in Unix time.", process.start_s),
    ] {
        if let Some(value) = value {
            head(o, name, kind, help)?;
            writeln!(o, "{name} {value}")?;
        }
    }
    Ok(())
}

fn head(o: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(o, "# HELP {name} {help}\n# TYPE {name} {kind}")
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
