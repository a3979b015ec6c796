//! Every threshold of the rules, in one table. docs/FINDINGS.md prints their values in the sentences of the rules.

use crate::model::figures;

/// How the value of a threshold is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "units are named")]
pub enum Unit {
    /// a share of one, written as percent
    Share,
    Percent,
    /// times another figure
    Times,
    Count,
    Seconds,
    Ms,
    Us,
}

/// A threshold as documentation has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// its name in this file
    pub name: &'static str,
    /// its value
    pub value: f64,
    /// how it is written
    pub unit: Unit,
    /// what it is, one line
    pub about: &'static str,
}

impl Threshold {
    /// The value with its unit: `70 %`, `0.5 s`, `4`.
    pub fn words(&self) -> String {
        let value = figures::number(self.value);
        match self.unit {
            Unit::Share => format!("{} %", figures::number((self.value * 1000.0).round() / 10.0)),
            Unit::Percent => format!("{value} %"),
            Unit::Times | Unit::Count => value,
            Unit::Seconds => format!("{value} s"),
            Unit::Ms => format!("{value} ms"),
            Unit::Us => format!("{value} us"),
        }
    }
}

macro_rules! thresholds {
    ($(#[doc = $about:literal] $name:ident: $type:ty = $value:expr, $unit:ident;)+) => {
        $(#[doc = $about] pub const $name: $type = $value;)+

        /// All of them, in the order of this file.
        pub const TABLE: &[Threshold] =
            &[$(Threshold { name: stringify!($name), value: $name as f64, unit: Unit::$unit, about: $about }),+];
    };
}

thresholds! {
    /// port-budget-high: share of the pool from which the budget counts as high.
    BUDGET_HIGH_SHARE: f64 = 0.70, Share;
    /// Remedies that pace a run aim at this share of P/T.
    PACE_SHARE: f64 = crate::remedy::PACE_SHARE, Share;
    /// Below this share of the pool in use, the range is not what ran out.
    POOL_NOT_FULL_SHARE: f64 = 0.5, Share;
    /// local-ports-exhausted: below this share of the pool seen in use, something else uses the rest.
    POOL_SEEN_SHARE: f64 = 0.9, Share;
    /// failures-will-return: a recurrence this soon after the run's end coincides with it.
    ECHO_SOON_S: f64 = 0.1, Seconds;
    /// port-search-slow: the share of the pool from which the search takes long (half of it is of one parity).
    SEARCH_SHARE: f64 = 0.5, Share;
    /// port-search-slow: mean and p95 of connect(2) above that share, against below it, at least this many times.
    SEARCH_TIMES: f64 = 4.0, Times;
    /// port-search-slow: and the mean at least this much longer.
    SEARCH_ADDED_US: f64 = 40.0, Us;
    /// port-search-slow: without a second below that share, a mean of this much counts as slow.
    SEARCH_ALONE_US: f64 = 200.0, Us;
    /// port-search-slow: one port costs the search no more than this (measured: 0.14), so a small pool is not the reason.
    SEARCH_PORT_US: f64 = 0.5, Us;
    /// port-search-slow: the rate is near (P/2)/T within this share of it.
    SEARCH_NEAR: f64 = 0.25, Share;
    /// port-search-slow: calls of connect() in a second from which their median says that all of them were slow.
    SEARCH_CALLS: u64 = 100, Count;
    /// generator-saturated: the run stands at (P/2)/T within this share of it, and with half of the pool in use: the search is the limit.
    SEARCH_STANDS: f64 = 0.1, Share;
    /// generator-saturated: a load thread that searches uses at least this much of a core.
    SEARCH_BUSY_PERCENT: f64 = 50.0, Percent;
    /// target-gone: a refusal this long before the end still shows that the target was away: users pause after one.
    STILL_GONE_S: f64 = 2.0, Seconds;
    /// target-gone: where connections were refused before as well, so many answers must be missing after the last one.
    GONE_MISSING: u64 = 10, Count;
    /// target-refused: refusals from this moment on were there from the start: the target was not up yet.
    FROM_THE_START_S: f64 = 0.25, Seconds;
    /// target-backlog-overflow, slow-connects: connection set-ups of 0.95 s and more (SYN retries) that are no accident.
    SYN_RETRIES: u64 = 3, Count;
    /// target-backlog-overflow: a set-up that took this long met a dropped SYN, whose first retry comes after 1 s.
    HELD_UP_MS: f64 = 900.0, Ms;
    /// target-connection-limit: connections without an answer, beside served ones, from which it is no single one that is stuck.
    WAITING_CONNECTIONS: u64 = 2, Count;
    /// target-resets, target-forbids-keepalive: open connections at the end, of the users, up to which the target may keep no more.
    KEPT_MOST_SHARE: f64 = 0.9, Share;
    /// target-resets, target-forbids-keepalive: connections that live less than this end by a limit: hardly any idle timeout is shorter.
    IDLE_TIMEOUT_LEAST_S: f64 = 0.1, Seconds;
    /// target-resets, target-forbids-keepalive: open connections at an earlier look and at the end are as many up to this factor.
    STEADY_OPEN_TIMES: f64 = 1.5, Times;
    /// target-resets, target-forbids-keepalive: and so many more, which few connections differ by anyway.
    STEADY_OPEN_ROOM: f64 = 5.0, Count;
    /// target-resets, target-forbids-keepalive: where users pause, share of the open connections that have carried an answer: idle ones are kept.
    KEPT_IDLE_SHARE: f64 = 0.25, Share;
    /// target-resets, target-forbids-keepalive: answers per ended connection this near to a whole number are a limit of requests.
    REQUESTS_NEAR: f64 = 0.05, Count;
    /// target-resets, target-forbids-keepalive: the greatest such number: greater ones are near any mean.
    REQUESTS_MOST: f64 = 10.0, Count;
    /// target-hangs: a request that got nothing must have waited this long.
    HANG_MS: f64 = 1000.0, Ms;
    /// target-hangs: and this many times as long as the slowest answered one took.
    HANG_TIMES: f64 = 2.0, Times;
    /// target-splits-answers: least median from the first to the last byte; Linux puts an acknowledgement off for 40 ms.
    SPLIT_LEAST_MS: f64 = 38.0, Ms;
    /// target-splits-answers: most of it.
    SPLIT_MOST_MS: f64 = 60.0, Ms;
    /// target-splits-answers: answers of an endpoint that it needs.
    SPLIT_ANSWERS: u64 = 20, Count;
    /// target-splits-answers: longer answers take several round trips anyway.
    SPLIT_BYTES: f64 = 14_000.0, Count;
    /// target-hangs: from this many times the slowest answer on, waiting longer is not advised.
    STUCK_TIMES: f64 = 20.0, Times;
    /// target-timeouts: less CPU of a core than this, and the target had time.
    IDLE_PERCENT: f64 = 20.0, Percent;
    /// target-timeouts: answers whose 95th percentile is this many times below the timeout came at once.
    FAR_BELOW: f64 = 10.0, Times;
    /// Failures that began after this share of the run began in mid-run.
    MID_RUN_SHARE: f64 = 0.25, Share;
    /// client-stalled: the client stalled for this long at once.
    CLIENT_STALL_S: f64 = 0.5, Seconds;
    /// target-stalled: nothing was answered for this long at once.
    STALL_S: f64 = 0.5, Seconds;
    /// target-stalled: and for this many times the 75th percentile of the latency: a slow but steady target is no stall.
    STALL_TIMES: f64 = 4.0, Times;
    /// target-stalled: with this share of it inside a stall of the client, the client stalled and not the target.
    STALL_SHARED: f64 = 0.5, Share;
    /// target-stalled: a process that used less than this of a core did nothing.
    STALL_IDLE_PERCENT: f64 = 5.0, Percent;
    /// target-stalled: threads that waited for a core for this share of it did not stand still by themselves.
    STALL_WAIT_PERCENT: f64 = 50.0, Percent;
    /// target-stalled: from this share of all cores on, a process without CPU may have waited for one.
    STALL_HOST_PERCENT: f64 = 95.0, Percent;
    /// host-contended: a thread waited for a core for more than this share of the run, or of a second.
    WAIT_PERCENT: f64 = 10.0, Percent;
    /// host-contended: a share of seconds from which there are many of them.
    WAIT_SECONDS_SHARE: f64 = 0.25, Share;
    /// host-contended: waiting must have been measured for this long.
    WAIT_SECONDS: f64 = 0.5, Seconds;
    /// host-contended: from this share on waiting spoils rates and latencies as a whole; below it, the slowest latencies.
    WAIT_SPOILS_PERCENT: f64 = 25.0, Percent;
    /// host-contended: CPU of a core that other programs took in these seconds, from which they are the reason.
    OTHERS_PERCENT: f64 = 20.0, Percent;
    /// host-contended: share of an end's CPU on cores to which its threads are confined, from which what ran on other cores took it nothing.
    CONFINED_SHARE: f64 = 0.9, Share;
    /// host-contended: share of the periods in which a CPU quota stopped the process.
    THROTTLED_SHARE: f64 = 0.1, Share;
    /// target-forbids-keepalive: share of answers after which the target ended the connection.
    FORBIDS_SHARE: f64 = 0.5, Share;
    /// target-forbids-keepalive: answers that are needed.
    FORBIDS_ANSWERS: u64 = 4, Count;
    /// target-forbids-keepalive: seconds at the end of the run from which a change in mid-run is seen.
    FORBIDS_SECONDS: usize = 3, Seconds;
    /// generator-saturated: a load thread itself ran for this share of a second, waiting for a core excluded.
    RAN_PERCENT: f64 = crate::model::limits::FULL_RAN_PERCENT, Percent;
    /// generator-saturated: or its loop waited for events for no more than this share of a second.
    LOOP_IDLE_PERCENT: f64 = crate::model::limits::FULL_IDLE_PERCENT, Percent;
    /// generator-saturated: with this much of a core idle at the target's busiest thread, the target had room.
    ROOM_PERCENT: f64 = crate::model::limits::ROOM_PERCENT, Percent;
    /// generator-saturated: share of the measured seconds with a saturated thread.
    SATURATED_SHARE: f64 = 0.5, Share;
    /// generator-saturated: seconds that must have been measured.
    SATURATED_SECONDS: u32 = 2, Seconds;
    /// generator-saturated: how late a due request may be sent, 99th percentile.
    LATENESS_MS: f64 = crate::model::limits::LATE_MS as f64, Ms;
    /// generator-saturated: late requests that make a percentile of them more than a hiccup.
    LATE_REQUESTS: u64 = 5, Count;
    /// generator-saturated: requests from which their 99th percentile is more than the latest of them.
    LATE_SAMPLE: u64 = 100, Count;
    /// generator-saturated: time in which what was due came late, from which it is more than one hiccup of the machine.
    LATE_STALL_S: f64 = 0.1, Seconds;
    /// generator-saturated: a thread that ran or waited for a core for less than this share of the run had time for its schedule.
    BUSY_WORKER_SHARE: f64 = 0.5, Share;
    /// users-not-reached: share of the asked users or rate that may be missing.
    FALL_SHORT_SHARE: f64 = 0.05, Share;
    /// users-not-reached: requests that must be missing before a rate counts as not reached.
    FALL_SHORT_REQUESTS: f64 = 5.0, Count;
    /// users-not-reached: without think time, this share of users on short connections has one at the same time.
    SHORT_AT_ONCE_SHARE: f64 = 0.5, Share;
    /// users-not-reached: attempts per user of a run bounded by a count, from which all users had work.
    ATTEMPTS_PER_USER: u64 = 10, Count;
    /// target-queueing: median time in the target's queue from which it counts.
    QUEUE_MS: f64 = 5.0, Ms;
    /// target-queueing: requests that an endpoint needs.
    QUEUE_REQUESTS: u64 = 20, Count;
    /// target-queueing: with fewer of a pool's workers at work than this share, jobs wait for a core and not for a worker.
    BUSY_POOL_SHARE: f64 = 0.7, Share;
    /// target-queueing: median latency grew at least this many times with the users.
    GROWN_LATENCY: f64 = 1.5, Times;
    /// target-queueing: while throughput grew less than this many times.
    FLAT_THROUGHPUT: f64 = 1.10, Times;
    /// target-queueing, throughput-plateau: and users at least this many times.
    GROWN_USERS: f64 = 1.5, Times;
    /// target-queueing: seconds needed on either side of that comparison.
    GROWTH_SECONDS: usize = 2, Seconds;
    /// target-queueing: at a constant load, the median of the last third against that of the first, at least this many times.
    LEAK_TIMES: f64 = 2.0, Times;
    /// target-queueing: seconds that each third must have for it.
    LEAK_SECONDS: usize = 2, Seconds;
    /// Remedies that lower the load of a full target aim at this share of its capacity.
    CAPACITY_SHARE: f64 = 0.7, Share;
    /// target-cpu-saturated: CPU of the limit (a core, or all of them).
    CPU_LIMIT_PERCENT: f64 = 90.0, Percent;
    /// target-cpu-saturated: an end with this much of a core takes it from the other.
    SHARED_PERCENT: f64 = 10.0, Percent;
    /// target-cpu-saturated: a shorter run says nothing of a mean CPU.
    CPU_RUN_S: f64 = 1.0, Seconds;
    /// target-cpu-saturated: requests at the target, in times of those that its full CPU works on, from which more of them only wait.
    IN_FLIGHT_TIMES: f64 = 1.5, Times;
    /// target-cpu-saturated: a target that never used more than this of a core used one core only.
    ONE_CORE_PERCENT: f64 = 110.0, Percent;
    /// closed-loop-limited: measured rate against users / (think + response), share that it may differ by.
    CLOSED_LOOP_NEAR: f64 = 0.10, Share;
    /// closed-loop-limited, throughput-plateau: share of failed attempts above which the loop is not the users' own.
    FEW_FAILURES: f64 = 0.02, Share;
    /// throughput-plateau: rate grew less than this many times.
    PLATEAU_TIMES: f64 = 1.10, Times;
    /// study: from this share of the closed loop's line the users set the rate, not the target.
    OWN_PACE_SHARE: f64 = 0.9, Share;
    /// reports: from this share of the requests in flight at the end of a run or a step, the slowest answers are missing.
    CUT_SHARE: f64 = 0.05, Share;
    /// reports: from this much of all cores taken by other programs they are named.
    OTHERS_NAMED_PERCENT: f64 = 15.0, Percent;
    /// tail-endpoint: its p95 against the next endpoint's, at least this many times.
    TAIL_TIMES: f64 = 1.5, Times;
    /// tail-endpoint: requests that an endpoint needs.
    TAIL_REQUESTS: u64 = 20, Count;
    /// slow-bodies: least time from the first to the last byte.
    BODY_LEAST_MS: f64 = 200.0, Ms;
    /// slow-bodies: share of the latency that it makes.
    BODY_SHARE: f64 = 0.5, Share;
    /// slow-bodies: and this many times what a body of that size needs.
    BODY_NEEDS_TIMES: f64 = 10.0, Times;
    /// slow-bodies: bytes of a body that a path which is not slow carries in a millisecond, beside its round trips.
    BODY_BYTES_PER_MS: f64 = 1000.0, Count;
    /// slow-bodies: answers that an endpoint needs for its median.
    BODY_ANSWERS: u64 = 20, Count;
    /// slow-bodies: and for its 99th percentile.
    BODY_TAIL_ANSWERS: u64 = 200, Count;
    /// Before a run: connections per second that users without a pause may reach; a ceiling above it is not announced.
    HURRY_CPS: f64 = 50_000.0, Count;
    /// target-errors: from this share of a time on, every answer of it is said to be an error.
    ALL_SHARE: f64 = 0.995, Share;
    /// target-resets, target-malformed, target-errors: failures in turn are so even that chance brings no more than this share of runs there.
    TURN_CHANCE: f64 = 0.02, Share;
    /// target-resets, target-malformed, target-errors: of one request in more than this many it is not said that they take turns.
    TURN_MOST: u64 = 10, Count;
    /// Headline: fewer answers say nothing of the next ones.
    FEW_ANSWERS: u64 = 20, Count;
    /// Headline: a shorter run says nothing of the next second.
    SHORT_RUN_S: f64 = 1.0, Seconds;
    /// Headline: from this share of redirects on, it says so: the pages behind them were not loaded.
    REDIRECTED_SHARE: f64 = 0.5, Share;
    /// target-hangs, target-timeouts, target-stalled: a machine without a way to the target shows it this soon, besides pauses and answers.
    CUT_OFF_S: f64 = 0.5, Seconds;
    /// Stamp: a run may end this long before its planned end.
    EARLY_END_S: f64 = 0.5, Seconds;
}
