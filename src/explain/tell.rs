//! Other readings of the same text, and how to tell which one it is.

use super::address::Target;
use crate::model::explanation::{Alternative, FailedCall as Call, Limit, Os};

fn other(call: Call, limit: Limit, tell: impl Into<String>) -> Alternative {
    Alternative { call, limit, tell: tell.into() }
}

fn ports(tell: impl Into<String>) -> Alternative {
    other(Call::Connect, Limit::LocalPorts, tell)
}

fn busy(tell: impl Into<String>) -> Alternative {
    other(Call::Bind, Limit::PortBusy, tell)
}

/// The command that lists connections.
const fn list_of(os: Option<Os>) -> &'static str {
    match os {
        Some(Os::Macos | Os::Windows) => "netstat -an",
        _ => "netstat -tan or ss -tan",
    }
}

pub(super) fn is_an_errno(call: Call, limit: Limit) -> Alternative {
    other(call, limit, "it came after errno, os error, WinError or in [Errno ...]: the line around it names the call too")
}

pub(super) fn is_no_errno() -> Alternative {
    other(Call::Unnamed, Limit::Hidden, "it came from elsewhere: a count, a percentile, an exit status; give the whole line")
}

pub(super) fn ports_under_load(os: Option<Os>) -> Alternative {
    ports(format!(
        "it comes under load, from outgoing connections, after seconds or minutes, and goes away by itself: source ports are \
         used up ({} shows thousands of TIME_WAIT to one address)",
        list_of(os)
    ))
}

pub(super) fn ports_on_windows() -> Alternative {
    ports("Windows (10048): connect() itself gives it, the dynamic ports are used up")
}

pub(super) fn no_dynamic_port() -> Alternative {
    ports("event 4231 in the System log, or netstat with about 16384 ports in use: no dynamic port is left at all")
}

pub(super) fn busy_at_start(os: Option<Os>) -> Alternative {
    let look = match os {
        Some(Os::Macos) => "lsof -nP -iTCP -sTCP:LISTEN",
        Some(Os::Windows) => "netstat -ano",
        Some(Os::Linux) => "ss -ltnp",
        None => "ss -ltnp; Windows: netstat -ano; macOS: lsof -nP -iTCP -sTCP:LISTEN",
    };
    busy(format!("it comes at once when a server starts, and stays: another process listens on that port ({look})"))
}

pub(super) fn own_loopback() -> Alternative {
    other(
        Call::Connect,
        Limit::Refused,
        "the load tool runs in a container, and the server outside it: loopback is the container's own there. With \
         docker run --network host, or at host.docker.internal:PORT, or at the name of the server's container, it answers",
    )
}

/// A connection that had not been established when it was asked for again.
pub(super) fn under_way() -> Vec<Alternative> {
    vec![
        other(Call::Connect, Limit::Backlog, "nstat -az TcpExtListenDrops at the target rises: its queue of connections is full"),
        other(
            Call::Connect,
            Limit::TimedOut,
            "ss -tn state syn-sent at the client has lines, and the counter stays: the path loses packets",
        ),
    ]
}

pub(super) fn not_local_at_first(call: Call, os: Option<Os>, target: Target) -> Alternative {
    let look = if os == Some(Os::Macos) { "ifconfig" } else { "ip addr" };
    let why = match target {
        Target::Localhost => format!("localhost is ::1 there, and the machine has no ::1 ({look} shows it): use 127.0.0.1"),
        Target::V6 => format!("the address is IPv6, and IPv6 is off ({look}): use an IPv4 address, 127.0.0.1 for ::1"),
        Target::Unsaid | Target::V4 | Target::Unix | Target::Datagram => {
            format!("the address is not this machine's, or IPv6 is off ({look}); of localhost, use 127.0.0.1")
        }
    };
    other(call, Limit::NotLocal, format!("it comes with the very first connection and always: {why}"))
}

/// Both readings of an outgoing bind(): the client bound its source address before connecting.
pub(super) fn source_bound(os: Option<Os>) -> Vec<Alternative> {
    let kernel = format!(
        "the client binds a source address and port 0 (source_address, local_address, --interface): the whole range is in use; \
         it comes under load and goes away by itself ({} shows thousands of TIME_WAIT)",
        list_of(os)
    );
    let look = match os {
        Some(Os::Macos) => "netstat -an | grep PORT",
        Some(Os::Windows) => "netstat -ano | findstr :PORT",
        _ => "ss -tan 'sport = :PORT'",
    };
    let named = format!(
        "the client names its source port (localPort, --local-port, a port in source_address): that one port is in use, by a \
         live connection or in TIME_WAIT; it comes with the second connection already ({look})"
    );
    vec![other(Call::Bind, Limit::LocalPorts, kernel), busy(named)]
}

pub(super) fn named_or_zero() -> Vec<Alternative> {
    vec![
        busy("the program named the port: that one port is in use, by a listener or by TIME_WAIT"),
        other(Call::Bind, Limit::LocalPorts, "the port was 0, so that the kernel chooses: the whole range is used up"),
    ]
}

pub(super) fn memory(call: Call) -> Alternative {
    other(
        call,
        Limit::Hidden,
        "netstat shows few TIME_WAIT and few connections: the kernel is short of memory for sockets, by a leak, a limit of the \
         container or a driver",
    )
}

pub(super) fn neighbours(call: Call) -> Alternative {
    other(
        call,
        Limit::Hidden,
        "dmesg shows \"neighbor table overflow\": too many hosts on one network, or a send queue that is full",
    )
}

pub(super) fn family(call: Call) -> Alternative {
    other(call, Limit::NotLocal, "the address is IPv6 and IPv6 is off, or the socket was made for the other family")
}

pub(super) fn filter_or_conntrack(call: Call) -> Vec<Alternative> {
    vec![
        other(
            call,
            Limit::Policy,
            "a rule of the local firewall or of seccomp rejects it: it comes always (nft list ruleset, iptables -S OUTPUT)",
        ),
        other(call, Limit::Conntrack, "it comes under load only, and dmesg shows \"nf_conntrack: table full\""),
    ]
}

pub(super) fn firewall(call: Call) -> Alternative {
    other(
        call,
        Limit::Policy,
        "a firewall, SELinux or an antivirus forbids this program the connection: it comes always, for root too",
    )
}

pub(super) fn excluded_or_exclusive(call: Call) -> Vec<Alternative> {
    vec![
        other(
            call,
            Limit::Policy,
            "the port lies in a range that Windows keeps for itself (Hyper-V, WSL, Docker): netsh int ipv4 show excludedportrange tcp",
        ),
        other(
            Call::Bind,
            Limit::PortBusy,
            "another program has the port for itself alone (exclusive use): netstat -ano | findstr :PORT",
        ),
    ]
}

pub(super) fn privileged_or_excluded(os: Option<Os>) -> Vec<Alternative> {
    let privileged = other(
        Call::Bind,
        Limit::Policy,
        "ports below 1024 need root or CAP_NET_BIND_SERVICE on Linux (net.ipv4.ip_unprivileged_port_start)",
    );
    let excluded = other(
        Call::Bind,
        Limit::Policy,
        "Windows: the port lies in a range that Windows keeps for itself: netsh int ipv4 show excludedportrange tcp",
    );
    if os.is_some() { vec![privileged] } else { vec![privileged, excluded] }
}

pub(super) fn unix_or_ports() -> Vec<Alternative> {
    vec![
        other(
            Call::Connect,
            Limit::Backlog,
            "the target is a socket in the file system (unix:/path): its backlog is full, raise listen.backlog",
        ),
        ports("the target is an address and port: no source port was free for it (UDP, old kernels)"),
    ]
}

/// Connection attempts that a listener dropped without an overflow of its queue.
pub(super) fn dropped_at_a_listener() -> Vec<Alternative> {
    vec![
        other(
            Call::Accept,
            Limit::Backlog,
            "ListenOverflows or TCPReqQFullDrop rise with it: a queue of the listener is full (nstat -az)",
        ),
        other(
            Call::Accept,
            Limit::Hidden,
            "neither rises: no memory or no route for the answer, or a security module forbade it",
        ),
    ]
}

pub(super) fn receive_timeout() -> Alternative {
    other(Call::Read, Limit::TimedOut, "the socket has a receive timeout (SO_RCVTIMEO): it passed before an answer came")
}

pub(super) fn closed_here() -> Vec<Alternative> {
    vec![
        other(
            Call::Read,
            Limit::TimedOut,
            "it comes after a fixed time: the program's own timeout closed the socket while it waited",
        ),
        other(Call::Read, Limit::Reset, "the target's log shows that it closed the connection first"),
    ]
}

/// Why a worker passed the time limit of its server.
pub(super) fn ended_by_its_server() -> Vec<Alternative> {
    vec![
        other(
            Call::Unnamed,
            Limit::TimedOut,
            "one request alone, without load, takes as long: it is the request, or what it waits for, and not the load",
        ),
        other(
            Call::Read,
            Limit::TimedOut,
            "a stack of the worker (py-spy dump, gdb) ends in recv(): it waits for a client that opened a connection and sent nothing, as \
             a worker that serves one connection at a time does",
        ),
    ]
}

pub(super) fn own_time_limit() -> Alternative {
    other(
        Call::Unnamed,
        Limit::TimedOut,
        "WORKER TIMEOUT with the same pid comes before it: the server's own time limit ended the worker; dmesg names a process that was \
         killed for memory",
    )
}

pub(super) fn early_end(call: Call) -> Alternative {
    other(call, Limit::Reset, "the target's log shows why it closed; an early end of an answer is counted here too")
}

/// wrk counts answers that its parser refuses as failed reads.
pub(super) fn early_end_or_no_http(call: Call) -> Alternative {
    other(
        call,
        Limit::Reset,
        "the target's log shows why it closed; answers that ended early, or that it could not parse, are counted here too (curl -v \
         --raw URL shows one)",
    )
}

pub(super) fn where_it_waited() -> Vec<Alternative> {
    vec![
        other(
            Call::Connect,
            Limit::Backlog,
            "connects take a second or several first, and the target's ListenOverflows rise: its backlog is full",
        ),
        other(Call::Read, Limit::TimedOut, "the connection is established and no answer comes: the target is slow or stuck"),
    ]
}

/// What a failed connect may have been where the tool drops the errno.
pub(super) fn hidden_reasons() -> Vec<Alternative> {
    vec![
        ports(
            "the first connections succeeded and later ones failed at once: netstat -an | grep -c TIME_WAIT shows about as many as \
             the range has ports",
        ),
        other(
            Call::Connect,
            Limit::Refused,
            "none ever succeeded: nothing listens (ss -ltn on the target, netstat -an where there is no ss)",
        ),
        other(Call::Socket, Limit::Descriptors, "more connections were asked for than ulimit -n allows"),
    ]
}

pub(super) fn ended_before() -> Alternative {
    other(Call::Read, Limit::Reset, "some requests of the same connection succeeded before: the target closed it")
}
