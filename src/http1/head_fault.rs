//! What exactly is wrong with a head that the parser refused, and in which line. Runs only after a refusal.

use std::ops::Range;

use super::foreign;
use super::is_token_byte;
use crate::model::protocol_fault::ProtocolFault;

/// A fault, and the line of the head that shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeadFault {
    pub(super) fault: ProtocolFault,
    pub(super) line: Range<usize>,
}

impl HeadFault {
    /// A fault of the status line.
    pub(super) fn of_start(fault: ProtocolFault, head: &[u8]) -> Self {
        let begin = head.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(0);
        Self { fault, line: begin..line_end(head, begin) }
    }
}

/// The first line that no parser of RFC 9112 may take, up to the blank line; none where every line is sound.
pub(super) fn find(head: &[u8]) -> Option<HeadFault> {
    let start = HeadFault::of_start(ProtocolFault::StatusLine, head);
    let line = &head[start.line.clone()];
    if !foreign::may_be_http(line) {
        let foreign = foreign::recognise_all(&head[start.line.start..]);
        return Some(HeadFault { fault: ProtocolFault::NotHttp(foreign), ..start });
    }
    if !is_version(line) {
        return Some(HeadFault { fault: ProtocolFault::Version, ..start });
    }
    if !is_status_line(line) {
        return Some(start);
    }
    let mut at = next_line(head, start.line.end);
    while at < head.len() {
        let line = at..line_end(head, at);
        if line.is_empty() {
            return None;
        }
        if let Some(fault) = of_field(&head[line.clone()]) {
            return Some(HeadFault { fault, line });
        }
        at = next_line(head, line.end);
    }
    None
}

fn line_end(head: &[u8], from: usize) -> usize {
    let lf = head[from..].iter().position(|b| *b == b'\n').map_or(head.len(), |n| from + n);
    if lf > from && head[lf - 1] == b'\r' { lf - 1 } else { lf }
}

fn next_line(head: &[u8], end: usize) -> usize {
    head[end..].iter().position(|b| *b == b'\n').map_or(head.len(), |n| end + n + 1)
}

/// `HTTP/1.0` or `HTTP/1.1`, then a blank or the end.
fn is_version(line: &[u8]) -> bool {
    (line.starts_with(b"HTTP/1.0") || line.starts_with(b"HTTP/1.1")) && line.get(8).is_none_or(|b| !b.is_ascii_digit())
}

fn is_status_line(line: &[u8]) -> bool {
    let Some((code, reason)) = line.get(8..).and_then(|rest| rest.strip_prefix(b" ")).and_then(|r| r.split_at_checked(3)) else {
        return false;
    };
    let reason_is_sound = reason.iter().all(|b| *b == b'\t' || (*b >= b' ' && *b != 0x7f));
    code.iter().all(u8::is_ascii_digit) && (reason.is_empty() || reason[0] == b' ') && reason_is_sound
}

/// What is wrong with a field line, which is not empty.
fn of_field(line: &[u8]) -> Option<ProtocolFault> {
    if matches!(line[0], b' ' | b'\t') {
        return Some(ProtocolFault::FoldedLine);
    }
    let Some(colon) = line.iter().position(|b| *b == b':') else { return Some(ProtocolFault::NoColon) };
    let name = &line[..colon];
    if name.is_empty() {
        return Some(ProtocolFault::FieldName);
    }
    // A blank inside is another thing than blanks at the end.
    let bare = name.trim_ascii_end();
    if !bare.iter().all(|b| is_token_byte(*b)) {
        return Some(ProtocolFault::FieldName);
    }
    if bare.len() < name.len() {
        return Some(ProtocolFault::BlankBeforeColon);
    }
    let value_is_sound = line[colon + 1..].iter().all(|b| *b == b'\t' || (*b >= b' ' && *b != 0x7f));
    (!value_is_sound).then_some(ProtocolFault::FieldValue)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::protocol_fault::Foreign;

    #[test]
    fn faults_by_name_and_line() {
        use ProtocolFault as F;
        for (head, fault, line) in [
            (&b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n"[..], F::BlankBeforeColon, &b"A : b"[..]),
            (b"HTTP/1.1 200 OK\r\nX: 1\r\n\"Connection: close\"\r\n\r\n", F::FieldName, b"\"Connection: close\""),
            (b"HTTP/1.1 200 OK\r\nX: 1\r\nfoo\r\n\r\n", F::NoColon, b"foo"),
            (b"HTTP/1.1 200 OK\r\nX: 1\r\n more\r\n\r\n", F::FoldedLine, b" more"),
            (b"HTTP/1.1 200 OK\r\nX: 1\x01\r\n\r\n", F::FieldValue, b"X: 1\x01"),
            (b"HTTP/1.1 200 OK\r\n: 1\r\n\r\n", F::FieldName, b": 1"),
            (b"HTTP/1.1 200 OK\r\nA b: 1\r\n\r\n", F::FieldName, b"A b: 1"),
            (b"HTTP/1.1 20x OK\r\n\r\n", F::StatusLine, b"HTTP/1.1 20x OK"),
            (b"HTTP/1.1 2000 OK\r\n\r\n", F::StatusLine, b"HTTP/1.1 2000 OK"),
            (b"HTTP/1.1\r\n\r\n", F::StatusLine, b"HTTP/1.1"),
            (b"HTTP/2.0 200 OK\r\n\r\n", F::Version, b"HTTP/2.0 200 OK"),
            (b"HTTP/1.10 200 OK\r\n\r\n", F::Version, b"HTTP/1.10 200 OK"),
            (b"\r\nSSH-2.0-x\r\n\r\n", F::NotHttp(Foreign::Ssh), b"SSH-2.0-x"),
        ] {
            let found = find(head).expect("a faulty line");
            assert_eq!((found.fault, &head[found.line.clone()]), (fault, line), "{}", head.escape_ascii());
        }
    }
}
