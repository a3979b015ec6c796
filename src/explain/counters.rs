//! Counters of kernels and proxies: lines of `netstat -s` and `nstat`, Envoy's statistics.
//!
//! Only counters that stay at zero on a healthy machine are read. Resets, retransmissions and failed connection attempts
//! since the machine started are everywhere, and say nothing about one test.

use super::codes::Condition;
use super::counts::whole;
use super::evidence::{Evidence, Sighting};
use super::tools;
use crate::model::explanation::{Exactly, FailedCall as Call, Os};

/// `netstat -s`: sentences behind or before the number, as net-tools, iproute2 and BSD print them.
const KERNEL: &[(Condition, &[&str])] = &[
    (Condition::BacklogFull, &["times the listen queue of a socket overflowed", "listen queue overflows", "listenoverflows"]),
    (
        Condition::Exact(Exactly::ListenDrops),
        &["syns to listen sockets dropped", "syns to listen sockets ignored", "listendrops"],
    ),
    (Condition::SynQueueFull, &["syn cookies sent", "tcpreqqfulldrop", "tcpreqqfulldocookies", "syncookiessent"]),
    (Condition::KernelFull(None), &["connections aborted due to memory pressure", "tcpabortonmemory"]),
    (Condition::Exact(Exactly::TimeWaitTable), &["tcptimewaitoverflow"]),
];

/// Envoy and Nighthawk, by the end of the counter's name.
const PROXY: &[(Condition, Call, &[&str])] = &[
    (Condition::NoReason, Call::Connect, &["pool_connection_failure", "cx_connect_fail", "rq_pending_failure_eject"]),
    (Condition::TimedOut, Call::Connect, &["cx_connect_timeout"]),
    (Condition::Exact(Exactly::ProgramLimit), Call::Unnamed, &["pool_overflow", "cx_overflow", "rq_pending_overflow"]),
    (Condition::TimedOut, Call::Read, &["rq_timeout", "rq_per_try_timeout"]),
    (Condition::Ended, Call::Read, &["stream_resets", "rq_rx_reset", "destroy_remote_with_active_rq"]),
];

/// The counter of a line in normal form, zero too; none when it is no such line.
pub(super) fn read(text: &str) -> Option<Vec<Sighting>> {
    kernel(text).or_else(|| proxy(text)).map(|s| vec![s])
}

fn kernel(text: &str) -> Option<Sighting> {
    let (condition, sentence) =
        KERNEL.iter().find_map(|(condition, all)| Some((condition, all.iter().find(|sentence| text.contains(**sentence))?)))?;
    let (before, after) = text.split_once(sentence)?;
    // `12 times the listen ...`; `TCPTimeWaitOverflow: 12`; `TcpExtListenOverflows  12  0.0`, `TcpExt.ListenDrops = 12`.
    let count = number(before.trim()).or_else(|| number(after.trim_start_matches([':', '=', ' '])))?;
    let os = if sentence.starts_with("listen queue") { Os::Macos } else { Os::Linux };
    let is_listeners =
        matches!(condition, Condition::BacklogFull | Condition::SynQueueFull | Condition::Exact(Exactly::ListenDrops));
    let call = if is_listeners { Call::Accept } else { Call::Unnamed };
    let tool = tools::named("Linux kernel").filter(|_| os == Os::Linux);
    let evidence = Evidence { os: Some(os), tool, since_boot: true, ..Evidence::new(*condition, call) };
    Some(Sighting { evidence, count, is_total: true })
}

/// `cluster.x.upstream_cx_connect_fail: 12`, `benchmark.pool_connection_failure  1203  20.05`, `..._fail{cluster="x"} 12`
fn proxy(text: &str) -> Option<Sighting> {
    let name = text.split([' ', ':', '{']).next()?;
    let counter = name.strip_suffix("_total").unwrap_or(name);
    let (condition, call, _) = PROXY.iter().find(|(.., ends)| ends.iter().any(|end| counter.ends_with(end)))?;
    let rest = text[name.len()..].trim_start_matches(':');
    let rest = rest.strip_prefix('{').map_or(Some(rest), |labels| labels.split_once('}').map(|(_, rest)| rest))?;
    let count = number(rest.trim_start())?;
    let is_nighthawk = name.starts_with("benchmark.");
    let tool = tools::named(if is_nighthawk { "Nighthawk" } else { "Envoy" });
    Some(Sighting { evidence: Evidence { tool, ..Evidence::new(*condition, *call) }, count, is_total: true })
}

/// The whole number that a text begins with.
fn number(text: &str) -> Option<u64> {
    whole(text.split(' ').next()?)
}
