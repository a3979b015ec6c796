//! From counts to the keys of a run result, with a reason for each null (docs/JSON.md).

use std::collections::BTreeMap;

use super::counts::Counts;
use super::errors::{ErrorTable, Hits};
use super::interval::{Interval, SecondSummary};
use super::sparse::Sparse;
use super::surplus::SurplusCount;
use super::tail::is_refused;
use super::totals::{ConnectTotals, EndpointTotals, WorkerTotals};
use crate::model::figures::seconds;
use crate::model::limits::{ERROR_ROWS, LATE_MS};
use crate::model::order::mapped;
use crate::model::outcome::{Cause, EndpointId, Failure, FailureSide, Party};
use crate::model::plan::{LoadLimits, LoadPlan};
use crate::model::received::{LimitHit, PartialAnswer, SurplusRow};
use crate::model::result::{
    Connects, Endpoint, ErrorRow, PhasesMs, RunResult, SeriesPoint, ServerTimingMs, Steady, Stretch, Totals,
};
use crate::model::time::per_second;

/// Everything that was counted, merged over the workers.
pub(super) struct Filling<'a> {
    pub(super) plan: &'a LoadPlan,
    pub(super) totals: &'a WorkerTotals,
    pub(super) errors: &'a ErrorTable,
    pub(super) seconds: &'a BTreeMap<u64, SecondSummary>,
    pub(super) tail: &'a [Interval],
    pub(super) duration_s: f64,
    pub(super) users: &'a [(u64, u32, u32)],
}

pub(super) fn fill(counted: &Filling<'_>, result: &mut RunResult) {
    result.duration_s = counted.duration_s;
    result.closes = counted.totals.closes;
    result.totals = totals(counted);
    result.endpoints =
        counted.plan.mix.iter().zip(&counted.totals.endpoints).map(|(entry, e)| endpoint(counted, &entry.path, e)).collect();
    result.errors = errors(counted);
    result.surplus = surplus(counted);
    result.totals.away = away(counted, &result.errors);
    result.totals.rate_ratio = result.shortfall().map(|s| 1.0 - s.missing / s.asked);
    result.resources.client.lateness_p99_ms = counted.totals.lateness.quantile_us(0.99).map(|us| us as f64 / 1000.0);
    result.resources.client.late_requests = counted.totals.lateness.count_above_us(LATE_MS * 1000);
    result.resources.client.stalls = counted.totals.standstills.to_rows();
    fill_series(counted, &mut result.series);
    explain(counted, result);
}

fn totals(c: &Filling<'_>) -> Totals {
    let merged = |of: fn(&EndpointTotals) -> &Sparse| {
        c.totals.endpoints.iter().fold(Sparse::default(), |mut all, e| {
            all.add(of(e));
            all
        })
    };
    let (answered, failed) = (merged(|e| &e.answered), merged(|e| &e.failed));
    let mut all = answered.clone();
    all.add(&failed);
    // How long a request itself took: in an open loop the latency begins earlier, with the schedule.
    let slowest_us = if c.totals.service.is_empty() { answered.max_us().map(u64::from) } else { c.totals.service.max_us() };
    let counts: Counts = c.totals.endpoints.iter().map(|e| e.counts).sum();
    let opened = c.totals.connects.setup.count();
    let carried = counts.requests - c.totals.endpoints.iter().map(|e| e.never_connected).sum::<u64>();
    Totals {
        attempts: counts.samples(),
        requests: counts.requests,
        failures: counts.failures,
        local_failures: counts.local_failures,
        cut: counts.cut,
        never_started: c.totals.never_started,
        rps: per_second(counts.requests, c.duration_s),
        failures_per_s: per_second(counts.failures, c.duration_s),
        bytes_in: c.totals.bytes_in,
        bytes_out: c.totals.bytes_out,
        connections_opened: opened,
        connections_before: c.totals.connects.before,
        connects_failed: c.totals.connects.failed,
        requests_per_connection: (opened > 0).then(|| carried as f64 / opened as f64),
        users_asked: c.plan.users,
        users_reached: c.users.iter().map(|u| u.2).max().unwrap_or(0),
        latency_ms: answered.latency_ms(),
        failed_latency_ms: failed.latency_ms(),
        all_latency_ms: all.latency_ms(),
        service_latency_ms: c.totals.service.latency_ms(),
        steady: steady(c),
        connects: connects(&c.totals.connects),
        ring_busy_skips: c.totals.ring_skips,
        in_flight: Some(c.totals.unanswered.to_row(slowest_us)),
        silences: Some(c.totals.silences.to_rows()),
        away: None,
        after_last_answer: c.totals.tail.to_row(),
        partial_answer: c.totals.partial.oldest().map(|oldest| PartialAnswer {
            method: c.plan.method.clone(),
            endpoint: path_of(c.plan, oldest.endpoint),
            waited_ms: oldest.ended.micros_since(oldest.sent) as f64 / 1000.0,
            first_bytes: oldest.evidence.first_bytes.clone(),
            received: oldest.evidence.received,
        }),
        local_failure_spans: c.totals.local_outages.to_rows(),
        rate_ratio: None,
        lag_p99_ms: c.totals.lag.quantile_us(0.99).map(|us| us as f64 / 1000.0),
        lag_max_ms: c.totals.lag.quantile_us(1.0).map(|us| us as f64 / 1000.0),
    }
}

/// The stretch without an answer around all refused connections.
fn away(c: &Filling<'_>, errors: &[ErrorRow]) -> Option<Stretch> {
    let refused = || errors.iter().filter(|e| e.failure().is_some_and(is_refused));
    let (first_s, last_s) = (refused().map(|e| e.first_s).reduce(f64::min)?, refused().map(|e| e.last_s).reduce(f64::max)?);
    c.totals.silences.around(first_s, last_s)
}

fn steady(c: &Filling<'_>) -> Option<Steady> {
    let from_s = c.plan.steady_from().as_secs_f64();
    (c.duration_s > from_s).then(|| Steady {
        from_s,
        to_s: None,
        rps: per_second(c.totals.steady.requests, c.duration_s - from_s),
        latency_ms: c.totals.steady.answered.latency_ms(),
    })
}

/// None when no connection was established: the set-up figures would have nothing to rest on.
fn connects(c: &ConnectTotals) -> Option<Connects> {
    let call_us = |q| c.call.quantile_us(q).map(|us| us as f64);
    let setup_ms = |q| c.setup.quantile_us(q).map(|us| us as f64 / 1000.0);
    Some(Connects {
        call_mean_us: c.call.mean_us()?,
        call_p50_us: call_us(0.50)?,
        call_p95_us: call_us(0.95)?,
        call_p99_us: call_us(0.99)?,
        setup_p50_ms: setup_ms(0.50)?,
        setup_p99_ms: setup_ms(0.99)?,
        setup_max_ms: setup_ms(1.0)?,
        setup_near_1s: c.setup_near_1s,
        setup_near_3s: c.setup_near_3s,
        setup_retried: c.setup_retried,
    })
}

fn endpoint(c: &Filling<'_>, name: &str, e: &EndpointTotals) -> Endpoint {
    let mut all = e.answered.clone();
    all.add(&e.failed);
    Endpoint {
        method: c.plan.method.clone(),
        name: name.to_owned(),
        requests: e.counts.requests,
        failures: e.counts.failures,
        local_failures: e.counts.local_failures,
        cut: e.counts.cut,
        rps: per_second(e.counts.requests, c.duration_s),
        content_size_mean: (e.answers > 0).then(|| e.counts.body_bytes as f64 / e.answers as f64),
        latency_ms: e.answered.latency_ms(),
        all_latency_ms: all.latency_ms(),
        status: mapped(e.statuses.iter().map(|(status, n)| (status.to_string(), *n))),
        phases_ms: PhasesMs {
            blocked: e.phases.blocked.phase_ms(),
            connecting: e.phases.connecting.phase_ms(),
            sending: e.phases.sending.phase_ms(),
            waiting: e.phases.waiting.phase_ms(),
            receiving: e.phases.receiving.phase_ms(),
        },
        server_timing_ms: e
            .server_queue
            .phase_ms()
            .zip(e.server_work.phase_ms())
            .map(|(queue, work)| ServerTimingMs { queue, work }),
    }
}

fn errors(c: &Filling<'_>) -> Vec<ErrorRow> {
    let choice = c.plan.port_mode.choice();
    let row = |call, side, hits: Hits| ErrorRow {
        call,
        errno: None,
        name: "OTHER".into(),
        port_choice: choice,
        port_bound: false,
        reused: false,
        windows_code: None,
        message: format!("further kinds of failures, beyond the {ERROR_ROWS} rows of the table"),
        method: c.plan.method.clone(),
        endpoint: "(several)".into(),
        local: side == FailureSide::Local,
        cause: None,
        phase: None,
        party: Party::Undecided,
        so_error: false,
        first_bytes: None,
        received: None,
        limit_fields: None,
        limit: None,
        count: hits.count,
        first_s: hits.first.as_secs_f64(),
        last_s: hits.last.as_secs_f64(),
    };
    let kinds = c.errors.rows().iter().map(|kind| ErrorRow {
        errno: kind.failure.errno(),
        name: kind.failure.name().into_owned(),
        port_bound: kind.failure.port_bound,
        reused: kind.failure.reused,
        windows_code: kind.failure.windows_code(choice),
        message: kind.failure.message(),
        endpoint: path_of(c.plan, kind.endpoint),
        cause: Some(kind.failure.cause),
        phase: kind.failure.phase(),
        party: kind.failure.party(),
        so_error: kind.failure.so_error,
        first_bytes: kind.evidence.as_ref().map(|e| e.first_bytes.clone()).filter(|bytes| !bytes.is_empty()),
        received: kind.evidence.as_ref().map(|e| e.received),
        limit_fields: kind.evidence.as_ref().and_then(|e| e.limit_fields.clone()),
        limit: limit_hit(kind.failure, &c.plan.limits),
        ..row(kind.failure.call, kind.failure.side(), kind.hits)
    });
    kinds.chain(c.errors.other().iter().map(|other| row(other.call, other.side, other.hits))).collect()
}

fn path_of(plan: &LoadPlan, endpoint: EndpointId) -> String {
    plan.mix.get(usize::from(endpoint.0)).map_or_else(String::new, |m| m.path.clone())
}

/// The limit of sockbench's own that a failure is about.
fn limit_hit(failure: Failure, limits: &LoadLimits) -> Option<LimitHit> {
    let Cause::Malformed(fault) = failure.cause else { return None };
    let limit = fault.own_limit()?;
    Some(LimitHit { limit, value: limits.value(limit), flag: limit.flag().into() })
}

fn surplus(c: &Filling<'_>) -> Vec<SurplusRow> {
    let row = |s: &SurplusCount| SurplusRow {
        kind: s.kind,
        method: c.plan.method.clone(),
        endpoint: path_of(c.plan, s.endpoint),
        count: s.count,
        bytes: s.bytes,
        first_bytes: s.first_bytes.clone(),
        first_s: s.first.as_secs_f64(),
        last_s: s.last.as_secs_f64(),
    };
    c.totals.surplus.rows().into_iter().map(row).collect()
}

/// One point a second. A rest shorter than half a second joins the last point, so that no rate is made of a handful
/// of milliseconds.
fn fill_series(c: &Filling<'_>, series: &mut Vec<SeriesPoint>) {
    let points = (c.duration_s.round() as usize).max(1);
    series.resize(points, SeriesPoint::default());
    let last = points - 1;
    let mut users = (0, 0);
    let standstills = c.totals.standstills.to_rows();
    for (i, point) in series.iter_mut().enumerate() {
        point.t_s = if i == last && c.duration_s > 0.0 { c.duration_s } else { (i + 1) as f64 };
        let seconds = i as u64..if i == last { u64::MAX } else { i as u64 + 1 };
        let width_s = point.t_s - i as f64;
        fill_point(point, &point_summary(c, seconds.clone()), width_s);
        users = c.users.iter().rfind(|u| seconds.contains(&u.0)).map_or(users, |u| (u.1, u.2));
        (point.users_asked, point.users) = users;
        let second = Stretch { from_s: i as f64, to_s: point.t_s };
        point.client_stalled_ms =
            standstills.as_ref().map(|all| all.iter().fold(0.0, |sum, s| sum + s.shared_s(&second)) * 1000.0);
    }
}

/// The summary of a range of seconds that become one point: normally one, the last with what follows it.
fn point_summary(c: &Filling<'_>, seconds: std::ops::Range<u64>) -> SecondSummary {
    let mut parts = c.seconds.range(seconds.clone()).map(|(_, s)| *s);
    let Some(first) = parts.next() else { return SecondSummary { second: seconds.start, ..SecondSummary::default() } };
    if parts.next().is_none() {
        return first;
    }
    let mut joined = Interval::empty(first.second, c.plan.mix.len());
    for part in c.tail.iter().filter(|t| seconds.contains(&t.second)) {
        joined.add(&Interval { second: first.second, ..part.clone() });
    }
    // Counts come from the summaries, which are never dropped; the joined bins give the percentiles.
    let all = || c.seconds.range(seconds.clone()).map(|(_, s)| s);
    SecondSummary {
        attempts: all().fold(0, |sum, s| sum.saturating_add(s.attempts)),
        connects: all().fold(0, |sum, s| sum.saturating_add(s.connects)),
        counts: all().map(|s| s.counts).sum(),
        waited: all().filter_map(|s| s.waited).reduce(std::time::Duration::saturating_add),
        ..SecondSummary::of(&joined)
    }
}

fn fill_point(point: &mut SeriesPoint, s: &SecondSummary, width_s: f64) {
    point.rps = per_second(s.counts.requests, width_s);
    point.attempts_per_s = per_second(s.attempts, width_s);
    point.failures_per_s = per_second(s.counts.failures, width_s);
    point.local_failures_per_s = per_second(s.counts.local_failures, width_s);
    point.connects = s.connects;
    point.client_idle_percent = s.waited.filter(|_| width_s > 0.0).map(|w| (w.as_secs_f64() / width_s * 100.0).min(100.0));
    point.p50_ms = s.p50_ms;
    point.p95_ms = s.p95_ms;
    point.p99_ms = s.p99_ms;
    point.connect_mean_us = s.connect_mean_us;
    point.connect_p50_us = s.connect_p50_us;
    point.connect_p95_us = s.connect_p95_us;
}

fn explain(c: &Filling<'_>, result: &mut RunResult) {
    const NOT_ANSWERED: &str = "no request was answered";
    const NOT_HERE: &str = "no request of this endpoint was answered";
    const QUIET: &str = "nothing was answered in this second";
    const NO_CONNECT: &str = "connect(2) was not called in this second";
    const NOT_STEADY: &str = "no request was answered in the steady part";
    const NOT_REACHED: &str = "no request of this endpoint reached the target";
    const NO_OWN: &str = "no answered request of this endpoint made a connection of its own";
    const NO_TIMING: &str = "the answers of this endpoint carry no Server-Timing with queue and work";
    const NO_CALL: &str = "no system call failed: the failure is a status, a timeout, an end of file or a protocol fault";
    let mut missing: Vec<(&str, String)> = Vec::new();
    let mut note = |is_null: bool, key: &'static str, reason: &str| {
        if is_null {
            missing.push((key, reason.to_owned()));
        }
    };
    note(c.plan.port_range.is_none(), "plan.port_range", "the port mode uses no range of its own");
    let t = &result.totals;
    note(t.requests_per_connection.is_none(), "totals.requests_per_connection", "no connection was opened");
    note(t.latency_ms.is_none(), "totals.latency_ms", NOT_ANSWERED);
    note(t.failed_latency_ms.is_none(), "totals.failed_latency_ms", "no request failed at the target");
    note(t.all_latency_ms.is_none(), "totals.all_latency_ms", "no request reached the target");
    let closed = !c.plan.is_open_loop();
    let service = if closed { "closed loop: the intended start is the real one" } else { NOT_ANSWERED };
    note(t.service_latency_ms.is_none(), "totals.service_latency_ms", service);
    let rate = if closed { "closed loop: no rate was asked for" } else { "nothing was due" };
    note(t.rate_ratio.is_none(), "totals.rate_ratio", rate);
    let lag = if closed { "closed loop: no request is due by the clock" } else { "no request was started" };
    note(t.lag_p99_ms.is_none(), "totals.lag_p99_ms", lag);
    note(t.lag_max_ms.is_none(), "totals.lag_max_ms", lag);
    let (warmup_s, ramp_s) = (c.plan.warmup.as_secs_f64(), c.plan.ramp().as_secs_f64());
    let short = if ramp_s > warmup_s {
        format!("the run ({}) ended before the last user started ({})", seconds(c.duration_s), seconds(ramp_s))
    } else {
        format!("the run ({}) was not longer than its warm-up ({})", seconds(c.duration_s), seconds(warmup_s))
    };
    note(t.steady.is_none(), "totals.steady", &short);
    note(t.steady.as_ref().is_some_and(|s| s.latency_ms.is_none()), "totals.steady.latency_ms", NOT_STEADY);
    let connects = if t.connects_failed > 0 { "no connection was established" } else { "no connection was tried" };
    note(t.connects.is_none(), "totals.connects", connects);
    let lateness = if closed { "closed loop: no request is due by the clock" } else { "no due request met a free connection" };
    note(result.resources.client.lateness_p99_ms.is_none(), "resources.client.lateness_p99_ms", lateness);

    let any_endpoint = |is_null: fn(&Endpoint) -> bool| result.endpoints.iter().any(is_null);
    note(any_endpoint(|e| e.content_size_mean.is_none()), "endpoints[].content_size_mean", "this endpoint gave no answer");
    note(any_endpoint(|e| e.latency_ms.is_none()), "endpoints[].latency_ms", NOT_HERE);
    note(any_endpoint(|e| e.all_latency_ms.is_none()), "endpoints[].all_latency_ms", NOT_REACHED);
    let blocked = if closed { "closed loop: a request has no intended start to wait from" } else { NOT_HERE };
    note(any_endpoint(|e| e.phases_ms.blocked.is_none()), "endpoints[].phases_ms.blocked", blocked);
    note(any_endpoint(|e| e.phases_ms.connecting.is_none()), "endpoints[].phases_ms.connecting", NO_OWN);
    note(any_endpoint(|e| e.phases_ms.sending.is_none()), "endpoints[].phases_ms.sending", NOT_HERE);
    note(any_endpoint(|e| e.phases_ms.waiting.is_none()), "endpoints[].phases_ms.waiting", NOT_HERE);
    note(any_endpoint(|e| e.phases_ms.receiving.is_none()), "endpoints[].phases_ms.receiving", NOT_HERE);
    note(any_endpoint(|e| e.server_timing_ms.is_none()), "endpoints[].server_timing_ms", NO_TIMING);

    let any_error = |is_null: fn(&ErrorRow) -> bool| result.errors.iter().any(is_null);
    note(any_error(|e| e.errno.is_none()), "errors[].errno", NO_CALL);
    note(any_error(|e| e.windows_code.is_none()), "errors[].windows_code", "Windows has no code of its own for this situation");

    let any_point = |is_null: fn(&SeriesPoint) -> bool| result.series.iter().any(is_null);
    note(any_point(|p| p.p50_ms.is_none()), "series[].p50_ms", QUIET);
    note(any_point(|p| p.p95_ms.is_none()), "series[].p95_ms", QUIET);
    note(any_point(|p| p.connect_p50_us.is_none()), "series[].connect_p50_us", NO_CONNECT);
    note(any_point(|p| p.connect_p95_us.is_none()), "series[].connect_p95_us", NO_CONNECT);
    note(any_point(|p| p.connect_mean_us.is_none()), "series[].connect_mean_us", NO_CONNECT);

    for (key, reason) in missing {
        result.explain_null(key, reason);
    }
}
