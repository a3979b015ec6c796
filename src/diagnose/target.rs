//! What is known of the target as a programme: our own child server with its flags, a sockbench server that somebody
//! started, or another's. A remedy that turns a flag of the server depends on it.

use super::command::{load_with, quoted};
use crate::model::limits;
use crate::model::result::{Endpoint, RunResult};

/// Whose server the target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// started by the run itself: all its flags are in the plan
    Own,
    /// `sockbench server`, its flags unknown
    Sockbench,
    /// another programme, or not seen
    Foreign,
}

impl Kind {
    pub(super) fn of(run: &RunResult) -> Self {
        if run.plan.target.own_server {
            return Self::Own;
        }
        let is_ours = run.resources.target.as_ref().is_some_and(|t| t.name == "sockbench");
        if is_ours { Self::Sockbench } else { Self::Foreign }
    }
}

/// The command with these flags of the server: the run again, or the server started by hand at its address.
pub(super) fn serve_with(run: &RunResult, flags: &[(&str, String)]) -> String {
    if Kind::of(run) == Kind::Own {
        return load_with(&run.plan, |p| {
            for (name, value) in flags {
                p.surroundings.set_server_flag(name, value);
            }
        });
    }
    let mut words = vec![format!("sockbench server --listen {}", quoted(&run.plan.target.addr.to_string()))];
    words.extend(flags.iter().map(|(name, value)| format!("--{name} {}", quoted(value))));
    words.join(" ")
}

/// A number among the own server's flags, its default where it was not given; none for other targets.
pub(super) fn own_flag(run: &RunResult, name: &str, default: u32) -> Option<u32> {
    if Kind::of(run) != Kind::Own {
        return None;
    }
    run.plan.surroundings.server_flag(name).map_or(Some(default), |v| v.parse().ok())
}

/// Threads of the own server's CPU pool: one per core unless told.
pub(super) fn cpu_workers(run: &RunResult) -> Option<u32> {
    own_flag(run, "cpu-workers", run.host.cpus)
}

/// Threads of the own server's blocking pool.
pub(super) fn io_workers(run: &RunResult) -> Option<u32> {
    own_flag(run, "io-workers", limits::IO_WORKERS as u32)
}

/// Which pool of a sockbench server works for an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    /// `/cpu`
    Cpu,
    /// `/io`
    Io,
}

impl Pool {
    /// None for endpoints that are answered inline, and for other programmes' servers.
    pub(super) fn of(run: &RunResult, endpoint: &str) -> Option<Self> {
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

/// Jobs of an endpoint under work at the same time, by Little's law over the target's own timing.
pub(super) fn working(e: &Endpoint) -> Option<f64> {
    e.server_timing_ms.as_ref().map(|t| e.rps * t.work.p50 / 1000.0).filter(|n| n.is_finite())
}

/// Jobs of an endpoint waiting at the same time.
pub(super) fn waiting(e: &Endpoint) -> Option<f64> {
    e.server_timing_ms.as_ref().map(|t| e.rps * t.queue.p50 / 1000.0).filter(|n| n.is_finite())
}
