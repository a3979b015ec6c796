//! What a reading says, and what it is not, in sentences.

use super::judge::Judged;
use super::text::Context;
use crate::model::explanation::{Certainty, FailedCall as Call, Limit, Os, Side};

/// What happened, in sentences.
pub(super) fn says(j: &Judged, c: &Context<'_>) -> String {
    let who = c.tool.map_or_else(String::new, |t| format!("{t}: "));
    let (windows, macos) = (c.os == Some(Os::Windows), c.os == Some(Os::Macos));
    let text = match (j.limit, j.call) {
        (Limit::LocalPorts, Call::Bind) if !windows => {
            let range = if macos { "net.inet.ip.portrange.first to last" } else { "ip_local_port_range" };
            let shared = if macos { "" } else { "; without IP_BIND_ADDRESS_NO_PORT all destinations share it, and tcp_tw_reuse never helps bind()" };
            format!("bind() to port 0 found no source port on the client's own machine: the range ({range}) is all held, most of it in TIME_WAIT{shared}. The side that closes first keeps the port; here that is the client, with a new connection for every request.")
        }
        (Limit::LocalPorts, call) => {
            let call = if call == Call::Bind { "bind() to port 0" } else { "connect()" };
            let how = if windows && j.call == Call::Bind {
                "the dynamic ports (49152-65535, 16384 of them) are all held, most of them in TIME_WAIT for about 120 s"
            } else if windows {
                "the dynamic ports (49152-65535, 16384 of them) to this destination are all held, most of them in TIME_WAIT for about 120 s"
            } else if macos {
                "the ephemeral ports (net.inet.ip.portrange.first to last: 49152-65535, 16384 of them) to this destination are all held, most of them in TIME_WAIT for 30 s (twice net.inet.tcp.msl; by documentation)"
            } else {
                "the source ports of ip_local_port_range to this destination are all held, most of them in TIME_WAIT for 60 s"
            };
            format!("{call} found no source port on the client's own machine: {how}. The side that closes first keeps the port; here that is the client, with a new connection for every request.")
        }
        (Limit::PortBusy, Call::Connect) => "the client had bound one particular source port, and a connection with the same addresses and ports still stands, or waits in TIME_WAIT where timestamps are off: the tuple is busy.".into(),
        (Limit::PortBusy, _) if j.side == Some(Side::Client) => "the client bound its source address before connecting, to one particular port, and that port is held: by a live connection, by one in TIME_WAIT, or by a listener.".into(),
        (Limit::PortBusy, _) => "bind() asked for one particular port, and another socket holds it: most often a second copy of the same server, or the old one not yet gone.".into(),
        (Limit::NotLocal, Call::Bind) => "bind() asked for an address that no interface of this machine has.".into(),
        (Limit::NotLocal, _) if windows => "The address cannot be used from here: 0.0.0.0 or port 0 as a destination, or a source address that no interface has. On Windows 10049 is not what used-up ports give (that is 10048 or 10055).".into(),
        (Limit::NotLocal, _) => "No local address can reach that destination.".into(),
        (Limit::Descriptors, Call::Accept) => "accept() had no descriptor left: the server's limit of open files is reached. Clients wait in its backlog meanwhile.".into(),
        (Limit::Descriptors, _) => "no descriptor was left for another socket: the limit of open files (ulimit -n) is reached.".into(),
        (Limit::Backlog, _) => "the server's queue of connections that wait for accept() overflowed: SYNs are dropped or answered with cookies, so clients see 1 s and 3 s set-ups and timeouts.".into(),
        (Limit::Conntrack, _) => "the firewall's connection table is full and packets are dropped: entries of closed connections (TIME_WAIT, 120 s there) fill it.".into(),
        (Limit::Refused, _) => "nothing listened at the target's address when connect() asked: its machine answered with RST.".into(),
        (Limit::Reset, Call::Write) => "the request was written to a connection that the target had ended already: an idle one that it closed, or one that it dropped.".into(),
        (Limit::Reset, _) => "the target ended the connection before its answer was complete: it closed an idle one just then, hung up, or died.".into(),
        (Limit::TimedOut, Call::Connect) => "no connection came to stand in time: SYNs or their answers are lost, or the target's backlog is full.".into(),
        (Limit::TimedOut, Call::Unnamed) => "no connection or no answer came in time: the text does not say which.".into(),
        (Limit::TimedOut, _) => "the connection stood, and no answer came in time: the target is slow or stuck.".into(),
        (Limit::Unreachable, _) if c.text.contains("no route to host") || c.text.contains("ehostunreach") || c.text.contains("unreachable host") => "the target's machine cannot be reached: a router or firewall said so, or nobody on the local network has that address.".into(),
        (Limit::Unreachable, _) => "there is no route to that network, often an IPv6 address on a machine without IPv6.".into(),
        (Limit::NameResolution, _) => "the host name was not turned into an address: no connection was tried, and no source port was used yet. A wrong name, or a resolver that does not answer; where it comes under load only, the resolver is overloaded, or no descriptor was left for the question.".into(),
        (Limit::Hidden, Call::Unnamed) if c.os.is_none() && j.certainty == Certainty::Ambiguous && j.side == Some(Side::Client) => "requests failed with their connections, or before these stood, and the tool does not say why: the errno is lost.".into(),
        (Limit::Hidden, Call::Connect) => "connections failed, and the tool does not say why: the errno is lost.".into(),
        (Limit::Hidden, _) => "the kernel had no memory or no queue space for the socket.".into(),
    };
    if j.certainty != Certainty::Ambiguous {
        return who + &text;
    }
    if c.bare {
        return format!("a number alone may be anything. As the number of an error: {text}");
    }
    match (j.limit, j.side, j.call) {
        (Limit::LocalPorts, Some(Side::Client), Call::Bind) => format!(
            "{who}{}comes from bind(): the client bound its source address before connecting. To port 0 or to one port, the text does not say. With port 0: {text}",
            if macos { "this " } else { "on Linux 98 " }
        ),
        (Limit::LocalPorts, _, Call::Connect) => {
            format!("{who}connect() failed for one of two reasons, and the text does not say which. Under load: {text}")
        }
        (Limit::LocalPorts, ..) => format!(
            "{who}the text does not say which call failed, or for which of two reasons. From an outgoing connection under load: {text}"
        ),
        (Limit::PortBusy, ..) => format!("{who}the text does not say which call failed. From a server that starts: {text}"),
        _ => who + &text,
    }
}

/// What it is not.
pub(super) const fn is_not(j: &Judged) -> &'static str {
    match (j.limit, j.side) {
        (Limit::PortBusy, Some(Side::Client)) => {
            "not the server (no packet reached it), and not a used-up range: one port is held, others may be free"
        }
        (limit, _) => is_no(limit),
    }
}

const fn is_no(limit: Limit) -> &'static str {
    match limit {
        Limit::LocalPorts => {
            "not the server (no packet reached it), not the CPU, not a firewall, and not a port that the server listens on"
        }
        Limit::PortBusy => "not used-up source ports, and not the target of a load: one port is wanted, and held",
        Limit::NotLocal => "not used-up source ports: waiting does not help",
        Limit::Descriptors => "not ports and not TIME_WAIT: a socket in TIME_WAIT has no descriptor",
        Limit::Backlog => "not used-up ports of the client: it would get an error at once, not a delay",
        Limit::Conntrack => "not the client's ports and not the server: packets are dropped between them",
        Limit::Refused => {
            "not used-up source ports (the SYN was sent and answered), and not a full backlog (that drops, it does not refuse)"
        }
        Limit::Reset => "not used-up source ports: the connection stood",
        Limit::TimedOut => "not used-up source ports: these fail at once",
        Limit::NameResolution => "not used-up source ports, and not the target: it was never asked",
        Limit::Unreachable => "not used-up source ports",
        Limit::Hidden => "not known to be the server: the tool would print the same for a local cause",
    }
}
