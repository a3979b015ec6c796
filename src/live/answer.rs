//! HTTP answers and server-sent events as bytes (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

/// Before events: they end with the connection.
pub(super) const EVENTS_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n";
/// What a page asks for that nothing is known of.
pub(super) const NOTHING: &[u8] = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";

/// A whole answer; the connection ends with it.
pub(super) fn answer(status: &str, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nCache-Control: no-store\r\n\
         Connection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// One event. Each line of `text` becomes a line of data; a carriage return would end one as well.
pub(super) fn event(name: &str, text: &str) -> Vec<u8> {
    let mut out = format!("event: {name}\n");
    for line in text.replace("\r\n", "\n").split(['\n', '\r']) {
        out.push_str("data: ");
        out.push_str(line);
        out.push('\n');
    }
    out.push('\n');
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_answer_says_how_long_it_is_in_bytes() {
        let whole = answer("200 OK", "text/plain", "\u{e4}\n");
        assert!(text(&whole).contains("\r\nContent-Length: 3\r\n") && whole.ends_with("\r\n\r\n\u{e4}\n".as_bytes()));
    }

    /// As a browser reads it: lines that begin with `data: `, joined.
    #[test]
    fn an_event_comes_out_as_it_went_in_whatever_ends_its_lines() {
        for (sent, read) in [
            ("", ""),
            ("a", "a"),
            ("a\nb\n", "a\nb\n"),
            ("a\r\nb\rc", "a\nb\nc"),
            ("\n\nevent: x", "\n\nevent: x"),
            ("data: y", "data: y"),
        ] {
            let bytes = event("page", sent);
            let all = text(&bytes).strip_prefix("event: page\n").unwrap().strip_suffix("\n\n").unwrap();
            let lines: Vec<&str> = all.split('\n').map(|line| line.strip_prefix("data: ").unwrap()).collect();
            assert_eq!(lines.join("\n"), read, "{sent:?}");
            assert!(!all.contains('\r') && !all.contains("\n\n"), "{sent:?}: an empty line would end the event");
        }
    }
}
