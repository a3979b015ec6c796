//! The summary: is the run valid, how much of what, on how many connections, through which ports, at what cost.

use super::{Page, section};
use crate::diagnose::no_rate;
use crate::diagnose::thresholds::{OTHERS_NAMED_PERCENT, SHORT_RUN_S};
use crate::model::budget::LINUX_HOLD_S;
use crate::model::figures::{self, bytes, count, counted, is_supported, ms, number, percent, rate, seconds, share, us};
use crate::model::order::grouped;
use crate::model::port_count::REUSABLE;
use crate::model::result::{CoreUse, LatencyMs, Ports, RunResult, Steady};
use crate::model::time::per_second;
use crate::report::style::{Tone, wrapped};

/// Column in which the values start.
const VALUE_COLUMN: usize = 15;

/// A labelled line.
pub(in crate::report) type Line = (&'static str, Tone, String);

/// One labelled line for each side of the run.
pub(super) fn render(run: &RunResult, page: &Page) -> String {
    let style = page.style;
    let mut out = section("Summary", style);
    for (label, tone, value) in lines(run) {
        let text = wrapped(&value, VALUE_COLUMN, page.width);
        let text = style.paint(tone, text.trim());
        let label = style.paint(Tone::Faint, &format!("  {label:<width$}", width = VALUE_COLUMN - 2));
        out += &format!("{label}{text}\n");
    }
    out
}

/// The lines themselves.
pub(in crate::report) fn lines(run: &RunResult) -> Vec<Line> {
    let t = &run.totals;
    let answers = t.requests.saturating_sub(t.failures);
    let users = format!("{} asked for, {} had a connection at once", count(t.users_asked), count(t.users_reached));
    let all = [
        ("requests", Some(requests(run))),
        ("rate", Some(rates(run))),
        ("latency", t.latency_ms.as_ref().map(|l| percentiles(l, answers) + clock(run))),
        ("service", t.service_latency_ms.as_ref().map(|l| percentiles(l, answers) + "; from the real start")),
        ("failed", t.failed_latency_ms.as_ref().map(|l| percentiles(l, t.failures))),
        ("users", Some(users)),
        ("connections", Some(connections(run))),
        ("set-up", set_up(run)),
        ("ports", run.ports.as_ref().map(|p| ports(p, run))),
        ("client", Some(client(run))),
        ("target", target(run)),
        ("host", host(run)),
    ];
    let known = all.into_iter().filter_map(|(label, text)| Some((label, Tone::Normal, text?)));
    std::iter::once(stamp(run)).chain(known).collect()
}

/// Facts that could not be read, with the reason: silence never reads as healthy. Figures that are missing only
/// because nothing happened (no failure, a quiet second) are left to the JSON.
pub(super) fn render_unavailable(run: &RunResult, page: &Page) -> String {
    let by_reason = not_measured(run);
    if by_reason.is_empty() {
        return String::new();
    }
    let mut out = section("Not measured", page.style);
    for (reason, keys) in by_reason {
        out += &wrapped(&format!("{}: {reason}", keys.join(", ")), 2, page.width);
    }
    out
}

/// Those facts: a reason, and the keys that it is for.
pub(in crate::report) fn not_measured(run: &RunResult) -> Vec<(&str, Vec<&str>)> {
    const OBSERVED: [&str; 5] = ["host.", "ports", "kernel", "resources.", "series[]."];
    const NOT_MISSING: [&str; 8] = [
        // The rows of the threads beside it say why.
        "resources.client.busiest_thread",
        "resources.client.lateness_p99_ms",
        "ports.forecast",
        "series[].p50_ms",
        "series[].p95_ms",
        "series[].connect_p50_us",
        "series[].connect_p95_us",
        "series[].connect_mean_us",
    ];
    let is_missing = |key: &str| OBSERVED.iter().any(|place| key.starts_with(place)) && !NOT_MISSING.contains(&key);
    let rows = run.unavailable.iter().filter(|row| is_missing(&row.key));
    grouped(rows.map(|row| (row.reason.as_str(), row.key.as_str())))
}

fn stamp(run: &RunResult) -> Line {
    let (word, tone) = (run.validity.stamp.word(), Tone::of_stamp(run.validity.stamp));
    let reasons = run.validity.reasons.join("; ");
    ("stamp", tone, if reasons.is_empty() { word.into() } else { format!("{word}: {reasons}") })
}

fn requests(run: &RunResult) -> String {
    let t = &run.totals;
    let mut text = format!("{} attempted: {} ended at the target", count(t.attempts), count(t.requests));
    if t.failures > 0 {
        text += &format!(" ({} failed there)", count(t.failures));
    }
    if t.local_failures > 0 {
        text += &format!(", {} failed on this machine", count(t.local_failures));
    }
    text += &format!(", {} in flight at the end", count(t.cut));
    if t.never_started > 0 {
        text += &format!("; {} were due and never started", count(t.never_started));
    }
    text
}

fn rates(run: &RunResult) -> String {
    let t = &run.totals;
    let failed = t.failures + t.local_failures > 0;
    let answers = t.requests.saturating_sub(t.failures);
    let mut text = if failed {
        let [tried, answered] = [t.attempts, answers].map(|n| rate(per_second(n, run.duration_s)));
        format!("{tried} requests/s tried, {answered} answered")
    } else {
        format!("{} req/s", rate(t.rps))
    };
    if run.plan.is_open_loop() {
        let asked = rate(run.plan.mean_rate(run.duration_s));
        text += &if failed { format!(", {asked} asked for") } else { format!(" of {asked} asked for") };
    }
    if let Some(why) = no_rate(run, if failed { t.attempts } else { t.requests }) {
        let (of, lasted) = (counted(t.attempts, "request"), seconds(run.duration_s));
        text += &format!(" (of {of} in {lasted}: {} that holds)", why.words());
    } else if failed && let Some(why) = no_rate(run, answers) {
        text += &format!(" (means of the whole run; {}: {} that holds)", counted(answers, "answer"), why.words());
    } else if failed {
        text += " (means of the whole run)";
    }
    if let Some((steady, when)) = steady_part(run, "after the first") {
        text += &format!("; {} req/s {when}", rate(steady.rps));
    }
    text += &format!("; {} in, {} out", bytes(t.bytes_in), bytes(t.bytes_out));
    text
}

/// The steady part where it is not the whole run, and when it was: `after 5 s` (`after` as it is given), `from 1 s to 3 s, while
/// all machines ran`.
pub(super) fn steady_part<'a>(run: &'a RunResult, after: &str) -> Option<(&'a Steady, String)> {
    let steady = run.totals.steady.as_ref()?;
    match steady.to_s {
        Some(to) => Some((steady, format!("from {} to {}, while all machines ran", seconds(steady.from_s), seconds(to)))),
        None => (steady.from_s > 0.0).then(|| (steady, format!("{after} {}", seconds(steady.from_s)))),
    }
}

/// As far as `samples` support them.
fn percentiles(l: &LatencyMs, samples: u64) -> String {
    let all = [("p50", 50.0, l.p50), ("p90", 90.0, l.p90), ("p95", 95.0, l.p95), ("p99", 99.0, l.p99), ("p99.9", 99.9, l.p99_9)];
    let figures: Vec<String> = supported(&all, samples, ms).chain([format!("max {}", ms(l.max))]).collect();
    format!("{} ms", figures.join(", "))
}

/// Of percentiles (name, percent, value) those that so many samples support, `p50 0.4` each.
fn supported(all: &[(&'static str, f64, f64)], samples: u64, shown: fn(f64) -> String) -> impl Iterator<Item = String> {
    let known = all.iter().filter(move |(_, percentile, _)| is_supported(*percentile, samples));
    known.map(move |(name, _, value)| format!("{name} {}", shown(*value)))
}

fn clock(run: &RunResult) -> &'static str {
    if run.plan.is_open_loop() { "; from the intended start" } else { "" }
}

fn connections(run: &RunResult) -> String {
    let t = &run.totals;
    let mut text = format!("{} opened", count(t.connections_opened));
    if t.connections_before > 0 {
        text += &format!(" ({} before the clock started)", count(t.connections_before));
    }
    if t.connects_failed > 0 {
        text += &format!(", {} failed to open", count(t.connects_failed));
    }
    if let Some(each) = t.requests_per_connection {
        text += &format!(", {} {} on each", number(each), if number(each) == "1" { "request" } else { "requests" });
    }
    let c = &run.closes;
    text += &format!("; ended by the client {}, the target {}, a reset {}", count(c.client), count(c.server), count(c.reset));
    if c.announced_by_target > 0 {
        text += &format!("; the target announced it {}", counted(c.announced_by_target, "time"));
    }
    if t.ring_busy_skips > 0 {
        text += &format!("; {} skipped as busy", counted(t.ring_busy_skips, "port"));
    }
    text
}

fn set_up(run: &RunResult) -> Option<String> {
    let c = run.totals.connects?;
    let made = run.totals.connections_opened;
    let calls = [("p50", 50.0, c.call_p50_us), ("p95", 95.0, c.call_p95_us), ("p99", 99.0, c.call_p99_us)];
    let setups = [("p50", 50.0, c.setup_p50_ms), ("p99", 99.0, c.setup_p99_ms)];
    let calls: Vec<String> = std::iter::once(format!("mean {}", us(c.call_mean_us))).chain(supported(&calls, made, us)).collect();
    let max = format!("max {}", ms(c.setup_max_ms));
    let setups: Vec<String> = supported(&setups, made, ms).chain([max]).collect();
    let mut text = format!("connect() {} us; handshake {} ms", calls.join(", "), setups.join(", "));
    if c.setup_near_1s + c.setup_near_3s > 0 {
        text += &format!("; {} near 1 s and {} near 3 s: SYNs were sent again", c.setup_near_1s, c.setup_near_3s);
    }
    Some(text)
}

fn ports(p: &Ports, run: &RunResult) -> String {
    let known = |v: Option<u32>| v.map_or_else(|| "?".to_owned(), count);
    let share = p.in_use_share().map_or_else(String::new, |s| format!(" ({})", share(s)));
    let mut text =
        format!("{} to {}: at most {} of {} ports in use{share}", p.source, p.destination, known(p.in_use()), known(p.pool));
    // Ports that have a socket are more than those in use where TIME_WAIT can be taken again.
    let is_reusable = p.hold_s.is_some_and(|h| h > 0.0 && h < LINUX_HOLD_S);
    text += &match (is_reusable, p.peak_used, p.in_use()) {
        (true, Some(all), Some(in_use)) if all > in_use => format!("; {} with those {REUSABLE}", count(all)),
        _ => format!(", {} in TIME_WAIT", known(p.peak_time_wait)),
    };
    if let Some(before) = p.leftover_before.filter(|n| *n > 0) {
        text += &format!(", {} in use before the run", count(before));
    }
    let opened = run.totals.connections_opened;
    text += &match no_rate(run, opened) {
        None => format!("; {} new connections/s were made on the mean", rate(p.rate_cps)),
        Some(_) => format!("; {} in {}", counted(opened, "new connection"), seconds(run.duration_s)),
    };
    if let (Some(ceiling), Some(hold)) = (p.ceiling_cps, p.hold_s) {
        text += &format!(", {}/s can be sustained (each port stays in use for {})", rate(ceiling), figures::hold(hold));
    }
    if let Some(forecast) = &p.forecast {
        let at = if forecast.rate_cps > 0.0 { format!("at {}/s", rate(forecast.rate_cps)) } else { "at this rate".to_owned() };
        text += &format!(
            "; {at} used up after {}, then nothing connects for {}",
            seconds(forecast.exhausted_at_s),
            seconds(forecast.dead_s)
        );
    }
    if let Some(free) = p.free_again_in_s.filter(|s| *s > 0.0) {
        text += &format!("; all free again {} after the run", seconds(free));
    }
    text
}

fn client(run: &RunResult) -> String {
    let c = &run.resources.client;
    let mut text = usage(c.cpu_percent_mean, most(run, c.cpu_percent_max), c.rss_bytes_max);
    text += &confined(&c.cores, run.duration_s);
    if let Some(late) = c.lateness_p99_ms {
        text += &format!("; due requests written late by {} ms at the 99th percentile", ms(late));
    }
    if let Some(saturated) = c.saturated_seconds.filter(|s| *s > 0) {
        text += &format!("; saturated in {} of {}", count(saturated), counted(c.measured_seconds, "measured second"));
    }
    text
}

fn target(run: &RunResult) -> Option<String> {
    let t = run.resources.target.as_ref()?;
    let mut text =
        format!("{} (pid {}): {}", t.name, t.pid, usage(t.cpu_percent_mean, most(run, t.cpu_percent_max), t.rss_bytes_max));
    if let Some(busiest) = t.busiest_thread_percent {
        text += &format!("; busiest thread {}", percent(busiest));
    }
    text += &confined(&t.cores, run.duration_s);
    Some(text)
}

/// `; threads confined to core 0 (48 %), 1 (51 %)`.
fn confined(cores: &[CoreUse], duration_s: f64) -> String {
    if cores.is_empty() {
        return String::new();
    }
    let each: Vec<String> = cores.iter().map(|c| format!("{} ({})", c.core, percent(100.0 * c.cpu_s / duration_s))).collect();
    format!("; threads confined to {} {}", if cores.len() == 1 { "core" } else { "cores" }, each.join(", "))
}

/// The most within any second; none where there was no whole second, so that it is the mean again.
fn most(run: &RunResult, percent: Option<f64>) -> Option<f64> {
    percent.filter(|_| run.duration_s >= SHORT_RUN_S)
}

fn usage(cpu_mean: Option<f64>, cpu_max: Option<f64>, rss_max: Option<u64>) -> String {
    let cpu = match (cpu_mean, cpu_max) {
        (Some(mean), Some(max)) => format!("CPU {} of a core, at most {}", percent(mean), percent(max)),
        (Some(mean), None) => format!("CPU {} of a core", percent(mean)),
        _ => "CPU unavailable".into(),
    };
    let memory = rss_max.map_or_else(|| "memory unavailable".to_owned(), |b| format!("memory at most {}", bytes(b)));
    format!("{cpu}; {memory}")
}

fn host(run: &RunResult) -> Option<String> {
    let h = &run.resources.host;
    let (cpu, memory) = (h.cpu_percent_mean?, h.memory_percent_max?);
    let others = run
        .others_cpu_percent()
        .filter(|o| *o >= OTHERS_NAMED_PERCENT)
        .map_or_else(String::new, |o| format!(", {} by neither client nor target: other programs", percent(o)));
    Some(format!("CPU {} of all cores{others}, memory at most {}", percent(cpu), percent(memory)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One request of some milliseconds: no rate, no percentile, no second follows from it.
    #[test]
    fn a_run_of_one_request_claims_no_more_than_was_measured() {
        let mut run = crate::report::fixture::healthy().run;
        let whole = render(&run, &Page::plain());
        assert!(whole.contains("new connections/s") && whole.contains("p99"), "{whole}");
        run.duration_s = 0.004;
        run.series.truncate(1);
        run.series.iter_mut().for_each(|p| p.t_s = 0.004);
        let t = &mut run.totals;
        (t.attempts, t.requests, t.failures, t.cut, t.connections_opened) = (1, 1, 0, 0, 1);
        let text = render(&run, &Page::plain()).split_whitespace().collect::<Vec<_>>().join(" ");
        for claim in ["connections/s were made", "p50", "p95", "p99", "saturated", "of a core, at most"] {
            assert!(!text.contains(claim), "{claim}: {text}");
        }
        assert!(text.contains("1 new connection in 4 ms"), "{text}");
    }
}
