//! A plan as the flags of `sockbench load`: every flag that decides about the run, in the order of the help page.

use std::fmt;
use std::net::IpAddr;

use crate::model::body::Body;
use crate::model::course::LevelOf;
use crate::model::limits;
use crate::model::plan::{Arrivals, Closer, LoadLimits, LoadPlan, MixEntry, Pinning, PortMode};
use crate::model::units::{exact, typed};

/// Mix of `sockbench load` without a URL.
const OWN_MIX: [(&str, u32); 3] = [("/health", 50), ("/io", 30), ("/cpu", 20)];
/// Longer lists of source addresses are typed as a block, where they are one.
const SOURCES_TYPED: usize = 4;

/// One flag of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flag {
    /// `--sysctl`
    pub(super) name: &'static str,
    /// which of several of the same name: the setting's key
    pub(super) key: String,
    /// empty for a switch
    pub(super) value: Option<String>,
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(value) = &self.value else { return f.write_str(self.name) };
        // A value that begins with a dash would be taken for a flag itself.
        let joint = if value.starts_with('-') { "=" } else { " " };
        write!(f, "{}{joint}{}", self.name, quoted(value))
    }
}

/// Flags in the order of the command line.
#[derive(Default)]
struct Flags(Vec<Flag>);

impl Flags {
    /// A flag without a value, typed only where it `is` so.
    fn switch(&mut self, is: bool, name: &'static str) {
        self.0.extend(is.then(|| Flag { name, key: String::new(), value: None }));
    }

    fn value(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.push(Flag { name, key: String::new(), value: Some(value.into()) });
    }

    /// A flag that is typed only where it `is` so.
    fn when(&mut self, is: bool, name: &'static str, value: impl fmt::Display) {
        if is {
            self.value(name, value.to_string());
        }
    }

    /// `--sysctl KEY=VALUE`: one of several of its name.
    fn keyed(&mut self, name: &'static str, key: &str, value: String) {
        self.0.push(Flag { name, key: key.to_owned(), value: Some(value) });
    }
}

/// Every flag that makes `plan`, without the target.
pub(super) fn flags(plan: &LoadPlan) -> Vec<Flag> {
    let mut flags = Flags::default();
    namespace(plan, &mut flags);
    load_shape(plan, &mut flags);
    connections(plan, &mut flags);
    request(plan, &mut flags);
    if plan.target.own_server {
        for (name, value) in plan.environment.server.given() {
            flags.keyed("--server", name, format!("{name}={value}"));
        }
    }
    flags.0
}

fn namespace(plan: &LoadPlan, flags: &mut Flags) {
    let around = &plan.environment;
    if !around.sandbox {
        return;
    }
    flags.switch(true, "--sandbox");
    for (key, value) in &around.sysctls {
        flags.keyed("--sysctl", key, format!("{key}={value}"));
    }
    for address in &around.addresses {
        flags.keyed("--address", address, address.clone());
    }
}

fn load_shape(plan: &LoadPlan, flags: &mut Flags) {
    flags.when(plan.stages_of(LevelOf::Users).is_none(), "--conns", plan.users);
    flags.when(plan.requests > 0, "--requests", plan.requests);
    if let Some(stages) = &plan.stages {
        flags.value("--stages", stages.to_string());
    } else {
        flags.when(!plan.duration.is_zero(), "--duration", exact(plan.duration));
    }
    if plan.is_open_loop() {
        flags.when(plan.stages.is_none(), "--rate", typed(plan.rate));
        match plan.arrivals {
            Arrivals::Constant => {}
            arrivals => flags.value("--arrivals", arrivals.to_string()),
        }
    } else {
        flags.when(plan.spawn_rate > 0.0, "--spawn-rate", typed(plan.spawn_rate));
        flags.when(!plan.think.max.is_zero(), "--think", plan.think.typed());
    }
    // One that left nothing of the run has no figures to leave out, and is refused.
    flags.when(
        !plan.warmup.is_zero() && (plan.duration.is_zero() || plan.warmup < plan.duration),
        "--warmup",
        exact(plan.warmup),
    );
    if let Some(n) = plan.preconnect.filter(|_| plan.is_open_loop() && plan.keepalive) {
        flags.value("--preconnect", n.min(plan.users).to_string());
    }
    flags.when(plan.threads > 1, "--threads", plan.threads);
    flags.when(plan.pin != Pinning::Off, "--pin", plan.pin.word());
    flags.switch(plan.busy_poll, "--busy-poll");
    flags.when(plan.seed != 1, "--seed", plan.seed);
}

fn connections(plan: &LoadPlan, flags: &mut Flags) {
    // The field says it as well.
    flags.switch(!plan.keepalive && !plan.says_close, "--no-keepalive");
    match plan.closer {
        Closer::Client => {}
        Closer::Server => flags.value("--closer", "server"),
        Closer::Reset => flags.value("--closer", "reset"),
    }
    let has_sources = !plan.sources.is_empty() && !has_default_source(plan);
    // Sources alone would imply no-port.
    flags.when(plan.port_mode != PortMode::Auto || has_sources, "--port-mode", plan.port_mode.word());
    if let (PortMode::Ring | PortMode::Range, Some(r)) = (plan.port_mode, plan.port_range) {
        flags.value("--port-range", format!("{}-{}", r.lo, r.hi));
    }
    flags.switch(plan.reuse_addr, "--reuse-addr");
    flags.when(has_sources, "--source", sources(&plan.sources));
    flags.when(plan.timeout != limits::REQUEST_TIMEOUT, "--timeout", exact(plan.timeout));
    let (limits, usual) = (&plan.limits, LoadLimits::default());
    flags.when(limits.head_bytes != usual.head_bytes, "--head-bytes", limits.head_bytes);
    flags.when(limits.head_fields != usual.head_fields, "--head-fields", limits.head_fields);
    flags.when(limits.body_bytes != usual.body_bytes, "--body-bytes", limits.body_bytes);
    flags.switch(plan.allow_remote, "--allow-remote");
    flags.switch(!plan.observe, "--no-observe");
}

fn request(plan: &LoadPlan, flags: &mut Flags) {
    flags.when(!has_default_mix(plan), "--mix", mix(&plan.mix));
    flags.when(plan.method != plan.body.default_method(), "--method", &*plan.method);
    for (name, value) in &plan.headers {
        flags.keyed("--header", &format!("{name}: {value}"), format!("{name}: {value}"));
    }
    if !plan.keepalive && plan.says_close {
        flags.keyed("--header", "Connection: close", "Connection: close".into());
    }
    flags.when(plan.body != Body::default(), "--body", plan.body.typed());
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

/// The one source address that modes with a bind() take where none is given: the kernel's own choice towards a target
/// of this host.
pub(super) fn has_default_source(plan: &LoadPlan) -> bool {
    let to = plan.target.addr.ip();
    let own = if to.is_loopback() && to.is_ipv4() { IpAddr::from([127, 0, 0, 1]) } else { to };
    matches!(plan.port_mode, PortMode::Bind | PortMode::Ring | PortMode::NoPort) && plan.sources == [own]
}

/// A word as a shell takes it back.
pub(crate) fn quoted(word: &str) -> String {
    // Beside those that shlex leaves alone, these mean nothing to a shell within an argument.
    let plain = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=/.:,@%+".contains(&b));
    if plain {
        return word.to_owned();
    }
    // The only refusal is a NUL, which no argument can contain.
    shlex::Quoter::new().allow_nul(true).quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned)
}
