//! docs/FINDINGS.md, written from the table of rules.

use std::fmt::Write as _;

use super::rule::Rule;
use super::table;
use super::thresholds::TABLE;
use super::verdict;
use crate::model::finding::FindingId;

/// The whole page. `tests/pure/diagnose_docs.rs` compares the file with it.
pub fn findings_markdown() -> String {
    let mut out = String::from(HEAD);
    for rule in table::rules() {
        section(&mut out, rule);
    }
    out += VERDICTS;
    for (finding, verdict, stamp) in verdict::TABLE {
        let word = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
        let (verdict, stamp) = (serde_json::json!(verdict), serde_json::json!(stamp));
        // Writing to a String cannot fail.
        let _ = writeln!(out, "| `{}` | `{}` | `{}` |", finding.word(), word(&verdict), word(&stamp));
    }
    out += THRESHOLDS;
    for threshold in TABLE {
        let _ = writeln!(out, "| `{}` | {} | {} |", threshold.name, threshold.words(), threshold.about.trim());
    }
    out += NAMES;
    out
}

fn section(out: &mut String, rule: &Rule) {
    let severity = <&str>::from(rule.id.severity());
    let ids = |ids: &[FindingId]| ids.iter().map(|id| format!("`{}`", id.word())).collect::<Vec<_>>().join(", ");
    let lines = [
        ("**fires when**", by_value(rule.fires)),
        ("**cannot decide when**", by_value(rule.needs)),
        ("**can follow from**", ids(rule.caused_by)),
        ("**suppressed by**", ids(rule.swallowed_by)),
        ("**remedies**", rule.advises.to_owned()),
        ("**witness**", rule.witness.to_owned()),
    ];
    let _ = write!(out, "\n## `{}`\n\n{severity}: {}.\n\n", rule.id.word(), rule.says);
    for (name, text) in lines.iter().filter(|(_, text)| !text.is_empty()) {
        let _ = writeln!(out, "- {name} {text}");
    }
}

/// The text with each `{NAME}` replaced by the value of that threshold; a name that is not in the table stays.
fn by_value(text: &str) -> String {
    TABLE.iter().fold(text.to_owned(), |text, t| text.replace(&format!("{{{}}}", t.name), &t.words()))
}

const HEAD: &str = "# Findings

Written by `sockbench::diagnose::findings_markdown()` from the table of rules; change the rules, then
`UPDATE_DOCS=1 cargo test --test pure`.

A run is diagnosed by one rule per finding. A rule reads the run result only, so `sockbench explain run.json` diagnoses a stored run
again. It says *clear*, *finding*, or *cannot decide* with what is missing (`undecided[]`): silence never reads as healthy. Findings
come in the order of this page. One that follows from another carries `caused_by`, says so in its first sentence, and leaves the
remedies to it.

Each error and warning has a *witness*: what else saw it when the fault catalogue (`tests/fault_catalogue`) provoked it, read by the
test and not by sockbench.
";

const VERDICTS: &str = "
## Verdict and stamp

The first finding with a row decides the verdict. The stamp is the first of `port-bound`, `client-bound`, `incomplete`, `valid` that
applies to any finding, to failures of this machine, or to what the run fell short of. A run without such a finding is `healthy`
where something was answered, else `undecided`.

| finding | verdict | stamp |
|---|---|---|
";

const THRESHOLDS: &str = "
## Thresholds

All in `src/diagnose/thresholds.rs`.

| name | value | what it is |
|---|---|---|
";

const NAMES: &str = "
## Names of remedies

`sockbench rehearse` tries the remedies with these names for missing source ports. Findings about those (`local-ports-exhausted`,
`local-port-busy`, `failures-will-return`, `port-budget-high`) show the verdict of the latest rehearsal on this host:
`keep-alive`, `server-closes`, `ring`, `tw-reuse`, `tw-reuse-delay`, `wider-range`, `source-ips`, `destinations`, `pace`, `wait`,
`fresh-namespace`, `linger-reset`, `max-tw-buckets`, `fin-timeout`, `reuse-addr-alone`. The last two have no effect and no finding
advises them; `linger-reset` and `max-tw-buckets` give up too much to be advised.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_braces_is_a_threshold() {
        let page = findings_markdown();
        let open: Vec<&str> = page.match_indices('{').map(|(at, _)| page[at..].split_whitespace().next().unwrap_or("")).collect();
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn a_share_is_written_as_percent() {
        assert_eq!(
            by_value("at least {FORBIDS_SHARE} of at least {FORBIDS_ANSWERS} answers"),
            "at least 50 % of at least 4 answers"
        );
    }
}
