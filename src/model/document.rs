//! What all JSON documents share: every null in them has a row that says why.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, Serialize};
use serde_json::Value;

use super::order::distinct;

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
    let mut keys = Vec::new();
    let read = serde_json::to_string_pretty(document).and_then(|text| {
        Nulls { at: String::new(), into: &mut keys }.deserialize(&mut serde_json::Deserializer::from_str(&text))
    });
    // A document that cannot be written is not sound either.
    if read.is_err() {
        return vec!["(not serialisable)".into()];
    }
    distinct(keys)
}

/// Keys of `document` that are null and have no row in `rows`; empty for a sound document.
pub fn unexplained(document: &impl Serialize, rows: &[Unavailable]) -> Vec<String> {
    let mut keys = nulls(document);
    keys.retain(|k| !rows.iter().any(|u| u.key == *k));
    keys
}

/// The keys that are null below the key `at`, noted while a document is read: nothing is built from it.
struct Nulls<'a> {
    at: String,
    into: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Nulls<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nulls<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.into.push(self.at);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let at = format!("{}[]", self.at);
        while items.next_element_seed(Nulls { at: at.clone(), into: &mut *self.into })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut keys: A) -> Result<(), A::Error> {
        while let Some(key) = keys.next_key::<Cow<'_, str>>()? {
            match self.at.as_str() {
                // Those are documents with rows of their own.
                "" if key == "destinations" => drop(keys.next_value::<IgnoredAny>()?),
                "" => keys.next_value_seed(Nulls { at: key.into_owned(), into: &mut *self.into })?,
                at => keys.next_value_seed(Nulls { at: format!("{at}.{key}"), into: &mut *self.into })?,
            }
        }
        Ok(())
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
    fn every_null_is_found_once_under_its_key() {
        let document = serde_json::json!({
            "b": null, "a": {"x": null, "y": 1.5, "z": [{"p": null}, {"p": 2}, {"p": null}, -1, true, "text"]},
            "list": [null, [null]], "destinations": [{"own": null}], "c": {"destinations": [{"k": null}]},
        });
        assert_eq!(nulls(&document), ["a.x", "a.z[].p", "b", "c.destinations[].k", "list[]", "list[][]"]);
        let rows = ["a.x", "b", "list[]"].map(|key| Unavailable { key: key.into(), reason: "why".into() });
        assert_eq!(unexplained(&document, &rows), ["a.z[].p", "c.destinations[].k", "list[][]"]);
    }

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
