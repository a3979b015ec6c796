//! What others named, made safe to print: endpoints, threads, processes and the answers of targets may hold what a terminal
//! obeys. Everything that is text in a document is covered, whatever is added to it later.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::document::as_value;
use crate::report::style::visible;

/// Prose of sockbench, whose line breaks are its own, and bodies, which are not shown.
const KEEP_LINES: [&str; 2] = ["explanation", "body"];

/// `document` with every text as [`visible`] shows it; none where that changes nothing.
pub(super) fn shown<T: Serialize + DeserializeOwned>(document: &T) -> Option<T> {
    let mut value: Value = as_value(document).ok()?;
    let mut changed = false;
    clean(&mut value, "", &mut changed);
    if changed { serde_json::from_str(&serde_json::to_string_pretty(&value).ok()?).ok() } else { None }
}

fn clean(value: &mut Value, key: &str, changed: &mut bool) {
    match value {
        Value::String(text) => {
            let lines: Vec<String> =
                if KEEP_LINES.contains(&key) { text.split('\n').map(visible).collect() } else { vec![visible(text)] };
            let shown = lines.join("\n");
            *changed |= shown != *text;
            *text = shown;
        }
        Value::Array(items) => items.iter_mut().for_each(|item| clean(item, key, changed)),
        Value::Object(map) => map.iter_mut().for_each(|(key, item)| clean(item, key, changed)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
