//! From condition and call to the limit: one reading where the text decides, several with how to tell them apart
//! where it does not.

use super::patterns::Condition;
use super::text::Context;
use crate::model::explanation::{Alternative, Certainty, FailedCall as Call, Limit, Os};

/// The reading without what only the line knows.
pub(super) struct Judged {
    pub(super) call: Call,
    pub(super) limit: Limit,
    pub(super) certainty: Certainty,
    pub(super) says: String,
    pub(super) is_not: String,
    pub(super) alternatives: Vec<Alternative>,
}

fn judged(call: Call, limit: Limit, certainty: Certainty, alternatives: Vec<Alternative>) -> Judged {
    Judged { call, limit, certainty, says: String::new(), is_not: String::new(), alternatives }
}

/// Which limit was hit.
pub(super) fn judge(condition: Condition, call: Call, context: &Context<'_>) -> Judged {
    let mut out = match condition {
        Condition::InUse => in_use(call, context),
        Condition::NotAvailable => not_available(call, context),
        Condition::NoBuffers => no_buffers(call, context),
        Condition::TooManyFiles => judged(call, Limit::Descriptors, Certainty::Certain, Vec::new()),
        Condition::Refused => judged(Call::Connect, Limit::Refused, Certainty::Certain, Vec::new()),
        Condition::Reset => {
            judged(if call == Call::Unnamed { Call::Read } else { call }, Limit::Reset, Certainty::Certain, Vec::new())
        }
        Condition::TimedOut => timed_out(call),
        Condition::Unreachable => judged(Call::Connect, Limit::Unreachable, Certainty::Certain, Vec::new()),
        Condition::PortsUsedUp => judged(Call::Connect, Limit::LocalPorts, Certainty::Certain, Vec::new()),
        Condition::BacklogFull => judged(Call::Accept, Limit::Backlog, Certainty::Certain, Vec::new()),
        Condition::ConntrackFull => judged(Call::Unnamed, Limit::Conntrack, Certainty::Certain, Vec::new()),
        Condition::NoReason => no_reason(call),
    };
    out.says = says(&out, context);
    is_not(out.limit).clone_into(&mut out.is_not);
    out
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

fn under_load(os: Option<Os>) -> String {
    let look = match os {
        Some(Os::Macos | Os::Windows) => "netstat -an",
        _ => "netstat -tan or ss -tan",
    };
    format!(
        "it comes under load, from outgoing connections, after some seconds or minutes, and goes away by itself: \
         source ports are used up ({look} shows thousands of TIME_WAIT to one address)"
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

/// The text shows a server that wants its port.
fn is_listening(text: &str) -> bool {
    ["listen", "on address", "0.0.0.0:", ":::", "bind() to", "jvm_bind", "serversocket", "could not bind to host"]
        .iter()
        .any(|w| text.contains(w))
        && !text.contains("0.0.0.0:0->")
}

fn in_use(call: Call, c: &Context<'_>) -> Judged {
    let both = || vec![ports(under_load(c.os)), busy(at_start(c.os))];
    match call {
        Call::Connect => judged(call, Limit::LocalPorts, Certainty::Certain, Vec::new()),
        // The kernel was to choose, and had nothing to choose from.
        Call::Bind if c.text.contains(":0->") => judged(call, Limit::LocalPorts, Certainty::Certain, Vec::new()),
        Call::Bind if is_listening(c.text) => judged(call, Limit::PortBusy, Certainty::Certain, Vec::new()),
        Call::Bind => judged(
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
        _ if c.only_connects => judged(Call::Connect, Limit::LocalPorts, Certainty::Likely, both()),
        _ if c.os == Some(Os::Windows) => judged(Call::Unnamed, Limit::LocalPorts, Certainty::Ambiguous, both()),
        _ => judged(Call::Unnamed, Limit::PortBusy, Certainty::Ambiguous, vec![busy(at_start(c.os)), ports(under_load(c.os))]),
    }
}

fn not_available(call: Call, c: &Context<'_>) -> Judged {
    if c.os == Some(Os::Windows) {
        // 10049 is not exhaustion: that is 10048 or 10055 there.
        return judged(call, Limit::NotLocal, Certainty::Certain, Vec::new());
    }
    let both = || vec![ports(under_load(c.os)), not_local(Call::Bind, at_first(c.os))];
    let v6 = c.text.contains("[::") || c.text.contains("::1") || (c.text.contains('[') && c.text.contains("::"));
    match call {
        Call::Bind => judged(call, Limit::NotLocal, Certainty::Certain, Vec::new()),
        Call::Connect if v6 => {
            judged(call, Limit::LocalPorts, Certainty::Ambiguous, vec![ports(under_load(c.os)), not_local(call, at_first(c.os))])
        }
        Call::Connect if c.text.contains("localhost") => {
            judged(call, Limit::LocalPorts, Certainty::Likely, vec![ports(under_load(c.os)), not_local(call, at_first(c.os))])
        }
        Call::Connect => judged(call, Limit::LocalPorts, Certainty::Certain, Vec::new()),
        _ if c.only_connects => judged(Call::Connect, Limit::LocalPorts, Certainty::Likely, both()),
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
    judged(call, Limit::TimedOut, Certainty::Certain, Vec::new())
}

/// The tool counts failures and drops their errno.
fn no_reason(call: Call) -> Judged {
    match call {
        Call::Read | Call::Write => judged(
            call,
            Limit::Reset,
            Certainty::Likely,
            vec![Alternative {
                call,
                limit: Limit::Reset,
                tell: "the target's log shows why it hung up; wrk counts an early end as a read error too".into(),
            }],
        ),
        Call::Connect => judged(
            call,
            Limit::Hidden,
            Certainty::Ambiguous,
            vec![
                ports(
                    "the first connections succeeded and later ones failed at once: netstat -an | grep -c TIME_WAIT shows about as many as the range has ports",
                ),
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
        ),
        _ => timed_out(call),
    }
}

fn says(j: &Judged, c: &Context<'_>) -> String {
    let who = c.tool.map_or_else(String::new, |t| format!("{t}: "));
    let (windows, macos) = (c.os == Some(Os::Windows), c.os == Some(Os::Macos));
    let text = match (j.limit, j.call) {
        (Limit::LocalPorts, call) => {
            let call = if call == Call::Bind { "bind() to port 0" } else { "connect()" };
            let how = if windows {
                "the dynamic ports (49152-65535, 16384 of them) to this destination are all held, most of them in TIME_WAIT for about 120 s"
            } else if macos {
                "the ephemeral ports (net.inet.ip.portrange.first to last: 49152-65535, 16384 of them) to this destination are all held, most of them in TIME_WAIT for 30 s (twice net.inet.tcp.msl; by documentation)"
            } else {
                "the source ports of ip_local_port_range to this destination are all held, most of them in TIME_WAIT for 60 s"
            };
            format!("{call} found no source port on the client's own machine: {how}. The side that closes first keeps the port; here that is the client, with a new connection for every request.")
        }
        (Limit::PortBusy, _) => "bind() asked for one particular port, and another socket holds it: most often a second copy of the same server, or the old one not yet gone.".into(),
        (Limit::NotLocal, Call::Bind) => "bind() asked for an address that no interface of this machine has.".into(),
        (Limit::NotLocal, _) if windows => "The address cannot be used from here: 0.0.0.0 or port 0 as a destination, or a source address that no interface has. On Windows 10049 is not what used-up ports give (that is 10048 or 10055).".into(),
        (Limit::NotLocal, _) => "No local address can reach that destination.".into(),
        (Limit::Descriptors, Call::Accept) => "accept() had no descriptor left: the server's limit of open files is reached. Clients wait in its backlog meanwhile.".into(),
        (Limit::Descriptors, _) => "no descriptor was left for another socket: the limit of open files (ulimit -n) is reached.".into(),
        (Limit::Backlog, _) => "the server's queue of connections that wait for accept() overflowed: SYNs are dropped or answered with cookies, so clients see 1 s and 3 s set-ups and timeouts.".into(),
        (Limit::Conntrack, _) => "the firewall's connection table is full and packets are dropped: entries of closed connections (TIME_WAIT, 120 s there) fill it.".into(),
        (Limit::Refused, _) => "nothing listened at the target's address when connect() asked: its machine answered with RST.".into(),
        (Limit::Reset, _) => "the target ended the connection before its answer was complete: it closed an idle one just then, hung up, or died.".into(),
        (Limit::TimedOut, Call::Connect) => "no connection came to stand in time: SYNs or their answers are lost, or the target's backlog is full.".into(),
        (Limit::TimedOut, Call::Unnamed) => "no connection or no answer came in time: the text does not say which.".into(),
        (Limit::TimedOut, _) => "the connection stood, and no answer came in time: the target is slow or stuck.".into(),
        (Limit::Unreachable, _) => "there is no route to that network, often an IPv6 address on a machine without IPv6.".into(),
        (Limit::Hidden, Call::Connect) => "connections failed, and the tool does not say why: the errno is lost.".into(),
        (Limit::Hidden, _) => "the kernel had no memory or no queue space for the socket.".into(),
    };
    if j.certainty == Certainty::Ambiguous && j.limit == Limit::LocalPorts {
        return format!(
            "{who}the text does not say which call failed, or for which of two reasons. From an outgoing connection under load: {text}"
        );
    }
    if j.certainty == Certainty::Ambiguous && j.limit == Limit::PortBusy {
        return format!("{who}the text does not say which call failed. From a server that starts: {text}");
    }
    who + &text
}

const fn is_not(limit: Limit) -> &'static str {
    match limit {
        Limit::LocalPorts => {
            "not the server (no packet reached it), not the CPU, not a firewall, and not a port that the server listens on"
        }
        Limit::PortBusy => "not used-up source ports: no outgoing connection was asked for",
        Limit::NotLocal => "not used-up source ports: waiting does not help",
        Limit::Descriptors => "not ports and not TIME_WAIT: a socket in TIME_WAIT has no descriptor",
        Limit::Backlog => "not used-up ports of the client: it would get an error at once, not a delay",
        Limit::Conntrack => "not the client's ports and not the server: packets are dropped between them",
        Limit::Refused => {
            "not used-up source ports (the SYN was sent and answered), and not a full backlog (that drops, it does not refuse)"
        }
        Limit::Reset => "not used-up source ports: the connection stood",
        Limit::TimedOut => "not used-up source ports: these fail at once",
        Limit::Unreachable => "not used-up source ports",
        Limit::Hidden => "not known to be the server: the tool would print the same for a local cause",
    }
}
