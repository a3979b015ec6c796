//! Every threshold of the rules, in one place; docs/FINDINGS.md prints [`TABLE`].

/// port-budget-high: share of the pool from which the budget counts as high.
pub const BUDGET_HIGH_SHARE: f64 = 0.70;
/// pace remedies aim at this share of P/T.
pub const PACE_SHARE: f64 = 0.8;
/// local-ports-exhausted: below this share of the pool, the range is not what ran out.
pub const POOL_NOT_FULL_SHARE: f64 = 0.5;
/// local-ports-exhausted: below this share of the pool, ports were held by what was not seen towards the destination.
pub const POOL_SEEN_SHARE: f64 = 0.9;
/// failures-will-return: an echo this soon after the run's end coincides with it, seconds.
pub const ECHO_SOON_S: f64 = 0.1;
/// port-search-slow: connect(2)'s mean, over half of the pool held against below, at least this many times.
pub const SEARCH_TIMES: f64 = 4.0;
/// port-search-slow: and at least this many microseconds dearer.
pub const SEARCH_ADDED_US: f64 = 40.0;
/// port-search-slow: without a second below half of the pool, a mean of this many microseconds counts as dear.
pub const SEARCH_ALONE_US: f64 = 200.0;
/// port-search-slow: a port costs no search more than this many microseconds (measured: 0.14), so a pool too small
/// to make the difference with it is not what made connect(2) dear.
pub const SEARCH_PORT_US: f64 = 0.5;
/// port-search-slow: the share of the pool from which the search is dear (ports.md section 4).
pub const SEARCH_SHARE: f64 = 0.5;
/// port-search-slow: the rate is "near" (P/2)/T_eff within this share of it.
pub const SEARCH_NEAR: f64 = 0.25;
/// target-backlog-overflow: connection set-ups near 1 s and 3 s (SYN retries) that make a cluster.
pub const SYN_RETRIES: u64 = 3;
/// target-backlog-overflow: a set-up that took this long met a dropped SYN, whose first retry comes after 1 s, milliseconds.
pub const HELD_UP_MS: f64 = 900.0;
/// target-forbids-keepalive: share of answers after which the target ended the connection.
pub const FORBIDS_SHARE: f64 = 0.5;
/// target-forbids-keepalive: answers needed to say so.
pub const FORBIDS_ANSWERS: u64 = 4;
/// generator-saturated: share of the measured seconds with a saturated worker.
pub const SATURATED_SHARE: f64 = 0.5;
/// generator-saturated: seconds that must have been measured.
pub const SATURATED_SECONDS: u32 = 2;
/// generator-saturated: how late a due request may be written, 99th percentile, milliseconds.
pub const LATENESS_MS: f64 = crate::model::limits::LATE_MS as f64;
/// generator-saturated: late requests that make a percentile of them more than a hiccup.
pub const LATE_REQUESTS: u64 = 5;
/// generator-saturated: requests from which their 99th percentile is more than the latest of them.
pub const LATE_SAMPLE: u64 = 100;
/// generator-saturated: seconds in which what was due came late, from which it is more than one hiccup of the machine.
pub const LATE_STALL_S: f64 = 0.1;
/// generator-saturated: a worker that had or wanted a core for less than this share of the run had time for its schedule.
pub const BUSY_WORKER_SHARE: f64 = 0.5;
/// users-not-reached: share of the asked users or rate that may be missing.
pub const FALL_SHORT_SHARE: f64 = 0.05;
/// users-not-reached: requests that must be missing before a rate counts as not reached.
pub const FALL_SHORT_REQUESTS: f64 = 5.0;
/// users-not-reached: without think time, this share of users on short connections holds one at the same time.
pub const SHORT_AT_ONCE_SHARE: f64 = 0.5;
/// users-not-reached: attempts per user of a run bounded by a count, from which all users had work.
pub const ATTEMPTS_PER_USER: u64 = 10;
/// target-queueing: median time in the target's queue from which it counts, milliseconds.
pub const QUEUE_MS: f64 = 5.0;
/// target-queueing: requests an endpoint needs to be judged.
pub const QUEUE_REQUESTS: u64 = 20;
/// target-queueing: with fewer of a pool's workers at work than this share, jobs wait for a core and not for a worker.
pub const BUSY_POOL_SHARE: f64 = 0.7;
/// target-queueing: median latency grew at least this many times with the users...
pub const GROWN_LATENCY: f64 = 1.5;
/// ... while throughput grew less than this many times, and users at least [`GROWN_USERS`] times.
pub const FLAT_THROUGHPUT: f64 = 1.10;
/// See [`FLAT_THROUGHPUT`]; also the step from which throughput-plateau compares.
pub const GROWN_USERS: f64 = 1.5;
/// target-queueing: seconds needed on either side of that comparison.
pub const GROWTH_SECONDS: usize = 3;
/// target-cpu-saturated: CPU of the limit (a core, or all of them), percent.
pub const CPU_LIMIT_PERCENT: f64 = 90.0;
/// target-cpu-saturated: a shorter run says nothing of a mean CPU, seconds.
pub const CPU_RUN_S: f64 = 1.0;
/// target-cpu-saturated: requests at the target, in times of those that its full CPU works on, from which more of them
/// only wait (where users did not grow during the run).
pub const IN_FLIGHT_TIMES: f64 = 1.5;
/// target-cpu-saturated: a target that never used more than this used one core only, percent.
pub const ONE_CORE_PERCENT: f64 = 110.0;
/// closed-loop-limited: measured rate against users / (think + response), share it may differ by.
pub const CLOSED_LOOP_NEAR: f64 = 0.10;
/// closed-loop-limited and throughput-plateau: share of failed attempts above which the loop is not the users' own.
pub const FEW_FAILURES: f64 = 0.02;
/// throughput-plateau: rate grew less than this many times.
pub const PLATEAU_TIMES: f64 = 1.10;
/// tail-endpoint: its p95 against the next endpoint's, at least this many times.
pub const TAIL_TIMES: f64 = 1.5;
/// tail-endpoint: requests an endpoint needs to be compared.
pub const TAIL_REQUESTS: u64 = 20;
/// preflight: connections/s that an endless hurry may reach; a ceiling above it is not announced.
pub const HURRY_CPS: f64 = 50_000.0;
/// validity: seconds by which a run may end before its planned end.
pub const EARLY_END_S: f64 = 0.5;

/// Rule, name, value and unit, for docs/FINDINGS.md.
pub const TABLE: &[(&str, &str, f64, &str)] = &[
    ("local-ports-exhausted", "POOL_NOT_FULL_SHARE", POOL_NOT_FULL_SHARE, "share of the pool"),
    ("local-ports-exhausted", "POOL_SEEN_SHARE", POOL_SEEN_SHARE, "share of the pool"),
    ("failures-will-return", "ECHO_SOON_S", ECHO_SOON_S, "s"),
    ("port-budget-high", "BUDGET_HIGH_SHARE", BUDGET_HIGH_SHARE, "share of the pool"),
    ("port remedies", "PACE_SHARE", PACE_SHARE, "share of P/T"),
    ("port-search-slow", "SEARCH_SHARE", SEARCH_SHARE, "share of the pool"),
    ("port-search-slow", "SEARCH_TIMES", SEARCH_TIMES, "times"),
    ("port-search-slow", "SEARCH_ADDED_US", SEARCH_ADDED_US, "us"),
    ("port-search-slow", "SEARCH_ALONE_US", SEARCH_ALONE_US, "us"),
    ("port-search-slow", "SEARCH_PORT_US", SEARCH_PORT_US, "us a port"),
    ("port-search-slow", "SEARCH_NEAR", SEARCH_NEAR, "share"),
    ("target-backlog-overflow", "SYN_RETRIES", SYN_RETRIES as f64, "set-ups near 1 s and 3 s"),
    ("target-backlog-overflow", "HELD_UP_MS", HELD_UP_MS, "ms"),
    ("target-forbids-keepalive", "FORBIDS_SHARE", FORBIDS_SHARE, "share of answers"),
    ("target-forbids-keepalive", "FORBIDS_ANSWERS", FORBIDS_ANSWERS as f64, "answers"),
    ("generator-saturated", "SATURATED_SHARE", SATURATED_SHARE, "share of measured seconds"),
    ("generator-saturated", "SATURATED_SECONDS", SATURATED_SECONDS as f64, "s"),
    ("generator-saturated", "LATENESS_MS", LATENESS_MS, "ms"),
    ("generator-saturated", "LATE_REQUESTS", LATE_REQUESTS as f64, "requests"),
    ("generator-saturated", "LATE_SAMPLE", LATE_SAMPLE as f64, "requests"),
    ("generator-saturated", "LATE_STALL_S", LATE_STALL_S, "s"),
    ("generator-saturated", "BUSY_WORKER_SHARE", BUSY_WORKER_SHARE, "share of the run"),
    ("users-not-reached", "FALL_SHORT_SHARE", FALL_SHORT_SHARE, "share"),
    ("users-not-reached", "FALL_SHORT_REQUESTS", FALL_SHORT_REQUESTS, "requests"),
    ("users-not-reached", "SHORT_AT_ONCE_SHARE", SHORT_AT_ONCE_SHARE, "share of users"),
    ("users-not-reached", "ATTEMPTS_PER_USER", ATTEMPTS_PER_USER as f64, "attempts"),
    ("target-queueing", "QUEUE_MS", QUEUE_MS, "ms"),
    ("target-queueing", "QUEUE_REQUESTS", QUEUE_REQUESTS as f64, "requests"),
    ("target-queueing", "BUSY_POOL_SHARE", BUSY_POOL_SHARE, "share of the workers"),
    ("target-queueing", "GROWN_USERS", GROWN_USERS, "times"),
    ("target-queueing", "GROWN_LATENCY", GROWN_LATENCY, "times"),
    ("target-queueing", "FLAT_THROUGHPUT", FLAT_THROUGHPUT, "times"),
    ("target-queueing", "GROWTH_SECONDS", GROWTH_SECONDS as f64, "s"),
    ("target-cpu-saturated", "CPU_LIMIT_PERCENT", CPU_LIMIT_PERCENT, "%"),
    ("target-cpu-saturated", "ONE_CORE_PERCENT", ONE_CORE_PERCENT, "%"),
    ("target-cpu-saturated", "CPU_RUN_S", CPU_RUN_S, "s"),
    ("target-cpu-saturated", "IN_FLIGHT_TIMES", IN_FLIGHT_TIMES, "times"),
    ("closed-loop-limited", "CLOSED_LOOP_NEAR", CLOSED_LOOP_NEAR, "share"),
    ("closed-loop-limited", "FEW_FAILURES", FEW_FAILURES, "share of attempts"),
    ("throughput-plateau", "PLATEAU_TIMES", PLATEAU_TIMES, "times"),
    ("tail-endpoint", "TAIL_TIMES", TAIL_TIMES, "times"),
    ("tail-endpoint", "TAIL_REQUESTS", TAIL_REQUESTS as f64, "requests"),
    ("preflight", "HURRY_CPS", HURRY_CPS, "connections/s"),
    ("stamp", "EARLY_END_S", EARLY_END_S, "s"),
];
