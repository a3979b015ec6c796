//! What all JSON documents share: every null in them has a row that says why.

use serde::Serialize;
use serde_json::Value;

/// Why a key of a document is null. Array elements share a row: `series[].target_cpu_percent`.
#[apply(record)]
#[allow(missing_docs, reason = "contract keys")]
pub struct Unavailable {
    pub key: String,
    pub reason: String,
}

/// Keeps what every document of an earlier version stands for out of a document: 0, off.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Adds a row; the first reason for a key stays.
pub fn explain(rows: &mut Vec<Unavailable>, key: &str, reason: impl Into<String>) {
    if !rows.iter().any(|u| u.key == key) {
        rows.push(Unavailable { key: key.into(), reason: reason.into() });
    }
}

/// `value` as JSON. It is written as text and read back: the text is what every document needs anyway, and serde's code that
/// makes a [`Value`] directly, a second one for each type, was 0.5 MB of the program.
///
/// # Errors
/// It cannot be written as JSON: a map whose keys are no texts.
pub fn as_value(value: &impl Serialize) -> serde_json::Result<Value> {
    serde_json::to_string_pretty(value).and_then(|text| serde_json::from_str(&text))
}

/// Keys of `document` that are null, in order, each once; array elements share a key: `series[].p50_ms`.
pub fn nulls(document: &impl Serialize) -> Vec<String> {
    // A document that cannot be written is not sound either.
    let Ok(document) = as_value(document) else { return vec!["(not serialisable)".into()] };
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
            // Those are documents with rows of their own.
            for (key, item) in map.iter().filter(|(key, _)| !(at.is_empty() && *key == "destinations")) {
                collect(item, if at.is_empty() { key.clone() } else { format!("{at}.{key}") }, into);
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What a parser says of a document, without the names of our types: `expected struct LoadPlan` is `expected an object`.
pub fn plain(error: &str) -> String {
    let mut out = String::with_capacity(error.len());
    let mut rest = error;
    while let Some((at, what)) = ["struct ", "tuple struct ", "enum "].iter().filter_map(|w| Some((rest.find(w)?, *w))).min() {
        let is_word = !rest[..at].ends_with(|c: char| c.is_alphanumeric());
        let name_ends = rest[at + what.len()..].find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len() - at - what.len());
        let name = &rest[at + what.len()..at + what.len() + name_ends];
        out += &rest[..at];
        if is_word && name.starts_with(|c: char| c.is_ascii_uppercase()) {
            out += match what {
                "enum " => "one of the known words",
                "struct " => "an object",
                _ => "a list",
            };
        } else {
            out += &rest[at..at + what.len() + name_ends];
        }
        rest = &rest[at + what.len() + name_ends..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_type_reaches_a_reader() {
        for (error, says) in [
            (
                "invalid type: integer `2026`, expected struct Head at line 1 column 4",
                "invalid type: integer `2026`, expected an object at line 1 column 4",
            ),
            ("expected tuple struct Pair with 2 elements", "expected a list with 2 elements"),
            ("expected enum Closer", "expected one of the known words"),
            ("missing field `users` of struct x", "missing field `users` of struct x"),
            ("", ""),
        ] {
            assert_eq!(plain(error), says);
        }
    }
}
