//! What GitHub Actions shows of a run: a summary of the step in Markdown, and annotations.
//!
//! Source: "Workflow commands for GitHub Actions" (escaping of data and properties, ten annotations of a kind for a step,
//! 1 MiB for the summary of a step).

use super::gates_text::{JudgedRun, actual, heading};
use super::style::visible;
use crate::model::figures;
use crate::model::result::RunResult;

/// Annotations that GitHub keeps of one step.
pub const ANNOTATIONS: usize = 10;
/// Bytes of the summary of one step; more and GitHub drops all of it.
pub const SUMMARY_BYTES: usize = 1 << 20;
/// Characters of a name.
const NAME_CHARS: usize = 200;

/// One line for each threshold that failed, at most ten; the last counts those that are left out.
pub fn annotations(runs: &[JudgedRun]) -> Vec<String> {
    let failed: Vec<String> = runs
        .iter()
        .flat_map(|run| run.thresholds.iter().filter(|j| !j.passed).map(move |judged| (run, judged)))
        .map(|(run, judged)| {
            let step = run.step.as_ref().map_or_else(String::new, |step| format!("{}: ", short(step)));
            error(&format!("{step}{}: {} in this run", short(&judged.text), short(&actual(&judged.actual))))
        })
        .collect();
    if failed.len() <= ANNOTATIONS {
        return failed;
    }
    let left_out = failed.len() - (ANNOTATIONS - 1);
    let more = error(&format!("{left_out} more thresholds failed: the summary of the step has all of them"));
    failed.into_iter().take(ANNOTATIONS - 1).chain([more]).collect()
}

fn error(message: &str) -> String {
    format!("::error title={}::{}", property("sockbench threshold failed"), data(message))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The summary in Markdown, of at most `room` bytes: what does not fit is left out at the end of a line, and said.
pub fn summary(results: &[&RunResult], judged: &[JudgedRun], room: usize) -> String {
    let mut text = String::from("## sockbench\n\n");
    for (i, run) in results.iter().enumerate() {
        if let Some(step) = judged.get(i).and_then(|j| j.step.as_deref()) {
            text += &format!("### {}\n\n", markdown(step));
        }
        text += &format!("{}\n\n", markdown(&run.verdict.sentence));
        text += "| endpoint | requests | failed | p50 ms | p95 ms |\n|---|--:|--:|--:|--:|\n";
        for e in &run.endpoints {
            let ms = |of: fn(&crate::model::result::LatencyMs) -> f64| {
                e.latency_ms.as_ref().map_or("-".into(), |l| figures::ms(of(l)))
            };
            text += &format!(
                "| {} | {} | {} | {} | {} |\n",
                markdown(&e.name),
                figures::count(e.requests + e.local_failures),
                figures::count(e.failures + e.local_failures),
                ms(|l| l.p50),
                ms(|l| l.p95)
            );
        }
        text.push('\n');
    }
    if judged.iter().any(|j| !j.thresholds.is_empty()) {
        text += &format!("**{}**\n\n| threshold | | this run |\n|---|---|--:|\n", heading(judged));
        for run in judged {
            let step = run.step.as_ref().map_or_else(String::new, |step| format!("{}: ", markdown(step)));
            for j in &run.thresholds {
                let word = if j.passed { "passed" } else { "**failed**" };
                text += &format!("| {step}{} | {word} | {} |\n", markdown(&j.text), markdown(&actual(&j.actual)));
            }
        }
    }
    cut(text, room)
}

fn cut(mut text: String, room: usize) -> String {
    const CUT: &str = "\n(cut: the summary of a step is at most 1 MiB)\n";
    if text.len() <= room {
        return text;
    }
    let mut at = room.saturating_sub(CUT.len()).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    text.truncate(text[..at].rfind('\n').map_or(0, |line| line + 1));
    if text.is_empty() { text } else { text + CUT }
}

fn short(text: &str) -> String {
    super::style::shortened(&visible(text), NAME_CHARS)
}

/// Text that Markdown, and the HTML in it, takes for text.
fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in short(text).chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            // A bare address becomes a link, a name after @ a mention.
            '@' => out += "&#64;",
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '+' | '!' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            ':' => out += "&#58;",
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates::{Actual, Judged, Unit};

    fn failed(n: usize, text: &str) -> Vec<JudgedRun> {
        let one = Judged { text: text.into(), passed: false, actual: Actual::Number(312.0, Unit::Milliseconds) };
        vec![JudgedRun { step: None, verdict: String::new(), duration_s: 1.0, thresholds: vec![one; n] }]
    }

    #[test]
    fn annotations_are_at_most_ten_lines() {
        let one = annotations(&failed(1, "http_req_duration:p(95)<250"));
        assert_eq!(one, ["::error title=sockbench threshold failed::http_req_duration:p(95)<250: 312 ms in this run"]);
        assert_eq!(annotations(&failed(10, "x")).len(), 10);
        let many = annotations(&failed(25, "50%\r\n::warning::x"));
        assert_eq!((many.len(), many[9].contains("16 more")), (10, true));
        assert!(many.iter().all(|line| line.lines().count() == 1) && many[0].contains("50%25"), "{many:?}");
    }

    #[test]
    fn a_summary_keeps_its_limit() {
        let run = crate::report::fixture::healthy().run;
        let runs = failed(40_000, "http_req_duration:p(95)<250");
        for room in [SUMMARY_BYTES, 5000, 300, 10, 0] {
            let text = summary(&[&run], &runs, room);
            assert!(text.len() <= room && (text.is_empty() || text.contains("(cut")), "{room}: {}", text.len());
        }
    }
}
