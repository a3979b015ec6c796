//! What strerror(3), FormatMessage, runtimes and log lines say. Data only; all in lower case.

use super::patterns::Condition;
use crate::model::explanation::Os;

/// Words of a message and what they mean.
pub(super) struct Phrase {
    pub(super) words: &'static str,
    pub(super) condition: Condition,
    /// the errno behind them; empty where the system gave none
    pub(super) errno: &'static str,
    /// the system, where only one says it so
    pub(super) os: Option<Os>,
}

const fn any(words: &'static str, condition: Condition, errno: &'static str) -> Phrase {
    Phrase { words, condition, errno, os: None }
}

const fn on(os: Os, words: &'static str, condition: Condition, errno: &'static str) -> Phrase {
    Phrase { words, condition, errno, os: Some(os) }
}

/// The first that occurs counts: the special before the general.
pub(super) const PHRASES: &[Phrase] = &[
    // Names come before connections: a timeout of the resolver is none of the target.
    any("dial tcp: lookup ", Condition::NoName, ""),
    any("getaddrinfo", Condition::NoName, ""),
    any("gaierror", Condition::NoName, ""),
    any("name resolution", Condition::NoName, ""),
    any("no such host", Condition::NoName, ""),
    any("name or service not known", Condition::NoName, ""),
    any("nodename nor servname provided", Condition::NoName, ""),
    any("failed to lookup address information", Condition::NoName, ""),
    any("could not resolve", Condition::NoName, ""),
    any("unknownhostexception", Condition::NoName, ""),
    any("resolving timed out", Condition::NoName, ""),
    on(Os::Windows, "only one usage of each socket address", Condition::InUse, "EADDRINUSE"),
    on(Os::Windows, "normally only one use of each socket address", Condition::InUse, "EADDRINUSE"),
    on(Os::Windows, "the requested address is not valid in its context", Condition::NotAvailable, "EADDRNOTAVAIL"),
    on(Os::Windows, "lacked sufficient buffer space or because a queue was full", Condition::NoBuffers, "ENOBUFS"),
    on(
        Os::Windows,
        "no connection could be made because the target machine actively refused it",
        Condition::Refused,
        "ECONNREFUSED",
    ),
    on(Os::Windows, "an existing connection was forcibly closed by the remote host", Condition::Reset, "ECONNRESET"),
    on(
        Os::Windows,
        "an established connection was aborted by the software in your host machine",
        Condition::Reset,
        "ECONNABORTED",
    ),
    on(
        Os::Windows,
        "a connection attempt failed because the connected party did not properly respond",
        Condition::TimedOut,
        "ETIMEDOUT",
    ),
    on(Os::Windows, "a socket operation was attempted to an unreachable network", Condition::Unreachable, "ENETUNREACH"),
    on(Os::Windows, "a socket operation was attempted to an unreachable host", Condition::Unreachable, "EHOSTUNREACH"),
    on(
        Os::Windows,
        "selected local endpoint was recently used to connect to the same remote endpoint",
        Condition::PortsUsedUp,
        "",
    ),
    on(Os::Windows, "allocate an ephemeral port number from the global tcp port space has failed", Condition::PortsUsedUp, ""),
    on(Os::Windows, "too many open sockets", Condition::TooManyFiles, "EMFILE"),
    on(Os::Macos, "can't assign requested address", Condition::NotAvailable, "EADDRNOTAVAIL"),
    any("cannot assign requested address", Condition::NotAvailable, "EADDRNOTAVAIL"),
    any("address not available", Condition::NotAvailable, "EADDRNOTAVAIL"),
    any("address already in use", Condition::InUse, "EADDRINUSE"),
    any("address in use", Condition::InUse, "EADDRINUSE"),
    any("no free ports", Condition::PortsUsedUp, ""),
    any("no buffer space available", Condition::NoBuffers, "ENOBUFS"),
    any("too many open files in system", Condition::TooManyFiles, "ENFILE"),
    any("too many open files", Condition::TooManyFiles, "EMFILE"),
    any("connection refused", Condition::Refused, "ECONNREFUSED"),
    any("connection reset by server", Condition::Reset, "ECONNRESET"),
    any("connection reset", Condition::Reset, "ECONNRESET"),
    any("socket hang up", Condition::Reset, "ECONNRESET"),
    any("connection ended inside the answer", Condition::Reset, ""),
    any("socket connected to itself", Condition::Refused, ""),
    any("software caused connection abort", Condition::Reset, "ECONNABORTED"),
    any("broken pipe", Condition::Reset, "EPIPE"),
    // An end without an errno: the target closed before, or inside, its answer.
    any("remote end closed connection without response", Condition::Reset, ""),
    any("server disconnected", Condition::Reset, ""),
    any("failed to respond", Condition::Reset, ""),
    any("empty reply from server", Condition::Reset, ""),
    any("connection closed before message completed", Condition::Reset, ""),
    any("closed by the target before", Condition::Reset, ""),
    any("prematurely closed connection", Condition::Reset, ""),
    any("response ended prematurely", Condition::Reset, ""),
    any("premature close", Condition::Reset, ""),
    any("remotely closed", Condition::Reset, ""),
    any("\": eof", Condition::Reset, ""),
    any("unexpected eof", Condition::Reset, ""),
    any("premature eof", Condition::Reset, ""),
    any("incompletemessage", Condition::Reset, ""),
    any("other side closed", Condition::Reset, ""),
    any("reset reason: connection termination", Condition::Reset, ""),
    // Darwin's strerror(60) behind a call; curl says the same of its own clock on every system.
    on(Os::Macos, "exception: operation timed out", Condition::TimedOut, "ETIMEDOUT"),
    on(Os::Macos, "connect: operation timed out", Condition::TimedOut, "ETIMEDOUT"),
    on(Os::Macos, "read: operation timed out", Condition::TimedOut, "ETIMEDOUT"),
    // A tool's own clock: no errno.
    any("operation timed out after", Condition::TimedOut, ""),
    any("connection timed out after", Condition::TimedOut, ""),
    any("client.timeout exceeded", Condition::TimedOut, ""),
    any("context deadline exceeded", Condition::TimedOut, ""),
    any("read timed out", Condition::TimedOut, ""),
    any("connect timed out", Condition::TimedOut, ""),
    any("connecttimeout", Condition::TimedOut, ""),
    any("readtimeout", Condition::TimedOut, ""),
    any("the timeout specified has expired", Condition::TimedOut, ""),
    any("httpclient.timeout", Condition::TimedOut, ""),
    any("no progress before the timeout", Condition::TimedOut, ""),
    any("request timeout to ", Condition::TimedOut, ""),
    any("request timed out", Condition::TimedOut, ""),
    any("i/o timeout", Condition::TimedOut, ""),
    any("connection timed out", Condition::TimedOut, "ETIMEDOUT"),
    any("operation timed out", Condition::TimedOut, ""),
    any("timeouterror", Condition::TimedOut, ""),
    any("\"request timeout\"", Condition::TimedOut, ""),
    any("opentimeout", Condition::TimedOut, ""),
    any("tls handshake timeout", Condition::TimedOut, ""),
    any("timeout was reached", Condition::TimedOut, ""),
    any("reset reason: connection timeout", Condition::TimedOut, ""),
    any("network is unreachable", Condition::Unreachable, "ENETUNREACH"),
    any("no route to host", Condition::Unreachable, "EHOSTUNREACH"),
    on(Os::Linux, "possible syn flooding on port", Condition::BacklogFull, ""),
    on(Os::Linux, "table full, dropping packet", Condition::ConntrackFull, ""),
    any("client could not connect to host", Condition::NoReason, ""),
    any("couldn't connect to server", Condition::NoReason, ""),
    any("reset reason: connection failure", Condition::NoReason, ""),
];

/// Words that may stand behind a message: more about the same error.
const FOLLOWS: &[&str] = &["by", "while", "when", "at", "for", "on", "from", "in", "trying", "after", "with"];
/// Words of a line that reports an error.
const REPORTS: &[&str] = &[
    "error",
    "exception",
    "errno",
    "fail",
    "unable",
    "could not",
    "couldn't",
    "can't",
    "fatal",
    "warn",
    "caused by",
    "curl: (",
    "dial tcp",
    "timeout",
];

/// Messages no longer than this may be words of a sentence by chance.
const SENTENCE_WORDS: usize = 3;

/// Whether a message stands in `text` as a message, not as words of a sentence (`the connection refused to be serious`).
pub(super) fn is_said(text: &str, words: &str) -> bool {
    let Some((before, after)) = text.split_once(words) else { return false };
    // So many words stand in this order in messages only.
    if words.split(' ').count() > SENTENCE_WORDS {
        return true;
    }
    let Some(rest) = after.strip_prefix(' ').filter(|_| words.ends_with(char::is_alphanumeric)) else { return true };
    let next = rest.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    next.is_empty() || FOLLOWS.contains(&next) || REPORTS.iter().any(|w| before.contains(w) || after.contains(w))
}
