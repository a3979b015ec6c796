//! What to do about each limit that an error text can show, on each system. Data only.
//!
//! Linux: measured. Windows and macOS: documentation.

use super::catalogue::Way;
use super::catalogue::Way::{Command, No, Same};
use crate::model::explanation::{Exactly, FailedCall, Limit, Side};

/// One thing to do, on each system.
pub(super) struct Step {
    pub(super) action: &'static str,
    pub(super) linux: Way,
    pub(super) windows: Way,
    pub(super) macos: Way,
    pub(super) expected: &'static str,
}

const fn step(action: &'static str, linux: Way, windows: Way, macos: Way, expected: &'static str) -> Step {
    Step { action, linux, windows, macos, expected }
}

const fn anywhere(action: &'static str, command: &'static str, expected: &'static str) -> Step {
    step(action, Command(command), Same(""), Same(""), expected)
}

const IPV4: Step = step(
    "name the target by its IPv4 address",
    Command("curl -4 http://HOST:PORT/"),
    Command("curl -4 http://HOST:PORT/"),
    Command("curl -4 http://HOST:PORT/"),
    "connects, where only IPv6 is off",
);

/// What to do about a limit that is not about source ports in general, best first.
pub(super) const fn steps(limit: Limit, exactly: Option<Exactly>, call: FailedCall, side: Option<Side>) -> &'static [Step] {
    match limit {
        Limit::Hidden => hidden(exactly),
        Limit::LocalPorts => &[],
        Limit::PortBusy if matches!(side, Some(Side::Client)) => PORT_OF_CLIENT,
        Limit::PortBusy => PORT_OF_LISTENER,
        Limit::NotLocal => NOT_LOCAL,
        Limit::Descriptors => DESCRIPTORS,
        Limit::Backlog => BACKLOG,
        Limit::Conntrack => CONNTRACK,
        Limit::Policy if matches!(call, FailedCall::Bind) => POLICY_BIND,
        Limit::Policy if matches!(call, FailedCall::Connect | FailedCall::Write) => POLICY_OUT,
        Limit::Policy => POLICY,
        Limit::Refused => REFUSED,
        Limit::Reset => RESET,
        Limit::TimedOut if matches!(call, FailedCall::Read) => ANSWER_LATE,
        Limit::TimedOut => CONNECT_LATE,
        Limit::NameResolution => NO_NAME,
        Limit::Unreachable => UNREACHABLE,
    }
}

const PORT_OF_CLIENT: &[Step] = &[
    anywhere(
        "let the kernel choose the source port: name none, or 0",
        "sockbench load URL --no-keepalive",
        "any free port of the range works",
    ),
    step(
        "see which socket uses the port",
        Command("ss -tan 'sport = :PORT'"),
        Command("netstat -ano | findstr :PORT"),
        Command("netstat -an -p tcp | grep PORT"),
        "one line shows its state and its other end",
    ),
    step(
        "where the port must be named: SO_REUSEADDR on every socket, from the first connection on",
        Command("sockbench load URL --no-keepalive --port-mode ring --reuse-addr"),
        No("SO_REUSEADDR takes a port from a live socket there"),
        No("not measured there"),
        "a port in TIME_WAIT is free at once; one of a live connection is not",
    ),
];

const PORT_OF_LISTENER: &[Step] = &[
    step(
        "see which process listens on the port",
        Command("ss -ltnp 'sport = :PORT'"),
        Command("netstat -ano | findstr :PORT"),
        Command("lsof -nP -iTCP:PORT -sTCP:LISTEN"),
        "one line names the process",
    ),
    step(
        "stop it, or listen on a free port",
        Command("kill PID"),
        Command("taskkill /PID PID"),
        No("see the next"),
        "the port is free as soon as that process has ended",
    ),
    step(
        "stop it, or listen on another port (AirPlay Receiver uses 5000 and 7000)",
        No(""),
        No(""),
        Command("sudo kill PID"),
        "the port is free within 30 s",
    ),
];

const NOT_LOCAL: &[Step] = &[
    step(
        "list this machine's addresses",
        Command("ip addr"),
        Command("ipconfig"),
        Command("ifconfig -a"),
        "the address must be among them",
    ),
    Step { macos: No("see the next"), ..IPV4 },
    step(
        "add it where it is one of 127.0.0.0/8: macOS has 127.0.0.1 only",
        No(""),
        No(""),
        Command("sudo ifconfig lo0 alias 127.0.0.2"),
        "one more address to bind",
    ),
];

const DESCRIPTORS: &[Step] = &[
    step(
        "raise the limit before starting the process",
        Command("ulimit -n 65536"),
        No("what ran out is a table of the program (FD_SETSIZE) or of Winsock"),
        Command("sudo launchctl limit maxfiles 65536 200000 && ulimit -n 65536"),
        "room for 65,536 descriptors; the usual limit is 1,024, on macOS 256",
    ),
    step(
        "count the sockets of the process",
        No(""),
        Command("netstat -ano | find /c \"PID\""),
        No(""),
        "thousands: it opens more than it closes",
    ),
    step(
        "use fewer connections at once",
        Command("sockbench load URL --conns 500"),
        Same(""),
        No("see the next"),
        "500 connections fit into the usual limit of 1,024",
    ),
    step(
        "use fewer connections at once, below the limit of 256",
        No(""),
        No(""),
        Command("sockbench load URL --conns 200"),
        "200 connections fit into a limit of 256",
    ),
];

const BACKLOG: &[Step] = &[
    step(
        "lengthen the queue",
        Command("sysctl -w net.core.somaxconn=4096 net.ipv4.tcp_max_syn_backlog=4096"),
        No("the backlog is that of listen()"),
        Command("sudo sysctl -w kern.ipc.somaxconn=2048"),
        "thousands of connections may wait, where the server asks for as many in listen()",
    ),
    anywhere("start the clients more slowly", "sockbench load URL --spawn-rate 50", "50 new connections per second"),
];

const CONNTRACK: &[Step] = &[
    step(
        "enlarge the table",
        Command("sysctl -w net.netfilter.nf_conntrack_max=262144"),
        No("a table of Linux"),
        No("a table of Linux"),
        "room for 262,144 connections",
    ),
    step(
        "remove closed connections from it sooner",
        Command("sysctl -w net.netfilter.nf_conntrack_tcp_timeout_time_wait=30"),
        No("a table of Linux"),
        No("a table of Linux"),
        "entries leave after 30 s instead of 120 s",
    ),
];

const HIGH_PORT: Step = step(
    "listen on a port from 1024 on, or allow lower ones",
    Command("sysctl -w net.ipv4.ip_unprivileged_port_start=80"),
    No(""),
    Same("a port from 1024 on"),
    "every user may listen from port 80 on",
);
const EXCLUDED: Step = step(
    "see which port ranges Windows keeps for itself",
    No(""),
    Command("netsh int ipv4 show excludedportrange tcp"),
    No(""),
    "the port lies in one of them: take another one",
);
const EXCLUSIVE: Step = step(
    "see which process uses the port exclusively",
    No(""),
    Command("netstat -ano | findstr :PORT"),
    No(""),
    "one line names the process",
);
const FIREWALL: Step = step(
    "see which rule rejects it",
    Command("nft list ruleset ; iptables -S OUTPUT"),
    Command("powershell Get-NetFirewallRule -Action Block -Enabled True"),
    Command("sudo pfctl -sr"),
    "a REJECT, DROP or block for that address or user",
);
const SELINUX: Step = step(
    "see whether SELinux forbids it",
    Command("ausearch -m avc -ts recent"),
    No(""),
    No(""),
    "a line that names the program",
);

/// The program may not listen there.
const POLICY_BIND: &[Step] = &[HIGH_PORT, EXCLUDED, EXCLUSIVE, SELINUX];
/// The program may not connect, or send.
const POLICY_OUT: &[Step] = &[FIREWALL, SELINUX];
const POLICY: &[Step] = &[EXCLUDED, EXCLUSIVE, FIREWALL, SELINUX, HIGH_PORT];

const REFUSED: &[Step] = &[
    step(
        "see whether a process listens",
        Command("ss -ltn 'sport = :PORT'"),
        Command("netstat -ano | findstr LISTENING"),
        Command("lsof -nP -iTCP:PORT -sTCP:LISTEN"),
        "no line: start the target",
    ),
    step(
        "try IPv4 and IPv6 separately",
        Command("curl -4 http://localhost:PORT/ ; curl -6 http://localhost:PORT/"),
        Command("curl -4 http://localhost:PORT/ & curl -6 http://localhost:PORT/"),
        Command("curl -4 http://localhost:PORT/ ; curl -6 http://localhost:PORT/"),
        "one of the two answers, if the target listens on one only",
    ),
];

const RESET: &[Step] = &[
    anywhere(
        "let the server keep idle connections longer than the client: nginx keepalive_timeout 75s, Node.js server.keepAliveTimeout = 75000, gunicorn --keep-alive 75",
        "",
        "no resets on reused connections",
    ),
    step(
        "read the server's log of that time",
        Command("journalctl --since -10min"),
        Command("eventvwr"),
        Command("log show --last 10m"),
        "a crash, a kill, or a connection limit",
    ),
];

/// The connection was established: what the target does, not what lies between.
const ANSWER_LATE: &[Step] = &[
    anywhere(
        "see how long the target takes without load",
        "curl -s -o /dev/null -w '%{time_total}\\n' http://HOST:PORT/",
        "near the timeout: the timeout is too short; far below it: the load is too much",
    ),
    anywhere(
        "find the load from which answers come too late",
        "sockbench study --url URL",
        "the step at which p95 rises: fewer users, or a faster target",
    ),
];

const CONNECT_LATE: &[Step] = &[
    step(
        "see whether SYNs are answered",
        Command("ss -tn state syn-sent"),
        Command("netstat -an | findstr SYN_SENT"),
        Command("netstat -an -p tcp | grep SYN_SENT"),
        "lines that stay: they are not",
    ),
    step(
        "see whether the server's queue is full",
        Command("nstat -az TcpExtListenOverflows"),
        No("Windows refuses instead"),
        Command("netstat -Lan"),
        "Linux: a number that rises; macOS: a first figure near the third",
    ),
];

const NO_NAME: &[Step] = &[
    step(
        "look the name up by hand",
        Command("getent hosts NAME"),
        Command("nslookup NAME"),
        Command("dscacheutil -q host -a name NAME"),
        "no line: the name is wrong, or no resolver answers",
    ),
    step(
        "give the target's address instead of its name",
        Command("curl -H 'Host: NAME' http://IP/"),
        Command("curl -H \"Host: NAME\" http://IP/"),
        Command("curl -H 'Host: NAME' http://IP/"),
        "no resolver is needed; send the name in the Host header where the target looks at it",
    ),
];

const UNREACHABLE: &[Step] = &[
    step(
        "look up the route",
        Command("ip route get ADDRESS"),
        Command("route print"),
        Command("route -n get ADDRESS"),
        "unreachable, or not in the table: there is none",
    ),
    IPV4,
];

/// Where the text says more than that a connection failed.
const fn hidden(exactly: Option<Exactly>) -> &'static [Step] {
    match exactly {
        None => HIDDEN,
        Some(Exactly::ProgramLimit) => PROGRAM_LIMIT,
        Some(Exactly::ServerLimit) => SERVER_LIMIT,
        Some(Exactly::KernelTable) => KERNEL_TABLE,
        Some(Exactly::TimeWaitTable) => TIME_WAIT_TABLE,
        Some(Exactly::KernelMemory) => KERNEL_MEMORY,
        Some(Exactly::Winsock) => WINSOCK,
        Some(Exactly::ClosedHere) => CLOSED_HERE,
    }
}

const PROGRAM_LIMIT: &[Step] = &[
    anywhere("allow as many connections in the program's pool as requests run at once", "", "no request waits for the pool"),
    anywhere(
        "give each connection back: read the body to its end, or close the response",
        "",
        "a pool that never fills by itself",
    ),
];
const SERVER_LIMIT: &[Step] = &[
    anywhere(
        "raise the server's limit of connections, and its limit of open files with it",
        "",
        "as many connections as clients",
    ),
    step(
        "see how many connections it has",
        Command("ss -tn state established 'sport = :PORT' | wc -l"),
        Command("netstat -an | findstr ESTABLISHED"),
        Command("netstat -an -p tcp | grep ESTABLISHED"),
        "near its limit: that is it",
    ),
];
const KERNEL_TABLE: &[Step] = &[
    step(
        "see which table it is, and how full",
        Command("cat /proc/net/sockstat ; sysctl net.ipv4.tcp_mem net.ipv4.tcp_max_orphans net.ipv4.neigh.default.gc_thresh3"),
        No("tables of Linux"),
        No("tables of Linux"),
        "mem near the third figure of tcp_mem, or orphan near tcp_max_orphans",
    ),
    step(
        "raise that one",
        Command("sysctl -w net.ipv4.tcp_max_orphans=262144 net.ipv4.neigh.default.gc_thresh3=8192"),
        No("tables of Linux"),
        No("tables of Linux"),
        "the line no longer comes in dmesg",
    ),
];
const TIME_WAIT_TABLE: &[Step] = &[step(
    "nothing has to be done: no connection fails by it. To keep all of them again, raise the limit",
    Command("sysctl -w net.ipv4.tcp_max_tw_buckets=262144"),
    No("a table of Linux"),
    No("a table of Linux"),
    "TcpExtTCPTimeWaitOverflow (nstat -az) no longer rises; ports stay in use for 60 s then",
)];
const KERNEL_MEMORY: &[Step] = &[step(
    "see what the sockets need",
    Command("cat /proc/net/sockstat ; sysctl net.ipv4.tcp_mem"),
    Command("netstat -an | find /c \"TCP\""),
    Command("netstat -m"),
    "mem near the third figure of tcp_mem: too many sockets, or a leak",
)];
const WINSOCK: &[Step] = &[
    step(
        "give the process its SystemRoot variable: a child with an empty environment has none",
        No(""),
        Command("set SystemRoot=C:\\Windows"),
        No(""),
        "socket() works again",
    ),
    step("reset Winsock's catalogue, and reboot", No(""), Command("netsh winsock reset"), No(""), "socket() works again"),
];
const CLOSED_HERE: &[Step] = &[anywhere(
    "look for a timeout or a shutdown of the program itself at that time",
    "",
    "the errors come a fixed time after the request began, or at the end of the run only",
)];

const HIDDEN: &[Step] = &[
    anywhere(
        "run the same load with a tool that keeps the errno",
        "sockbench load URL --no-keepalive",
        "call, errno and cause of every failure",
    ),
    step(
        "make one connection by hand",
        Command("curl -v http://HOST:PORT/"),
        Command("curl -v http://HOST:PORT/"),
        Command("curl -v http://HOST:PORT/"),
        "the reason of one failure",
    ),
];
