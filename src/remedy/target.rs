//! What is known of the target as a program: our own child server with its flags, a sockbench server that somebody
//! started, or another one. A remedy that changes a flag of the server depends on it.

use super::command::{Command, load_with};
use super::flags::quoted;
use crate::model::limits;
use crate::model::result::{Endpoint, RunResult};
use crate::model::server_flags::ServerFlags;

/// Whose server the target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// started by the run itself: all its flags are in the plan
    Own,
    /// `sockbench server`, its flags unknown
    Sockbench,
    /// another program, or not seen
    Foreign,
}

impl Kind {
    pub(crate) fn of(run: &RunResult) -> Self {
        if run.plan.target.own_server {
            return Self::Own;
        }
        let is_ours = run.resources.target.as_ref().is_some_and(|t| t.name == "sockbench");
        if is_ours { Self::Sockbench } else { Self::Foreign }
    }
}

/// The command with other flags of the server: the run again, or the server started by hand at its address.
pub(crate) fn serve_with(run: &RunResult, change: impl FnOnce(&mut ServerFlags)) -> Command {
    if Kind::of(run) == Kind::Own {
        return load_with(&run.plan, |p| change(&mut p.environment.server));
    }
    let mut flags = ServerFlags::default();
    change(&mut flags);
    let words: Vec<String> = flags.arguments().iter().map(|w| quoted(w)).collect();
    let changed = words.join(" ");
    Command {
        line: format!("sockbench server --listen {} {changed}", quoted(&run.plan.target.addr.to_string())),
        change: Some(format!("server {changed}")),
    }
}

/// The flags of the run's own child server; none for other targets.
pub(crate) fn own_flags(run: &RunResult) -> Option<&ServerFlags> {
    (Kind::of(run) == Kind::Own).then_some(&run.plan.environment.server)
}

/// Threads of the CPU pool of sockbench's own server: one per core by default.
pub(crate) fn cpu_workers(run: &RunResult) -> Option<u32> {
    own_flags(run).map(|f| f.cpu_workers.map_or(run.host.cpus, |n| n as u32))
}

/// Threads of the blocking pool of sockbench's own server.
pub(crate) fn io_workers(run: &RunResult) -> Option<u32> {
    own_flags(run).map(|f| f.io_workers.unwrap_or(limits::IO_WORKERS) as u32)
}

/// Which pool of a sockbench server works for an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pool {
    /// `/cpu`
    Cpu,
    /// `/io`
    Io,
}

impl Pool {
    /// None for endpoints that are answered inline, and for servers of other programs.
    pub(crate) fn of(run: &RunResult, endpoint: &str) -> Option<Self> {
        if Kind::of(run) == Kind::Foreign {
            return None;
        }
        match endpoint.split('?').next() {
            Some("/cpu") => Some(Self::Cpu),
            Some("/io") => Some(Self::Io),
            _ => None,
        }
    }
}

/// Workers of the pool behind an endpoint of sockbench's own server.
pub(crate) fn workers(run: &RunResult, endpoint: &str) -> Option<u32> {
    match Pool::of(run, endpoint)? {
        Pool::Cpu => cpu_workers(run),
        Pool::Io => io_workers(run),
    }
}

/// The same as far as they get more done: workers for `/cpu` that outnumber the cores do not.
pub(crate) fn useful_workers(run: &RunResult, endpoint: &str) -> Option<u32> {
    let workers = workers(run, endpoint)?;
    Some(if Pool::of(run, endpoint) == Some(Pool::Cpu) { workers.min(run.host.cpus) } else { workers })
}

/// Jobs of an endpoint under work at the same time, by Little's law over the target's own timing.
pub(crate) fn working(e: &Endpoint) -> Option<f64> {
    e.server_timing_ms.as_ref().map(|t| e.rps * t.work.p50 / 1000.0).filter(|n| n.is_finite())
}

/// Jobs of an endpoint waiting at the same time.
pub(crate) fn waiting(e: &Endpoint) -> Option<f64> {
    e.server_timing_ms.as_ref().map(|t| e.rps * t.queue.p50 / 1000.0).filter(|n| n.is_finite())
}
