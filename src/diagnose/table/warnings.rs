//! Rules whose findings are warnings: nothing failed yet, or the figures need care.

use crate::diagnose::rule::Rule;
use crate::diagnose::rules;
use crate::model::finding::FindingId as Id;

const T_OR_POOL: &str = "the pool of source ports or T for this destination is not known";

pub(super) const RULES: &[Rule] = &[
    Rule {
        says: "this program itself stalled: from when to when",
        fires: "no thread of it ran for {CLIENT_STALL_S} at once (SIGSTOP, a paused virtual machine, swapping)",
        needs: "stretches without a running thread were not recorded",
        advises: "the run again, a look at steal and swap",
        witness: "/proc/PID/stat of the client: state T",
        as_cause: "this program stalled",
        ..Rule::of(Id::ClientStalled, rules::stalls::client_stalled)
    },
    Rule {
        says: "threads of the client, or of a local target, waited for a core that others had: which figures that spoils",
        fires: "a thread waited for a core for more than {WAIT_PERCENT} of the run, or of a second in more than {WAIT_SECONDS_SHARE} of its seconds, while other programs used {OTHERS_PERCENT} of a core; or a CPU quota stopped the process in more than {THROTTLED_SHARE} of its periods. It decides verdict and stamp only where it spoils the figures as a whole: more than {WAIT_SPOILS_PERCENT} of the run, or in a closed loop of so many seconds, or an asked rate that was missed by {FALL_SHORT_SHARE}; and the verdict only where nothing else explains the run, or where what does follows from it: a queue (Server-Timing) of a target whose threads waited that much for a core is that of a target without its cores, and so are the timeouts of it",
        needs: "waiting for a core (schedstat) was not measured for {WAIT_SECONDS}, or who had the cores is not known",
        advises: "stop what takes the cores, raise the quota, the run again",
        witness: "/proc/stat and getrusage: CPU of neither the client nor the target, or the quota's control group",
        as_cause: "other programs or a quota took the CPU",
        ..Rule::of(Id::HostContended, rules::contended::host_contended)
    },
    Rule {
        says: "the target did not keep connections: it ended them after an answer, or announced the end, although asked to keep it",
        fires: "it did so after at least {FORBIDS_SHARE} of at least {FORBIDS_ANSWERS} answers, by FIN or by RST; or from a moment in mid-run to the end, over at least {FORBIDS_SECONDS}. It names a limit of connections at a time where target-resets does, also where no request failed",
        needs: "fewer than {FORBIDS_ANSWERS} answers came",
        advises: "keep-alive at the target, a longer idle timeout, a ring of ports; the target's own setting where it keeps only so many connections at a time",
        witness: "the kernel's PassiveOpens: more connections than users",
        as_cause: "the target ends each connection after one answer",
        ..Rule::of(Id::TargetForbidsKeepalive, rules::keepalive::forbids_keepalive)
    },
    Rule {
        says: "more bytes followed complete answers: what they are, with the first of them",
        fires: "bytes came beyond the end of an answer that its head announced",
        advises: "one raw answer, the same with one user",
        witness: "the target's own count of answers, and the kernel's PassiveOpens",
        as_cause: "more bytes followed complete answers",
        ..Rule::of(Id::TargetSurplusBytes, rules::received::surplus_bytes)
    },
    Rule {
        says: "the rest of each answer comes about 40 ms after its first byte: head and body in two writes (Nagle and delayed ACK), or a pause of the program",
        fires: "the median time from first to last byte of an endpoint is {SPLIT_LEAST_MS} to {SPLIT_MOST_MS} over at least {SPLIT_ANSWERS} answers with {SPLIT_BYTES} bytes of body at the most",
        advises: "one write or TCP_NODELAY, a look at the target's send queues",
        witness: "the kernel's DelayedACKs: about one for each answer",
        as_cause: "the rest of each answer comes late",
        ..Rule::of(Id::TargetSplitsAnswers, rules::split::splits)
    },
    Rule {
        says: "after ports ran out: the failures recur every T, with the next time",
        fires: "ports ran out, TIME_WAIT (or FIN_WAIT2) had them, and T is not zero",
        needs: "T for this destination is not known",
        witness: "sockets in TIME_WAIT by /proc/net/sockstat",
        as_cause: "the failures recur every T",
        caused_by: &[Id::LocalPortsExhausted],
        ..Rule::of(Id::FailuresWillReturn, rules::local::failures_return)
    },
    Rule {
        says: "no port was missing yet, but most were in use, or the rate is above P/T and the run was too short to see it",
        fires: "more than {BUDGET_HIGH_SHARE} of the pool of a source address was in use (where TIME_WAIT is reused after T < 60 s: open ports and those younger than T), or the rate exceeds P/T with no more than P connections made. Not where tcp_max_tw_buckets is below the pool",
        needs: T_OR_POOL,
        advises: "as for local-ports-exhausted",
        witness: "sockets in TIME_WAIT by /proc/net/sockstat",
        as_cause: "most of the port budget is used",
        caused_by: &[Id::TargetForbidsKeepalive],
        swallowed_by: &[Id::LocalPortsExhausted, Id::LocalPortBusy],
        ..Rule::of(Id::PortBudgetHigh, rules::ports::budget_high)
    },
    Rule {
        says: "connect() became many times slower while more than half of the pool was in use; the rate flattens near (P/2)/T",
        fires: "mean and p95 of connect() were {SEARCH_TIMES} times higher, and the mean {SEARCH_ADDED_US} higher, in seconds with more than {SEARCH_SHARE} of the pool in use than in those below; without any below, a mean of {SEARCH_ALONE_US}, or in a closed loop within {SEARCH_NEAR} of (P/2)/T a p95 of {SEARCH_ALONE_US} that is {SEARCH_TIMES} times the median, with a mean {SEARCH_ADDED_US} above it. Or the median of at least {SEARCH_CALLS} calls in one second was so much higher. Only where the pool is large enough to explain it at {SEARCH_PORT_US} a port",
        needs: "the pool, or the ports in use by second, is not known",
        advises: "keep connections, a ring of ports, shorter T, a rate below half of P/T",
        witness: "sockets in TIME_WAIT by /proc/net/sockstat",
        as_cause: "the kernel's search for a port became slow",
        caused_by: &[Id::TargetForbidsKeepalive],
        ..Rule::of(Id::PortSearchSlow, rules::search::search_slow)
    },
    Rule {
        says: "the client was the limit: a load thread used its whole core, or always had something to do, while the target had room; or the schedule could not be kept",
        fires: "in more than {SATURATED_SHARE} of at least {SATURATED_SECONDS} measured a load thread itself ran for {RAN_PERCENT} of the second, or its loop waited for events for no more than {LOOP_IDLE_PERCENT} of it because there was always something to do, while the target's busiest thread had {ROOM_PERCENT} of a core idle or could not be read; or in an open loop the p99 lateness was above {LATENESS_MS} although a connection was free, with at least {LATE_SAMPLE} requests, {LATE_REQUESTS} of them late, {LATE_STALL_S} of lateness in all, and no thread waiting for a core. Not where requests were never started by threads that were busy for less than {BUSY_WORKER_SHARE} of the run: then the connections were busy",
        needs: "the CPU of the load threads was not measured for {SATURATED_SECONDS}",
        advises: "more threads, a lower rate, kept connections, cores of its own; a ring of ports first where the rate stands at (P/2)/T with half of the pool in use",
        witness: "getrusage: CPU of the client",
        as_cause: "the client was saturated",
        caused_by: &[Id::LocalPortsExhausted, Id::HostContended, Id::PortSearchSlow],
        ..Rule::of(Id::GeneratorSaturated, rules::client::generator_saturated)
    },
    Rule {
        says: "fewer users or requests than asked for: how many, and what kept them away",
        fires: "{FALL_SHORT_SHARE} and at least {FALL_SHORT_REQUESTS} requests of an asked rate are missing, or that share of the users never had a connection, or the run ended before its ramp, or this machine refused that share of the connections for another reason than ports and descriptors",
        needs: "no request was started",
        advises: "a rate that can be reached, more connections, a longer run, what the refusal names",
        witness: "the kernel's ActiveOpens: no more SYNs than users asked for",
        as_cause: "fewer users than asked for were reached",
        caused_by: &[
            Id::LocalPortBusy,
            Id::TargetGone,
            Id::TargetRefused,
            Id::TargetConnectionLimit,
            Id::TargetBacklogOverflow,
            Id::SlowConnects,
            Id::TargetResets,
            Id::TargetTimeouts,
            Id::TargetHangs,
            Id::ClientStalled,
            Id::HostContended,
            Id::PortSearchSlow,
            Id::TargetStalled,
            Id::TargetQueueing,
            Id::TargetCpuSaturated,
        ],
        swallowed_by: &[Id::LocalPortsExhausted, Id::LocalFdLimit, Id::GeneratorSaturated],
        ..Rule::of(Id::UsersNotReached, rules::users::users_not_reached)
    },
    Rule {
        says: "nothing was answered for a while although requests were in flight: from when to when, how often, and who stalled",
        fires: "a stretch of {STALL_S} and {STALL_TIMES} times the p75 without any answer, which ended before the run did, and less than {STALL_SHARED} of which this program stalled. Not where connects took as long. Who stalled is undecided where the target used less than {STALL_IDLE_PERCENT} of a core and the host {STALL_HOST_PERCENT} of all cores or more",
        needs: "stretches without an answer were not recorded",
        advises: "the target's log at that time, a longer run",
        witness: "the target's own time between two answers, or /proc/PID/stat of the target: state T",
        as_cause: "the target stalled",
        caused_by: &[Id::HostContended],
        ..Rule::of(Id::TargetStalled, rules::stalls::target_stalled)
    },
    Rule {
        says: "requests wait at the target: longer than they are worked on, or longer and longer",
        fires: "the median queue of an endpoint (Server-Timing) is {QUEUE_MS} or more and longer than its work; or without Server-Timing: users grew {GROWN_USERS} times, the median {GROWN_LATENCY} times and throughput less than {FLAT_THROUGHPUT} times; or at a constant load the median of the last third is {LEAK_TIMES} times that of the first",
        needs: "the target sends no Server-Timing, and the load never grew over {GROWTH_SECONDS} on either side",
        advises: "more workers or less work, the users or the rate that it can take",
        witness: "the target's pace: one worker, 20 ms a request, 50 answers a second at most",
        as_cause: "requests queue at the target",
        caused_by: &[Id::HostContended, Id::TargetCpuSaturated],
        ..Rule::of(Id::TargetQueueing, rules::queueing::queueing)
    },
    Rule {
        says: "a setting of the kernel that predictions rest on changed during the run",
        fires: "a value of net.ipv4 or net.core that is in `host.sysctls` differs at the end of the run",
        needs: "connections were short and the settings were not read again",
        advises: "the values now, the run again",
        witness: "/proc/sys/net/ipv4, read before and after",
        as_cause: "a setting of the kernel changed",
        ..Rule::of(Id::SysctlChanged, rules::settings::sysctl_changed)
    },
];
