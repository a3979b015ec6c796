//! What all JSON documents share: every null in them has a row that says why.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why a key of a document is null. Array elements share a row: `series[].target_cpu_percent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "contract keys")]
pub struct Unavailable {
    pub key: String,
    pub reason: String,
}

/// Adds a row; the first reason for a key stays.
pub fn explain(rows: &mut Vec<Unavailable>, key: &str, reason: impl Into<String>) {
    if !rows.iter().any(|u| u.key == key) {
        rows.push(Unavailable { key: key.into(), reason: reason.into() });
    }
}

/// Keys of `document` that are null, in order, each once; array elements share a key: `series[].p50_ms`.
pub fn nulls(document: &impl Serialize) -> Vec<String> {
    // A document that cannot be written is not sound either.
    let Ok(document) = serde_json::to_value(document) else { return vec!["(not serialisable)".into()] };
    let mut keys = Vec::new();
    collect(&document, String::new(), &mut keys);
    keys.sort();
    keys.dedup();
    keys
}

/// Keys of `document` that are null and have no row in `rows`; empty for a sound document.
pub fn unexplained(document: &impl Serialize, rows: &[Unavailable]) -> Vec<String> {
    let mut keys = nulls(document);
    keys.retain(|k| !rows.iter().any(|u| u.key == *k));
    keys
}

fn collect(value: &Value, at: String, into: &mut Vec<String>) {
    match value {
        Value::Null => into.push(at),
        Value::Array(items) => items.iter().for_each(|item| collect(item, format!("{at}[]"), into)),
        Value::Object(map) => {
            for (key, item) in map {
                collect(item, if at.is_empty() { key.clone() } else { format!("{at}.{key}") }, into);
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
