//! Figures as OTLP/HTTP takes them in its JSON encoding: 64-bit integers are strings, enums are numbers
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>).

use serde_json::{Value, json};

use super::metrics::{Labels, Metric, Times};
use crate::model::metrics::Kind;

/// Sums count from the start of the run.
const CUMULATIVE: u32 = 2;

/// An ExportMetricsServiceRequest: one second after another.
pub(super) fn request(target: &str, seconds: &[(Vec<Metric>, Times)]) -> Value {
    let metrics: Vec<Value> = seconds.iter().flat_map(|(all, times)| all.iter().map(|m| metric(m, *times))).collect();
    let resource = attributes(&vec![("service.name", "sockbench".to_owned()), ("sockbench.target", target.to_owned())]);
    json!({"resourceMetrics": [{
        "resource": {"attributes": resource},
        "scopeMetrics": [{
            "scope": {"name": "sockbench", "version": env!("CARGO_PKG_VERSION")},
            "metrics": metrics,
        }],
    }]})
}

fn metric(m: &Metric, times: Times) -> Value {
    let points: Vec<Value> = m.points.iter().map(|(labels, value)| point(labels, *value, times)).collect();
    let mut out = json!({"name": format!("sockbench.{}", m.name), "description": m.help, "unit": m.unit.ucum()});
    match m.kind {
        Kind::Gauge | Kind::Histogram => out["gauge"] = json!({"dataPoints": points}),
        Kind::Counter => {
            out["sum"] = json!({"dataPoints": points, "aggregationTemporality": CUMULATIVE, "isMonotonic": true});
        }
    }
    out
}

fn point(labels: &Labels, value: f64, times: Times) -> Value {
    json!({
        "attributes": attributes(labels),
        "startTimeUnixNano": times.begin_ns.to_string(),
        "timeUnixNano": times.now_ns.to_string(),
        "asDouble": value,
    })
}

fn attributes(labels: &Labels) -> Value {
    labels.iter().map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect()
}
