//! Where it ran: what somebody needs to run it again, or to see why it came out differently elsewhere.

use maud::{Markup, html};

use super::shell::{command, lines};
use crate::model::figures::{bytes, count, counted, number};
use crate::model::result::{Host, RunResult, Sysctls};
use crate::report::plan_text;
use crate::report::style::Tone;

/// The plan, the machine, the settings of its network and the command.
pub(super) fn render(run: &RunResult) -> Markup {
    html! {
        (lines(&plan(run)))
        (lines(&machine(&run.host)))
        (lines(&sysctls(&run.host.sysctls)))
        (command("command", &run.command))
    }
}

fn known<T>(value: Option<T>, text: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "not read".to_owned(), text)
}

fn plan(run: &RunResult) -> Vec<(&'static str, Tone, String)> {
    let plan = &run.plan;
    let mut all = vec![
        ("load", Tone::Normal, format!("{}, {}", plan_text::users(plan), plan_text::connections(plan))),
        ("target", Tone::Normal, plan_text::asked(plan)),
        ("threads", Tone::Normal, format!("{} of the client, seed {}", plan.threads, plan.seed)),
    ];
    let environment = &plan.environment;
    if environment.sandbox {
        all.push(("sandbox", Tone::Normal, "a private network namespace".into()));
    }
    all
}

/// The client's machine.
pub(super) fn machine(host: &Host) -> Vec<(&'static str, Tone, String)> {
    let mut cpus = counted(host.cpus, "core");
    if let Some(quota) = host.cpu_quota {
        cpus += &format!(", of which a quota allows {}", number(quota));
    }
    vec![
        ("kernel", Tone::Normal, format!("Linux {}", host.kernel)),
        ("CPU", Tone::Normal, cpus),
        ("memory", Tone::Normal, known(host.memory_bytes, bytes)),
        ("open files", Tone::Normal, known(host.nofile, |n| format!("at most {}", count(n)))),
        ("congestion control", Tone::Normal, known(host.congestion_control.clone(), |name| name)),
    ]
}

/// TCP settings by their names.
pub(super) fn sysctls(s: &Sysctls) -> Vec<(&'static str, Tone, String)> {
    let plain = |v: Option<u32>| known(v, |n| n.to_string());
    let many = |v: Option<u64>| known(v, |n| n.to_string());
    let rows = [
        ("ip_local_port_range", known(s.ip_local_port_range, |[lo, hi]| format!("{lo}-{hi}"))),
        ("reserved ports in it", plain(s.ip_local_reserved_ports)),
        ("tcp_tw_reuse", plain(s.tcp_tw_reuse)),
        ("tcp_tw_reuse_delay", known(s.tcp_tw_reuse_delay_ms, |n| format!("{n} ms"))),
        ("tcp_timestamps", plain(s.tcp_timestamps)),
        ("tcp_fin_timeout", known(s.tcp_fin_timeout_s, |n| format!("{n} s"))),
        ("tcp_max_tw_buckets", many(s.tcp_max_tw_buckets)),
        ("tcp_max_syn_backlog", many(s.tcp_max_syn_backlog)),
        ("somaxconn", many(s.somaxconn)),
    ];
    rows.map(|(name, text)| (name, Tone::Normal, text)).to_vec()
}
