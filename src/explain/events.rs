//! From lines to events: one failure that a program prints over several lines is one.
//!
//! ```text
//!            hit                      frame, field: adds to the event
//!   idle ----------> open ---------------------------------------+
//!    ^                |  ^---------------------------------------+
//!    |                |  link ("Caused by:", "During handling of ..."): the next hit belongs to it
//!    +----------------+
//!       any other line, a blank line without a link behind it
//! ```

use super::asides::Frames;
use super::calls::{self, FrameCall};
use super::codes::Condition;
use super::evidence::{Evidence, Sighting};
use super::normal::indent;

#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) evidence: Evidence,
    pub(super) count: u64,
    pub(super) is_total: bool,
    /// its first line
    pub(super) text: String,
}

#[derive(Debug)]
struct Open {
    event: Event,
    indent: usize,
    /// brackets that the event's lines opened and did not close
    depth: usize,
    /// parentheses that they left open: a message that goes on in the next line
    unclosed: isize,
    /// a blank line came: only a link goes on
    is_interrupted: bool,
    /// the next hit belongs to this event
    is_linked: bool,
    /// every line that is indented belongs to this event: a list of causes
    is_list: bool,
    /// a line that repeats the message without a link: part of this event, if frames follow it
    repeated: Option<Event>,
    /// a traceback follows the message of a log: its exception is this event, if it says the same
    is_logged: bool,
    /// the event is the exception of a traceback
    ended_trace: bool,
    /// whose socket the frames behind it use
    frames: Frames,
}

#[derive(Debug, Default)]
pub(super) struct Events {
    open: Option<Open>,
    /// within a Python traceback, whose message comes last
    in_trace: bool,
    /// the call of its last frame
    trace: Option<FrameCall>,
    /// whose socket its innermost frames use
    frames: Frames,
    /// complete
    pub(super) done: Vec<Event>,
    /// tracebacks of a server whose client had gone: no events
    pub(super) of_servers: u64,
}

/// What a line is to the event before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Blank,
    /// a frame of a stack, or a line of its source
    Frame,
    /// `Traceback (most recent call last):`
    Traceback,
    /// what follows is the cause, or the effect, of what came before
    Link,
    /// a field of an error object, or its closing bracket
    Field,
    /// the last line of a log, said again
    Repeat(u64),
    Text,
}

impl Events {
    /// Whether the next line may belong to what came before.
    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some() || self.in_trace
    }

    /// Takes a printable line and what it shows; whether it said anything.
    pub(super) fn take(&mut self, line: &str, sightings: &[Sighting]) -> bool {
        let shape = shape(line, self.in_trace);
        match shape {
            Shape::Blank => {
                if let Some(open) = &mut self.open {
                    open.is_interrupted = true;
                }
                false
            }
            Shape::Traceback => {
                match &mut self.open {
                    Some(open) if open.is_linked => {}
                    Some(open) if !open.is_interrupted && !open.ended_trace => open.is_logged = true,
                    _ => self.close(),
                }
                (self.in_trace, self.trace, self.frames) = (true, None, Frames::default());
                false
            }
            Shape::Frame => self.frame(line),
            Shape::Repeat(n) => {
                if let Some(open) = &mut self.open {
                    open.event.count = open.event.count.saturating_add(n);
                }
                self.open.is_some()
            }
            Shape::Link | Shape::Field | Shape::Text => self.text(line, shape, sightings),
        }
    }

    fn frame(&mut self, line: &str) -> bool {
        let call = calls::of_frame(&line.to_lowercase());
        if self.in_trace {
            self.trace = call.or(self.trace);
            self.frames = self.frames.then(line);
            return false;
        }
        let Some(open) = &mut self.open else {
            // A traceback whose head was not pasted.
            if line.trim_start().starts_with("File \"") && line.contains(", line ") {
                (self.in_trace, self.trace, self.frames) = (true, call, Frames::default().then(line));
            }
            return false;
        };
        open.depth = open.depth.saturating_add_signed(depth(line));
        open.frames = open.frames.then_outer(line);
        if let Some(repeated) = open.repeated.take() {
            open.event.evidence = open.event.evidence.with(repeated.evidence);
        }
        if let Some(call) = call.filter(|_| !open.is_interrupted) {
            open.event.evidence = open.event.evidence.with_frame(call);
        }
        false
    }

    fn text(&mut self, line: &str, shape: Shape, sightings: &[Sighting]) -> bool {
        let ends_trace = self.in_trace && indent(line) == 0;
        self.in_trace &= !ends_trace;
        let frame = self.trace.take_if(|_| ends_trace);
        if ends_trace
            && self.frames == Frames::Server
            && !sightings.is_empty()
            && sightings.iter().all(|s| is_lost_peer(&s.evidence))
        {
            self.of_servers += 1;
            // The line of the log before it was about the same.
            self.open.take_if(|open| open.is_logged);
            return false;
        }
        let depth = depth(line);
        if shape != Shape::Field {
            self.split();
        }
        if let Some(open) = &mut self.open {
            let is_inside = indent(line) > open.indent && (open.depth > 0 || open.unclosed > 0 || open.is_list);
            let same = |s: &Sighting| s.evidence.condition == open.event.evidence.condition;
            let is_logged = open.is_logged && sightings.iter().all(same);
            open.is_logged = false;
            let is_field = shape == Shape::Field && !open.is_interrupted;
            let belongs = shape == Shape::Link || open.is_linked || is_inside || is_logged || is_field;
            if belongs {
                for s in sightings {
                    let more = frame.map_or(s.evidence, |f| s.evidence.with_frame(f));
                    open.event.evidence = open.event.evidence.with(more);
                    // `"count": 12` of an error object.
                    if shape == Shape::Field && s.count > 1 && open.event.count == 1 {
                        open.event.count = s.count;
                    }
                }
                if sightings.is_empty()
                    && let Some(n) = field_count(line)
                {
                    open.event.count = n;
                }
                open.depth = open.depth.saturating_add_signed(depth);
                open.unclosed += unclosed(line);
                open.is_list |= shape == Shape::Link && line.trim_end().ends_with(':');
                open.is_linked = shape == Shape::Link && (sightings.is_empty() || open.is_list);
                open.is_interrupted = false;
                return !sightings.is_empty();
            }
            if let [one] = sightings
                && !open.is_interrupted
                && one.evidence.condition == open.event.evidence.condition
                && is_exception(line)
                && !is_exception(&open.event.text)
            {
                open.repeated = Some(event(line, one, frame));
                return true;
            }
        }
        self.close();
        let Some((first, others)) = sightings.split_first() else { return false };
        if others.is_empty() {
            let event = event(line, first, frame);
            let depth = usize::try_from(depth).unwrap_or(0);
            let open = Open {
                event,
                indent: indent(line),
                depth,
                unclosed: unclosed(line),
                is_interrupted: false,
                is_linked: false,
                is_list: false,
                repeated: None,
                is_logged: false,
                ended_trace: ends_trace,
                frames: Frames::default(),
            };
            self.open = Some(open);
        } else {
            self.done.extend(sightings.iter().map(|s| event(line, s, frame)));
        }
        true
    }

    /// No line belongs to the open event any more.
    pub(super) fn close(&mut self) {
        self.split();
        if let Some(open) = self.open.take() {
            match open.frames {
                Frames::Server if is_lost_peer(&open.event.evidence) => self.of_servers += open.event.count,
                _ => self.done.push(open.event),
            }
        }
        (self.in_trace, self.trace) = (false, None);
    }

    /// The repeated line was an event of its own.
    fn split(&mut self) {
        let Some(open) = &mut self.open else { return };
        if let Some(repeated) = open.repeated.take() {
            let before = std::mem::replace(&mut open.event, repeated);
            self.done.push(before);
        }
    }
}

/// The other end of the connection had gone.
const fn is_lost_peer(e: &Evidence) -> bool {
    matches!(e.condition, Condition::Reset | Condition::BrokenPipe)
}

fn event(line: &str, s: &Sighting, frame: Option<FrameCall>) -> Event {
    let evidence = frame.map_or(s.evidence, |f| s.evidence.with_frame(f));
    Event { evidence, count: s.count, is_total: s.is_total, text: line.trim().to_owned() }
}

fn shape(line: &str, in_trace: bool) -> Shape {
    let trimmed = line.trim_start();
    if trimmed.trim_end().is_empty() {
        return Shape::Blank;
    }
    let lower = trimmed.get(..trimmed.len().min(80)).unwrap_or(trimmed).to_ascii_lowercase();
    let starts = |words: &[&str]| words.iter().any(|w| lower.starts_with(w));
    if lower.contains("traceback (most recent call last)") {
        return Shape::Traceback;
    }
    if let Some(n) = lower.split_once("last message repeated ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok()) {
        return Shape::Repeat(n);
    }
    let is_indented = trimmed.len() < line.len();
    if (in_trace && is_indented)
        || starts(&["file \"", "from /", "goroutine ", "emitted 'error' event", "stack backtrace:", "--- end of", "thrown in "])
        || is_frame(trimmed, &lower)
    {
        return Shape::Frame;
    }
    if starts(LINKS) {
        return Shape::Link;
    }
    if is_field(trimmed, &lower) { Shape::Field } else { Shape::Text }
}

/// How programs join an error to its cause.
const LINKS: &[&str] = &[
    "caused by",
    "cause:",
    "[cause]",
    "cause =",
    "during handling of the above",
    "the above exception was",
    "suppressed:",
    "---> ",
    "[errors]: [",
    "nested exception",
    "wrapped by",
    "inner exception",
    "innerexception",
    "root cause",
    "reason:",
    "(caused by",
    "originalerror",
    "because:",
    // C++ says the last one again.
    "terminate called after throwing",
    "what():",
];

/// `at a.b.C.d(C.java:1)`, `at f (file.js:1:2)`, `#0 /a.php(1): f()`, `... 12 more`, `5: std::f`, `/a.go:12 +0x1f`, `from a.rb:1:in 'f'`.
fn is_frame(trimmed: &str, lower: &str) -> bool {
    let digits = trimmed.trim_start_matches('#').trim_start_matches(|c: char| c.is_ascii_digit());
    let is_numbered = digits.len() < trimmed.len();
    (lower.starts_with("at ") && (lower.contains('(') || lower.contains(':') || lower.contains('.')))
        || (lower.starts_with("... ") && lower.contains(" more"))
        || (trimmed.starts_with('#') && is_numbered && digits.starts_with(' '))
        || (is_numbered && digits.starts_with(": ") && lower.contains("::") && !lower.contains("os error"))
        || (trimmed.starts_with('/') && lower.contains(".go:"))
        || (lower.starts_with("from ") && lower.contains(":in "))
        || (trimmed.starts_with('(') && lower.contains(") lib/") || lower.starts_with("lib/") && lower.contains(".ex:"))
}

/// Keys of error objects, and what closes them.
const FIELDS: &[&str] = &[
    "errno",
    "code",
    "syscall",
    "address",
    "port",
    "hostname",
    "host",
    "fatal",
    "localaddress",
    "localport",
    "dest",
    "input",
    "name",
    "message",
    "type",
    "stack",
    "count",
    "occurrences",
    "description",
    "error",
    "isaxioserror",
    "config",
    "request",
    "response",
    "cause",
    "status",
    "url",
    "method",
    "percent",
];

fn is_field(trimmed: &str, lower: &str) -> bool {
    if trimmed.trim_end().chars().all(|c| "{}[](),;".contains(c)) {
        return true;
    }
    let key = lower.trim_start_matches(['"', '\'']);
    let end = key.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(key.len());
    let quoted = lower.starts_with(['"', '\'']);
    let after = key[end..].trim_start_matches(['"', '\'']);
    let is_key = FIELDS.contains(&&key[..end]) && after.starts_with(':');
    // `error: connect ...` and `Error: connect ...` are messages; as a field it is quoted, or a value behind a small letter.
    is_key
        && (quoted
            || !matches!(&key[..end], "error" | "message" | "description" | "type" | "name" | "status" | "request" | "cause"))
}

fn field_count(line: &str) -> Option<u64> {
    let lower = line.trim().to_ascii_lowercase();
    let (key, value) = lower.split_once(':')?;
    let is_count = ["count", "occurrences"].contains(&key.trim_matches(['"', '\'']));
    value.trim().trim_end_matches(',').parse().ok().filter(|_| is_count)
}

/// Brackets that a line opens, less those that it closes; those at its ends only.
fn depth(line: &str) -> isize {
    let opens = line.trim_end().chars().rev().take_while(|c| "{[(".contains(*c)).count();
    let closes = line.trim_start().chars().take_while(|c| "}])".contains(*c)).count();
    isize::try_from(opens).unwrap_or(0) - isize::try_from(closes).unwrap_or(0)
}

/// Parentheses that a line opens and does not close.
fn unclosed(line: &str) -> isize {
    line.bytes().map(|b| isize::from(b == b'(') - isize::from(b == b')')).sum()
}

/// `java.net.ConnectException: ...`: a stack trace begins like this.
fn is_exception(line: &str) -> bool {
    let class = line.split([':', ' ']).next().unwrap_or_default();
    !class.is_empty()
        && (class.ends_with("Exception") || class.ends_with("Error"))
        && class.chars().all(|c| c.is_alphanumeric() || "._$".contains(c))
}
