//! What to do about each limit that an error text can show, on each system. Data only.
//!
//! Linux: measured. Windows and macOS: documentation.

use super::catalogue::Way::No;
use super::catalogue::sysctl;
use super::programs::Program;
use super::step::{Hit, Step, V4, look, say, step};
use super::steps_hidden::{WORKER_KILLED, hidden};
use crate::model::explanation::{Exactly, FailedCall, Limit, Side};

const IPV4: Step = look("name the target by its IPv4 address")
    .everywhere("curl -4 http://HOST:PORT/")
    .expect("connects, where only IPv6 is off")
    .useless(V4::Loopback);

/// What to do about a limit that is not about source ports in general, best first.
pub(super) fn steps(Hit { limit, exactly, table, call, side, program, .. }: Hit) -> &'static [Step] {
    match limit {
        Limit::Hidden => hidden(exactly, table),
        Limit::LocalPorts => &[],
        Limit::PortBusy if matches!(side, Some(Side::Client)) => PORT_OF_CLIENT,
        Limit::PortBusy => PORT_OF_LISTENER,
        Limit::NotLocal => NOT_LOCAL,
        Limit::Descriptors if matches!(side, Some(Side::Server)) => DESCRIPTORS_OF_SERVER,
        Limit::Descriptors => DESCRIPTORS,
        Limit::Backlog => BACKLOG,
        Limit::Conntrack => CONNTRACK,
        Limit::Policy if matches!(call, FailedCall::Bind) => POLICY_BIND,
        Limit::Policy if matches!(call, FailedCall::Connect | FailedCall::Write) => POLICY_OUT,
        Limit::Policy => POLICY,
        Limit::Refused => REFUSED,
        Limit::Reset if matches!(exactly, Some(Exactly::IdleClosed)) => IDLE_CLOSED,
        Limit::Reset if program.is_some_and(Program::is_busy) => RESET_UNDER_LOAD,
        Limit::Reset => RESET,
        Limit::TimedOut if matches!(exactly, Some(Exactly::PingLost)) => PING_LOST,
        Limit::TimedOut if matches!(exactly, Some(Exactly::WorkerKilled)) => WORKER_KILLED,
        Limit::TimedOut if matches!(call, FailedCall::Read) => ANSWER_LATE,
        Limit::TimedOut => CONNECT_LATE,
        Limit::NameResolution if matches!(exactly, Some(Exactly::NameServer)) => NAME_SERVER,
        Limit::NameResolution => NO_NAME,
        Limit::Unreachable => UNREACHABLE,
    }
}

const PORT_OF_CLIENT: &[Step] = &[
    step("let the kernel choose the source port: name none, or 0")
        .anywhere("sockbench load URL --no-keepalive")
        .expect("any free port of the range works"),
    look("see which socket uses the port")
        .commands("ss -tan 'sport = :PORT'", "netstat -ano | findstr :PORT", "netstat -an -p tcp | grep PORT")
        .expect("one line shows its state and its other end"),
    step("where the port must be named: SO_REUSEADDR on every socket, from the first connection on")
        .linux("sockbench load URL --no-keepalive --port-mode ring --reuse-addr")
        .expect("a port in TIME_WAIT is free at once; one of a live connection is not"),
];

const PORT_OF_LISTENER: &[Step] = &[
    look("see which process listens on the port")
        .commands("ss -ltnp 'sport = :PORT'", "netstat -ano | findstr :PORT", "lsof -nP -iTCP:PORT -sTCP:LISTEN")
        .expect("one line names the process"),
    step("stop it, or listen on a free port")
        .linux("kill PID")
        .windows("taskkill /PID PID")
        .expect("the port is free as soon as that process has ended"),
    step("stop it, or listen on another port (AirPlay Receiver uses 5000 and 7000)")
        .macos("sudo kill PID")
        .expect("the port is free within 30 s"),
];

const NOT_LOCAL: &[Step] = &[
    step("list this machine's addresses").commands("ip addr", "ipconfig", "ifconfig -a").expect("the address must be among them"),
    Step { macos: No(""), ..IPV4 },
    step("add it where it is one of 127.0.0.0/8: macOS has 127.0.0.1 only")
        .macos("sudo ifconfig lo0 alias 127.0.0.2")
        .expect("one more address to bind"),
];

const DESCRIPTORS: &[Step] = &[
    step("raise the limit before starting the process")
        .linux("ulimit -n 65536")
        .macos("sudo launchctl limit maxfiles 65536 200000 && ulimit -n 65536")
        .expect("room for 65,536 descriptors; the usual limit is 1,024, on macOS 256"),
    step("count the sockets of the process")
        .windows("netstat -ano | find /c \"PID\"")
        .expect("thousands: it opens more than it closes"),
    step("use fewer connections at once")
        .linux("sockbench load URL --conns 500")
        .same_on_windows("")
        .expect("500 connections fit into the usual limit of 1,024"),
    step("use fewer connections at once, below the limit of 256")
        .macos("sockbench load URL --conns 200")
        .expect("200 connections fit into a limit of 256"),
];

const DESCRIPTORS_OF_SERVER: &[Step] = &[
    step("raise the limit of the running server, as root (the name of its process for SERVER)")
        .linux("prlimit --pid $(pidof -s SERVER) --nofile=65536:65536")
        .macos("sudo launchctl limit maxfiles 65536 200000")
        .expect("accept() works again at once; a program that reads the limit at its start needs a restart"),
    step("keep it: [Service] LimitNOFILE=65536 in its unit; of a container --ulimit nofile=65536:65536; not ulimit in another shell")
        .linux("systemctl edit SERVER")
        .expect("the limit stays after a restart"),
    step("see how many it has open, and its limit")
        .linux("ls /proc/$(pidof -s SERVER)/fd | wc -l ; grep files /proc/$(pidof -s SERVER)/limits")
        .windows("netstat -ano | find /c \"PID\"")
        .macos("lsof -p PID | wc -l")
        .expect("near the limit, and it falls with the clients; if it does not, the server leaks them"),
];

const BACKLOG: &[Step] = &[
    step("lengthen the queue")
        .settings(sysctl!("net.core.somaxconn=4096 net.ipv4.tcp_max_syn_backlog=4096"))
        .macos("sudo sysctl -w kern.ipc.somaxconn=2048")
        .expect("thousands of connections may wait, where the server asks for as many in listen()"),
    step("start the clients more slowly").anywhere("sockbench load URL --spawn-rate 50").expect("50 new connections per second"),
];

const CONNTRACK: &[Step] = &[
    step("enlarge the table").settings(sysctl!("net.netfilter.nf_conntrack_max=262144")).expect("room for 262,144 connections"),
    step("remove closed connections from it sooner")
        .settings(sysctl!("net.netfilter.nf_conntrack_tcp_timeout_time_wait=30"))
        .expect("entries leave after 30 s instead of 120 s"),
];

const HIGH_PORT: Step = step("listen on a port from 1024 on, or allow lower ones")
    .settings(sysctl!("net.ipv4.ip_unprivileged_port_start=80"))
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
    look("see whether a process listens")
        .commands("ss -ltn 'sport = :PORT'", "netstat -ano | findstr LISTENING", "lsof -nP -iTCP:PORT -sTCP:LISTEN")
        .expect("no line: start the target"),
    look("try IPv4 and IPv6 separately")
        .linux("curl -4 http://localhost:PORT/ ; curl -6 http://localhost:PORT/")
        .windows("curl -4 http://localhost:PORT/ & curl -6 http://localhost:PORT/")
        .macos("curl -4 http://localhost:PORT/ ; curl -6 http://localhost:PORT/")
        .expect("one of the two answers, if the target listens on one only")
        .useless(V4::Elsewhere),
    step("where the load tool runs in a container, let it have the host's network, or name the host: its loopback is its own")
        .linux("docker run --network host IMAGE")
        .windows("curl http://host.docker.internal:PORT/")
        .macos("curl http://host.docker.internal:PORT/")
        .expect("the server outside the container answers")
        .useless(V4::Elsewhere),
];

const RESET: &[Step] = &[
    say("let the server keep idle connections longer than the client: nginx keepalive_timeout 75s, Node.js server.keepAliveTimeout = 75000, gunicorn --keep-alive 75").expect("no resets on reused connections"),
    step("read the server's log of that time").log().expect("a crash, a kill, or a connection limit"),
];

/// The client's connections are never idle: no timeout of idle ones ended them.
const RESET_UNDER_LOAD: &[Step] = &[
    step("see whether the server reached a limit of its own: its log names it")
        .commands("grep -rhE 'not.enough|MaxRequestWorkers|max_children' /var/log", "eventvwr", "log show --last 10m")
        .expect("nginx: worker_connections are not enough; Apache: server reached MaxRequestWorkers"),
    say("raise it: nginx worker_connections 8192, Apache MaxRequestWorkers 1000, gunicorn --worker-connections 8192; with its limit of open files")
        .expect("as many connections as clients"),
    step("find from how many connections on it resets: begin with one, and double them")
        .anywhere("sockbench load URL --conns 1")
        .expect("no resets up to the server's limit"),
    step("see whether it died: its log of that time").linux("journalctl --since -10min").expect("a crash, a kill, a restart"),
];

/// The connection was established: what the target does, not what lies between.
const ANSWER_LATE: &[Step] = &[
    look("see how long the target takes without load")
        .anywhere("curl -s -o /dev/null -w '%{time_total}\\n' http://HOST:PORT/")
        .expect("near the timeout: the timeout is too short; far below it: the load is too much"),
    step("find the load from which answers come too late")
        .anywhere("sockbench study --url URL")
        .expect("the step at which p95 rises: fewer users, or a faster target"),
];

const CONNECT_LATE: &[Step] = &[
    look("see whether SYNs are answered")
        .commands("ss -tn state syn-sent", "netstat -an | findstr SYN_SENT", "netstat -an -p tcp | grep SYN_SENT")
        .expect("lines that stay: they are not"),
    look("see whether the server's queue is full")
        .linux("nstat -az TcpExtListenOverflows")
        .macos("netstat -Lan")
        .expect("Linux: a number that rises; macOS: a first figure near the third"),
];

const BY_ADDRESS: Step = look("give the target's address instead of its name")
    .commands("curl -H 'Host: NAME' http://IP/", "curl -H \"Host: NAME\" http://IP/", "curl -H 'Host: NAME' http://IP/")
    .expect("no resolver is needed; send the name in the Host header where the target looks at it");

const NO_NAME: &[Step] = &[
    step("look the name up by hand")
        .commands("getent hosts NAME", "nslookup NAME", "dscacheutil -q host -a name NAME")
        .expect("no line: the name is wrong, or no resolver answers"),
    BY_ADDRESS,
];

const NAME_SERVER: &[Step] = &[
    step("see which resolver is asked, and whether it answers")
        .commands("cat /etc/resolv.conf ; getent hosts NAME", "nslookup NAME", "scutil --dns ; dscacheutil -q host -a name NAME")
        .expect("no line after some seconds: the resolver does not answer; an address: it was overloaded or away then"),
    step("look the name up once, not for each request: keep connections, or cache it on this machine")
        .linux("resolvectl statistics")
        .expect("one look-up instead of one per connection"),
    BY_ADDRESS,
];

/// Nobody closed the connection.
const PING_LOST: &[Step] = &[
    look("see whether packets get lost on the way, while it runs")
        .linux("ss -tni dst IP | grep -o 'retrans:[0-9/]*'")
        .windows("netstat -s -p tcp | findstr Retransmitted")
        .macos("netstat -s -p tcp | grep retransmit")
        .expect("figures that rise: packets are lost; none: the target's program stood still"),
    step("see whether the target stood still: its log of that time")
        .log()
        .expect("a garbage collection, a stopped process, a restart of the machine"),
    say("give it more time to answer a PING: the timeout of the client's keepalive")
        .expect("pauses of the target that are shorter fail no request"),
];

/// The client's connections outlive the server's patience.
const IDLE_CLOSED: &[Step] = &[
    say("let the server keep idle connections longer than the client: nginx keepalive_timeout 75s, Node.js server.keepAliveTimeout = 75000, gunicorn --keep-alive 75").expect("no connection ends between two requests"),
    say("let the client send such a request again: it was not read").expect("no failed request; POST needs leave to be sent twice"),
];

const UNREACHABLE: &[Step] = &[
    look("look up the route")
        .commands("ip route get ADDRESS ; ip -br addr", "route print", "route -n get ADDRESS")
        .expect("unreachable, or no default route, or no interface that is UP: there is none"),
    IPV4,
];
