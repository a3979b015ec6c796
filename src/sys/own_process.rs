//! This process as Prometheus' standard `process_*` metrics describe it; what cannot be read is none.

use procfs::process::Process;

use super::proc_text;
use super::process::Stat;

/// See the module.
#[derive(Debug, Clone, Copy, Default)]
pub struct OwnProcess {
    /// CPU time used, user and system
    pub cpu_s: Option<f64>,
    /// resident memory
    pub resident_bytes: Option<u64>,
    /// virtual memory
    pub virtual_bytes: Option<u64>,
    /// open descriptors
    pub open_fds: Option<u64>,
    /// soft limit of descriptors; none also when there is no limit
    pub max_fds: Option<u64>,
    /// start, seconds of Unix time
    pub start_s: Option<f64>,
}

/// Reads all of it.
pub fn read() -> OwnProcess {
    let Ok(own) = Process::myself() else { return OwnProcess::default() };
    let stat = Stat::read(std::process::id()).ok();
    let field = |number| stat.as_ref()?.field::<u64>(number);
    let limit = own.limits().ok().map(|l| l.max_open_files.soft_limit);
    OwnProcess {
        cpu_s: super::process::read_usage(std::process::id()).ok().map(|u| u.cpu_s),
        resident_bytes: field(24).map(|pages| pages * procfs::page_size()),
        virtual_bytes: field(23),
        open_fds: own.fd_count().ok().map(|n| n as u64),
        max_fds: limit.and_then(|l| if let procfs::process::LimitValue::Value(n) = l { Some(n) } else { None }),
        start_s: field(22).and_then(start_of),
    }
}

/// Seconds of Unix time from clock ticks since boot.
fn start_of(ticks: u64) -> Option<f64> {
    let stat = proc_text::read("/proc/stat").ok()?;
    let boot: u64 = stat.lines().find_map(|line| line.strip_prefix("btime ")?.parse().ok())?;
    Some(boot as f64 + ticks as f64 / procfs::ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_of_it_is_known_here() {
        let p = super::read();
        assert!(p.cpu_s.is_some() && p.open_fds.is_some_and(|n| n > 2) && p.resident_bytes < p.virtual_bytes, "{p:?}");
        let now = crate::sys::clock::wall().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(p.start_s.is_some_and(|s| s < now + 2.0 && s > now - 3600.0), "{p:?} at {now}");
    }
}
