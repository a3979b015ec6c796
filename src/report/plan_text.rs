//! A plan before it runs: what will be done to whom, with the limits in force.

use crate::model::figures::{bytes, counted};
use crate::model::limits;
use crate::model::plan::{Closer, CpuWork, LoadLimits, LoadPlan, PortMode, ServerCloser, ServerPlan};

/// A few lines; `length` says how long the run will take, in words.
pub fn render_plan(plan: &LoadPlan, length: &str) -> String {
    let target = &plan.target;
    let whose = if target.own_server { ", our own child server" } else { "" };
    let mut out = format!("target   {} ({}{whose})\n", target.url, target.addr);
    let mix: Vec<String> = plan.mix.iter().map(|m| format!("{}={}", m.path, m.weight)).collect();
    out += &format!("requests {} {}\n", plan.method, mix.join(" "));
    out += &format!("load     {}\n", load(plan, length));
    out += &format!("sockets  {}\n", sockets(plan));
    out += &format!(
        "limits   timeout {}, {}; {}, seed {}\n",
        humantime::format_duration(plan.timeout),
        load_limits(&plan.limits),
        counted(u64::from(plan.threads), "thread"),
        plan.seed
    );
    out
}

/// The limits of the client: for its plan and its help.
pub fn load_limits(l: &LoadLimits) -> String {
    format!(
        "users {}, head {} and {} fields, body {}, latency {} s with {} digits, {} ring tries, {} error rows, pause after a \
         failed connect {} to {}, {} of new requests per loop turn",
        l.users_max,
        bytes(l.head_bytes as u64),
        l.head_fields,
        bytes(l.body_bytes),
        l.latency_max_us / 1_000_000,
        limits::LATENCY_DIGITS,
        l.ring_tries,
        l.error_rows,
        humantime::format_duration(limits::LOCAL_PAUSE),
        humantime::format_duration(limits::LOCAL_PAUSE_MAX),
        humantime::format_duration(limits::TURN),
    )
}

/// A server before it serves: two lines.
pub fn render_server_plan(plan: &ServerPlan) -> String {
    let kept = match (plan.keepalive, plan.closer) {
        (true, _) => "connections kept",
        (false, ServerCloser::Server) => "a connection per request, closed by the server",
        (false, ServerCloser::Client) => "a connection per request, closed by the client",
    };
    let work = match plan.cpu_work {
        CpuWork::CalibrateS(goal) => format!("{goal:?}"),
        CpuWork::Iterations(n) => format!("{n} iterations"),
    };
    let time = humantime::format_duration;
    format!(
        "server   {}, {} and {}, {kept}; /io sleeps {}, /cpu works {work}\n\
         limits   {} connections, backlog {}, queue {} per pool, head {} and {} fields, target {}, body {}; timeouts: header {}, \
         idle {}, body {}, write {}, drain {}\n",
        counted(plan.reactors as u64, "event loop"),
        counted(plan.io_workers as u64, "blocking thread"),
        counted(plan.cpu_workers as u64, "CPU thread"),
        time(plan.io_sleep),
        plan.max_conns,
        plan.backlog,
        plan.queue,
        bytes(plan.head_bytes as u64),
        plan.head_fields,
        bytes(plan.target_bytes as u64),
        bytes(plan.body_bytes),
        time(plan.header_timeout),
        time(plan.idle_timeout),
        time(plan.body_timeout),
        time(plan.write_timeout),
        time(plan.drain_timeout),
    )
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
        humantime::format_duration(limits::LINGER_TIMEOUT),
        bytes(limits::LINGER_BYTES as u64),
        humantime::format_duration(limits::ACCEPT_PAUSE),
    )
}

fn load(plan: &LoadPlan, length: &str) -> String {
    let mut text = if plan.is_open_loop() {
        format!("{}/s constant rate over at most {} for {length}", plan.rate, counted(u64::from(plan.users), "connection"))
    } else {
        let spawn = if plan.spawn_rate > 0.0 { format!(" at {}/s", plan.spawn_rate) } else { String::new() };
        let think = if plan.think.max.is_zero() {
            "no think time".to_owned()
        } else {
            format!("think {}..{}", humantime::format_duration(plan.think.min), humantime::format_duration(plan.think.max))
        };
        format!("{}{spawn}, {think}, for {length}", counted(u64::from(plan.users), "user"))
    };
    if !plan.duration.is_zero() && plan.warmup >= plan.duration {
        text += "; it ends inside its ramp: no steady figures";
    } else if !plan.warmup.is_zero() {
        text += &format!("; steady figures leave out the first {:.1} s", plan.warmup.as_secs_f64());
    }
    text
}

fn sockets(plan: &LoadPlan) -> String {
    let kept = match (plan.keepalive, plan.closer) {
        (true, _) => "kept connections".to_owned(),
        (false, Closer::Client) => "a connection per request, closed by the client (TIME_WAIT stays here)".to_owned(),
        (false, Closer::Server) => "a connection per request, closed by the target (TIME_WAIT stays there)".to_owned(),
        (false, Closer::Reset) => "a connection per request, reset by the client (no TIME_WAIT)".to_owned(),
    };
    let range = plan.port_range.map_or_else(String::new, |r| format!(" {}-{}", r.lo, r.hi));
    let mode = match plan.port_mode {
        PortMode::Auto => "ports picked by the kernel at connect".to_owned(),
        PortMode::Bind => "ports picked by the kernel at bind".to_owned(),
        PortMode::NoPort => "source bound, ports picked by the kernel at connect".to_owned(),
        PortMode::Ring => format!("ports from an own ring{range}"),
        PortMode::Range => format!("ports picked by the kernel within{range}"),
    };
    let reuse = if plan.reuse_addr { ", SO_REUSEADDR" } else { "" };
    let from = match &plan.sources[..] {
        [] => String::new(),
        [one] => format!(", from {one}"),
        [first, .., last] => format!(", from {} addresses {first}..{last}", plan.sources.len()),
    };
    format!("{kept}, {mode}{reuse}{from}")
}
