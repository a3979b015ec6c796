//! Which call a line names: by its spelling (`connect:`, `bind(..) failed`, `"syscall":"connect"`, strace's lines), else by
//! the words around the message. A spelled call always beats words, and the nearest to the message the others.

use std::ops::Range;

use super::address::pieces;
use super::call_words::CALL_NAMES;
use super::codes::Condition;
use super::lexicon::{Found, Role};
use crate::model::explanation::{Exactly, FailedCall, Side};

/// A call that a line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) call: FailedCall,
    /// by its own name, not by words around the message
    pub(super) is_spelled: bool,
}

/// The call of a message at `message`; none where the line names none that can fail this way.
pub(super) fn named(text: &str, found: &[Found], condition: Condition, message: &Range<usize>) -> Option<Named> {
    let fits = |call: &FailedCall| can_give(*call, condition);
    let near =
        |at: &Range<usize>| if at.start >= message.end { at.start - message.end } else { message.start.saturating_sub(at.end) };
    let spelled = words(text).filter_map(|at| spelled(text, &at).map(|call| (at, call)));
    let by_spelling = spelled.filter(|(_, call)| fits(call)).min_by_key(|(at, _)| near(at));
    let by_words = || {
        let words = found.iter().filter_map(|f| match f.role {
            Role::Call(call) if fits(&call) => Some((f.start..f.end, call)),
            _ => None,
        });
        // Within a "dial" a nearer word says more.
        words.min_by_key(|(at, _)| near(at))
    };
    let by_spelling = by_spelling.map(|(_, call)| Named { call, is_spelled: true });
    by_spelling.or_else(|| by_words().map(|(_, call)| Named { call, is_spelled: false }))
}

/// Whether a call can fail in this way: a word that cannot be the call is a label.
pub(super) const fn can_give(call: FailedCall, condition: Condition) -> bool {
    match condition {
        Condition::InUse => matches!(call, FailedCall::Bind | FailedCall::Connect),
        Condition::NotAvailable => {
            matches!(call, FailedCall::Bind | FailedCall::Connect | FailedCall::Getaddrinfo | FailedCall::Write)
        }
        Condition::TooManyFiles => {
            matches!(call, FailedCall::Socket | FailedCall::Accept | FailedCall::Connect | FailedCall::Getaddrinfo)
        }
        Condition::BrokenPipe => matches!(call, FailedCall::Write),
        Condition::TimedOut => matches!(call, FailedCall::Connect | FailedCall::Read | FailedCall::Write | FailedCall::Accept),
        Condition::Ended | Condition::Exact(Exactly::IdleClosed | Exactly::PingLost) => {
            matches!(call, FailedCall::Read | FailedCall::Write)
        }
        Condition::Refused | Condition::Reset | Condition::Unreachable => {
            matches!(call, FailedCall::Connect | FailedCall::Read | FailedCall::Write)
        }
        Condition::Again => matches!(call, FailedCall::Connect | FailedCall::Read | FailedCall::Accept | FailedCall::Write),
        Condition::Denied => matches!(call, FailedCall::Bind | FailedCall::Connect | FailedCall::Socket | FailedCall::Accept),
        Condition::NotPermitted => !matches!(call, FailedCall::Read | FailedCall::Getaddrinfo | FailedCall::Unnamed),
        Condition::NoMemory | Condition::Exact(Exactly::Winsock) | Condition::FamilyOff => {
            matches!(call, FailedCall::Socket | FailedCall::Connect | FailedCall::Bind | FailedCall::Accept)
        }
        condition if condition.has_no_call() => false,
        _ => true,
    }
}

/// The words of a text: letters, digits and `_`.
pub(super) fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    pieces(text, is_word).map(|(before, word, _)| before.len()..before.len() + word.len())
}

/// The call that a function's name means: a name of the table, or one with what runtimes put around it.
pub(super) fn call_of(name: &str) -> Option<FailedCall> {
    let listed = |name: &str| CALL_NAMES.iter().find(|(_, names)| names.contains(&name)).map(|(call, _)| *call);
    listed(name).or_else(|| {
        let mut bare = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_matches('_');
        while let Some(rest) = AROUND_BEFORE.iter().find_map(|w| bare.strip_prefix(w)) {
            bare = rest.trim_start_matches('_');
        }
        while let Some(rest) = AROUND_BEHIND.iter().find_map(|w| bare.strip_suffix(w)) {
            bare = rest.trim_end_matches('_');
        }
        listed(bare)
    })
}

/// `uv_tcp_connect`, `net_bind`, `apr_socket_send`, `php_network_connect`, `nativeConnect0`.
const AROUND_BEFORE: &[&str] = &[
    "wsa_", "wsa", "uv_", "tcp_", "udp_", "sock_", "socket_", "net_", "network_", "jvm_", "php_", "apr_", "sys_", "do_", "try_",
    "async_", "server_", "create_", "native", "raw_", "nb_", "ngx_", "os_", "posix_", "unix_", "inet_", "lib_", "safe_",
    "internal",
];
const AROUND_BEHIND: &[&str] =
    &["_async", "async", "_nb", "_nonblock", "_nonblocking", "_socket", "_tcp", "address", "_impl", "_internal"];

/// Keys and labels before the name of a call.
const BEFORE: &[&str] = &[
    "syscall: '",
    "syscall: \"",
    "\"syscall\":\"",
    "\"syscall\": \"",
    "syscall=",
    "syscall:",
    "syscall: ",
    "\"call\":\"",
    "call=",
    "call: ",
    "op: ",
    "op=",
    "operation: ",
    "<... ",
];
/// What a program says behind the name of the call that failed.
const AFTER: &[&str] =
    &[" failed", " failure", " fail:", " fail ", " error", " timed out", " timeout", " exception", " err ", " err:"];
/// Networks behind the verb of Go's errors: `read tcp 10.0.0.1:80->...`.
const NETWORKS: &[&str] = &[" tcp ", " tcp4 ", " tcp6 ", " udp ", " unix "];

/// The call of a word that is spelled like one; none for words of prose and labels.
fn spelled(text: &str, at: &Range<usize>) -> Option<FailedCall> {
    let (before, name, after) = (&text[..at.start], &text[at.clone()], &text[at.end..]);
    let call = call_of(name)?;
    // A path (`GET /connect`), a descriptor (`<socket: 11>`).
    if before.ends_with('/') || (before.ends_with('<') && after.starts_with(": ")) {
        return None;
    }
    let closed = |rest: &str| rest.is_empty() || rest.starts_with([',', ')', '"', '\'', '.', ';', ']']) || rest.starts_with(" (");
    let is_label = call == FailedCall::Socket && !after.starts_with("(2)");
    let quoted = ["'", "\""]
        .iter()
        .any(|q| before.ends_with(q) && after.strip_prefix(q).is_some_and(|r| !r.trim_start().starts_with(':')));
    let is_spelled = after.starts_with('(')
        || after.strip_prefix(':').is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '"', '\'']))
        || names_errno(after)
        || (!is_label && AFTER.iter().any(|w| after.starts_with(w)))
        || NETWORKS.iter().any(|w| after.starts_with(w))
        || BEFORE.iter().any(|w| before.ends_with(w))
        || (before.ends_with(": ") && closed(after))
        || ([" in ", " at ", " during "].iter().any(|w| before.ends_with(w)) && closed(after))
        || (before.ends_with("- ") && after.starts_with("(2)"))
        || quoted;
    is_spelled.then_some(call)
}

/// ` econnrefused`, ` wsaeaddrinuse`: Node.js and others print call and name side by side.
fn names_errno(after: &str) -> bool {
    let Some(rest) = after.strip_prefix(' ') else { return false };
    let word = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
    let name = word.strip_prefix("wsa").unwrap_or(word);
    super::codes::by_name(name).is_some() || matches!(name, "enotfound" | "eai_again" | "eai_noname" | "esockettimedout")
}

/// What a frame of a stack says: `at sun.nio.ch.Net.bind0(Native Method)`, `sock.connect(sa)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameCall {
    pub(super) call: FailedCall,
    pub(super) side: Option<Side>,
}

/// The call of a frame, in lower case; none where its function is none of the calls.
pub(super) fn of_frame(frame: &str) -> Option<FrameCall> {
    let is_server = [
        "serversocket",
        "serverbootstrap",
        "setuplistenhandle",
        "listenincluster",
        "server.listen",
        ".listen(",
        "server_bind",
        "server_activate",
    ];
    let side = is_server.iter().any(|w| frame.contains(w)).then_some(Side::Server);
    let called = words(frame).find_map(|at| {
        let (before, after) = (&frame[..at.start], &frame[at.end..]);
        let is_function = after.starts_with('(')
            || (after.starts_with(" [") && before.ends_with('.'))
            // The state machine of an asynchronous function: `Socket.<ConnectAsync>g__WaitForConnect|1_0(..)`.
            || (before.ends_with(".<") && after.starts_with('>'));
        // `File "client.py", line 9, in connect`
        let is_python = before.ends_with(", in ") && after.trim().is_empty();
        if is_function || is_python { call_of(&frame[at]) } else { None }
    })?;
    Some(FrameCall { call: called, side })
}
