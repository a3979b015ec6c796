//! What others named, made safe to print: endpoints, threads, processes and the answers of targets may hold what a terminal
//! obeys. Everything that is text in a document is covered, whatever is added to it later.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::by_name;
use crate::report::style::visible;

/// Prose of sockbench, whose line breaks are its own, and bodies, which are not shown.
const KEEP_LINES: [&str; 2] = ["explanation", "body"];

/// `document` with every text as [`visible`] shows it; none where that changes nothing.
pub(super) fn shown<T: Serialize + DeserializeOwned>(document: &T) -> Option<T> {
    let text = serde_json::to_string_pretty(document).ok()?;
    if is_plain(&text) {
        return None;
    }
    let mut value: Value = serde_json::from_str(&text).ok()?;
    let mut changed = false;
    clean(&mut value, "", &mut changed);
    if changed { by_name::read(&serde_json::to_string_pretty(&value).ok()?).ok() } else { None }
}

/// Whether a document holds no character that could have to be changed: printable ASCII alone, and of JSON's escapes those
/// of a quote and of a backslash. Nearly every run is so, and need not be read back.
fn is_plain(json: &str) -> bool {
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        let is_plain = match byte {
            b'\\' => matches!(bytes.next(), Some(b'"' | b'\\')),
            b'\n' | b' '..=b'~' => true,
            _ => false,
        };
        if !is_plain {
            return false;
        }
    }
    true
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The short way may leave nothing out that the long way would change.
    #[test]
    fn a_document_that_passes_unread_holds_nothing_to_change() {
        for c in (0..=0x30ff).chain(0xfe00..=0xffff).filter_map(char::from_u32) {
            let document = vec![format!("a{c}\"\\b")];
            let json = serde_json::to_string_pretty(&document).unwrap();
            assert!(!is_plain(&json) || visible(&document[0]) == document[0], "{c:?}");
        }
        let plain = vec!["a \" \\ ~".to_owned()];
        assert!(is_plain(&serde_json::to_string_pretty(&plain).unwrap()));
        assert_eq!(shown(&plain), None);
        assert_eq!(shown(&vec!["a\u{1b}[2J".to_owned()]), Some(vec!["a\\u{1b}[2J".to_owned()]));
    }
}
