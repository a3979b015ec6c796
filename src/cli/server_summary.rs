//! What `sockbench server` counted, in its last words.

use serde_json::{Map, json};

use super::log::{self, Level};
use crate::model::figures::counted;
use crate::server::Summary;
use crate::server::route::Handler;

/// Says what was counted, when it ends.
pub(super) fn say(s: &Summary) {
    let mut closed = Map::new();
    closed.extend(s.closes.iter().filter(|c| c.1 > 0).map(|(reason, n)| ((*reason).to_string(), json!(n))));
    let fields = json!({
        "answers": s.answered(),
        "by_status": s.answers.iter().map(|(handler, method, code, n)| json!({
            "endpoint": handler, "method": method, "code": code, "answers": n,
        })).collect::<Vec<_>>(),
        "accepted": s.accepted,
        "closed": closed,
        "unsent": s.unsent,
        "accept_pauses": s.accept_pauses,
    });
    let text = if log::is_json() {
        format!("{} over {}", counted(s.answered(), "answer"), counted(s.accepted, "connection"))
    } else {
        table(s)
    };
    log::say(Level::Info, "ended", &text, fields);
}

fn table(s: &Summary) -> String {
    let mut lines = vec![format!("{:<10} {:<6} {:>4} {:>12}", "endpoint", "method", "code", "answers")];
    lines.extend(s.answers.iter().map(|(handler, method, code, n)| {
        let name = row_name(handler, code);
        format!("{name:<10} {method:<6} {code:>4} {n:>12}")
    }));
    lines.push(format!("{:<10} {:<6} {:>4} {:>12}", "total", "", "", s.answered()));
    let closes: Vec<String> = s.closes.iter().filter(|c| c.1 > 0).map(|(reason, n)| format!("{reason} {n}")).collect();
    let closes = if closes.is_empty() { "none".into() } else { closes.join(", ") };
    lines.push(format!("connections: {} accepted; closed: {closes}", s.accepted));
    if s.unsent > 0 {
        lines.push(format!("answers not sent because their connection ended: {}", s.unsent));
    }
    if s.accept_pauses > 0 {
        lines.push(format!("pauses of accept(2) because descriptors or memory ran out: {}", s.accept_pauses));
    }
    lines.join("\n")
}

/// Answers of no endpoint: to a path that the server does not have, or to a request that it refused before it looked at its path.
fn row_name(handler: &'static str, code: &str) -> &'static str {
    match (handler == Handler::None.name(), code) {
        (false, _) => handler,
        (true, "404") => "other path",
        (true, _) => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_names_what_was_asked_for() {
        let answers = vec![
            ("/health", "GET", "200", 3),
            (Handler::None.name(), "GET", "404", 2),
            (Handler::None.name(), "other", "400", 1),
        ];
        let text = table(&Summary { answers, ..Summary::default() });
        let names: Vec<&str> = text.lines().map(|line| line.get(..10).unwrap_or(line).trim()).collect();
        assert_eq!(names[1..5], ["/health", "other path", "refused", "total"], "{text}");
        assert!(text.lines().nth(2).is_some_and(|line| line.contains("404")), "{text}");
    }
}
