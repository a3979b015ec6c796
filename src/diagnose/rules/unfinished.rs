//! Answers that began and did not end: what is missing of them, and what ends them. Words for the rules about requests
//! without a whole answer.

use super::prelude::*;
use crate::model::body::Body;
use crate::model::result::{Framing, Received};

/// What had come of the answer that was waited for longest, else of the first that the timeout ended; none where none had
/// begun.
pub(super) fn longest(run: &RunResult) -> Option<(Received, &str)> {
    let at_end = run.totals.partial_answer.as_ref().map(|p| (p.received, p.first_bytes.as_str()));
    let late = Rows::of(run, |e| Kind::of(e) == Kind::AnswerTimeout && e.phase == Some(Phase::Receiving));
    let given_up = || late.0.iter().find_map(|row| Some((row.received?, row.first_bytes.as_deref().unwrap_or_default())));
    at_end.or_else(given_up)
}

/// `95 of the 100 bytes of the body are missing`, after `4 answers did not end: `.
pub(super) fn missing(received: &Received) -> String {
    if !received.head_complete {
        return format!("no blank line ends the head after {}", counted(received.bytes, "byte"));
    }
    match received.framing {
        Some(Framing::ContentLength(all)) => {
            let left = received.missing_bytes.unwrap_or(all).min(all);
            format!("{} of the {} of the body are missing", count(left), counted(all, "byte"))
        }
        Some(Framing::Chunked) => "the last chunk is missing".to_owned(),
        Some(Framing::UntilClose) => "no length is given, and the connection stays open".to_owned(),
        Some(Framing::NoBody) | None => format!("they stopped after {}", counted(received.bytes, "byte")),
    }
}

/// What the target would have to do, and how to see it.
pub(super) fn remedies(run: &RunResult, received: &Received) -> Vec<Remedy> {
    let curl = format!("curl -m 10 -v --raw {}", first_by_hand(run));
    let (action, expected) = match (received.head_complete, received.framing) {
        (false, _) => ("let the target end its head with a blank line (CR LF)", "1 blank line after the fields"),
        (true, Some(Framing::ContentLength(_))) => {
            ("let the target send as many bytes as its Content-Length says", "0 bytes missing when curl ends")
        }
        (true, Some(Framing::Chunked)) => {
            ("let the target send its last chunk (0 CR LF CR LF)", "1 chunk of length 0 at the end")
        }
        (true, Some(Framing::UntilClose)) => {
            ("let the target send Content-Length, or close the connection after the body", "1 head with a length, or an end")
        }
        (true, _) => ("let the target end its answer", "1 whole answer"),
    };
    vec![advice(action, curl, expected)]
}

/// One request alone, and the connections without an answer while it runs.
pub(super) fn ask_by_hand(run: &RunResult, unanswered: u64, answer: String) -> Vec<Remedy> {
    vec![
        advice("ask for one by hand", format!("curl -m 30 -v {}", first_by_hand(run)), answer),
        advice(
            "look at the connections that hang",
            format!("ss -tnp '{} = :{}'", if run.is_own_target_here() { "sport" } else { "dport" }, run.plan.target.addr.port()),
            format!(
                "{} while it runs: Recv-Q above 0 at the target is a request that its program has not read",
                counted(unanswered, "connection")
            ),
        ),
    ]
}

/// What follows `curl` to send one request of the run: method, header fields and body, where there are some, and the URL.
pub(super) fn one_by_hand(run: &RunResult, path: &str) -> String {
    let plan = &run.plan;
    let method = match (plan.method.as_str(), plan.body.is_empty()) {
        ("GET", true) | ("POST", false) => None,
        ("HEAD", _) => Some("-I".to_owned()),
        (other, _) => Some(format!("-X {other}")),
    };
    let fields = plan.headers.iter().map(|(name, value)| format!("-H {}", quoted(&format!("{name}: {value}"))));
    let body = match &plan.body {
        body if body.is_empty() => None,
        Body::Text(text) => Some(format!("--data-raw {}", quoted(text))),
        Body::File(file) => Some(format!("--data-binary {}", quoted(&format!("@{}", file.file)))),
    };
    let words = method.into_iter().chain(fields).chain(body).chain([quoted(&plan.url_of(path))]);
    words.collect::<Vec<_>>().join(" ")
}

/// The same for its first path.
pub(super) fn first_by_hand(run: &RunResult) -> String {
    one_by_hand(run, run.plan.mix.first().map_or("/", |m| m.path.as_str()))
}
