//! Documents that the program wrote: each must fit its schema in `docs/schema/`.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part; tests unwrap")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a document of the schema `docs/schema/NAME.schema.json`.
///
/// # Panics
/// When it is no JSON, does not fit the schema, or is not the type that the caller wants.
pub(crate) fn parse<T: DeserializeOwned>(name: &str, text: &str) -> T {
    let document: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{name}: {e}: {text}"));
    let faults: Vec<_> = validator(name).iter_errors(&document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(faults.is_empty(), "{name}: does not fit its schema: {faults:?}");
    serde_json::from_value(document).unwrap_or_else(|e| panic!("{name}: {e}: {text}"))
}

/// The same of what a program printed or a file holds.
pub(crate) fn parse_bytes<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> T {
    parse(name, std::str::from_utf8(bytes).unwrap())
}

/// Made once a process.
fn validator(name: &str) -> Arc<jsonschema::Validator> {
    static MADE: Mutex<BTreeMap<String, Arc<jsonschema::Validator>>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        let file = format!("{}/docs/schema/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
        let schema: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        Arc::new(jsonschema::validator_for(&schema).unwrap())
    };
    Arc::clone(made.entry(name.to_owned()).or_insert_with(make))
}
