//! Real commands for remedies: the plan in force, typed out again with one thing changed. Every flag that decides
//! about the run is there, so a command can be pasted; where results go (`-o`, `--json`, `--csv`) is left out, because
//! a second run must not replace the first one's files.

use std::net::IpAddr;

pub(crate) use crate::model::figures::{counted as count, number, rate as cps, seconds as s, share as percent};
use crate::model::limits;
use crate::model::plan::{Closer, LoadPlan, MixEntry, PortMode};
use crate::model::units::exact;

/// Mix of `sockbench load` without a URL.
const OWN_MIX: [(&str, u32); 3] = [("/health", 50), ("/io", 30), ("/cpu", 20)];
/// Longer lists of source addresses are typed as a block, where they are one.
const SOURCES_TYPED: usize = 4;

/// The plan as a `sockbench load` command.
pub fn load(plan: &LoadPlan) -> String {
    let mut words = vec!["sockbench load".to_owned()];
    if !plan.target.own_server {
        words.push(quoted(&plan.target.url));
    }
    namespace(plan, &mut words);
    load_shape(plan, &mut words);
    connections(plan, &mut words);
    request(plan, &mut words);
    if plan.target.own_server {
        words.extend(
            plan.environment
                .server
                .given()
                .iter()
                .map(|(name, value)| format!("--server {}", quoted(&format!("{name}={value}")))),
        );
    }
    words.join(" ")
}

/// The plan with one change, as a command.
pub(crate) fn load_with(plan: &LoadPlan, change: impl FnOnce(&mut LoadPlan)) -> String {
    let mut changed = plan.clone();
    change(&mut changed);
    // An address that a mode of ports took by itself goes with the mode.
    if changed.port_mode == PortMode::Auto && plan.port_mode != PortMode::Auto && has_default_source(plan) {
        changed.sources.clear();
    }
    load(&consistent(changed))
}

/// What the command line would refuse beside a change is changed with it: a worker without a user, pauses and a ramp
/// in an open loop.
fn consistent(mut plan: LoadPlan) -> LoadPlan {
    plan.threads = plan.threads.min(plan.users);
    plan
}

/// The one source address that modes with a bind() take where none is given: the kernel's own choice towards a target
/// of this host.
fn has_default_source(plan: &LoadPlan) -> bool {
    let to = plan.target.addr.ip();
    let own = if to.is_loopback() && to.is_ipv4() { IpAddr::from([127, 0, 0, 1]) } else { to };
    matches!(plan.port_mode, PortMode::Bind | PortMode::Ring | PortMode::NoPort) && plan.sources == [own]
}

/// The plan after settings of the kernel: in its own namespace where it has one, else of the host.
pub(crate) fn load_after_sysctl(plan: &LoadPlan, settings: &[(&str, &str)], change: impl FnOnce(&mut LoadPlan)) -> String {
    if plan.environment.sandbox {
        return load_with(plan, |p| {
            for (key, value) in settings {
                p.environment.set_sysctl(key, value);
            }
            change(p);
        });
    }
    let load = load_with(plan, change);
    if settings.is_empty() {
        return load;
    }
    let words: Vec<String> = settings.iter().map(|(key, value)| quoted(&format!("{key}={value}"))).collect();
    format!("sysctl -w {} && {load}", words.join(" "))
}

fn namespace(plan: &LoadPlan, words: &mut Vec<String>) {
    let around = &plan.environment;
    if !around.sandbox {
        return;
    }
    words.push("--sandbox".into());
    words.extend(around.sysctls.iter().map(|(key, value)| format!("--sysctl {}", quoted(&format!("{key}={value}")))));
    words.extend(around.addresses.iter().map(|a| format!("--address {}", quoted(a))));
}

fn load_shape(plan: &LoadPlan, words: &mut Vec<String>) {
    words.push(format!("--conns {}", plan.users));
    if plan.requests > 0 {
        words.push(format!("--requests {}", plan.requests));
    }
    if !plan.duration.is_zero() {
        words.push(format!("--duration {}", exact(plan.duration)));
    }
    if plan.is_open_loop() {
        words.push(format!("--rate {}", plan.rate));
    } else {
        if plan.spawn_rate > 0.0 {
            words.push(format!("--spawn-rate {}", plan.spawn_rate));
        }
        if !plan.think.max.is_zero() {
            words.push(format!("--think {}..{}", exact(plan.think.min), exact(plan.think.max)));
        }
    }
    // One that left nothing of the run has no figures to leave out, and is refused.
    if !plan.warmup.is_zero() && (plan.duration.is_zero() || plan.warmup < plan.duration) {
        words.push(format!("--warmup {}", exact(plan.warmup)));
    }
    if plan.threads > 1 {
        words.push(format!("--threads {}", plan.threads));
    }
    if plan.seed != 1 {
        words.push(format!("--seed {}", plan.seed));
    }
}

fn connections(plan: &LoadPlan, words: &mut Vec<String>) {
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
    if !plan.sources.is_empty() && !has_default_source(plan) {
        if plan.port_mode == PortMode::Auto {
            // Sources alone would imply no-port.
            words.push("--port-mode auto".into());
        }
        words.push(format!("--source {}", sources(&plan.sources)));
    }
    if plan.timeout != limits::REQUEST_TIMEOUT {
        words.push(format!("--timeout {}", exact(plan.timeout)));
    }
    if plan.allow_remote {
        words.push("--allow-remote".into());
    }
    if !plan.observe {
        words.push("--no-observe".into());
    }
}

fn request(plan: &LoadPlan, words: &mut Vec<String>) {
    if !has_default_mix(plan) {
        words.push(format!("--mix {}", quoted(&mix(&plan.mix))));
    }
    if plan.method != "GET" {
        words.push(format!("--method {}", quoted(&plan.method)));
    }
    words.extend(plan.headers.iter().map(|(name, value)| flag("--header", &format!("{name}: {value}"))));
    if !plan.body.is_empty() {
        words.push(flag("--body", &plan.body));
    }
}

/// The mix that the command line takes without `--mix`: the experiment's, or the URL's own path.
fn has_default_mix(plan: &LoadPlan) -> bool {
    if plan.target.own_server {
        return plan.mix.len() == OWN_MIX.len()
            && plan.mix.iter().zip(OWN_MIX).all(|(m, (path, weight))| m.path == path && m.weight == weight);
    }
    let [only] = plan.mix.as_slice() else { return plan.mix.is_empty() };
    only.path.trim_start_matches('/') == path_of(&plan.target.url).trim_start_matches('/')
}

/// Path and query of a URL, `/` where it names none.
fn path_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('#').next().unwrap_or_default();
    match rest.find(['/', '?']).map(|at| &rest[at..]) {
        Some(path) if path.starts_with('/') => path.to_owned(),
        Some(query) => format!("/{query}"),
        None => "/".into(),
    }
}

/// `/a=50,/b=30`; a path with a query carries no weight, because its `=` would be taken for one.
fn mix(entries: &[MixEntry]) -> String {
    let one = |m: &MixEntry| if m.path.contains('?') { m.path.clone() } else { format!("{}={}", m.path, m.weight) };
    entries.iter().map(one).collect::<Vec<_>>().join(",")
}

/// A list, or the CIDR block that it is.
fn sources(all: &[IpAddr]) -> String {
    block(all)
        .filter(|_| all.len() > SOURCES_TYPED)
        .unwrap_or_else(|| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

fn block(all: &[IpAddr]) -> Option<String> {
    let IpAddr::V4(first) = *all.first()? else { return None };
    let first = u32::from(first);
    let size = u32::try_from(all.len()).ok()?.checked_add(2)?;
    let base = first.checked_sub(1)?;
    let in_order = all.iter().zip(first..).all(|(ip, at)| *ip == IpAddr::from(std::net::Ipv4Addr::from(at)));
    (size.is_power_of_two() && base.is_multiple_of(size) && in_order)
        .then(|| format!("{}/{}", std::net::Ipv4Addr::from(base), 32 - size.trailing_zeros()))
}

/// A flag with its value; one that begins with a dash would be taken for a flag itself.
fn flag(name: &str, value: &str) -> String {
    format!("{name}{}{}", if value.starts_with('-') { "=" } else { " " }, quoted(value))
}

/// A word as a shell takes it back.
pub(crate) fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=/.:,@%+".contains(&b));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// `--port-mode`'s word.
const fn mode(mode: PortMode) -> &'static str {
    match mode {
        PortMode::Auto => "auto",
        PortMode::Bind => "bind",
        PortMode::NoPort => "no-port",
        PortMode::Ring => "ring",
        PortMode::Range => "range",
    }
}
