//! From condition and call to the limit: one reading where the text decides, several with how to tell them apart
//! where it does not.

use super::patterns::Condition;
use super::text::Context;
use crate::model::explanation::{Alternative, Certainty, FailedCall as Call, Limit, Os, Side};

/// The reading without what only the line knows.
pub(super) struct Judged {
    pub(super) call: Call,
    pub(super) limit: Limit,
    pub(super) certainty: Certainty,
    /// whose socket, where the text shows it
    pub(super) side: Option<Side>,
    pub(super) alternatives: Vec<Alternative>,
}

pub(super) fn judged(call: Call, limit: Limit, certainty: Certainty, alternatives: Vec<Alternative>) -> Judged {
    Judged { call, limit, certainty, side: None, alternatives }
}

fn certain(call: Call, limit: Limit) -> Judged {
    judged(call, limit, Certainty::Certain, Vec::new())
}

/// Which limit was hit.
pub(super) fn judge(condition: Condition, call: Call, context: &Context<'_>) -> Judged {
    let mut out = match condition {
        Condition::InUse => in_use(call, context),
        Condition::NotAvailable => not_available(call, context),
        Condition::NoBuffers => no_buffers(call, context),
        Condition::TooManyFiles => certain(call, Limit::Descriptors),
        Condition::Refused => certain(Call::Connect, Limit::Refused),
        // A reset while connecting is a refusal: where a handshake above TCP is called connect, a read met it.
        Condition::Reset => certain(if call == Call::Write { call } else { Call::Read }, Limit::Reset),
        Condition::Unreachable => certain(Call::Connect, Limit::Unreachable),
        Condition::PortsUsedUp => certain(Call::Connect, Limit::LocalPorts),
        Condition::BacklogFull => certain(Call::Accept, Limit::Backlog),
        Condition::ConntrackFull => certain(Call::Unnamed, Limit::Conntrack),
        Condition::NoName => certain(Call::Getaddrinfo, Limit::NameResolution),
        Condition::NoReason if matches!(call, Call::Connect) => hidden_connect(),
        Condition::TimedOut | Condition::NoReason => timed_out(call),
    };
    out.side = out.side.or_else(|| side(context));
    if context.bare {
        weaken(&mut out);
    }
    out
}

/// A number alone may be anything: a count, an exit status, a percentile.
fn weaken(j: &mut Judged) {
    let winsock = matches!(j.certainty, Certainty::Likely) || j.limit == Limit::NotLocal;
    j.certainty = if winsock { Certainty::Likely } else { Certainty::Ambiguous };
    if j.alternatives.is_empty() {
        let tell = "it stood behind errno, os error, WinError or in [Errno ...]: the line around it shows the call too";
        j.alternatives.push(Alternative { call: j.call, limit: j.limit, tell: tell.into() });
    }
    let tell = "it stood elsewhere: a count, a percentile, an exit status; give the whole line";
    j.alternatives.push(Alternative { call: Call::Unnamed, limit: Limit::Hidden, tell: tell.into() });
}

fn ports(tell: impl Into<String>) -> Alternative {
    Alternative { call: Call::Connect, limit: Limit::LocalPorts, tell: tell.into() }
}

fn busy(tell: impl Into<String>) -> Alternative {
    Alternative { call: Call::Bind, limit: Limit::PortBusy, tell: tell.into() }
}

fn not_local(call: Call, tell: impl Into<String>) -> Alternative {
    Alternative { call, limit: Limit::NotLocal, tell: tell.into() }
}

fn many_held(os: Option<Os>) -> &'static str {
    match os {
        Some(Os::Macos | Os::Windows) => "netstat -an",
        _ => "netstat -tan or ss -tan",
    }
}

fn under_load(os: Option<Os>) -> String {
    format!(
        "it comes under load, from outgoing connections, after some seconds or minutes, and goes away by itself: \
         source ports are used up ({} shows thousands of TIME_WAIT to one address)",
        many_held(os)
    )
}

fn at_start(os: Option<Os>) -> String {
    let look = match os {
        Some(Os::Macos) => "lsof -nP -iTCP -sTCP:LISTEN",
        Some(Os::Windows) => "netstat -ano",
        Some(Os::Linux) => "ss -ltnp",
        None => "ss -ltnp; Windows: netstat -ano; macOS: lsof -nP -iTCP -sTCP:LISTEN",
    };
    format!("it comes at once when a server starts, and stays: another process listens on that port ({look})")
}

fn at_first(os: Option<Os>) -> String {
    let look = if os == Some(Os::Macos) { "ifconfig" } else { "ip addr" };
    format!("it comes with the very first connection and always: the address is not this machine's, or IPv6 is off ({look})")
}

/// Both readings of an outgoing bind(): the client bound its source address before connecting.
fn source_bound(os: Option<Os>) -> Vec<Alternative> {
    let kernel = format!(
        "the client binds a source address and port 0 (source_address, local_address, --interface): the whole range is \
         held; it comes under load and goes away by itself ({} shows thousands of TIME_WAIT)",
        many_held(os)
    );
    let look = match os {
        Some(Os::Macos) => "netstat -an | grep PORT",
        Some(Os::Windows) => "netstat -ano | findstr :PORT",
        _ => "ss -tan 'sport = :PORT'",
    };
    let named = format!(
        "the client names its source port (localPort, --local-port, a port in source_address): that one port is held, by a \
         live connection or in TIME_WAIT; it comes with the second connection already ({look})"
    );
    vec![Alternative { call: Call::Bind, limit: Limit::LocalPorts, tell: kernel }, busy(named)]
}

/// The text shows a server that wants its port.
fn is_listening(text: &str) -> bool {
    [
        "listen",
        "on address",
        "0.0.0.0:",
        ":::",
        "\"0.0.0.0\" port",
        "bind() to",
        "jvm_bind",
        "serversocket",
        "could not bind to host",
    ]
    .iter()
    .any(|w| text.contains(w))
        && !is_outgoing(text)
        && source_port(text).is_none()
}

/// The text shows a client that wants a connection.
fn is_outgoing(text: &str) -> bool {
    [
        "dial tcp",
        "connect(",
        "connect:",
        " connect ",
        "connecting",
        "to connect",
        "connecterror",
        "new connection",
        "http failed",
        "curl: (",
        "urlopen",
        "upstream",
        ": connect",
        "connectexception",
    ]
    .iter()
    .any(|w| text.contains(w))
}

fn side(c: &Context<'_>) -> Option<Side> {
    c.side.or_else(|| {
        if is_listening(c.text) { Some(Side::Server) } else { (c.only_connects || is_outgoing(c.text)).then_some(Side::Client) }
    })
}

/// The source port that the text shows: `dial tcp 10.0.0.2:0->10.0.0.1:80` (Go), `- Local (10.0.0.2:40000)` (Node.js).
fn source_port(text: &str) -> Option<u16> {
    let local = text.split_once("local (").and_then(|(_, rest)| rest.split_once(')')).map(|(local, _)| local);
    let dialled = || text.split_once("->").and_then(|(before, _)| before.rsplit(' ').next());
    local.or_else(dialled)?.rsplit_once(':')?.1.parse().ok()
}

fn in_use(call: Call, c: &Context<'_>) -> Judged {
    let client = |j: Judged| Judged { side: Some(Side::Client), ..j };
    match source_port(c.text) {
        // The kernel was to choose, and had nothing to choose from.
        Some(0) => return client(certain(Call::Bind, Limit::LocalPorts)),
        Some(_) => return client(certain(Call::Bind, Limit::PortBusy)),
        None => {}
    }
    let is_client = side(c) == Some(Side::Client);
    match (c.os, call) {
        (Some(Os::Windows), Call::Connect) => certain(call, Limit::LocalPorts),
        (_, Call::Bind) if side(c) == Some(Side::Server) => certain(call, Limit::PortBusy),
        (_, Call::Bind) if is_client => judged(call, Limit::PortBusy, Certainty::Likely, source_bound(c.os)),
        (_, Call::Bind) => judged(
            call,
            Limit::PortBusy,
            Certainty::Likely,
            vec![
                busy("the port was named by the programme: that one port is held, by a listener or by TIME_WAIT"),
                Alternative {
                    call,
                    limit: Limit::LocalPorts,
                    tell: "the port was 0, so that the kernel should choose: the whole range is used up".into(),
                },
            ],
        ),
        (Some(Os::Windows), _) => {
            let (call, certainty) =
                if is_client { (Call::Connect, Certainty::Likely) } else { (Call::Unnamed, Certainty::Ambiguous) };
            judged(call, Limit::LocalPorts, certainty, vec![ports(under_load(c.os)), busy(at_start(c.os))])
        }
        // The name alone is the same on Windows, where connect() gives it; the C library's message is not.
        (None, Call::Connect) if !c.text.contains("address already in use") && !c.text.contains("address in use") => {
            let mut alternatives = source_bound(c.os);
            alternatives.insert(0, ports("Windows (10048): connect() itself gives it, the dynamic ports are used up"));
            judged(call, Limit::LocalPorts, Certainty::Likely, alternatives)
        }
        (_, _) if is_client => judged(Call::Bind, Limit::LocalPorts, Certainty::Ambiguous, source_bound(c.os)),
        _ => {
            let held = Alternative { call: Call::Bind, ..ports(under_load(c.os)) };
            judged(Call::Unnamed, Limit::PortBusy, Certainty::Ambiguous, vec![busy(at_start(c.os)), held])
        }
    }
}

fn not_available(call: Call, c: &Context<'_>) -> Judged {
    if c.os == Some(Os::Windows) {
        // 10049 is not exhaustion: that is 10048 or 10055 there.
        return certain(call, Limit::NotLocal);
    }
    // After an explicit bind() connect() found the same four numbers in use.
    if call != Call::Bind && source_port(c.text).is_some_and(|port| port != 0) {
        return certain(Call::Connect, Limit::PortBusy);
    }
    let both = || vec![ports(under_load(c.os)), not_local(Call::Bind, at_first(c.os))];
    let v6 = c.text.contains("[::") || c.text.contains("::1") || (c.text.contains('[') && c.text.contains("::"));
    match call {
        Call::Bind => certain(call, Limit::NotLocal),
        Call::Connect if v6 => {
            judged(call, Limit::LocalPorts, Certainty::Ambiguous, vec![ports(under_load(c.os)), not_local(call, at_first(c.os))])
        }
        Call::Connect if c.text.contains("localhost") => {
            judged(call, Limit::LocalPorts, Certainty::Likely, vec![ports(under_load(c.os)), not_local(call, at_first(c.os))])
        }
        Call::Connect => certain(call, Limit::LocalPorts),
        _ if side(c) == Some(Side::Client) => judged(Call::Connect, Limit::LocalPorts, Certainty::Likely, both()),
        _ => judged(Call::Unnamed, Limit::LocalPorts, Certainty::Ambiguous, both()),
    }
}

fn no_buffers(call: Call, c: &Context<'_>) -> Judged {
    let memory = Alternative {
        call,
        limit: Limit::Hidden,
        tell: "netstat shows few TIME_WAIT and few connections: the kernel's memory for sockets is short, by a leak or a driver"
            .into(),
    };
    if c.os == Some(Os::Windows) {
        let tell = "event 4231 in the System log, or netstat with about 16384 ports in use: no dynamic port is left at all";
        return judged(
            if call == Call::Unnamed { Call::Connect } else { call },
            Limit::LocalPorts,
            Certainty::Likely,
            vec![ports(tell), memory],
        );
    }
    judged(call, Limit::Hidden, Certainty::Ambiguous, vec![memory])
}

fn timed_out(call: Call) -> Judged {
    if matches!(call, Call::Unnamed) {
        let alternatives = vec![
            Alternative {
                call: Call::Connect,
                limit: Limit::Backlog,
                tell: "set-ups take 1 s or 3 s first, and the target's ListenOverflows rise: its backlog is full".into(),
            },
            Alternative {
                call: Call::Read,
                limit: Limit::TimedOut,
                tell: "the connection stands and no answer comes: the target is slow or stuck".into(),
            },
        ];
        return judged(call, Limit::TimedOut, Certainty::Likely, alternatives);
    }
    certain(call, Limit::TimedOut)
}

/// The tool counts failed connections and drops their errno.
pub(super) fn hidden_connect() -> Judged {
    let call = Call::Connect;
    let used_up = "the first connections succeeded and later ones failed at once: netstat -an | grep -c TIME_WAIT shows about as \
                   many as the range has ports";
    judged(
        call,
        Limit::Hidden,
        Certainty::Ambiguous,
        vec![
            ports(used_up),
            Alternative {
                call,
                limit: Limit::Refused,
                tell: "none ever succeeded: nothing listens (ss -ltn on the target, netstat -an where there is no ss)".into(),
            },
            Alternative {
                call: Call::Socket,
                limit: Limit::Descriptors,
                tell: "more connections were asked for than ulimit -n allows".into(),
            },
        ],
    )
}
