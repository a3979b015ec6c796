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

/// On no system, until it is said how.
const fn step(action: &'static str) -> Step {
    Step { action, linux: No(""), windows: No(""), macos: No(""), expected: "" }
}

impl Step {
    const fn linux(self, command: &'static str) -> Self {
        Self { linux: Command(command), ..self }
    }

    const fn windows(self, command: &'static str) -> Self {
        Self { windows: Command(command), ..self }
    }

    const fn macos(self, command: &'static str) -> Self {
        Self { macos: Command(command), ..self }
    }

    const fn no_windows(self, why: &'static str) -> Self {
        Self { windows: No(why), ..self }
    }

    const fn no_macos(self, why: &'static str) -> Self {
        Self { macos: No(why), ..self }
    }

    const fn same_on_windows(self, how: &'static str) -> Self {
        Self { windows: Same(how), ..self }
    }

    const fn same_on_macos(self, how: &'static str) -> Self {
        Self { macos: Same(how), ..self }
    }

    /// The command of Linux, and the same elsewhere.
    const fn anywhere(self, command: &'static str) -> Self {
        self.linux(command).same_on_windows("").same_on_macos("")
    }

    const fn expect(self, expected: &'static str) -> Self {
        Self { expected, ..self }
    }
}

const IPV4: Step = step("name the target by its IPv4 address")
    .linux("curl -4 http://HOST:PORT/")
    .windows("curl -4 http://HOST:PORT/")
    .macos("curl -4 http://HOST:PORT/")
    .expect("connects, where only IPv6 is off");

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
    step("let the kernel choose the source port: name none, or 0")
        .anywhere("sockbench load URL --no-keepalive")
        .expect("any free port of the range works"),
    step("see which socket uses the port")
        .linux("ss -tan 'sport = :PORT'")
        .windows("netstat -ano | findstr :PORT")
        .macos("netstat -an -p tcp | grep PORT")
        .expect("one line shows its state and its other end"),
    step("where the port must be named: SO_REUSEADDR on every socket, from the first connection on")
        .linux("sockbench load URL --no-keepalive --port-mode ring --reuse-addr")
        .no_windows("SO_REUSEADDR takes a port from a live socket there")
        .no_macos("not measured there")
        .expect("a port in TIME_WAIT is free at once; one of a live connection is not"),
];

const PORT_OF_LISTENER: &[Step] = &[
    step("see which process listens on the port")
        .linux("ss -ltnp 'sport = :PORT'")
        .windows("netstat -ano | findstr :PORT")
        .macos("lsof -nP -iTCP:PORT -sTCP:LISTEN")
        .expect("one line names the process"),
    step("stop it, or listen on a free port")
        .linux("kill PID")
        .windows("taskkill /PID PID")
        .no_macos("see the next")
        .expect("the port is free as soon as that process has ended"),
    step("stop it, or listen on another port (AirPlay Receiver uses 5000 and 7000)")
        .macos("sudo kill PID")
        .expect("the port is free within 30 s"),
];

const NOT_LOCAL: &[Step] = &[
    step("list this machine's addresses")
        .linux("ip addr")
        .windows("ipconfig")
        .macos("ifconfig -a")
        .expect("the address must be among them"),
    Step { macos: No("see the next"), ..IPV4 },
    step("add it where it is one of 127.0.0.0/8: macOS has 127.0.0.1 only")
        .macos("sudo ifconfig lo0 alias 127.0.0.2")
        .expect("one more address to bind"),
];

const DESCRIPTORS: &[Step] = &[
    step("raise the limit before starting the process")
        .linux("ulimit -n 65536")
        .no_windows("what ran out is a table of the program (FD_SETSIZE) or of Winsock")
        .macos("sudo launchctl limit maxfiles 65536 200000 && ulimit -n 65536")
        .expect("room for 65,536 descriptors; the usual limit is 1,024, on macOS 256"),
    step("count the sockets of the process")
        .windows("netstat -ano | find /c \"PID\"")
        .expect("thousands: it opens more than it closes"),
    step("use fewer connections at once")
        .linux("sockbench load URL --conns 500")
        .same_on_windows("")
        .no_macos("see the next")
        .expect("500 connections fit into the usual limit of 1,024"),
    step("use fewer connections at once, below the limit of 256")
        .macos("sockbench load URL --conns 200")
        .expect("200 connections fit into a limit of 256"),
];

const BACKLOG: &[Step] = &[
    step("lengthen the queue")
        .linux("sysctl -w net.core.somaxconn=4096 net.ipv4.tcp_max_syn_backlog=4096")
        .no_windows("the backlog is that of listen()")
        .macos("sudo sysctl -w kern.ipc.somaxconn=2048")
        .expect("thousands of connections may wait, where the server asks for as many in listen()"),
    step("start the clients more slowly").anywhere("sockbench load URL --spawn-rate 50").expect("50 new connections per second"),
];

const CONNTRACK: &[Step] = &[
    step("enlarge the table")
        .linux("sysctl -w net.netfilter.nf_conntrack_max=262144")
        .no_windows("a table of Linux")
        .no_macos("a table of Linux")
        .expect("room for 262,144 connections"),
    step("remove closed connections from it sooner")
        .linux("sysctl -w net.netfilter.nf_conntrack_tcp_timeout_time_wait=30")
        .no_windows("a table of Linux")
        .no_macos("a table of Linux")
        .expect("entries leave after 30 s instead of 120 s"),
];

const HIGH_PORT: Step = step("listen on a port from 1024 on, or allow lower ones")
    .linux("sysctl -w net.ipv4.ip_unprivileged_port_start=80")
    .same_on_macos("a port from 1024 on")
    .expect("every user may listen from port 80 on");
const EXCLUDED: Step = step("see which port ranges Windows keeps for itself")
    .windows("netsh int ipv4 show excludedportrange tcp")
    .expect("the port lies in one of them: take another one");
const EXCLUSIVE: Step = step("see which process uses the port exclusively")
    .windows("netstat -ano | findstr :PORT")
    .expect("one line names the process");
const FIREWALL: Step = step("see which rule rejects it")
    .linux("nft list ruleset ; iptables -S OUTPUT")
    .windows("powershell Get-NetFirewallRule -Action Block -Enabled True")
    .macos("sudo pfctl -sr")
    .expect("a REJECT, DROP or block for that address or user");
const SELINUX: Step =
    step("see whether SELinux forbids it").linux("ausearch -m avc -ts recent").expect("a line that names the program");

/// The program may not listen there.
const POLICY_BIND: &[Step] = &[HIGH_PORT, EXCLUDED, EXCLUSIVE, SELINUX];
/// The program may not connect, or send.
const POLICY_OUT: &[Step] = &[FIREWALL, SELINUX];
const POLICY: &[Step] = &[EXCLUDED, EXCLUSIVE, FIREWALL, SELINUX, HIGH_PORT];

const REFUSED: &[Step] = &[
    step("see whether a process listens")
        .linux("ss -ltn 'sport = :PORT'")
        .windows("netstat -ano | findstr LISTENING")
        .macos("lsof -nP -iTCP:PORT -sTCP:LISTEN")
        .expect("no line: start the target"),
    step("try IPv4 and IPv6 separately")
        .linux("curl -4 http://localhost:PORT/ ; curl -6 http://localhost:PORT/")
        .windows("curl -4 http://localhost:PORT/ & curl -6 http://localhost:PORT/")
        .macos("curl -4 http://localhost:PORT/ ; curl -6 http://localhost:PORT/")
        .expect("one of the two answers, if the target listens on one only"),
];

const RESET: &[Step] = &[
    step("let the server keep idle connections longer than the client: nginx keepalive_timeout 75s, Node.js server.keepAliveTimeout = 75000, gunicorn --keep-alive 75").anywhere("").expect("no resets on reused connections"),
    step("read the server's log of that time").linux("journalctl --since -10min").windows("eventvwr").macos("log show --last 10m").expect("a crash, a kill, or a connection limit"),
];

/// The connection was established: what the target does, not what lies between.
const ANSWER_LATE: &[Step] = &[
    step("see how long the target takes without load")
        .anywhere("curl -s -o /dev/null -w '%{time_total}\\n' http://HOST:PORT/")
        .expect("near the timeout: the timeout is too short; far below it: the load is too much"),
    step("find the load from which answers come too late")
        .anywhere("sockbench study --url URL")
        .expect("the step at which p95 rises: fewer users, or a faster target"),
];

const CONNECT_LATE: &[Step] = &[
    step("see whether SYNs are answered")
        .linux("ss -tn state syn-sent")
        .windows("netstat -an | findstr SYN_SENT")
        .macos("netstat -an -p tcp | grep SYN_SENT")
        .expect("lines that stay: they are not"),
    step("see whether the server's queue is full")
        .linux("nstat -az TcpExtListenOverflows")
        .no_windows("Windows refuses instead")
        .macos("netstat -Lan")
        .expect("Linux: a number that rises; macOS: a first figure near the third"),
];

const NO_NAME: &[Step] = &[
    step("look the name up by hand")
        .linux("getent hosts NAME")
        .windows("nslookup NAME")
        .macos("dscacheutil -q host -a name NAME")
        .expect("no line: the name is wrong, or no resolver answers"),
    step("give the target's address instead of its name")
        .linux("curl -H 'Host: NAME' http://IP/")
        .windows("curl -H \"Host: NAME\" http://IP/")
        .macos("curl -H 'Host: NAME' http://IP/")
        .expect("no resolver is needed; send the name in the Host header where the target looks at it"),
];

const UNREACHABLE: &[Step] = &[
    step("look up the route")
        .linux("ip route get ADDRESS")
        .windows("route print")
        .macos("route -n get ADDRESS")
        .expect("unreachable, or not in the table: there is none"),
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
    step("allow as many connections in the program's pool as requests run at once")
        .anywhere("")
        .expect("no request waits for the pool"),
    step("give each connection back: read the body to its end, or close the response")
        .anywhere("")
        .expect("a pool that never fills by itself"),
];
const SERVER_LIMIT: &[Step] = &[
    step("raise the server's limit of connections, and its limit of open files with it")
        .anywhere("")
        .expect("as many connections as clients"),
    step("see how many connections it has")
        .linux("ss -tn state established 'sport = :PORT' | wc -l")
        .windows("netstat -an | findstr ESTABLISHED")
        .macos("netstat -an -p tcp | grep ESTABLISHED")
        .expect("near its limit: that is it"),
];
const KERNEL_TABLE: &[Step] = &[
    step("see which table it is, and how full")
        .linux("cat /proc/net/sockstat ; sysctl net.ipv4.tcp_mem net.ipv4.tcp_max_orphans net.ipv4.neigh.default.gc_thresh3")
        .no_windows("tables of Linux")
        .no_macos("tables of Linux")
        .expect("mem near the third figure of tcp_mem, or orphan near tcp_max_orphans"),
    step("raise that one")
        .linux("sysctl -w net.ipv4.tcp_max_orphans=262144 net.ipv4.neigh.default.gc_thresh3=8192")
        .no_windows("tables of Linux")
        .no_macos("tables of Linux")
        .expect("the line no longer comes in dmesg"),
];
const TIME_WAIT_TABLE: &[Step] =
    &[step("nothing has to be done: no connection fails by it. To keep all of them again, raise the limit")
        .linux("sysctl -w net.ipv4.tcp_max_tw_buckets=262144")
        .no_windows("a table of Linux")
        .no_macos("a table of Linux")
        .expect("TcpExtTCPTimeWaitOverflow (nstat -az) no longer rises; ports stay in use for 60 s then")];
const KERNEL_MEMORY: &[Step] = &[step("see what the sockets need")
    .linux("cat /proc/net/sockstat ; sysctl net.ipv4.tcp_mem")
    .windows("netstat -an | find /c \"TCP\"")
    .macos("netstat -m")
    .expect("mem near the third figure of tcp_mem: too many sockets, or a leak")];
const WINSOCK: &[Step] = &[
    step("give the process its SystemRoot variable: a child with an empty environment has none")
        .windows("set SystemRoot=C:\\Windows")
        .expect("socket() works again"),
    step("reset Winsock's catalogue, and reboot").windows("netsh winsock reset").expect("socket() works again"),
];
const CLOSED_HERE: &[Step] = &[step("look for a timeout or a shutdown of the program itself at that time")
    .anywhere("")
    .expect("the errors come a fixed time after the request began, or at the end of the run only")];

const HIDDEN: &[Step] = &[
    step("run the same load with a tool that keeps the errno")
        .anywhere("sockbench load URL --no-keepalive")
        .expect("call, errno and cause of every failure"),
    step("make one connection by hand")
        .linux("curl -v http://HOST:PORT/")
        .windows("curl -v http://HOST:PORT/")
        .macos("curl -v http://HOST:PORT/")
        .expect("the reason of one failure"),
];
