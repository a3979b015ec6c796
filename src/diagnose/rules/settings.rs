//! The rule about settings of the kernel that changed during the run.

use super::prelude::*;
use crate::model::result::Sysctls;

pub(in crate::diagnose) fn sysctl_changed(run: &RunResult, _: &Indicators) -> Ruling {
    // Nothing rests on them where no connection is made; where they were not read again, none is predicted on.
    let Some(after) = run.host.sysctls_at_end.as_ref() else {
        return if run.plan.is_short_lived() && run.plan.observe {
            undecided("the kernel's settings were not read again at the end")
        } else {
            Err(Clear)
        };
    };
    let changes = settings_changed(&run.host.sysctls, after);
    let (key, before, after) = changes.first().ok_or(Clear)?;
    let list: Vec<String> = changes.iter().map(|(key, from, to)| format!("{key} from {from} to {to}")).collect();
    let text = format!(
        "When the run ended, this machine's settings were others than at its start: {}. T, the pool and every forecast here rest on the \
         values at the start, so what is said about ports may not hold for the later part. Something else changed them: a \
         configuration tool, or a second test.",
        list.join("; ")
    );
    let keys: Vec<&str> = changes.iter().map(|c| c.0).collect();
    let remedies = vec![
        advice(
            "see the values now",
            format!("sysctl {}", keys.join(" ")),
            format!("{} with its value", counted(keys.len() as u64, "setting")),
        ),
        advice("run again without a change", load_with(&run.plan, |_| ()), "0 settings changed"),
    ];
    let more = if changes.len() > 1 { format!(", and {} more", changes.len() - 1) } else { String::new() };
    let title = format!("{key} changed from {before} to {after} during the run{more}");
    let mut found = Found::new(title, text).with("changed", changes.len() as u64);
    for (key, before, after) in &changes {
        let name = key.rsplit('.').next().unwrap_or(key);
        found = found.with(&format!("{name}_before"), before).with(&format!("{name}_after"), after);
    }
    Ok(found.remedies(remedies))
}

/// Settings that are known at both ends and differ: which, before, after.
pub(crate) fn settings_changed(before: &Sysctls, after: &Sysctls) -> Vec<(&'static str, String, String)> {
    let range = |s: &Sysctls| s.ip_local_port_range.map(|[lo, hi]| format!("{lo}-{hi}"));
    let number = |n: Option<u32>| n.map(|n| n.to_string());
    let large = |n: Option<u64>| n.map(|n| n.to_string());
    [
        ("net.ipv4.ip_local_port_range", range(before), range(after)),
        ("net.ipv4.ip_local_reserved_ports", number(before.ip_local_reserved_ports), number(after.ip_local_reserved_ports)),
        ("net.ipv4.tcp_tw_reuse", number(before.tcp_tw_reuse), number(after.tcp_tw_reuse)),
        ("net.ipv4.tcp_tw_reuse_delay", number(before.tcp_tw_reuse_delay_ms), number(after.tcp_tw_reuse_delay_ms)),
        ("net.ipv4.tcp_timestamps", number(before.tcp_timestamps), number(after.tcp_timestamps)),
        ("net.ipv4.tcp_fin_timeout", number(before.tcp_fin_timeout_s), number(after.tcp_fin_timeout_s)),
        ("net.ipv4.tcp_max_tw_buckets", large(before.tcp_max_tw_buckets), large(after.tcp_max_tw_buckets)),
        ("net.ipv4.tcp_max_syn_backlog", large(before.tcp_max_syn_backlog), large(after.tcp_max_syn_backlog)),
        ("net.core.somaxconn", large(before.somaxconn), large(after.somaxconn)),
    ]
    .into_iter()
    .filter_map(|(key, before, after)| Some((key, before?, after?)))
    .filter(|(_, before, after)| before != after)
    .collect()
}
