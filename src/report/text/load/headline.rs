//! The first lines: the verdict in one sentence, and what was run.

use super::{is_clean, subject};
use crate::diagnose::{caveat, stopped};
use crate::model::figures::{counted, seconds, span};
use crate::model::result::{RunResult, VerdictId};
use crate::report::plan_text;
use crate::report::style::{Tone, wrapped};
use crate::report::text::Page;

/// Column in which the second line starts.
const INDENT: usize = 5;

pub(super) fn render(run: &RunResult, page: &Page) -> String {
    let clean = is_clean(run) && caveat(run).is_none() && !run.was_stopped();
    let sentence = sentence(run);
    let tone = match Tone::of_verdict(run.verdict.id) {
        Tone::Good if !clean => Tone::Warn,
        tone => tone,
    };
    let out = lines(&sentence, tone, page);
    let asked = match run.destinations.len() {
        0 => plan_text::asked(&run.plan),
        // Each has a row.
        several => counted(several as u64, "destination"),
    };
    let second = if clean {
        asked
    } else if run.was_stopped() {
        // The headline says how long it was.
        format!("{asked}, {}", users_and_connections(run))
    } else {
        format!("{asked}, {}", load(run))
    };
    out + &wrapped(&second, INDENT, page.width)
}

/// The first sentence; what is good has room behind its `OK`.
pub(in crate::report) fn lines(sentence: &str, tone: Tone, page: &Page) -> String {
    let mut out = String::new();
    for (i, line) in wrapped(sentence, 0, page.width - INDENT).lines().enumerate() {
        let indent = if i == 0 { 0 } else { INDENT };
        // wrapped() makes one blank of several.
        let line = line.replacen("OK ", "OK   ", usize::from(tone == Tone::Good && i == 0));
        out += &format!("{}{}\n", " ".repeat(indent), page.style.paint(tone, &line));
    }
    out
}

/// The first sentence of the page.
pub(super) fn sentence(run: &RunResult) -> String {
    if let (Some(stopped), VerdictId::Healthy) = (stopped(run), run.verdict.id) {
        let but = subject(run).map(|f| f.title.clone()).or_else(|| caveat(run));
        let until =
            but.map_or_else(|| ": no limit was reached until then".to_owned(), |but| format!("; OK until then, but {but}"));
        return loud(&stopped) + &until;
    }
    match run.verdict.id {
        VerdictId::Healthy if is_clean(run) => {
            caveat(run).map_or_else(|| format!("OK   {}", load(run)), |but| format!("OK, but {but}"))
        }
        VerdictId::Healthy => subject(run).map_or_else(String::new, |f| format!("OK, but {}", f.title)),
        _ => {
            let verdict = &run.verdict;
            let whole = verdict.short.as_ref().unwrap_or(&verdict.sentence);
            match verdict.who.as_ref().and_then(|who| Some((who, whole.strip_prefix(who.as_str())?.strip_prefix(": ")?))) {
                // A machine keeps its name.
                Some((who, rest)) => format!("{who}: {}", loud(rest)),
                None => loud(whole),
            }
        }
    }
}

/// Its first clause in capitals: up to a colon, a comma, a number or a name with signs in it.
pub(in crate::report) fn loud(sentence: &str) -> String {
    const SMALL: [&str; 6] = ["after", "at", "in", "of", "from", "for"];
    let words: Vec<&str> = sentence.split(' ').collect();
    let plain = |w: &str| w.chars().all(|c| c.is_alphabetic() || c == '\'' || c == '-');
    let mut end = 0;
    for word in &words {
        if let Some(last) = word.strip_suffix([':', ';', ',']) {
            end += usize::from(plain(last));
            break;
        }
        if !plain(word) {
            break;
        }
        end += 1;
    }
    while end > 0 && end < words.len() && SMALL.contains(&words[end - 1]) {
        end -= 1;
    }
    let (first, rest) = words.split_at(end);
    let first = first.iter().map(|w| w.to_uppercase());
    first.chain(rest.iter().map(|w| (*w).to_owned())).collect::<Vec<_>>().join(" ")
}

/// How it was asked, and for how long: `20 users, think 5 ms, kept connections, 5 s`.
pub(in crate::report) fn load(run: &RunResult) -> String {
    format!("{}, {}", users_and_connections(run), length(run))
}

fn users_and_connections(run: &RunResult) -> String {
    format!("{}, {}", plan_text::users(&run.plan), plan_text::connections(&run.plan))
}

/// `5 s`, `1,000 requests`, and how long it really was where that is another length.
fn length(run: &RunResult) -> String {
    let plan = &run.plan;
    let ran = run.duration_s;
    if plan.duration.is_zero() {
        return format!("{} in {}", counted(plan.requests, "request"), seconds(ran));
    }
    let planned = plan.duration.as_secs_f64();
    let ended_early = ran < planned * 0.95;
    let gave_up = ended_early && !run.was_stopped() && run.totals.connections_opened == 0;
    let length = if gave_up {
        format!("{}: given up after {}, without a connection", span(plan.duration), seconds(ran))
    } else if ended_early && plan.requests > 0 && !run.was_stopped() {
        // The number that was asked for came first.
        return format!("ended by -n {} after {} of {}", plan.requests, seconds(ran), span(plan.duration));
    } else if ended_early {
        format!("{} of {}", seconds(ran), span(plan.duration))
    } else {
        span(plan.duration)
    };
    if plan.requests > 0 { format!("{} or {length}", counted(plan.requests, "request")) } else { length }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the number of requests came before the time was over, that is said, and no choice is left open.
    #[test]
    fn what_ended_a_run_early_is_said() {
        let mut run = crate::report::fixture::healthy().run;
        (run.plan.duration, run.plan.requests, run.duration_s) = (std::time::Duration::from_secs(2), 400, 0.028);
        assert_eq!(length(&run), "ended by -n 400 after 28 ms of 2 s");
        run.duration_s = 2.0;
        assert_eq!(length(&run), "400 requests or 2 s");
    }

    #[test]
    fn the_first_clause_is_loud() {
        for (given, shown) in [
            (
                "source ports ran out on this machine at 1.4 s; the target is fine",
                "SOURCE PORTS RAN OUT ON THIS MACHINE at 1.4 s; the target is fine",
            ),
            ("target saturated: 40 of 200 req/s answered", "TARGET SATURATED: 40 of 200 req/s answered"),
            ("the target refused 30 of 9,030 requests", "THE TARGET REFUSED 30 of 9,030 requests"),
            ("undecided: no request was started", "UNDECIDED: no request was started"),
            ("", ""),
        ] {
            assert_eq!(loud(given), shown);
        }
    }
}
