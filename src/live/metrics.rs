//! The figures of a run for machines: one list, written as Prometheus text or for a collector of OpenTelemetry.

use crate::model::metrics::{Exposition, Kind};
use crate::model::order::grouped;
use crate::model::result::{Endpoint, Ports, RunResult, SeriesPoint};

/// In which unit: the end of a name for Prometheus, the code of UCUM for OpenTelemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Plain,
    Seconds,
    Bytes,
    /// of one
    Ratio,
}

impl Unit {
    fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Seconds => "_seconds",
            Self::Bytes => "_bytes",
            Self::Ratio => "_ratio",
        }
    }

    pub(super) fn ucum(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Seconds => "s",
            Self::Bytes => "By",
            Self::Ratio => "1",
        }
    }
}

/// Names and values of labels.
pub(super) type Labels = Vec<(&'static str, String)>;

/// A figure with its values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) unit: Unit,
    pub(super) help: &'static str,
    pub(super) points: Vec<(Labels, f64)>,
}

/// The parts of a [`Metric`], in its order.
type Row = (&'static str, Kind, Unit, &'static str, Vec<(Labels, f64)>);

const SUSTAINABLE: &str = "New connections per second that the ports sustain (P/T).";
const EXHAUSTED_IN: &str = "Time until no source port is left at the present rate; absent where it always finds one.";

/// When a run began and when its last second ended, nanoseconds of Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) begin_ns: u64,
    pub(super) now_ns: u64,
}

/// What was seen of one of several destinations at the end of a second.
#[derive(Debug, Clone, PartialEq)]
pub struct Towards {
    /// the observed columns of its series
    pub seen: SeriesPoint,
    /// its pool, T and ceiling
    pub ports: Ports,
    /// seconds until none of its ports is free at the present rate
    pub full_in_s: Option<f64>,
}

/// The same, of the only destination too.
struct At<'a> {
    name: String,
    seen: SeriesPoint,
    ports: Option<&'a Ports>,
    full_in_s: Option<f64>,
}

/// All figures of a run so far; what is not known is left out. `full_in_s`: until no source port is free.
/// `each`: what was seen of each of several destinations, which have their own lines.
pub(super) fn of(run: &RunResult, full_in_s: Option<f64>, each: &[Towards]) -> Vec<Metric> {
    use Kind::{Counter, Gauge};
    use Unit::{Bytes, Plain, Ratio, Seconds};
    let point = run.series.last().copied().unwrap_or_default();
    let all = |value: f64| vec![(Labels::new(), value)];
    let known = |value: Option<f64>| value.map_or_else(Vec::new, all);
    let by_endpoint = |value: fn(&Endpoint) -> u64| {
        let of = |e: &Endpoint| (vec![("method", e.method.clone()), ("endpoint", e.name.clone())], value(e) as f64);
        summed(run.endpoints.iter().map(of))
    };
    let errors = run.errors.iter().map(|e| {
        let labels = [("call", e.call.word().to_owned()), ("name", e.name.clone()), ("endpoint", e.endpoint.clone())];
        (labels.to_vec(), e.count as f64)
    });
    let percentiles = |of: [(&str, Option<f64>); 3], per_s: f64| {
        let known = |(p, value): (&str, Option<f64>)| Some((vec![("percentile", p.to_owned())], value? / per_s));
        of.into_iter().filter_map(known).collect::<Vec<_>>()
    };
    let both = |client: Option<f64>, target: Option<f64>| {
        let known = |(of, value): (&str, Option<f64>)| Some((vec![("of", of.to_owned())], value?));
        [("client", client), ("target", target)].into_iter().filter_map(known).collect::<Vec<_>>()
    };
    let bytes = |n: Option<u64>| n.map(|n| n as f64);
    let named = |ports: &Ports| Some(ports.destination.clone()).filter(|to| !to.is_empty());
    let destinations: Vec<At<'_>> = match each {
        [] => {
            let ports = run.ports.as_ref();
            let name = ports.and_then(named).unwrap_or_else(|| run.plan.target.addr.to_string());
            vec![At { name, seen: point, ports, full_in_s }]
        }
        several => several
            .iter()
            .map(|d| At { name: d.ports.destination.clone(), seen: d.seen, ports: Some(&d.ports), full_in_s: d.full_in_s })
            .collect(),
    };
    // What is unknown has no line.
    let by_destination = |label: &'static str, value: &dyn Fn(&At<'_>) -> Option<f64>| {
        destinations.iter().filter_map(|at| Some((vec![(label, at.name.clone())], value(at)?))).collect::<Vec<_>>()
    };
    let by_state = destinations.iter().filter_map(|at| {
        let (used, time_wait) = at.seen.ports_used.zip(at.seen.time_wait)?;
        let states = [("time_wait", time_wait), ("other", used.saturating_sub(time_wait))];
        Some(states.map(|(state, n)| (vec![("destination", at.name.clone()), ("state", state.to_owned())], f64::from(n))))
    });
    let by_state = by_state.flatten().collect();
    let pool = |at: &At<'_>| at.ports?.pool.map(f64::from);
    let pools = if each.is_empty() { known(pool(&destinations[0])) } else { by_destination("destination", &pool) };
    let opened = all(run.totals.connections_opened as f64);
    let latency = percentiles([("50", point.p50_ms), ("95", point.p95_ms), ("99", point.p99_ms)], 1e3);
    let connect = percentiles([("50", point.connect_p50_us), ("95", point.connect_p95_us), ("99", None)], 1e6);
    let ceiling = by_destination("destination", &|at| at.ports?.ceiling_cps);
    let full_in = by_destination("destination", &|at| at.full_in_s);
    let waiting = by_destination("listener", &|at| at.seen.accept_queue.map(f64::from));
    let share = |percent: Option<f64>| percent.map(|p| p / 100.0);
    let cores = both(share(point.client_cpu_percent), share(point.target_cpu_percent));
    let memory = both(bytes(point.client_rss_bytes), bytes(point.target_rss_bytes));
    let (host_cpu, host_memory) = (known(share(point.host_cpu_percent)), known(share(point.host_memory_percent)));
    let rows: [Row; 19] = [
        ("elapsed", Gauge, Seconds, "Whole seconds of the run so far.", all(run.duration_s)),
        ("users", Gauge, Plain, "Users that are active.", all(point.users.into())),
        ("users_asked", Gauge, Plain, "Users that the plan asks for by now.", all(point.users_asked.into())),
        ("requests", Counter, Plain, "Requests that ended at the target.", by_endpoint(|e| e.requests)),
        ("failures", Counter, Plain, "Requests that failed at the target.", by_endpoint(|e| e.failures)),
        ("local_failures", Counter, Plain, "Requests that failed on this machine.", by_endpoint(|e| e.local_failures)),
        ("errors", Counter, Plain, "Failures by call and errno.", summed(errors)),
        ("connections_opened", Counter, Plain, "Connections that were established.", opened),
        ("latency", Gauge, Seconds, "Percentiles of the answered requests of the last second.", latency),
        ("connect", Gauge, Seconds, "Percentiles of the duration of connect(2) in the last second.", connect),
        // As `ports --serve` names them: one alert is about both.
        ("ephemeral_ports", Gauge, Plain, "Source ports with a socket towards the target, by state.", by_state),
        ("ephemeral_port_pool", Gauge, Plain, "Source ports that the run can use.", pools),
        ("sustainable_connections_per_second", Gauge, Plain, SUSTAINABLE, ceiling),
        ("ephemeral_ports_exhausted_in", Gauge, Seconds, EXHAUSTED_IN, full_in),
        ("cpu_cores", Gauge, Plain, "Cores in use in the last second.", cores),
        ("memory", Gauge, Bytes, "Resident memory.", memory),
        ("host_cpu", Gauge, Ratio, "Part of all cores of this machine in use.", host_cpu),
        ("host_memory", Gauge, Ratio, "Part of the memory of this machine in use.", host_memory),
        ("listen_queue_connections", Gauge, Plain, "Connections that wait for accept() of a target on this host.", waiting),
    ];
    let of = |(name, kind, unit, help, points)| Metric { name, kind, unit, help, points };
    rows.into_iter().map(of).filter(|m| !m.points.is_empty()).collect()
}

/// Rows that differ in what is no label are one: a label set may be there once.
fn summed(points: impl Iterator<Item = (Labels, f64)>) -> Vec<(Labels, f64)> {
    grouped(points).into_iter().map(|(labels, values)| (labels, values.iter().sum())).collect()
}

/// For Prometheus.
pub(super) fn prometheus(all: &[Metric]) -> String {
    let mut out = Exposition::default();
    for m in all {
        let end = if m.kind == Kind::Counter { "_total" } else { "" };
        out.family(&format!("sockbench_{}{}{end}", m.name, m.unit.suffix()), m.kind, m.help);
        m.points.iter().for_each(|(labels, value)| out.value(labels, *value));
    }
    out.text()
}
