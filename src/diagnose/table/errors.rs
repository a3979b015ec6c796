//! Rules whose findings are errors: requests failed, or the figures are not what was asked for.

use super::{COUNTED_AT_TARGET, COUNTED_HERE};
use crate::diagnose::rule::Rule;
use crate::diagnose::rules;
use crate::model::finding::FindingId as Id;

pub(super) const RULES: &[Rule] = &[
    Rule {
        says: "the source ports to this destination ran out: what used them, and until when",
        fires: "connect() failed with EADDRNOTAVAIL 99 where the kernel picks the port at connect, or bind() with EADDRINUSE 98 where it picks the port at bind (Windows 10048, 10055). Not where nothing ever connected and under {POOL_NOT_FULL_SHARE} of the pool was in use: then there is no local address (users-not-reached)",
        needs: COUNTED_HERE,
        advises: "keep connections, let the server close first, a ring of ports with SO_REUSEADDR, tcp_tw_reuse, a wider range, more source addresses or destinations, a rate below P/T, a pause between runs",
        witness: "the kernel's ActiveOpens: fewer SYNs than attempts",
        as_cause: "the source ports ran out",
        caused_by: &[Id::TargetForbidsKeepalive],
        ..Rule::of(Id::LocalPortsExhausted, rules::local::ports_exhausted)
    },
    Rule {
        says: "a source port that was asked for by number was in use: by a socket without SO_REUSEADDR, by a connection with the same four numbers, or because timestamps are off",
        fires: "bind() of a chosen port failed with EADDRINUSE 98, connect() from a chosen port failed with EADDRNOTAVAIL 99, or connect() with 99 after bind(ip, 0) (Windows 10048)",
        needs: COUNTED_HERE,
        advises: "SO_REUSEADDR on every socket from the first one on, timestamps on, other ports for the ring, as many users as ports, leaving the choice to connect()",
        witness: "the kernel's ActiveOpens: fewer SYNs than attempts",
        as_cause: "the chosen source ports were in use",
        caused_by: &[Id::TargetForbidsKeepalive],
        ..Rule::of(Id::LocalPortBusy, rules::busy::port_busy)
    },
    Rule {
        says: "this machine has no file descriptor left",
        fires: "a call of this machine failed with EMFILE 24 or ENFILE 23 (Windows 10024)",
        needs: COUNTED_HERE,
        advises: "a higher limit for the shell or the service, fewer connections at once",
        witness: "the kernel's ActiveOpens: fewer SYNs than attempts",
        as_cause: "file descriptors ran out",
        ..Rule::of(Id::LocalFdLimit, rules::local::fd_limit)
    },
    Rule {
        says: "the target answered and then went away: since when, and what it answered until then",
        fires: "no answer came after some moment, connections were refused from then on, and they still were {STILL_GONE_S} before the end. Without a whole second in it: no connection was open at the end, and none was refused before, or at least {GONE_MISSING} answers are missing",
        advises: "the target's log at that time, the run again",
        witness: "the kernel's AttemptFails: an RST for each refused SYN",
        as_cause: "the target went away",
        ..Rule::of(Id::TargetGone, rules::gone::target_gone)
    },
    Rule {
        says: "nothing listened at the target: connections were refused, or connected to themselves",
        fires: "connect() failed with ECONNREFUSED 111, or both ends of a socket were the same (Windows 10061)",
        needs: COUNTED_AT_TARGET,
        advises: "start the target or correct the address, reserve its port, the same load to sockbench's own server",
        witness: "the kernel's AttemptFails: an RST for each refused SYN",
        as_cause: "the target refused connections",
        caused_by: &[Id::TargetGone],
        ..Rule::of(Id::TargetRefused, rules::refused::refused)
    },
    Rule {
        says: "the target serves so many connections at once; the others wait unanswered",
        fires: "kept connections that carried answers are open at the end, and at least {WAITING_CONNECTIONS} others never carried one, each waiting {HANG_MS} and {HANG_TIMES} times as long as the slowest answered request took; one is enough where the kernel says that the target did not accept it. Not where a served connection hangs too",
        advises: "the target's own setting (workers, threads, connections), as many users as it serves, a connection per request",
        witness: "the accept queue by /proc/net/tcp, or the target's own count of requests that it read",
        as_cause: "the target serves only so many connections",
        ..Rule::of(Id::TargetConnectionLimit, rules::places::connection_limit)
    },
    Rule {
        says: "the target's queue of connections that wait for accept() overflowed: SYNs are dropped, connecting takes a second or several",
        fires: "ListenOverflows or ListenDrops rose in this namespace while the target lives here and a connection took {HELD_UP_MS} (or was still being made at the end), or {SYN_RETRIES} connections took 0.95 s or more and its counters cannot be read from here",
        needs: "neither the kernel's counters nor the times of connecting are known, or connects timed out at a target of another machine",
        advises: "a longer backlog (somaxconn and listen()), fewer connections at once, a slower start of the users, kept connections",
        witness: "the kernel's ListenOverflows and ListenDrops",
        as_cause: "the target's backlog overflowed",
        caused_by: &[Id::TargetConnectionLimit],
        ..Rule::of(Id::TargetBacklogOverflow, rules::backlog::backlog_overflow)
    },
    Rule {
        says: "connections took a retry of their SYN (1 s, 2 s, 3 s), and no backlog overflowed",
        fires: "{SYN_RETRIES} connections took 0.95 s or more while ListenOverflows and ListenDrops of this namespace, where the target lives, stayed at 0",
        advises: "a count of SYN retries, a look for rules that drop SYNs, kept connections",
        witness: "the kernel's TCPSynRetrans, and ListenDrops that stay at 0",
        as_cause: "connects took a second or more",
        ..Rule::of(Id::SlowConnects, rules::backlog::slow_connects)
    },
    Rule {
        says: "the target ended connections before it answered: their share of the requests, whether they take turns (every second one), by call and errno, on fresh and on reused connections",
        fires: "read(), write() or connect() met ECONNRESET 104, EPIPE 32 or ECONNABORTED 103, or the connection ended before the first byte of an answer (Windows 10054). It names a limit of connections at a time where at most {KEPT_MOST_SHARE} of the users had one at the end and at an earlier look, one lives less than {IDLE_TIMEOUT_LEAST_S} or users never pause, and no limit of requests per connection explains it",
        needs: COUNTED_AT_TARGET,
        advises: "the target's own setting (connections at a time) or as many users as it keeps; a longer idle timeout of the target, its log at that time, less load",
        witness: "the target's own count of answers",
        as_cause: "the target reset connections",
        caused_by: &[Id::TargetGone, Id::TargetBacklogOverflow],
        ..Rule::of(Id::TargetResets, rules::target::resets)
    },
    Rule {
        says: "requests got no whole answer in time, by phase",
        fires: "the plan's timeout ended a request, or a call failed with ETIMEDOUT 110 (Windows 10060). Those while connecting belong to target-backlog-overflow where it fires",
        needs: COUNTED_AT_TARGET,
        advises: "less load, a longer timeout, a look at SYNs without an answer",
        witness: "the target's own count of answers",
        as_cause: "requests timed out",
        caused_by: &[
            Id::TargetGone,
            Id::TargetConnectionLimit,
            Id::TargetBacklogOverflow,
            Id::TargetHangs,
            Id::ClientStalled,
            Id::TargetStalled,
            Id::TargetQueueing,
        ],
        ..Rule::of(Id::TargetTimeouts, rules::target::timeouts)
    },
    Rule {
        says: "requests waited longer than any answered one and got no answer: how many, on how many connections, how long",
        fires: "a request that was in flight at the end, or that the timeout ended, waited {HANG_MS} and {HANG_TIMES} times as long as the slowest answered one took. It says that the program accepts no connection where nothing was answered and the accept queue holds every connection that was established",
        needs: "how long the requests in flight at the end had waited was not recorded",
        advises: "one request by hand, a look at the connections that hang, more time unless it waited many times as long as the slowest answer; where it accepts none, a look at its threads and its accept queue",
        witness: "the target's own count of answers",
        as_cause: "the target does not answer some requests at all",
        caused_by: &[Id::ClientStalled, Id::HostContended],
        swallowed_by: &[Id::TargetConnectionLimit],
        ..Rule::of(Id::TargetHangs, rules::stalls::target_hangs)
    },
    Rule {
        says: "answers broke HTTP/1.1, by fault, with the first bytes received",
        fires: "an answer could not be parsed, or ended inside its head, body or last chunk",
        needs: COUNTED_AT_TARGET,
        advises: "one raw answer, the same with one user",
        witness: "the target's own count of answers, and the kernel's PassiveOpens",
        as_cause: "answers were malformed",
        caused_by: &[Id::TargetGone],
        ..Rule::of(Id::TargetMalformed, rules::target::malformed)
    },
    Rule {
        says: "the target answered with a status of 400 or above, or failed in a way that no other rule names",
        fires: "a status of 400 or above, or any other failure at the target, by call and errno",
        needs: COUNTED_AT_TARGET,
        advises: "by class of status, and whether every answer had it: the path or the Host, credentials, a method; the log of the target or of the proxy; a longer queue, more workers or less load where it is full; the rate that was accepted all along; one request by hand",
        witness: "the target's own count of answers, and the kernel's PassiveOpens",
        as_cause: "the target answered with errors",
        caused_by: &[Id::TargetQueueing],
        ..Rule::of(Id::TargetErrors, rules::statuses::errors)
    },
    Rule {
        says: "answers passed a limit of sockbench's own: which one, its value, and the flag that raises it",
        fires: "an answer had more bytes or fields of head, or more bytes of body, than this run takes",
        needs: COUNTED_AT_TARGET,
        advises: "a higher limit, one answer measured by hand",
        witness: "the target's own count of answers, and the kernel's PassiveOpens",
        as_cause: "answers passed this program's own limit",
        ..Rule::of(Id::ClientLimit, rules::received::client_limit)
    },
];
