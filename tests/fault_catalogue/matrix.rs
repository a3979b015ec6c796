//! The confusion matrix: rows are injected faults, columns first findings; then a line for each finding.

use sockbench::testing::diagnose::table::rule_of;
use sockbench::testing::model::{FindingId, Severity};

use crate::check::{Case, Outcome};
use crate::witness;

/// Markdown: what the letters mean, the matrix, and what was skipped.
pub(crate) fn markdown(rows: &[(&Case, Outcome)]) -> String {
    let ids: Vec<FindingId> = FindingId::ALL.iter().copied().filter(|id| id.severity() != Severity::Info).collect();
    let ran = rows.iter().filter(|r| matches!(r.1, Outcome::Ran { .. })).count();
    let right = rows.iter().filter(|r| matches!(&r.1, Outcome::Ran { wrong, .. } if wrong.is_empty())).count();
    let mut text = format!("{} rows, {ran} ran, {right} right in first finding and evidence. Columns:\n", rows.len());
    for (n, id) in ids.iter().enumerate() {
        text += &format!("{}`{}`", if n == 0 { "" } else { ", " }, format_args!("{} {}", letter(n), id.word()));
    }
    text += ", `- none`. X: first finding, as it should be; !: first finding, wrong; +: further findings; ~: disturbed, see below.\n\n| injected fault |";
    let columns: Vec<String> = (0..ids.len()).map(|n| letter(n).to_string()).chain(["-".into()]).collect();
    for column in &columns {
        text += &format!(" {column} |");
    }
    text += "\n|---|";
    text += &"---|".repeat(columns.len());
    text += "\n";
    for (case, outcome) in rows {
        text += &format!("| {} |", case.name);
        let (found, disturbed) = match outcome {
            Outcome::Ran { found, .. } => (found, false),
            Outcome::Disturbed { found, .. } => (found, true),
            Outcome::Skipped(_) => {
                text += &format!(" skipped {}\n", "|".repeat(columns.len()));
                continue;
            }
        };
        let right = match case.expected {
            Some(FindingId::FailuresWillReturn) => found.contains(&FindingId::FailuresWillReturn),
            expected => found.first().copied() == expected,
        };
        for id in ids.iter().map(|id| Some(*id)).chain([None]) {
            let mark = match id {
                id if id == found.first().copied() => match (right, disturbed) {
                    (true, _) => "X",
                    (false, true) => "~",
                    (false, false) => "!",
                },
                Some(id) if found.contains(&id) => "+",
                _ => "",
            };
            text += &format!(" {mark} |");
        }
        text += "\n";
    }
    text += &ruled_out(rows, &ids);
    for (case, outcome) in rows {
        match outcome {
            Outcome::Ran { .. } => {}
            Outcome::Skipped(why) => text += &format!("\nSKIPPED {}: {why}\n", case.name),
            Outcome::Disturbed { why, .. } => text += &format!("\nDISTURBED {}: {why}\n", case.name),
        }
    }
    text
}

/// The witness of each finding, the nearest wrong one, and what ruled that out in its rows.
fn ruled_out(rows: &[(&Case, Outcome)], ids: &[FindingId]) -> String {
    let mut text = String::from("\n| finding | rows | witness | nearest wrong finding | ruled out by |\n|---|---|---|---|---|\n");
    for id in ids {
        let of = rows.iter().filter(|(case, outcome)| case.expected == Some(*id) && matches!(outcome, Outcome::Ran { .. }));
        let (seen, witnessed) = (rule_of(*id).map_or("", |rule| rule.witness), witness::of(Some(*id)));
        let not = witnessed.not.map_or("", FindingId::word);
        text += &format!("| `{}` | {} | {seen} | `{not}` | {} |\n", id.word(), of.count(), witnessed.because);
    }
    text
}

fn letter(n: usize) -> char {
    char::from(b'a' + n as u8)
}
