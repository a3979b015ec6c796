//! Real commands for remedies: the plan in force, typed out again with one thing changed.

use crate::model::plan::{Closer, LoadPlan, PortMode};

/// The plan as a `sockbench load` command; fields are changed before it is typed.
pub(in crate::diagnose) fn load(plan: &LoadPlan) -> String {
    let mut words = vec!["sockbench load".to_owned()];
    if !plan.target.own_server {
        words.push(plan.target.url.clone());
    }
    words.push(format!("--conns {}", plan.users));
    if plan.requests > 0 {
        words.push(format!("--requests {}", plan.requests));
    }
    if !plan.duration.is_zero() {
        words.push(format!("--duration {}", seconds(plan.duration.as_secs_f64())));
    }
    if plan.is_open_loop() {
        words.push(format!("--rate {}", number(plan.rate)));
    } else {
        if plan.spawn_rate > 0.0 {
            words.push(format!("--spawn-rate {}", number(plan.spawn_rate)));
        }
        if !plan.think.max.is_zero() {
            let (min, max) = (plan.think.min.as_millis(), plan.think.max.as_millis());
            words.push(format!("--think {min}ms..{max}ms"));
        }
    }
    if plan.threads > 1 {
        words.push(format!("--threads {}", plan.threads));
    }
    if !plan.keepalive {
        words.push("--no-keepalive".into());
    }
    match plan.closer {
        Closer::Client => {}
        Closer::Server => words.push("--closer server".into()),
        Closer::Reset => words.push("--closer reset".into()),
    }
    if plan.port_mode != PortMode::Auto {
        words.push(format!("--port-mode {}", mode(plan.port_mode)));
    }
    if let (PortMode::Ring | PortMode::Range, Some(r)) = (plan.port_mode, plan.port_range) {
        words.push(format!("--port-range {}-{}", r.lo, r.hi));
    }
    if plan.reuse_addr {
        words.push("--reuse-addr".into());
    }
    if !plan.sources.is_empty() {
        words.push(format!("--source {}", plan.sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")));
    }
    if plan.allow_remote {
        words.push("--allow-remote".into());
    }
    words.join(" ")
}

/// The plan with one change, as a command.
pub(in crate::diagnose) fn load_with(plan: &LoadPlan, change: impl FnOnce(&mut LoadPlan)) -> String {
    let mut changed = plan.clone();
    change(&mut changed);
    load(&changed)
}

/// `--port-mode`'s word.
pub(in crate::diagnose) const fn mode(mode: PortMode) -> &'static str {
    match mode {
        PortMode::Auto => "auto",
        PortMode::Bind => "bind",
        PortMode::NoPort => "no-port",
        PortMode::Ring => "ring",
        PortMode::Range => "range",
    }
}

/// A number without needless decimals.
pub(in crate::diagnose) fn number(v: f64) -> String {
    if v.fract() == 0.0 { format!("{v:.0}") } else { format!("{v:.2}").trim_end_matches('0').trim_end_matches('.').to_owned() }
}

fn seconds(s: f64) -> String {
    if s.fract() == 0.0 { format!("{s:.0}s") } else { format!("{:.0}ms", s * 1000.0) }
}

/// Rates of a sentence: three significant digits or so.
pub(in crate::diagnose) fn cps(v: f64) -> String {
    if !v.is_finite() {
        "any number".into()
    } else if v >= 1000.0 {
        format!("{v:.0}")
    } else {
        number((v * 10.0).round() / 10.0)
    }
}

/// Seconds of a sentence: one digit behind the point, none when it says nothing.
pub(in crate::diagnose) fn s(v: f64) -> String {
    if v < 0.1 && v > 0.0 {
        format!("{} ms", number((v * 1e5).round() / 100.0))
    } else {
        format!("{} s", number((v * 10.0).round() / 10.0))
    }
}

/// A share of one as percent.
pub(in crate::diagnose) fn percent(v: f64) -> String {
    format!("{:.0} %", v * 100.0)
}
