//! One client of the live page as a state machine: bytes of its request in, bytes of the answer out. It has at most one
//! answer or one event in memory: who reads slowly misses events in between and gets the latest.
//!
//! ```text
//! Asking --request--> Answering --all written--> Over
//!    |   --/events--> Following --next update--> Following ...
//!    +---too late, a fault, the end of the connection---> Over
//! ```

use std::time::Duration;

use super::answer::{EVENTS_HEAD, NOTHING, answer, event};
use crate::http1::request::{Found, HeadLimits, HeadReader, Method};
use crate::model::time::Stamp;

/// From the accept to the end of the request.
const ASKING: Duration = Duration::from_secs(5);
/// A client that takes nothing for so long is left.
const STUCK: Duration = Duration::from_secs(10);
const HEAD_BYTES: usize = 16 * 1024;

/// What is shown at one moment, made when it is asked for.
pub(super) trait Shown {
    /// rises with each change; none of what nobody can follow
    fn version(&self) -> Option<u64> {
        None
    }
    /// the whole page
    fn page(&mut self) -> String;
    /// what replaces its parts, as a browser gets it
    fn update(&mut self) -> &str;
    /// the same for Prometheus; none where it cannot be read now
    fn metrics(&mut self) -> Option<String>;
    /// whether nothing more will come
    fn is_last(&self) -> bool {
        false
    }
}

#[derive(Debug)]
enum State {
    Asking(HeadReader, Vec<u8>),
    Answering,
    /// the version that was sent last
    Following(u64),
    Over,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Client {
    state: State,
    out: Vec<u8>,
    written: usize,
    /// the last time that it asked or took something
    moved: Stamp,
}

impl Client {
    pub(super) fn new(now: Stamp) -> Self {
        Self { state: State::Asking(HeadReader::default(), Vec::new()), out: Vec::new(), written: 0, moved: now }
    }

    /// Bytes that came. What follows a request is not read any more.
    pub(super) fn on_bytes(&mut self, bytes: &[u8], now: Stamp, shown: &mut dyn Shown) {
        let State::Asking(reader, head) = &mut self.state else { return };
        head.extend_from_slice(bytes);
        let limits = HeadLimits { bytes: HEAD_BYTES, ..HeadLimits::default() };
        let (out, next) = match reader.read(head, &limits) {
            Ok(Found::More) => return,
            Ok(Found::Head { head, .. }) => match (head.path, head.method) {
                (_, Method::Other) => (answer("405 Method Not Allowed\r\nAllow: GET", TEXT, ""), State::Answering),
                ("/events", Method::Get) if shown.version().is_some() => (EVENTS_HEAD.to_vec(), State::Following(0)),
                (path, method) => (bodyless(whole(path, shown), method), State::Answering),
            },
            Err(fault) => (answer(fault.status().text(), TEXT, &format!("{fault}\n")), State::Answering),
        };
        (self.out, self.state, self.moved) = (out, next, now);
    }

    /// The other side has ended the connection, or it broke.
    pub(super) fn on_end(&mut self) {
        self.state = State::Over;
    }

    /// Makes the next event, where one is due and the last one is written.
    pub(super) fn on_change(&mut self, now: Stamp, shown: &mut dyn Shown) {
        let State::Following(sent) = &mut self.state else { return };
        let Some(version) = shown.version().filter(|version| *sent < *version) else { return };
        if self.written < self.out.len() {
            return;
        }
        *sent = version;
        self.out = event(if shown.is_last() { "end" } else { "page" }, shown.update());
        (self.written, self.moved) = (0, now);
        if shown.is_last() {
            self.state = State::Answering;
        }
    }

    /// What is to be written.
    pub(super) fn pending(&self) -> &[u8] {
        &self.out[self.written..]
    }

    /// So much of it was.
    pub(super) fn on_written(&mut self, bytes: usize, now: Stamp) {
        self.written += bytes;
        self.moved = now;
        if self.written == self.out.len() {
            self.out = Vec::new();
            self.written = 0;
            if matches!(self.state, State::Answering) {
                self.state = State::Over;
            }
        }
    }

    /// When it is left if nothing happens; none of one that has got all there is.
    pub(super) fn deadline(&self) -> Option<Stamp> {
        match self.state {
            State::Asking(..) => Some(self.moved.plus(ASKING)),
            _ if self.pending().is_empty() => None,
            _ => Some(self.moved.plus(STUCK)),
        }
    }

    /// Whether its request has not come yet: such a client gives way to a new one.
    pub(super) fn is_asking(&self) -> bool {
        matches!(self.state, State::Asking(..))
    }

    /// Whether the connection can be closed.
    pub(super) fn is_over(&self, now: Stamp) -> bool {
        matches!(self.state, State::Over) || self.deadline().is_some_and(|deadline| now >= deadline)
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

fn whole(path: &str, shown: &mut dyn Shown) -> Vec<u8> {
    match path {
        "/" => answer("200 OK", "text/html; charset=utf-8", &shown.page()),
        "/metrics" => match shown.metrics() {
            Some(text) => answer("200 OK", "text/plain; version=0.0.4; charset=utf-8", &text),
            None => answer("503 Service Unavailable", TEXT, "the figures cannot be read now\n"),
        },
        "/favicon.ico" => NOTHING.to_vec(),
        _ => answer("404 Not Found", TEXT, "here are / and /metrics\n"),
    }
}

/// The answer to HEAD is that to GET without its body.
fn bodyless(mut answer: Vec<u8>, method: Method) -> Vec<u8> {
    if method == Method::Head
        && let Some(end) = memchr::memmem::find(&answer, b"\r\n\r\n")
    {
        answer.truncate(end + 4);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake(u64, bool, String);

    impl Shown for Fake {
        fn version(&self) -> Option<u64> {
            Some(self.0)
        }
        fn page(&mut self) -> String {
            format!("page {}", self.0)
        }
        fn update(&mut self) -> &str {
            self.2 = format!("update {}", self.0);
            &self.2
        }
        fn metrics(&mut self) -> Option<String> {
            Some("metrics\n".into()).filter(|_| self.0 > 0)
        }
        fn is_last(&self) -> bool {
            self.1
        }
    }

    const NOW: Stamp = Stamp::ZERO;

    fn asked(request: &str, shown: &mut Fake) -> Client {
        let mut client = Client::new(NOW);
        // Byte by byte: no request has to come in one piece.
        request.bytes().for_each(|byte| client.on_bytes(&[byte], NOW, shown));
        client
    }

    fn take(client: &mut Client) -> String {
        let text = String::from_utf8(client.pending().to_vec()).unwrap();
        client.on_written(text.len(), NOW);
        text
    }

    #[test]
    fn each_path_has_its_answer_and_the_connection_ends_with_it() {
        for (request, status, end) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "200", "page 3"),
            ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "200", "\r\n\r\n"),
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "200", "metrics\n"),
            ("GET /favicon.ico HTTP/1.1\r\nHost: a\r\n\r\n", "204", "\r\n\r\n"),
            ("GET /x HTTP/1.1\r\nHost: a\r\n\r\n", "404", "/metrics\n"),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "405", "\r\n\r\n"),
            ("GET / HTTP/1.1\r\n\r\n", "400", "\n"),
            ("nonsense\r\n\r\n", "400", "\n"),
        ] {
            let mut client = asked(request, &mut Fake(3, false, String::new()));
            let text = take(&mut client);
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")) && text.ends_with(end), "{request}: {text}");
            assert!(client.is_over(NOW), "{request}");
        }
        let none = take(&mut asked("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", &mut Fake(0, false, String::new())));
        assert!(none.starts_with("HTTP/1.1 503 "), "{none}");
    }

    #[test]
    fn who_follows_gets_what_was_before_then_each_change_then_the_end() {
        let mut shown = Fake(3, false, String::new());
        let mut client = asked("GET /events HTTP/1.1\r\nHost: a\r\n\r\n", &mut shown);
        assert!(take(&mut client).contains("text/event-stream"));
        client.on_change(NOW, &mut shown);
        assert_eq!(take(&mut client), "event: page\ndata: update 3\n\n", "what it missed");
        client.on_change(NOW, &mut shown);
        assert_eq!(client.pending(), b"", "nothing new");
        assert_eq!(client.deadline(), None, "it may wait as long as it likes");
        shown = Fake(4, true, String::new());
        client.on_change(NOW, &mut shown);
        assert_eq!(take(&mut client), "event: end\ndata: update 4\n\n");
        assert!(client.is_over(NOW));
    }

    #[test]
    fn a_slow_reader_misses_what_is_old_and_is_left_when_it_reads_nothing() {
        let mut shown = Fake(1, false, String::new());
        let mut client = asked("GET /events HTTP/1.1\r\nHost: a\r\n\r\n", &mut shown);
        client.on_written(10, NOW);
        for version in 2..100 {
            shown.0 = version;
            client.on_change(NOW, &mut shown);
            assert!(client.pending().len() < EVENTS_HEAD.len(), "nothing is heaped up");
        }
        take(&mut client);
        client.on_change(NOW, &mut shown);
        assert!(take(&mut client).contains("update 99"));
        shown.0 = 100;
        client.on_change(NOW, &mut shown);
        assert!(!client.is_over(NOW.plus(STUCK / 2)) && client.is_over(NOW.plus(STUCK)));
    }

    #[test]
    fn a_silent_client_and_an_endless_head_are_left() {
        let mut shown = Fake(1, false, String::new());
        let silent = Client::new(NOW);
        assert!(silent.is_asking() && !silent.is_over(NOW) && silent.is_over(NOW.plus(ASKING)));
        let endless = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(HEAD_BYTES));
        let mut client = Client::new(NOW);
        client.on_bytes(endless.as_bytes(), NOW, &mut shown);
        assert!(take(&mut client).starts_with("HTTP/1.1 431"));
        let mut gone = asked("GET /events HTTP/1.1\r\nHost: a\r\n\r\n", &mut shown);
        gone.on_end();
        assert!(gone.is_over(NOW));
    }
}
