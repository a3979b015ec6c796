//! Other readings of the same text, and how to tell which one it is.

use std::borrow::Cow;

use super::address::Target;
use crate::model::explanation::{FailedCall as Call, Limit, Os};

/// Another reading.
#[derive(Debug, Clone)]
pub(super) struct Other {
    pub(super) call: Call,
    pub(super) limit: Limit,
    /// what shows that it is this one
    pub(super) tell: Cow<'static, str>,
}

impl Other {
    /// The same at another call.
    pub(super) fn at(self, call: Call) -> Self {
        Self { call, ..self }
    }
}

const fn other(call: Call, limit: Limit, tell: &'static str) -> Other {
    Other { call, limit, tell: Cow::Borrowed(tell) }
}

/// At whatever call failed: [`Other::at`] names it.
const fn any(limit: Limit, tell: &'static str) -> Other {
    other(Call::Unnamed, limit, tell)
}

const fn ports(tell: &'static str) -> Other {
    other(Call::Connect, Limit::LocalPorts, tell)
}

const fn busy(tell: &'static str) -> Other {
    other(Call::Bind, Limit::PortBusy, tell)
}

/// The command that lists connections.
const fn list_of(os: Option<Os>) -> &'static str {
    match os {
        Some(Os::Macos | Os::Windows) => "netstat -an",
        _ => "netstat -tan or ss -tan",
    }
}

pub(super) fn is_an_errno(call: Call, limit: Limit) -> Other {
    other(call, limit, "it came after errno, os error, WinError or in [Errno ...]: the line around it names the call too")
}

pub(super) const IS_NO_ERRNO: Other =
    any(Limit::Hidden, "it came from elsewhere: a count, a percentile, an exit status; give the whole line");

pub(super) fn ports_under_load(os: Option<Os>) -> Other {
    let tell = format!(
        "it comes under load, from outgoing connections, after seconds or minutes, and goes away by itself: source ports are \
         used up ({} shows thousands of TIME_WAIT to one address)",
        list_of(os)
    );
    Other { tell: tell.into(), ..ports("") }
}

pub(super) const PORTS_ON_WINDOWS: Other = ports("Windows (10048): connect() itself gives it, the dynamic ports are used up");
pub(super) const NO_DYNAMIC_PORT: Other =
    ports("event 4231 in the System log, or netstat with about 16384 ports in use: no dynamic port is left at all");

pub(super) fn busy_at_start(os: Option<Os>) -> Other {
    let look = match os {
        Some(Os::Macos) => "lsof -nP -iTCP -sTCP:LISTEN",
        Some(Os::Windows) => "netstat -ano",
        Some(Os::Linux) => "ss -ltnp",
        None => "ss -ltnp; Windows: netstat -ano; macOS: lsof -nP -iTCP -sTCP:LISTEN",
    };
    let tell = format!("it comes at once when a server starts, and stays: another process listens on that port ({look})");
    Other { tell: tell.into(), ..busy("") }
}

pub(super) const OWN_LOOPBACK: Other = other(
    Call::Connect,
    Limit::Refused,
    "the load tool runs in a container, and the server outside it: loopback is the container's own there. With \
     docker run --network host, or at host.docker.internal:PORT, or at the name of the server's container, it answers",
);

/// A connection that had not been established when it was asked for again.
pub(super) const UNDER_WAY: [Other; 2] = [
    other(Call::Connect, Limit::Backlog, "nstat -az TcpExtListenDrops at the target rises: its queue of connections is full"),
    other(
        Call::Connect,
        Limit::TimedOut,
        "ss -tn state syn-sent at the client has lines, and the counter stays: the path loses packets",
    ),
];

pub(super) fn not_local_at_first(call: Call, os: Option<Os>, target: Target) -> Other {
    let look = if os == Some(Os::Macos) { "ifconfig" } else { "ip addr" };
    let why = match target {
        Target::Localhost => format!("localhost is ::1 there, and the machine has no ::1 ({look} shows it): use 127.0.0.1"),
        Target::V6 => format!("the address is IPv6, and IPv6 is off ({look}): use an IPv4 address, 127.0.0.1 for ::1"),
        Target::Unsaid | Target::V4 | Target::Unix | Target::Datagram => {
            format!("the address is not this machine's, or IPv6 is off ({look}); of localhost, use 127.0.0.1")
        }
    };
    Other { call, limit: Limit::NotLocal, tell: format!("it comes with the very first connection and always: {why}").into() }
}

/// Both readings of an outgoing bind(): the client bound its source address before connecting.
pub(super) fn source_bound(os: Option<Os>) -> Vec<Other> {
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
    vec![Other { tell: kernel.into(), ..ports("").at(Call::Bind) }, Other { tell: named.into(), ..busy("") }]
}

pub(super) const NAMED_OR_ZERO: [Other; 2] = [
    busy("the program named the port: that one port is in use, by a listener or by TIME_WAIT"),
    other(Call::Bind, Limit::LocalPorts, "the port was 0, so that the kernel chooses: the whole range is used up"),
];

pub(super) const MEMORY: Other = any(
    Limit::Hidden,
    "netstat shows few TIME_WAIT and few connections: the kernel is short of memory for sockets, by a leak, a limit of the \
     container or a driver",
);
pub(super) const NEIGHBOURS: Other =
    any(Limit::Hidden, "dmesg shows \"neighbor table overflow\": too many hosts on one network, or a send queue that is full");
pub(super) const FAMILY: Other =
    any(Limit::NotLocal, "the address is IPv6 and IPv6 is off, or the socket was made for the other family");

pub(super) const FILTER_OR_CONNTRACK: [Other; 2] = [
    any(
        Limit::Policy,
        "a rule of the local firewall or of seccomp rejects it: it comes always (nft list ruleset, iptables -S OUTPUT)",
    ),
    any(Limit::Conntrack, "it comes under load only, and dmesg shows \"nf_conntrack: table full\""),
];
pub(super) const FIREWALL: Other =
    any(Limit::Policy, "a firewall, SELinux or an antivirus forbids this program the connection: it comes always, for root too");

pub(super) const EXCLUDED: Other = any(
    Limit::Policy,
    "the port lies in a range that Windows keeps for itself (Hyper-V, WSL, Docker): netsh int ipv4 show excludedportrange tcp",
);
pub(super) const EXCLUSIVE: Other =
    busy("another program has the port for itself alone (exclusive use): netstat -ano | findstr :PORT");
pub(super) const PRIVILEGED: Other = other(
    Call::Bind,
    Limit::Policy,
    "ports below 1024 need root or CAP_NET_BIND_SERVICE on Linux (net.ipv4.ip_unprivileged_port_start)",
);
/// Where the system is not known.
pub(super) const EXCLUDED_ON_WINDOWS: Other = other(
    Call::Bind,
    Limit::Policy,
    "Windows: the port lies in a range that Windows keeps for itself: netsh int ipv4 show excludedportrange tcp",
);

pub(super) const UNIX_OR_PORTS: [Other; 2] = [
    other(
        Call::Connect,
        Limit::Backlog,
        "the target is a socket in the file system (unix:/path): its backlog is full, raise listen.backlog",
    ),
    ports("the target is an address and port: no source port was free for it (UDP, old kernels)"),
];

/// Connection attempts that a listener dropped without an overflow of its queue.
pub(super) const DROPPED_AT_A_LISTENER: [Other; 2] = [
    other(
        Call::Accept,
        Limit::Backlog,
        "ListenOverflows or TCPReqQFullDrop rise with it: a queue of the listener is full (nstat -az)",
    ),
    other(Call::Accept, Limit::Hidden, "neither rises: no memory or no route for the answer, or a security module forbade it"),
];

pub(super) const RECEIVE_TIMEOUT: Other =
    other(Call::Read, Limit::TimedOut, "the socket has a receive timeout (SO_RCVTIMEO): it passed before an answer came");

pub(super) const CLOSED_HERE: [Other; 2] = [
    other(
        Call::Read,
        Limit::TimedOut,
        "it comes after a fixed time: the program's own timeout closed the socket while it waited",
    ),
    other(Call::Read, Limit::Reset, "the target's log shows that it closed the connection first"),
];

/// Why a worker passed the time limit of its server.
pub(super) const ENDED_BY_ITS_SERVER: [Other; 2] = [
    any(
        Limit::TimedOut,
        "one request alone, without load, takes as long: it is the request, or what it waits for, and not the load",
    ),
    other(
        Call::Read,
        Limit::TimedOut,
        "a stack of the worker (py-spy dump, gdb) ends in recv(): it waits for a client that opened a connection and sent nothing, as \
         a worker that serves one connection at a time does",
    ),
];
pub(super) const OWN_TIME_LIMIT: Other = any(
    Limit::TimedOut,
    "WORKER TIMEOUT with the same pid comes before it: the server's own time limit ended the worker; dmesg names a process that was \
     killed for memory",
);

pub(super) const EARLY_END: Other =
    any(Limit::Reset, "the target's log shows why it closed; an early end of an answer is counted here too");
/// wrk counts answers that its parser refuses as failed reads.
pub(super) const EARLY_END_OR_NO_HTTP: Other = any(
    Limit::Reset,
    "the target's log shows why it closed; answers that ended early, or that it could not parse, are counted here too (curl -v \
     --raw URL shows one)",
);

pub(super) const WHERE_IT_WAITED: [Other; 2] = [
    other(
        Call::Connect,
        Limit::Backlog,
        "connects take a second or several first, and the target's ListenOverflows rise: its backlog is full",
    ),
    other(Call::Read, Limit::TimedOut, "the connection is established and no answer comes: the target is slow or stuck"),
];

/// What a failed connect may have been where the tool drops the errno.
pub(super) const HIDDEN_REASONS: [Other; 3] = [
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
];
pub(super) const ENDED_BEFORE: Other =
    other(Call::Read, Limit::Reset, "some requests of the same connection succeeded before: the target closed it");
