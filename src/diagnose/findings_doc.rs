//! docs/FINDINGS.md, written from the table of rules.

use std::fmt::Write as _;

use super::table::RULES;
use super::thresholds::TABLE;
use crate::model::finding::{FindingId, Severity};

/// The whole page. `tests/pure/diagnose_docs.rs` holds the file to it.
pub fn findings_markdown() -> String {
    let mut out = String::from(HEAD);
    for rule in RULES {
        let severity = match rule.id.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        let ids = |ids: &[FindingId]| ids.iter().map(|id| format!("`{}`", id.word())).collect::<Vec<_>>().join(", ");
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "\n## `{}`\n\n{severity}: {}.\n\n- **fires when** {}\n- **unknown without** {}\n",
            rule.id.word(),
            rule.says,
            rule.fires,
            rule.needs
        );
        if !rule.caused_by.is_empty() {
            let _ = writeln!(out, "- **can follow from** {}", ids(rule.caused_by));
        }
        if !rule.swallowed_by.is_empty() {
            let _ = writeln!(out, "- **left out beside** {}", ids(rule.swallowed_by));
        }
    }
    out += THRESHOLDS;
    for (rule, name, value, unit) in TABLE {
        let _ = writeln!(out, "| {rule} | `{name}` | {value} | {unit} |");
    }
    out += NAMES;
    out
}

const HEAD: &str = "# Findings

Written by `sockbench::diagnose::findings_markdown()` from the table of rules; change the rules, then
`UPDATE_DOCS=1 cargo test --test pure`.

A run is diagnosed by one rule per finding. A rule reads the run result only, so a stored `run.json` is diagnosed again by
`sockbench explain run.json`. It says *clear*, *finding*, or *unknown* with what is missing; unknown is never healthy. Findings come
in the order of this page. One that follows from another carries `caused_by` and says so in its first sentence.
";

const THRESHOLDS: &str = "
## Thresholds

All in `src/diagnose/thresholds.rs`.

| rule | name | value | unit |
|---|---|---|---|
";

const NAMES: &str = "
## Names of remedies

A remedy with one of these names is proven by `sockbench rehearse`, and shows the verdict of the latest rehearsal on this host:
`keep-alive`, `server-closes`, `ring`, `tw-reuse`, `tw-reuse-delay`, `wider-range`, `source-ips`, `destinations`, `pace`, `wait`,
`fresh-namespace`, `linger-reset`, `max-tw-buckets`, `fin-timeout`, `reuse-addr-alone`. The last two are folklore: they have no effect and
no finding advises them; `linger-reset` and `max-tw-buckets` give up too much to be advised.
";
