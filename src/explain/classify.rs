//! From evidence to the limit: one reading where it decides, several, and how to distinguish them, where it does not.
//!
//! The tree: condition (`judge`), then for the two that mean different things at different calls (EADDRINUSE, EADDRNOTAVAIL)
//! the source port that was asked for, the call, the system, whose socket it is, and the target's address.

use super::address::{SourcePort, Target};
use super::codes::Condition;
use super::evidence::{Evidence, Spelling};
use super::tell::{self, Other};
use crate::model::explanation::{Certainty, Exactly, FailedCall as Call, Limit, Os, Side};

/// The reading without what only the line knows.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub(super) call: Call,
    pub(super) limit: Limit,
    pub(super) certainty: Certainty,
    /// whose socket, where the text shows it
    pub(super) side: Option<Side>,
    pub(super) alternatives: Vec<Other>,
}

fn judged(call: Call, limit: Limit, certainty: Certainty, alternatives: impl Into<Vec<Other>>) -> Judged {
    Judged { call, limit, certainty, side: None, alternatives: alternatives.into() }
}

impl Judged {
    /// This reading, of a socket that is known to be `side`'s.
    fn of(self, side: Side) -> Self {
        Self { side: Some(side), ..self }
    }
}

fn certain(call: Call, limit: Limit) -> Judged {
    judged(call, limit, Certainty::Certain, [])
}

pub(super) fn judge(e: &Evidence) -> Judged {
    let call = e.call;
    let mut out = match e.condition {
        Condition::InUse => in_use(e),
        Condition::NotAvailable => not_available(e),
        Condition::FamilyOff if call == Call::Unnamed => {
            judged(call, Limit::NotLocal, Certainty::Likely, [tell::FAMILY.at(call)])
        }
        Condition::FamilyOff => certain(call, Limit::NotLocal),
        Condition::NoBuffers => no_buffers(e),
        Condition::NoMemory => judged(call, Limit::Hidden, Certainty::Likely, [tell::MEMORY.at(call)]),
        // Who accepts is a server.
        Condition::TooManyFiles if call == Call::Accept => certain(call, Limit::Descriptors).of(Side::Server),
        Condition::TooManyFiles => certain(call, Limit::Descriptors),
        Condition::Again => again(e),
        Condition::Denied => denied(e),
        Condition::NotPermitted => judged(call, Limit::Policy, Certainty::Likely, tell::FILTER_OR_CONNTRACK.map(|t| t.at(call))),
        Condition::Refused => certain(Call::Connect, Limit::Refused),
        // A reset while connecting is a refusal: where a handshake above TCP is called connect, a read met it.
        Condition::Reset | Condition::Ended => ended(e),
        // A count of a tool.
        Condition::BrokenPipe if e.errno.is_none() => {
            judged(Call::Write, Limit::Reset, Certainty::Likely, [tell::EARLY_END.at(Call::Write)])
        }
        Condition::BrokenPipe => certain(Call::Write, Limit::Reset),
        Condition::Exact(Exactly::ClosedHere) => judged(Call::Unnamed, Limit::Hidden, Certainty::Ambiguous, tell::CLOSED_HERE),
        Condition::TimedOut if call == Call::Unnamed => judged(call, Limit::TimedOut, Certainty::Likely, tell::WHERE_IT_WAITED),
        Condition::TimedOut => certain(call, Limit::TimedOut),
        Condition::UnderWay => judged(Call::Connect, Limit::TimedOut, Certainty::Likely, tell::UNDER_WAY),
        Condition::Unreachable => {
            certain(if matches!(call, Call::Read | Call::Write) { call } else { Call::Connect }, Limit::Unreachable)
        }
        Condition::PortsUsedUp => certain(Call::Connect, Limit::LocalPorts),
        Condition::BacklogFull | Condition::SynQueueFull => certain(Call::Accept, Limit::Backlog),
        Condition::Exact(Exactly::ListenDrops) => {
            judged(Call::Accept, Limit::Hidden, Certainty::Ambiguous, tell::DROPPED_AT_A_LISTENER)
        }
        Condition::ConntrackFull => certain(Call::Unnamed, Limit::Conntrack),
        // The server's own clock says that a request was late, not why.
        Condition::Exact(Exactly::WorkerKilled) => {
            judged(Call::Unnamed, Limit::TimedOut, Certainty::Likely, tell::ENDED_BY_ITS_SERVER).of(Side::Server)
        }
        Condition::WorkerGone => judged(Call::Unnamed, Limit::Hidden, Certainty::Likely, [tell::OWN_TIME_LIMIT]).of(Side::Server),
        Condition::Exact(Exactly::ServerLimit | Exactly::RateLimit) => certain(Call::Unnamed, Limit::Hidden).of(Side::Server),
        Condition::Exact(Exactly::Winsock) => certain(if call == Call::Unnamed { Call::Socket } else { call }, Limit::Hidden),
        Condition::NoName(_) => certain(Call::Getaddrinfo, Limit::NameResolution),
        Condition::Exact(Exactly::PingLost) => certain(Call::Read, Limit::TimedOut),
        Condition::Exact(Exactly::IdleClosed) => certain(Call::Read, Limit::Reset),
        Condition::NoReason => no_reason(e),
        Condition::Exact(_) | Condition::KernelFull(_) | Condition::OutOfMemory | Condition::OomBegins => {
            certain(Call::Unnamed, Limit::Hidden)
        }
    };
    out.side = out.side.or(e.side);
    if e.spelling == Spelling::NumberAlone {
        weaken(&mut out);
    }
    out
}

/// A number alone may be anything: a count, an exit status, a percentile.
fn weaken(j: &mut Judged) {
    let is_winsock = matches!(j.certainty, Certainty::Likely) || j.limit == Limit::NotLocal;
    j.certainty = if is_winsock { Certainty::Likely } else { Certainty::Ambiguous };
    if j.alternatives.is_empty() {
        j.alternatives.push(tell::is_an_errno(j.call, j.limit));
    }
    j.alternatives.push(tell::IS_NO_ERRNO);
}

fn in_use(e: &Evidence) -> Judged {
    match e.source {
        // The kernel was to choose, and had nothing to choose from.
        SourcePort::Kernel => return certain(Call::Bind, Limit::LocalPorts).of(Side::Client),
        SourcePort::Named => return certain(Call::Bind, Limit::PortBusy).of(Side::Client),
        SourcePort::Unsaid => {}
    }
    let is_client = e.side == Some(Side::Client);
    match (e.os, e.call) {
        (Some(Os::Windows), Call::Connect) => certain(e.call, Limit::LocalPorts),
        (_, Call::Bind) if e.side == Some(Side::Server) => certain(e.call, Limit::PortBusy),
        (_, Call::Bind) if is_client => judged(e.call, Limit::PortBusy, Certainty::Likely, tell::source_bound(e.os)),
        (_, Call::Bind) => judged(e.call, Limit::PortBusy, Certainty::Likely, tell::NAMED_OR_ZERO),
        (Some(Os::Windows), _) => {
            let (call, certainty) =
                if is_client { (Call::Connect, Certainty::Likely) } else { (Call::Unnamed, Certainty::Ambiguous) };
            judged(call, Limit::LocalPorts, certainty, [tell::ports_under_load(e.os), tell::busy_at_start(e.os)])
        }
        // The name alone is the same on Windows, where connect() gives it; the C library's message is not.
        (None, Call::Connect) => {
            let mut alternatives = tell::source_bound(e.os);
            alternatives.insert(0, tell::PORTS_ON_WINDOWS);
            let certainty = if e.spelling == Spelling::Words { Certainty::Ambiguous } else { Certainty::Likely };
            judged(e.call, Limit::LocalPorts, certainty, alternatives)
        }
        (_, _) if is_client => judged(Call::Bind, Limit::LocalPorts, Certainty::Ambiguous, tell::source_bound(e.os)),
        _ => {
            let used_up = tell::ports_under_load(e.os).at(Call::Bind);
            judged(Call::Unnamed, Limit::PortBusy, Certainty::Ambiguous, [tell::busy_at_start(e.os), used_up])
        }
    }
}

fn not_available(e: &Evidence) -> Judged {
    // A reading that leaves this open must say how to tell.
    let both = |call| [tell::ports_under_load(e.os), tell::not_local_at_first(call, e.os, e.target)];
    if e.os == Some(Os::Windows) {
        // 10049 is not exhaustion: that is 10048 or 10055 there.
        return certain(e.call, Limit::NotLocal);
    }
    // After an explicit bind() connect() found the same four numbers in use.
    if e.call != Call::Bind && e.source == SourcePort::Named {
        return certain(Call::Connect, Limit::PortBusy);
    }
    let is_client = e.side == Some(Side::Client);
    match (e.call, e.target) {
        (Call::Bind, _) => certain(e.call, Limit::NotLocal),
        // A machine without IPv6 has no source address for it; `localhost` may be ::1.
        (Call::Connect, Target::V6 | Target::Localhost) => judged(e.call, Limit::LocalPorts, Certainty::Ambiguous, both(e.call)),
        (Call::Unnamed, Target::V6 | Target::Localhost) if is_client => {
            judged(Call::Connect, Limit::LocalPorts, Certainty::Ambiguous, both(Call::Connect))
        }
        (Call::Connect, _) => certain(e.call, Limit::LocalPorts),
        // An unconnected socket sends from an address that is gone, or not there yet.
        (Call::Write, _) => judged(e.call, Limit::NotLocal, Certainty::Likely, both(e.call)),
        // The name server is asked from a port of this machine too.
        (Call::Getaddrinfo, _) => judged(e.call, Limit::LocalPorts, Certainty::Likely, both(e.call)),
        _ if is_client => judged(Call::Connect, Limit::LocalPorts, Certainty::Likely, both(Call::Bind)),
        _ => judged(Call::Unnamed, Limit::LocalPorts, Certainty::Ambiguous, both(Call::Bind)),
    }
}

fn no_buffers(e: &Evidence) -> Judged {
    if e.os == Some(Os::Windows) {
        let call = if e.call == Call::Unnamed { Call::Connect } else { e.call };
        return judged(call, Limit::LocalPorts, Certainty::Likely, [tell::NO_DYNAMIC_PORT, tell::MEMORY.at(e.call)]);
    }
    judged(e.call, Limit::Hidden, Certainty::Ambiguous, [tell::MEMORY.at(e.call), tell::NEIGHBOURS.at(e.call)])
}

/// EAGAIN. At a socket of the file system it is the full backlog; at UDP, and at TCP of old kernels, ports.
fn again(e: &Evidence) -> Judged {
    match (e.call, e.target) {
        (Call::Connect, Target::Unix) => certain(e.call, Limit::Backlog),
        (Call::Connect, Target::Datagram) => certain(e.call, Limit::LocalPorts),
        (Call::Connect, _) => judged(e.call, Limit::Backlog, Certainty::Ambiguous, tell::UNIX_OR_PORTS),
        _ => judged(Call::Read, Limit::TimedOut, Certainty::Likely, [tell::RECEIVE_TIMEOUT]),
    }
}

fn denied(e: &Evidence) -> Judged {
    if e.target == Target::Unix {
        return certain(e.call, Limit::Policy);
    }
    match (e.os, e.call) {
        (Some(Os::Windows), Call::Connect) => judged(e.call, Limit::Policy, Certainty::Likely, [tell::FIREWALL.at(e.call)]),
        (Some(Os::Windows), call) => judged(call, Limit::Policy, Certainty::Likely, [tell::EXCLUDED.at(call), tell::EXCLUSIVE]),
        (Some(_), Call::Bind) => judged(e.call, Limit::Policy, Certainty::Likely, [tell::PRIVILEGED]),
        (None, Call::Bind) => judged(e.call, Limit::Policy, Certainty::Likely, [tell::PRIVILEGED, tell::EXCLUDED_ON_WINDOWS]),
        (_, call) => judged(call, Limit::Policy, Certainty::Likely, [tell::FIREWALL.at(call)]),
    }
}

fn ended(e: &Evidence) -> Judged {
    let call = if e.call == Call::Write { Call::Write } else { Call::Read };
    let is_count = e.spelling == Spelling::Name && e.errno.is_none() && e.tool.is_some_and(|t| t.name == "wrk");
    if is_count {
        return judged(call, Limit::Reset, Certainty::Likely, [tell::EARLY_END_OR_NO_HTTP.at(call)]);
    }
    certain(call, Limit::Reset)
}

/// The tool counts failed connections and drops their errno.
fn no_reason(e: &Evidence) -> Judged {
    let mut out = judged(Call::Unnamed, Limit::Hidden, Certainty::Ambiguous, tell::HIDDEN_REASONS);
    match e.call {
        Call::Connect => out.call = e.call,
        _ => out.alternatives.push(tell::ENDED_BEFORE),
    }
    out
}
