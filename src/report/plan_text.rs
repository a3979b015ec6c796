//! A plan in words: before it runs, and in the report. The limits in force are for help and the document.

use std::net::IpAddr;
use std::time::Duration;

use super::text::Page;
use crate::model::course::{LevelOf, Stages};
use crate::model::figures::{bytes, count, counted, rate, span};
use crate::model::limits;
use crate::model::plan::{
    Arrivals, Closer, CpuWork, LoadLimits, LoadPlan, Pinning, PortMode, ServerCloser, ServerPlan, Spread, Think,
};

/// Stages that are named.
const STAGES_SHOWN: usize = 5;
/// Entries of a mix that are named.
const MIX_SHOWN: usize = 4;

/// Three lines, wrapped: what, to whom, how long.
pub fn render_plan(plan: &LoadPlan, columns: usize) -> String {
    let page = Page::plain().wide(columns);
    let whose = if plan.target.own_server { ", sockbench's own server" } else { "" };
    page.labelled("load", &format!("{}, {}", users(plan), connections(plan)))
        + &page.labelled("target", &format!("{}{whose}", asked(plan)))
        + &page.labelled("ends", &ends(plan))
        + &shard(plan).map_or_else(String::new, |text| page.labelled("shard", &text))
}

/// Who asks: `20 users at 2/s, think 5 ms`, `200 req/s, at most 50 connections`.
pub(super) fn users(plan: &LoadPlan) -> String {
    if plan.is_open_loop() {
        let load = plan.stages.as_ref().map_or_else(|| format!("{} req/s", rate(plan.rate)), course);
        let how = match plan.arrivals {
            Arrivals::Constant => String::new(),
            Arrivals::Poisson => ", Poisson arrivals".to_owned(),
            Arrivals::Burst(n) => format!(", {} at once", count(n)),
        };
        let opened = plan.preconnect.map_or_else(String::new, |n| format!(", {} opened before", count(n)));
        return format!("{load}{how}, at most {}{opened}", counted(plan.users, "connection"));
    }
    let mut text = plan.stages.as_ref().map_or_else(|| counted(plan.users, "user"), course);
    if plan.spawn_rate > 0.0 {
        text += &format!(" at {}/s", rate(plan.spawn_rate));
    }
    if !plan.think.max.is_zero() {
        text += &format!(", think {}", pause(plan.think));
    }
    text
}

/// Which part of a plan: `2 of 3 of 100 users, 300 req/s`.
fn shard(plan: &LoadPlan) -> Option<String> {
    let shard = plan.shard?;
    let whole = shard.whole;
    let mut parts = vec![counted(whole.users, if whole.rate > 0.0 { "connection" } else { "user" })];
    parts.extend((whole.rate > 0.0).then(|| format!("{} req/s", rate(whole.rate))));
    parts.extend((whole.requests > 0).then(|| counted(whole.requests, "request")));
    Some(format!("{} of {} of a plan of {}", shard.number, shard.of, parts.join(", ")))
}

/// Where stages lead: `50 users within 30 s, 200 within 1 m, 0 within 10 s`.
fn course(stages: &Stages) -> String {
    let unit = |i: usize, to: f64| match (i, stages.of) {
        (0, LevelOf::Users) => counted(to as u64, "user"),
        (0, LevelOf::Rate) => format!("{} req/s", rate(to)),
        (_, LevelOf::Users) => count(to as u64),
        (_, LevelOf::Rate) => rate(to),
    };
    let how = |d: Duration| if d.is_zero() { " at once".to_owned() } else { format!(" within {}", span(d)) };
    let each = stages.each.iter().enumerate().take(STAGES_SHOWN).map(|(i, s)| unit(i, s.to) + &how(s.duration));
    let hidden = stages.each.len().saturating_sub(STAGES_SHOWN);
    each.chain((hidden > 0).then(|| format!("and {hidden} more stages"))).collect::<Vec<_>>().join(", ")
}

/// Over what: `kept connections`, `a new connection per request that the target closes, ports 10000-32000 in turn`.
pub(super) fn connections(plan: &LoadPlan) -> String {
    let kept = if plan.keepalive { "kept connections" } else { "a new connection per request" };
    let closer = match plan.closer {
        Closer::Client => "",
        Closer::Server => " that the target closes",
        Closer::Reset => " that the client resets",
    };
    let range = plan.port_range.map_or_else(String::new, |r| format!(" {}-{}", r.lo, r.hi));
    let mode = match plan.port_mode {
        PortMode::Auto => String::new(),
        PortMode::Bind => ", ports chosen by bind()".to_owned(),
        PortMode::NoPort => from(&plan.sources),
        PortMode::Ring => format!(", ports{range} in turn"),
        PortMode::Range => format!(", ports within{range}"),
    };
    let reuse = if plan.reuse_addr { ", SO_REUSEADDR" } else { "" };
    let pinned = if plan.pin == Pinning::Auto { ", threads pinned" } else { "" };
    let polling = if plan.busy_poll { ", busy polling" } else { "" };
    format!("{kept}{closer}{mode}{reuse}{pinned}{polling}")
}

fn from(sources: &[IpAddr]) -> String {
    match sources {
        [] => String::new(),
        [one] => format!(", from {one}"),
        [first, .., last] => format!(", from {} addresses {first}..{last}", count(sources.len() as u64)),
    }
}

/// What is asked for: `POST http://127.0.0.1:8080/cpu`, `http://127.0.0.1:8080 /health=50 /io=30`.
pub(super) fn asked(plan: &LoadPlan) -> String {
    let method = if plan.method == "GET" { String::new() } else { format!("{} ", plan.method) };
    if plan.has_several_destinations() {
        // `2 destinations: http://127.0.0.1:8080/a=9 http://127.0.0.1:8081/b=1`
        return format!("{method}{}: {}", counted(plan.destinations.len() as u64, "destination"), weighted(plan));
    }
    let origin = format!("http://{}", plan.target.authority);
    let paths = match &plan.mix[..] {
        [] => return method + &plan.target.url,
        [one] => one.path.clone(),
        _ => format!(" {}", weighted(plan)),
    };
    let choice = plan.target.choice_in_words().map_or_else(String::new, |choice| format!(" {choice}"));
    format!("{method}{origin}{paths}{choice}")
}

/// `/health=50 /io=30 and 2 more`
fn weighted(plan: &LoadPlan) -> String {
    let mut words: Vec<String> = plan.mix.iter().take(MIX_SHOWN).map(|m| format!("{}={}", m.path, m.weight)).collect();
    let hidden = plan.mix.len().saturating_sub(MIX_SHOWN);
    words.extend((hidden > 0).then(|| format!("and {hidden} more")));
    words.join(" ")
}

/// `5 ms`, `100..500 ms`, `500 ms..2 s`, `300 ms on average, exponential`.
pub(super) fn pause(think: Think) -> String {
    let (min, max) = (span(think.min), span(think.max));
    if think.spread == Spread::Exponential {
        return format!("{max} on average, exponential");
    }
    if think.min == think.max {
        return max;
    }
    let (min, max) = match (min.split_once(' '), max.split_once(' ')) {
        (Some((number, a)), Some((_, b))) if a == b => (number.to_owned(), max),
        (Some(("0", _)), _) => ("0".to_owned(), max),
        _ => (min, max),
    };
    format!("{min}..{max}")
}

/// `after 6 s; a request may take 10 s`
fn ends(plan: &LoadPlan) -> String {
    let mut text = match (plan.duration.is_zero(), plan.requests) {
        (true, n) => format!("after {}", counted(n, "request")),
        (false, 0) => format!("after {}", span(plan.duration)),
        (false, n) => format!("after {} or {}", counted(n, "request"), span(plan.duration)),
    };
    text += &format!("; a request times out after {}", span(plan.timeout));
    if !plan.duration.is_zero() && plan.warmup >= plan.duration {
        text += "; it ends inside its ramp: no steady figures";
    } else if !plan.warmup.is_zero() {
        text += &format!("; steady figures leave out the first {}", span(plan.warmup));
    }
    text
}

/// The limits of the client: for its plan and its help.
pub fn load_limits(l: &LoadLimits) -> String {
    format!(
        "users {}, head {} and {} fields, body {}, latency {} with {} digits, {} ring tries, {} error rows, pause after a \
         failed connect {} to {}, {} of new requests per loop turn",
        count(l.users_max),
        bytes(l.head_bytes as u64),
        count(l.head_fields as u64),
        bytes(l.body_bytes),
        span(Duration::from_micros(l.latency_max_us)),
        limits::LATENCY_DIGITS,
        l.ring_tries,
        l.error_rows,
        span(limits::LOCAL_PAUSE),
        span(limits::LOCAL_PAUSE_MAX),
        span(limits::TURN),
    )
}

/// A server before it serves: what runs, and its limits.
pub fn render_server_plan(plan: &ServerPlan) -> String {
    let kept = match (plan.keepalive, plan.closer) {
        (true, _) => "connections kept",
        (false, ServerCloser::Server) => "a connection per request, closed by the server",
        (false, ServerCloser::Client) => "a connection per request, closed by the client",
    };
    let work = match plan.cpu_work {
        CpuWork::CalibrateS(goal) => span(goal),
        CpuWork::Iterations(n) => counted(n, "iteration"),
    };
    let pinned = if plan.pin == Pinning::Auto { " (pinned)" } else { "" };
    let polling = if plan.busy_poll { ", busy polling" } else { "" };
    let page = Page::plain();
    let server = format!(
        "{}{pinned}{polling}, {} and {}, {kept}; /io sleeps {}, /cpu works {work}",
        counted(plan.reactors as u64, "event loop"),
        counted(plan.io_workers as u64, "blocking thread"),
        counted(plan.cpu_workers as u64, "CPU thread"),
        span(plan.io_sleep),
    );
    let limits = format!(
        "{} connections, backlog {}, queue {} per pool, head {} and {} fields, target {}, body {}; timeouts: header {}, \
         idle {}, body {}, write {}, drain {}",
        count(plan.max_conns as u64),
        plan.backlog,
        count(plan.queue as u64),
        bytes(plan.head_bytes as u64),
        count(plan.head_fields as u64),
        bytes(plan.target_bytes as u64),
        bytes(plan.body_bytes),
        span(plan.header_timeout),
        span(plan.idle_timeout),
        span(plan.body_timeout),
        span(plan.write_timeout),
        span(plan.drain_timeout),
    );
    page.labelled("server", &server) + &page.labelled("limits", &limits)
}

/// The limits of the server that no flag changes.
pub fn server_fixed_limits() -> String {
    format!(
        "/io?ms= {}, {} blank lines before a request, chunk extension {}, trailers {}, {} of answers waiting in a connection, \
         {} read and {} connections accepted per loop turn, {} or {} read after a refusal, accept pauses {} without descriptors",
        limits::IO_SLEEP_MAX.as_millis(),
        limits::LEADING_BLANK_LINES,
        bytes(limits::CHUNK_EXT_BYTES as u64),
        bytes(limits::TRAILER_BYTES as u64),
        bytes(limits::WRITE_HIGH_WATER as u64),
        bytes(limits::READ_BUDGET as u64),
        limits::ACCEPT_BUDGET,
        span(limits::LINGER_TIMEOUT),
        bytes(limits::LINGER_BYTES as u64),
        span(limits::ACCEPT_PAUSE),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::course::Stage;

    #[test]
    fn pauses_name_their_unit_once() {
        let pause = |a: u64, b: u64| pause(Think::uniform(Duration::from_millis(a), Duration::from_millis(b)));
        assert_eq!(
            [pause(5, 5), pause(100, 500), pause(500, 2000), pause(0, 50)],
            ["5 ms", "100..500 ms", "500 ms..2 s", "0..50 ms"]
        );
    }

    #[test]
    fn stages_say_where_they_lead() {
        let each = [(0, 10.0), (60, 50.0), (10, 0.0)].map(|(s, to)| Stage { duration: Duration::from_secs(s), to }).to_vec();
        assert_eq!(course(&Stages { of: LevelOf::Users, each: each.clone() }), "10 users at once, 50 within 60 s, 0 within 10 s");
        let long = Stages { of: LevelOf::Rate, each: each.repeat(3) };
        assert!(course(&long).starts_with("10 req/s at once, 50 within 60 s") && course(&long).ends_with(", and 4 more stages"));
    }

    #[test]
    fn a_plan_is_three_lines_of_80_columns() {
        let mut plan = crate::report::fixture::broken().run.plan;
        plan.think = Think::uniform(Duration::from_millis(100), Duration::from_millis(500));
        insta::assert_snapshot!(render_plan(&plan, 80));
    }
}
