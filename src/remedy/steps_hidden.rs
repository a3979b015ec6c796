//! What to do about a limit behind which no call failed with an errno: of programs, of load tools, of the kernel. Data only.
//!
//! Linux: measured. Windows and macOS: documentation.

use super::catalogue::sysctl;
use super::step::{Step, look, say, step};
use crate::model::explanation::{Exactly, KernelTable};

/// Where the text says more than that a connection failed.
pub(super) const fn hidden(exactly: Option<Exactly>, table: Option<KernelTable>) -> &'static [Step] {
    match exactly {
        None => HIDDEN,
        Some(Exactly::ProgramLimit) => PROGRAM_LIMIT,
        Some(Exactly::ServerLimit) => SERVER_LIMIT,
        Some(Exactly::KernelTable) => kernel_table(table),
        Some(Exactly::TimeWaitTable) => TIME_WAIT_TABLE,
        Some(Exactly::KernelMemory) => KERNEL_MEMORY,
        Some(Exactly::Winsock) => WINSOCK,
        Some(Exactly::ClosedHere) => CLOSED_HERE,
        Some(Exactly::ListenDrops) => LISTEN_DROPS,
        Some(Exactly::RateLimit) => RATE_LIMIT,
        Some(Exactly::AllDown) => ALL_DOWN,
        Some(Exactly::Threads) => THREADS,
        Some(Exactly::Memory) => MEMORY,
        Some(Exactly::ToolCpu) => TOOL_CPU,
        Some(Exactly::ToolUsers) => TOOL_USERS,
        // Of limits with a name of their own.
        Some(Exactly::PingLost | Exactly::IdleClosed | Exactly::WorkerKilled | Exactly::UnknownName | Exactly::NameServer) => &[],
    }
}

const PROGRAM_LIMIT: &[Step] = &[
    say("allow as many connections in the program's pool as requests run at once").expect("no request waits for the pool"),
    say("give each connection back: read the body to its end, or close the response").expect("a pool that never fills by itself"),
];
const SERVER_LIMIT: &[Step] = &[
    say("raise the server's limit of connections, and its limit of open files with it").expect("as many connections as clients"),
    look("see how many connections it has")
        .linux("ss -tn state established 'sport = :PORT' | wc -l")
        .windows("netstat -an | findstr ESTABLISHED")
        .macos("netstat -an -p tcp | grep ESTABLISHED")
        .expect("near its limit: that is it"),
];
/// The one that the line names.
const fn kernel_table(table: Option<KernelTable>) -> &'static [Step] {
    match table {
        None => TCP_MEMORY_OR_ORPHANS,
        Some(KernelTable::TcpMem) => TCP_MEMORY,
        Some(KernelTable::Orphans) => ORPHANS,
        Some(KernelTable::Neighbours) => NEIGHBOURS,
        Some(KernelTable::Neighbours6) => NEIGHBOURS_6,
        Some(KernelTable::Routes) => ROUTES,
    }
}

const SEE_TCP_MEMORY: Step = look("see how much of it is in use, in pages of 4 KiB")
    .linux("cat /proc/net/sockstat ; sysctl net.ipv4.tcp_mem")
    .expect("mem near the third figure of tcp_mem");
const SEE_ORPHANS: Step = look("see how many there are")
    .linux("cat /proc/net/sockstat ; sysctl net.ipv4.tcp_max_orphans")
    .expect("orphan near tcp_max_orphans");
const TCP_MEMORY: &[Step] = &[
    SEE_TCP_MEMORY,
    step("raise it: three figures, in pages")
        .settings(sysctl!("net.ipv4.tcp_mem='200000 400000 800000'"))
        .expect("up to 3 GiB for TCP"),
    look("use less of it: fewer connections, and programs that read what comes")
        .linux("ss -tnm | sort -rnk2 | head")
        .expect("the sockets with the most unread bytes come first"),
];
const ORPHANS: &[Step] = &[
    SEE_ORPHANS,
    step("raise the limit; each takes up to 64 KiB")
        .settings(sysctl!("net.ipv4.tcp_max_orphans=262144"))
        .expect("the line no longer comes in dmesg"),
    step("let them end sooner")
        .settings(sysctl!("net.ipv4.tcp_orphan_retries=1 net.ipv4.tcp_fin_timeout=10"))
        .expect("fewer of them at once"),
];
const TCP_MEMORY_OR_ORPHANS: &[Step] = &[SEE_TCP_MEMORY, SEE_ORPHANS];
const NEIGHBOURS: &[Step] = &[
    step("see how many there are")
        .linux("ip -4 neigh | wc -l ; sysctl net.ipv4.neigh.default.gc_thresh3")
        .expect("near gc_thresh3"),
    step("raise its three thresholds")
        .settings(sysctl!(
            "net.ipv4.neigh.default.gc_thresh1=2048 net.ipv4.neigh.default.gc_thresh2=4096 net.ipv4.neigh.default.gc_thresh3=8192"
        ))
        .expect("room for 8,192 neighbours"),
];
const NEIGHBOURS_6: &[Step] = &[
    step("see how many there are")
        .linux("ip -6 neigh | wc -l ; sysctl net.ipv6.neigh.default.gc_thresh3")
        .expect("near gc_thresh3"),
    step("raise its three thresholds")
        .settings(sysctl!(
            "net.ipv6.neigh.default.gc_thresh1=2048 net.ipv6.neigh.default.gc_thresh2=4096 net.ipv6.neigh.default.gc_thresh3=8192"
        ))
        .expect("room for 8,192 neighbours"),
];
const ROUTES: &[Step] =
    &[step("raise the limit").settings(sysctl!("net.ipv6.route.max_size=65536")).expect("room for 65,536 routes in use")];
const LISTEN_DROPS: &[Step] = &[
    look("see which counters rise with it during the test")
        .linux("nstat -az TcpExtListenOverflows TcpExtTCPReqQFullDrop TcpExtListenDrops TcpExtTCPReqQFullDoCookies")
        .expect("ListenOverflows as fast: the queue for accept() is full; TCPReqQFullDrop: that of half-open ones"),
    look("see whose queue it is").linux("ss -ltn").expect("a Recv-Q near its Send-Q"),
];
const RATE_LIMIT: &[Step] = &[
    say("take the load generator's address out of the limit for the test, or raise the limit")
        .expect("the server answers as it would to many clients"),
    step("or stay below it: it is what the server allows one client")
        .anywhere("sockbench load URL --rate 10")
        .expect("no refused request, if the limit is 10/s or more"),
    step("spread the load over several addresses, where it is counted by address")
        .linux("sockbench load URL --source 127.0.0.2 --source 127.0.0.3")
        .expect("twice the limit from 2 addresses"),
];
const ALL_DOWN: &[Step] = &[
    step("read the lines before the first of these: they name the server and the reason")
        .commands("grep -rhE 'upstream|DOWN' /var/log | grep -v 'no live' | head", "eventvwr", "log show --last 10m")
        .expect("refused, reset or timed out connections: explain those lines"),
    look("ask one of the servers behind it directly")
        .anywhere("curl -v http://HOST:PORT/")
        .expect("an answer: the proxy's own settings or ports are the cause"),
];
const THREADS: &[Step] = &[
    step("see which limit it is: of the user, the machine, the group")
        .linux("ulimit -u ; sysctl kernel.threads-max kernel.pid_max vm.max_map_count ; cat /sys/fs/cgroup/pids.max")
        .macos("ulimit -u ; sysctl kern.num_taskthreads kern.maxproc")
        .expect("one of them is near the number of threads"),
    step("count the threads").linux("ps -eLf | wc -l").macos("ps -AM | wc -l").expect("as many as that limit"),
    step("use fewer: a pool, or an event loop instead of one thread for each connection or user")
        .anywhere("sockbench load URL --conns 500")
        .expect("500 users take one thread there"),
];
const MEMORY: &[Step] = &[
    step("see which process was killed, and by which limit")
        .linux("dmesg -T | grep -iE 'oom|killed process' ; cat /sys/fs/cgroup/memory.max")
        .windows("eventvwr")
        .macos("log show --last 1h --predicate 'eventMessage contains \"memory\"'")
        .expect("CONSTRAINT_MEMCG: the limit of its container or service; CONSTRAINT_NONE: the machine's memory"),
    say("give it more memory, or fewer connections and smaller answers at once").expect("it stays below the limit"),
];
pub(super) const WORKER_KILLED: &[Step] = &[
    step("see what the worker does meanwhile (its pid stands in the line)")
        .linux("py-spy dump --pid PID || cat /proc/PID/stack")
        .expect("the line of code, or the call, in which it is stuck: a query, a lock, another service"),
    say("raise the limit, if such requests may take so long: gunicorn --timeout 120, uWSGI harakiri = 120, PHP-FPM request_terminate_timeout = 120")
        .expect("the answer comes, late"),
    say("take the slow part out of the request, or give the server more workers").expect("no worker reaches the limit"),
];
const TOOL_CPU: &[Step] = &[
    say("spread the load tool over more processes, cores or machines").expect("its CPU stays below 70 %"),
    step("see what it is worth: a client that takes less CPU")
        .anywhere("sockbench load URL --conns 100")
        .expect("the latency without the waiting of the tool; the report says how much CPU the client took"),
];
const TOOL_USERS: &[Step] = &[
    say("allow as many users as rate times response time, and as many again")
        .expect("200 requests/s of 0.5 s each need 100 users, where the target keeps up"),
    step("see whether the target keeps up: the response time at that rate")
        .anywhere("sockbench load URL --rate 100 --conns 200")
        .expect("what was due and was not started, with the reason"),
];
const TIME_WAIT_TABLE: &[Step] =
    &[step("nothing has to be done: no connection fails by it. To keep all of them again, raise the limit")
        .settings(sysctl!("net.ipv4.tcp_max_tw_buckets=262144"))
        .expect("TcpExtTCPTimeWaitOverflow (nstat -az) no longer rises; ports stay in use for 60 s then")];
const KERNEL_MEMORY: &[Step] = &[look("see what the sockets need")
    .commands("cat /proc/net/sockstat ; sysctl net.ipv4.tcp_mem", "netstat -an | find /c \"TCP\"", "netstat -m")
    .expect("mem near the third figure of tcp_mem: too many sockets, or a leak")];
const WINSOCK: &[Step] = &[
    step("give the process its SystemRoot variable: a child with an empty environment has none")
        .windows("set SystemRoot=C:\\Windows")
        .expect("socket() works again"),
    step("reset Winsock's catalogue, and reboot").windows("netsh winsock reset").expect("socket() works again"),
];
const CLOSED_HERE: &[Step] = &[say("look for a timeout or a shutdown of the program itself at that time")
    .expect("the errors come a fixed time after the request began, or at the end of the run only")];

const HIDDEN: &[Step] = &[
    step("run the same load with a tool that keeps the errno")
        .anywhere("sockbench load URL --no-keepalive")
        .expect("call, errno and cause of every failure"),
    look("make one connection by hand").everywhere("curl -v http://HOST:PORT/").expect("the reason of one failure"),
];
