//! What a server says on stderr: lines for people, or with `--log json` an object a line for programs.

use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use serde_json::{Map, Value};

use super::Exit;
use crate::sys::clock;

/// How stderr is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Form {
    /// lines for people
    #[default]
    Text,
    /// a JSON object a line: time, level, event, message, and the event's own fields
    Json,
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
}

/// One for the process: its last words, an error of any place, are written as all others are.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// From here on stderr is written so.
pub(crate) fn choose(form: Form) {
    IS_JSON.store(form == Form::Json, Ordering::Relaxed);
}

/// Whether it is written for programs.
pub(crate) fn is_json() -> bool {
    IS_JSON.load(Ordering::Relaxed)
}

/// Something happened: `event` names it for programs, `text` says it to people, `fields` has its figures.
pub(crate) fn say(level: Level, event: &str, text: &str, fields: Value) {
    if is_json() {
        return super::tell(&line(&clock::wall_rfc3339(), level, event, text, fields));
    }
    match level {
        Level::Info => super::tell_line(text),
        Level::Warning => super::warn(text),
        Level::Error => super::tell_line(&format!("sockbench: {text}")),
    }
}

/// Why the process ends.
pub(crate) fn fail(exit: &Exit) {
    let fields = serde_json::json!({ "exit": exit.code, "hint": exit.hint });
    say(Level::Error, "failed", &exit.message, fields);
    if let (Some(hint), false) = (&exit.hint, is_json()) {
        super::tell_line(&format!("hint: {hint}"));
    }
}

fn line(time: &str, level: Level, event: &str, text: &str, fields: Value) -> String {
    let mut object = Map::new();
    let level: &str = level.into();
    for (key, value) in [("time", time), ("level", level), ("event", event), ("message", text)] {
        object.insert(key.into(), value.into());
    }
    if let Value::Object(more) = fields {
        object.extend(more.into_iter().filter(|(_, v)| !v.is_null()));
    }
    Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_object_whatever_the_text() {
        let fields = serde_json::json!({ "addresses": ["127.0.0.1:1"], "hint": null });
        let text = "two\nlines, \"quoted\", and a bell \u{7}";
        let line = line("2026-01-01T00:00:00Z", Level::Warning, "listening", text, fields);
        assert!(!line.contains(['\n', '\u{7}']), "{line}");
        let read: Value = serde_json::from_str(&line).expect("one object");
        assert_eq!((&read["level"], &read["event"], &read["message"]), (&"warning".into(), &"listening".into(), &text.into()));
        assert_eq!((&read["addresses"][0], read.get("hint")), (&"127.0.0.1:1".into(), None));
    }
}
