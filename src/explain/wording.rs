//! What a reading says, and what it is not, in sentences.

use super::address::Target;
use super::classify::Judged;
use super::codes::{Condition, Lookup};
use super::evidence::{Evidence, Spelling};
use crate::model::explanation::{Certainty, Exactly, FailedCall as Call, KernelTable, Limit, Os, Side};
use crate::remedy::programs::Program;

/// What happened, in sentences. The first is the answer; the others say how it comes about.
pub(super) fn says(j: &Judged, e: &Evidence, to_loopback: bool) -> String {
    let text = what_happened(j, e, to_loopback);
    if e.spelling == Spelling::NumberAlone {
        return format!("A number alone may be anything. As the number of an error: {}", decapitalised(&text));
    }
    if j.certainty != Certainty::Ambiguous {
        return text;
    }
    let text = decapitalised(&text);
    match (j.limit, j.side, j.call) {
        (Limit::LocalPorts, Some(Side::Client), Call::Bind) => {
            let os = if e.os == Some(Os::Macos) { "This" } else { "On Linux 98" };
            format!(
                "{os} comes from bind(): the client bound its source address before connecting. To port 0 or to one port, the text \
                 does not say. With port 0: {text}"
            )
        }
        (Limit::LocalPorts, _, Call::Connect) => {
            format!("connect() failed for one of two reasons, and the text does not say which. Under load: {text}")
        }
        (Limit::LocalPorts, ..) => {
            format!("An address error, and the text does not say at which call. From an outgoing connection under load: {text}")
        }
        (Limit::PortBusy, ..) => {
            format!("A port is in use, and the text does not say at which call. From a server that starts: {text}")
        }
        _ => what_happened(j, e, to_loopback),
    }
}

/// As the rest of a sentence; names of calls keep their spelling.
fn decapitalised(text: &str) -> String {
    let mut chars = text.chars();
    let (first, second) = (chars.next(), chars.clone().next());
    match (first, second) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

fn what_happened(j: &Judged, e: &Evidence, to_loopback: bool) -> String {
    let text = by_condition(e).map_or_else(|| by_limit(j, e, to_loopback), str::to_owned);
    if !e.since_boot {
        return text;
    }
    text + " The kernel counts since it started (nstat without -a: since its last call), for the whole machine: what rises during the test matters."
}

fn by_limit(j: &Judged, e: &Evidence, to_loopback: bool) -> String {
    let is_windows = e.os == Some(Os::Windows);
    let text = match (j.limit, j.call) {
        (Limit::LocalPorts, call) => return ports(call, e, to_loopback),
        (Limit::PortBusy, Call::Connect) => {
            "The client's source port is busy. The client had bound it, and a connection with the same addresses and ports \
             exists, or is in TIME_WAIT where timestamps are off."
        }
        (Limit::PortBusy, _) if j.side == Some(Side::Client) => {
            "The client's source port is busy. The client bound one particular port before connecting; a live connection, one in \
             TIME_WAIT, or a listener has it."
        }
        (Limit::PortBusy, _) => {
            "The port is in use by another socket. bind() asked for this one port: most often a second copy of the same server \
             runs, or the old one has not ended yet."
        }
        (Limit::NotLocal, Call::Bind) => {
            "The address is not one of this machine's. bind() asked for it, and no interface has it."
        }
        (Limit::NotLocal, _) if is_windows => {
            "The address cannot be used from here. It is 0.0.0.0 or port 0 as a destination, or a source address that no \
             interface has. On Windows 10049 is not what used-up ports give (that is 10048 or 10055)."
        }
        (Limit::NotLocal, _) => "No local address can reach that destination.",
        (Limit::Descriptors, Call::Accept) => {
            "accept() had no descriptor left. The server's limit of open files is reached; clients wait in its backlog meanwhile."
        }
        (Limit::Descriptors, Call::Getaddrinfo) => {
            "No descriptor was left to look up the name. The limit of open files (ulimit -n) is reached; the name itself is fine."
        }
        (Limit::Descriptors, _) => "No descriptor was left for another socket. The limit of open files (ulimit -n) is reached.",
        (Limit::Backlog, Call::Connect) => "The target's queue of connections that wait for accept() is full.",
        (Limit::Backlog, _) => {
            "The server's queue of connections that wait for accept() overflowed. SYNs are dropped or answered with cookies, so \
             clients see connects of one second or several, and timeouts."
        }
        (Limit::Conntrack, _) => {
            "The firewall's connection table is full. It drops packets; entries of closed connections (TIME_WAIT, 120 s there) \
             fill it."
        }
        (Limit::Policy, _) => policy(j.call, e),
        (Limit::Refused, _) => {
            "Nothing listens at the target's address. connect() asked, and the target's machine answered with RST."
        }
        (Limit::Reset, Call::Write) => {
            "The target had closed the connection before the request was written. It was an idle one that it closed, or one that \
             it dropped."
        }
        (Limit::Reset, _) if is_busy(e) => {
            "The target closed the connection before its answer was complete. It dropped it, or died: this tool leaves no \
             connection idle."
        }
        (Limit::Reset, _) => {
            "The target closed the connection before its answer was complete. It closed an idle one just then, dropped it, or died."
        }
        (Limit::TimedOut, Call::Connect) => {
            "No connection was established in time. SYNs or their answers are lost, or the target's backlog is full."
        }
        (Limit::TimedOut, Call::Unnamed) => "No connection or no answer came in time. The text does not say which.",
        (Limit::TimedOut, _) => "No answer came in time. The connection was established: the target is slow or stuck.",
        (Limit::Unreachable, _) if e.errno.is_some_and(|e| matches!(e.name, "EHOSTUNREACH" | "EHOSTDOWN")) => {
            "The target's machine cannot be reached. A router or firewall said so, or nobody on the local network has that address."
        }
        (Limit::Unreachable, _) if e.target == Target::V4 => {
            "There is no route to that network. This machine has no default route, or the interface for it is down."
        }
        (Limit::Unreachable, _) if e.target == Target::V6 => {
            "There is no route to that network. The address is IPv6, and this machine has no route for it."
        }
        (Limit::Unreachable, _) => "There is no route to that network. Often it is an IPv6 address on a machine without IPv6.",
        (Limit::NameResolution, _) => {
            "The host name gave no address. No connection was tried, and no source port was used yet: the name is wrong, or the \
             resolver does not answer. Where it comes under load only, the resolver is overloaded, or no descriptor was left for it."
        }
        (Limit::Hidden, Call::Connect) => "Connections failed, and the tool does not say why. The errno is lost.",
        (Limit::Hidden, _) => {
            "Requests failed with their connections, or before these were established. The tool does not say why: the errno is lost."
        }
    };
    text.into()
}

/// A load tool that sends the next request as soon as it has an answer: no connection of it is idle.
fn is_busy(e: &Evidence) -> bool {
    e.tool.and_then(|t| Program::of_tool(t.name)).is_some_and(Program::is_busy)
}

/// Conditions that say more than their limit.
const fn by_condition(e: &Evidence) -> Option<&'static str> {
    Some(match e.condition {
        Condition::NoBuffers if !matches!(e.os, Some(Os::Windows)) => {
            "The kernel had no memory or no queue space for the socket. This is not about source ports."
        }
        Condition::NoMemory => "The kernel had no memory for the socket. A limit of the container is reached, or tcp_mem.",
        Condition::Exact(Exactly::TimeWaitTable) => {
            "The kernel's TIME_WAIT table was full, so it dropped entries early (net.ipv4.tcp_max_tw_buckets). No connection failed \
             by this: ports are free sooner, but late packets of old connections are no longer kept apart."
        }
        Condition::KernelFull(table) => kernel_full(table),
        Condition::SynQueueFull => {
            "A listener's queue of half-open connections is full. The kernel answers further SYNs with cookies, or drops them; any \
             burst of new connections does it, not only an attack."
        }
        Condition::Exact(Exactly::ListenDrops) => {
            "The kernel dropped connection attempts at listeners. ListenDrops counts every reason for it, not overflows alone: \
             these are ListenOverflows."
        }
        Condition::Exact(Exactly::RateLimit) => {
            "The server's limit for one client was reached. A load generator is one client to it: what it asks beyond the limit is \
             refused (503, 429), delayed or dropped."
        }
        Condition::Exact(Exactly::AllDown) => {
            "The proxy takes none of the servers behind it for healthy. It marked each of them as failed before, and tried none for \
             this request: the lines before these say why."
        }
        Condition::Exact(Exactly::Threads) => {
            "No further thread or process could be started. A limit is reached, that of the user (ulimit -u), of the container or \
             service (pids.max), or of the machine; or there is no memory for a stack."
        }
        Condition::OutOfMemory | Condition::OomBegins => {
            "Memory ran out, and a process was killed or could not go on. If it is the server, clients see resets, then refusals; if \
             it is the load tool, its figures end there."
        }
        Condition::Exact(Exactly::ToolCpu) => {
            "The load tool has no CPU left. It sends less than asked and measures its own waiting: rates are too low and latencies \
             too long."
        }
        Condition::Exact(Exactly::ToolUsers) => {
            "The load tool had no free user for requests that were due. It did not send them: the target answers more slowly than \
             the test was planned for, or the users are too few."
        }
        Condition::Exact(Exactly::ProgramLimit) => {
            "The program's own limit of connections was reached. It did not try another one: no system call failed, and the target \
             was not asked."
        }
        Condition::Exact(Exactly::ServerLimit) => {
            "The server's own limit of connections was reached. It turned others away, or left them waiting; a proxy needs two \
             for each request, one to the client and one to the upstream."
        }
        Condition::NoName(Lookup::Unknown) => {
            "The host name has no address. The name server says that there is no such name: it is misspelled, or known elsewhere only (in \
             another container network, in a VPN). No connection was tried."
        }
        Condition::NoName(Lookup::NoAnswer) => {
            "The name server gave no answer. The host name may be right: the resolver was not reached, was overloaded, or could not say. No \
             connection was tried. Where it comes under load only, each request looks the name up again."
        }
        Condition::Exact(Exactly::PingLost) => {
            "The target did not answer a PING in time. The client gave the connection up, and nobody closed it: the target or the way to it \
             stood still, or packets were lost. All requests on that connection failed with it."
        }
        Condition::Exact(Exactly::IdleClosed) => {
            "The target closed a kept connection between two requests. Its idle timeout is shorter than the client's pause; the request had \
             not been read, so it can be sent again."
        }
        Condition::Exact(Exactly::WorkerKilled) => {
            "The target's server ended one of its workers, which had passed the server's own time limit. Requests that the worker had end \
             with a reset, or with 502 or 504 from a proxy. The line does not say what it waited for: a slow request, a lock or a pool, a \
             core that others had, or a client that sent nothing."
        }
        Condition::WorkerGone => {
            "A worker of the target's server was killed by a signal, and the server guesses that memory ran out. Requests that the worker \
             had end with a reset, or with 502 or 504 from a proxy."
        }
        Condition::Exact(Exactly::Winsock) => {
            "Winsock could not create the socket. Its catalogue or the environment of the process is damaged."
        }
        Condition::Exact(Exactly::ClosedHere) => {
            "The socket was closed on this side while it was in use. A timeout of the program closed it, or its shutdown."
        }
        Condition::FamilyOff => {
            "The socket's address family is not available. The address is IPv6 and IPv6 is off here, or the other way round."
        }
        _ => return None,
    })
}

const fn kernel_full(table: Option<KernelTable>) -> &'static str {
    match table {
        None => {
            "The kernel aborted connections for lack of memory. TCP's memory is used up (net.ipv4.tcp_mem), or too many connections \
             have no process any more (net.ipv4.tcp_max_orphans)."
        }
        Some(KernelTable::TcpMem) => {
            "The kernel's memory for TCP is used up (net.ipv4.tcp_mem). There are too many sockets, or they keep too much that \
             nobody reads; packets and connections are dropped."
        }
        Some(KernelTable::Orphans) => {
            "Too many closed connections have no process any more (net.ipv4.tcp_max_orphans). Data or a FIN of theirs is not \
             acknowledged yet; the kernel resets further ones."
        }
        Some(KernelTable::Neighbours) => {
            "The kernel's table of neighbours is full (net.ipv4.neigh.default.gc_thresh3, by default 1,024). There are more hosts or \
             containers on the local networks than it takes, and packets to further ones are dropped."
        }
        Some(KernelTable::Neighbours6) => {
            "The kernel's table of IPv6 neighbours is full (net.ipv6.neigh.default.gc_thresh3, by default 1,024). There are more \
             hosts or containers on the local networks than it takes, and packets to further ones are dropped."
        }
        Some(KernelTable::Routes) => {
            "The kernel's table of IPv6 routes is full (net.ipv6.route.max_size). Packets to further destinations are dropped."
        }
    }
}

const fn policy(call: Call, e: &Evidence) -> &'static str {
    match (call, e.os, e.target) {
        (_, _, Target::Unix) => {
            "The user of the program may not open that socket in the file system. Its owner or mode forbids it."
        }
        (Call::Connect, Some(Os::Windows), _) => {
            "Windows forbids the program this connection. A firewall or an antivirus does so; no packet left."
        }
        (_, Some(Os::Windows), _) => {
            "Windows forbids the program this port. It lies in an excluded range (Hyper-V, WSL and Docker reserve some at each \
             start), another program has it for itself alone, or a firewall forbids it."
        }
        (Call::Bind, ..) => "The program may not listen on that port. Ports below 1024 need a privilege on Linux.",
        _ => {
            "This machine forbids the program the connection. A firewall rule, SELinux, seccomp or a container's policy does so; no \
             packet left."
        }
    }
}

fn ports(call: Call, e: &Evidence, to_loopback: bool) -> String {
    let closes = "The side that closes first keeps the port; here that is the client, with a new connection for every request.";
    let (range, held) = match e.os {
        Some(Os::Windows) => ("dynamic ports (by default 49152-65535)", "for about 120 s"),
        Some(Os::Macos) => {
            ("ephemeral ports (net.inet.ip.portrange.first to last, by default 49152-65535)", "for 30 s (twice net.inet.tcp.msl)")
        }
        _ if to_loopback && call != Call::Bind => {
            ("ports of ip_local_port_range", "(to loopback for 1 s by default, else for 60 s)")
        }
        _ => ("ports of ip_local_port_range", "for 60 s"),
    };
    if call == Call::Bind && e.os != Some(Os::Windows) {
        let shared = if e.os == Some(Os::Macos) {
            ""
        } else {
            " Without IP_BIND_ADDRESS_NO_PORT all destinations share them, and tcp_tw_reuse never helps bind()."
        };
        return format!(
            "bind() to port 0 found no free source port on the client's machine. All {range} are in use, most of them in TIME_WAIT {held}.{shared} {closes}"
        );
    }
    let call = match call {
        Call::Bind => "bind() to port 0",
        Call::Getaddrinfo => "The look-up of the host name",
        _ => "connect()",
    };
    let to = if call == "connect()" { " to this destination" } else { "" };
    format!(
        "{call} found no free source port on the client's machine. All {range}{to} are in use, most of them in TIME_WAIT {held}. {closes}"
    )
}

pub(super) const fn is_not(j: &Judged, e: &Evidence) -> &'static str {
    match (j.limit, j.side, e.condition) {
        (Limit::PortBusy, Some(Side::Client), _) => {
            "not the server (no packet reached it), and not a used-up range: one port is in use, others may be free"
        }
        (_, _, Condition::WorkerGone) => "not source ports, and not the network: it happened inside the target",
        (_, _, Condition::OutOfMemory | Condition::OomBegins) => "not source ports, and not a limit of connections",
        (_, _, Condition::KernelFull(_) | Condition::NoBuffers | Condition::NoMemory) if matches!(j.limit, Limit::Hidden) => {
            "not used-up source ports (these give EADDRNOTAVAIL), and not the limit of open files"
        }
        (limit, _, Condition::Exact(exactly)) => is_not_exactly(exactly, limit),
        (limit, ..) => is_no(limit),
    }
}

const fn is_not_exactly(exactly: Exactly, limit: Limit) -> &'static str {
    match exactly {
        Exactly::TimeWaitTable => "not used-up source ports: entries that are dropped early leave their ports free",
        Exactly::ProgramLimit => "not the target and not the network: the request waited for the program's own pool",
        Exactly::ServerLimit => "not the client, not its ports, and not the network: the server's settings decide it",
        Exactly::RateLimit => "not the target's speed and not the network: a setting of the server, or of what stands before it",
        Exactly::AllDown => "not a failure of this request's own connection: none was tried, so there is no errno",
        Exactly::WorkerKilled => "not source ports, and not the network: the target's program ended its own worker",
        Exactly::PingLost => "not a close by the target: a FIN or RST would have come, and did not",
        Exactly::IdleClosed => "not a crash, and not an answer that was cut off: no request was under way",
        Exactly::Threads => "not source ports, and not the limit of open files (ulimit -n)",
        Exactly::ToolCpu => "not the target: it may have answered fast",
        Exactly::ToolUsers => "not source ports and not the network: no connection failed by it",
        Exactly::ListenDrops => "not the client's ports, and not known to be a full queue",
        Exactly::ClosedHere => "not known to be the target: the message is about this side's socket",
        _ => is_no(limit),
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

#[cfg(test)]
mod tests {
    use strum::VariantArray as _;

    use super::super::codes::by_number;
    use super::super::lexicon::messages;
    use super::super::messages::Means;
    use super::*;

    #[test]
    fn a_name_of_reports_has_words_of_its_own_or_comes_from_a_condition_that_has_them() {
        let of_other_conditions = |exactly: Exactly| {
            use Exactly::{KernelMemory, KernelTable, Memory, NameServer, UnknownName};
            matches!(exactly, KernelTable | KernelMemory | Memory | UnknownName | NameServer)
        };
        for exactly in Exactly::VARIANTS {
            let words = by_condition(&Evidence::new(Condition::Exact(*exactly), Call::Unnamed));
            assert_eq!(words.is_none(), of_other_conditions(*exactly), "{}", exactly.word());
        }
        let of_words = messages().filter_map(|m| if let Means::Only(condition) = m.means { Some(condition) } else { None });
        for condition in of_words.chain((0..20_000).filter_map(|n| by_number(n, None)).map(|meaning| meaning.condition)) {
            assert!(!matches!(condition, Condition::Exact(exactly) if of_other_conditions(exactly)), "{condition:?}");
        }
    }
}
