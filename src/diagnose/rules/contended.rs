//! The rule about a machine that others use: threads that wait for a core.

use super::prelude::*;
use crate::model::finding::Spoils;

pub(in crate::diagnose) fn host_contended(run: &RunResult, seen: &Indicators) -> Ruling {
    let c = seen.contention.clone()?;
    let who = format!("the {}'s threads", c.who);
    let (spoils, reading) = match (c.who, c.spoils) {
        (_, false) => (
            Spoils::SlowestLatencies,
            "Requests of that time waited too: read the slowest latencies as this machine's, not the target's.",
        ),
        (Waiter::Client, true) => (
            Spoils::LatenciesAndSentRates,
            "Its own waiting is in every latency, and a rate may be what the client could send: read neither as the target's.",
        ),
        (Waiter::Target, true) => {
            (Spoils::RatesAndLatencies, "Rates and latencies are those of a target with less than its share of this machine.")
        }
    };
    let waited = percent(c.wait_percent);
    let again = load_with(&run.plan, |_| ());
    let (title, text, first) = match c.reason {
        Reason::Others(others) => {
            let used = number(others / 100.0);
            let others = if used == "1" { "1 core".to_owned() } else { format!("{used} cores") };
            (
                format!("{who} waited {waited} of the time for a core: other programs used {others}"),
                format!(
                    "{} {who} waited for a core for more than {} of the time, while other programs used {used} of {} cores. \
                     {reading}",
                    match c.measured {
                        1 => "In the second that was measured".to_owned(),
                        measured => format!("In {} of {measured} measured seconds", c.seconds),
                    },
                    percent(WAIT_PERCENT),
                    run.host.cpus
                ),
                advice(
                    "see what takes the cores, and stop it for the run",
                    "top -b -n 1 -o %CPU | head -n 15",
                    format!("programs above sockbench and the target: {others} in all"),
                ),
            )
        }
        Reason::Quota(q) => {
            let share = share(q.throttled_periods as f64 / q.periods.max(1) as f64);
            let cores = number(q.quota_cores);
            (
                format!("a CPU quota of {cores} cores stopped {who} in {share} of its periods"),
                format!(
                    "A CPU quota (cgroup cpu.max, as containers and services have) allows {cores} cores. It stopped {who} in {} of {} periods, \
                     {} in all. It is the quota, and not other programs, that took the CPU. {reading}",
                    q.throttled_periods,
                    q.periods,
                    seconds(q.throttled_s)
                ),
                advice(
                    "raise the quota, or take it away",
                    "systemctl set-property --runtime UNIT CPUQuota=   # containers: docker update --cpus N NAME",
                    format!("0 of {} periods throttled", q.periods),
                ),
            )
        }
    };
    let (others, quota) = match c.reason {
        Reason::Others(percent) => (Some(percent), None),
        Reason::Quota(quota) => (None, Some(quota)),
    };
    Ok(Found::new(title, text)
        .with("waiting", c.who.to_string())
        .with("seconds_with_waiting", c.seconds as u64)
        .with("measured_seconds", c.measured as u64)
        .with("wait_percent_mean", c.wait_percent)
        .with("spoils", spoils.words())
        .with("spoils_all", if spoils.is_all() { "yes" } else { "no" })
        .with("others_cpu_percent", others)
        .with("quota_cores", quota.map(|q| q.quota_cores))
        .with("throttled_periods", quota.map(|q| q.throttled_periods))
        .with("throttled_s", quota.map(|q| q.throttled_s))
        .remedies(vec![first, advice("run it again on a quiet machine", again, "waiting for a core near 0 %")])
        .spoiling(spoils))
}
