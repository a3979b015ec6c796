//! What a reading says, and what it is not, in sentences.

use super::address::Target;
use super::classify::Judged;
use super::codes::Condition;
use super::evidence::{Evidence, Spelling};
use crate::model::explanation::{Certainty, FailedCall as Call, Limit, Os, Side};

/// What happened, in sentences.
pub(super) fn says(j: &Judged, e: &Evidence) -> String {
    let text = what_happened(j, e);
    if e.spelling == Spelling::NumberAlone {
        return format!("a number alone may be anything. As the number of an error: {text}");
    }
    if j.certainty != Certainty::Ambiguous {
        return text;
    }
    match (j.limit, j.side, j.call) {
        (Limit::LocalPorts, Some(Side::Client), Call::Bind) => format!(
            "{}comes from bind(): the client bound its source address before connecting. To port 0 or to one port, the text does \
             not say. With port 0: {text}",
            if e.os == Some(Os::Macos) { "this " } else { "on Linux 98 " }
        ),
        (Limit::LocalPorts, _, Call::Connect) => {
            format!("connect() failed for one of two reasons, and the text does not say which. Under load: {text}")
        }
        (Limit::LocalPorts, ..) => format!(
            "the text does not say which call failed, or for which of two reasons. From an outgoing connection under load: {text}"
        ),
        (Limit::PortBusy, ..) => format!("the text does not say which call failed. From a server that starts: {text}"),
        _ => text,
    }
}

fn what_happened(j: &Judged, e: &Evidence) -> String {
    if let Some(text) = by_condition(e) {
        return text.into();
    }
    let is_windows = e.os == Some(Os::Windows);
    let text = match (j.limit, j.call) {
        (Limit::LocalPorts, call) => return ports(call, e),
        (Limit::PortBusy, Call::Connect) => {
            "the client had bound one particular source port, and a connection with the same addresses and ports exists, or is in \
             TIME_WAIT where timestamps are off: the tuple is busy."
        }
        (Limit::PortBusy, _) if j.side == Some(Side::Client) => {
            "the client bound its source address before connecting, to one particular port, and that port is in use: by a live \
             connection, by one in TIME_WAIT, or by a listener."
        }
        (Limit::PortBusy, _) => {
            "bind() asked for one particular port, and another socket has it: most often a second copy of the same server, or the \
             old one that has not ended yet."
        }
        (Limit::NotLocal, Call::Bind) => "bind() asked for an address that no interface of this machine has.",
        (Limit::NotLocal, _) if is_windows => {
            "the address cannot be used from here: 0.0.0.0 or port 0 as a destination, or a source address that no interface has. \
             On Windows 10049 is not what used-up ports give (that is 10048 or 10055)."
        }
        (Limit::NotLocal, _) => "no local address can reach that destination.",
        (Limit::Descriptors, Call::Accept) => {
            "accept() had no descriptor left: the server's limit of open files is reached. Clients wait in its backlog meanwhile."
        }
        (Limit::Descriptors, Call::Getaddrinfo) => {
            "no descriptor was left to ask for the name: the limit of open files (ulimit -n) is reached. The name itself is fine."
        }
        (Limit::Descriptors, _) => "no descriptor was left for another socket: the limit of open files (ulimit -n) is reached.",
        (Limit::Backlog, Call::Connect) => "the target's queue of connections that wait for accept() is full.",
        (Limit::Backlog, _) => {
            "the server's queue of connections that wait for accept() overflowed: SYNs are dropped or answered with cookies, so \
             clients see connects of 1 s and 3 s, and timeouts."
        }
        (Limit::Conntrack, _) => {
            "the firewall's connection table is full and packets are dropped: entries of closed connections (TIME_WAIT, 120 s \
             there) fill it."
        }
        (Limit::Policy, _) => policy(j.call, e),
        (Limit::Refused, _) => "nothing listened at the target's address when connect() asked: its machine answered with RST.",
        (Limit::Reset, Call::Write) => {
            "the request was written to a connection that the target had ended already: an idle one that it closed, or one that it \
             dropped."
        }
        (Limit::Reset, _) => {
            "the target ended the connection before its answer was complete: it closed an idle one just then, dropped it, or died."
        }
        (Limit::TimedOut, Call::Connect) => {
            "no connection was established in time: SYNs or their answers are lost, or the target's backlog is full."
        }
        (Limit::TimedOut, Call::Unnamed) => "no connection or no answer came in time: the text does not say which.",
        (Limit::TimedOut, _) => "the connection was established, and no answer came in time: the target is slow or stuck.",
        (Limit::Unreachable, _) if e.errno.is_some_and(|e| matches!(e.name, "EHOSTUNREACH" | "EHOSTDOWN")) => {
            "the target's machine cannot be reached: a router or firewall said so, or nobody on the local network has that address."
        }
        (Limit::Unreachable, _) => "there is no route to that network, often an IPv6 address on a machine without IPv6.",
        (Limit::NameResolution, _) => {
            "the host name was not turned into an address: no connection was tried, and no source port was used yet. A wrong name, \
             or a resolver that does not answer; where it comes under load only, the resolver is overloaded."
        }
        (Limit::Hidden, Call::Connect) => "connections failed, and the tool does not say why: the errno is lost.",
        (Limit::Hidden, _) => {
            "requests failed with their connections, or before these were established, and the tool does not say why: the errno is lost."
        }
    };
    text.into()
}

/// Conditions that say more than their limit.
const fn by_condition(e: &Evidence) -> Option<&'static str> {
    Some(match e.condition {
        Condition::NoBuffers if !matches!(e.os, Some(Os::Windows)) => {
            "the kernel had no memory or no queue space for the socket. This is not about source ports."
        }
        Condition::NoMemory => "the kernel had no memory for the socket: a limit of the container, or tcp_mem.",
        Condition::TimeWaitFull => {
            "the kernel's TIME_WAIT table was full (net.ipv4.tcp_max_tw_buckets), so it dropped entries early. No connection failed \
             by this: ports are free sooner, but late packets of old connections are no longer kept apart."
        }
        Condition::KernelFull => {
            "a table or the memory that the kernel has for sockets is full (tcp_mem, tcp_max_orphans, or the neighbour table): it \
             drops connections and packets."
        }
        Condition::ProgramLimit => {
            "the program's own limit of connections was reached: it did not try another one. No system call failed, and the target \
             was not asked."
        }
        Condition::WinsockBroken => {
            "Winsock could not create the socket: its catalogue or the environment of the process is damaged."
        }
        Condition::ClosedHere => {
            "the socket was closed on this side while it was in use: by a timeout of the program, or by its shutdown."
        }
        Condition::FamilyOff => {
            "the socket's address family is not available: the address is IPv6 and IPv6 is off here, or the other way round."
        }
        _ => return None,
    })
}

const fn policy(call: Call, e: &Evidence) -> &'static str {
    match (call, e.os, e.target) {
        (_, _, Target::Unix) => {
            "the user of the program may not open that socket in the file system: its owner or mode forbids it."
        }
        (Call::Connect, Some(Os::Windows), _) => "Windows forbids the program this connection: a firewall or an antivirus.",
        (_, Some(Os::Windows), _) => {
            "Windows forbids the program this port: it lies in an excluded range (Hyper-V, WSL and Docker reserve some at each \
             start), another program has it for itself alone, or a firewall forbids it."
        }
        (Call::Bind, ..) => "the program may not listen on that port: ports below 1024 need a privilege on Linux.",
        _ => {
            "this machine forbids the program the connection: a firewall rule, SELinux, seccomp or a container's policy. No packet left."
        }
    }
}

fn ports(call: Call, e: &Evidence) -> String {
    let (is_windows, is_macos) = (e.os == Some(Os::Windows), e.os == Some(Os::Macos));
    let closes = "The side that closes first keeps the port; here that is the client, with a new connection for every request.";
    if call == Call::Bind && !is_windows {
        let range = if is_macos { "net.inet.ip.portrange.first to last" } else { "ip_local_port_range" };
        let shared = if is_macos {
            ""
        } else {
            "; without IP_BIND_ADDRESS_NO_PORT all destinations share it, and tcp_tw_reuse never helps bind()"
        };
        return format!(
            "bind() to port 0 found no source port on the client's own machine: the range ({range}) is all in use, most of it in \
             TIME_WAIT{shared}. {closes}"
        );
    }
    let call = match call {
        Call::Bind => "bind() to port 0",
        Call::Getaddrinfo => "the question for the host name",
        _ => "connect()",
    };
    let range = if is_windows {
        "the dynamic ports (49152-65535, 16384 of them)"
    } else if is_macos {
        "the ephemeral ports (net.inet.ip.portrange.first to last: 49152-65535, 16384 of them)"
    } else {
        "the source ports of ip_local_port_range"
    };
    let to = if call == "connect()" { " to this destination" } else { "" };
    let held = if is_windows {
        "for about 120 s"
    } else if is_macos {
        "for 30 s (twice net.inet.tcp.msl; by documentation)"
    } else {
        "for 60 s"
    };
    format!(
        "{call} found no source port on the client's own machine: {range}{to} are all in use, most of them in TIME_WAIT {held}. {closes}"
    )
}

/// What it is not.
pub(super) const fn is_not(j: &Judged, e: &Evidence) -> &'static str {
    match (j.limit, j.side, e.condition) {
        (Limit::PortBusy, Some(Side::Client), _) => {
            "not the server (no packet reached it), and not a used-up range: one port is in use, others may be free"
        }
        (_, _, Condition::TimeWaitFull) => "not used-up source ports: entries that are dropped early leave their ports free",
        (_, _, Condition::ProgramLimit) => "not the target and not the network: the request waited for the program's own pool",
        (_, _, Condition::ClosedHere) => "not known to be the target: the message is about this side's socket",
        (_, _, Condition::KernelFull | Condition::NoBuffers | Condition::NoMemory) if matches!(j.limit, Limit::Hidden) => {
            "not used-up source ports (these give EADDRNOTAVAIL), and not the limit of open files"
        }
        (limit, ..) => is_no(limit),
    }
}

const fn is_no(limit: Limit) -> &'static str {
    match limit {
        Limit::LocalPorts => {
            "not the server (no packet reached it), not the CPU, not a firewall, and not a port that the server listens on"
        }
        Limit::PortBusy => "not used-up source ports, and not the target of a load: one port is wanted, and in use",
        Limit::NotLocal => "not used-up source ports: waiting does not help",
        Limit::Descriptors => "not ports and not TIME_WAIT: a socket in TIME_WAIT has no descriptor",
        Limit::Backlog => "not used-up ports of the client: it would get an error at once, not a delay",
        Limit::Conntrack => "not the client's ports and not the server: packets are dropped between them",
        Limit::Policy => "not the target (it was not asked), and not used-up ports: waiting does not help",
        Limit::Refused => {
            "not used-up source ports (the SYN was sent and answered), and not a full backlog (that drops, it does not refuse)"
        }
        Limit::Reset => "not used-up source ports: the connection was established",
        Limit::TimedOut => "not used-up source ports: these fail at once",
        Limit::NameResolution => "not used-up source ports, and not the target: it was never asked",
        Limit::Unreachable => "not used-up source ports",
        Limit::Hidden => "not known to be the server: the tool would print the same for a local cause",
    }
}
