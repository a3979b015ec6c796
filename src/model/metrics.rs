//! Figures for Prometheus: the text format, version 0.0.4.

use std::fmt::Write as _;

use strum::IntoStaticStr;

/// What a family of figures is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
#[allow(missing_docs, reason = "as Prometheus has them")]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Families, one after the other. What is not known has no line, and a family of nothing has no head.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
    name: String,
    /// not written yet
    head: String,
}

impl Exposition {
    /// The values that follow are this family's.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        name.clone_into(&mut self.name);
        let kind: &'static str = kind.into();
        self.head = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One value. A label set may come once in a family.
    pub fn value(&mut self, labels: &[(&str, impl AsRef<str>)], value: impl Into<Option<f64>>) {
        self.part("", labels, value);
    }

    /// A value of a part of the family: `_bucket`, `_sum`, `_count`.
    pub fn part(&mut self, part: &str, labels: &[(&str, impl AsRef<str>)], value: impl Into<Option<f64>>) {
        let Some(value) = value.into().filter(|v| v.is_finite()) else { return };
        self.text += &std::mem::take(&mut self.head);
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value.as_ref()))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{}{part}{labels} {value}", self.name);
    }

    /// A family of one value without labels.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Into<Option<f64>>) {
        self.family(name, kind, help);
        self.value(&[("", ""); 0], value);
    }

    /// The whole page.
    pub fn text(self) -> String {
        self.text
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_has_no_line_and_hostile_labels_stay_in_theirs() {
        let mut o = Exposition::default();
        o.single("a_total", Kind::Counter, "As.", 12_345_678.0);
        o.single("b", Kind::Gauge, "Bs.", None);
        o.single("c", Kind::Gauge, "Cs.", f64::NAN);
        o.family("d", Kind::Histogram, "Ds.");
        o.part("_bucket", &[("path", "/\"x\\\n"), ("le", "+Inf")], 0.5);
        assert_eq!(
            o.text(),
            "# HELP a_total As.\n# TYPE a_total counter\na_total 12345678\n# HELP d Ds.\n# TYPE d histogram\n\
             d_bucket{path=\"/\\\"x\\\\\\n\",le=\"+Inf\"} 0.5\n"
        );
    }
}
