//! The machine: kernel release, cores, memory, descriptor limit, and its CPU and memory use over time.

use std::io;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::utsname::uname;
use sysinfo::{MemoryRefreshKind, System};

use super::cgroup::CpuGroups;
use super::proc_text;
use super::sysctl::read_sysctls;
use crate::model::facts::{Fact, HostUsage};
use crate::model::result::Host;
use crate::model::time::Stamp;

/// sysinfo's CPU figure is a difference between two refreshes; closer ones are noise.
pub const CPU_REFRESH_MIN: Duration = Duration::from_millis(200);

/// Kernel release, as in `uname -r`; it needs no /proc.
///
/// Errors: uname(2).
pub fn read_kernel_release() -> io::Result<String> {
    Ok(uname()?.release().to_string_lossy().into_owned())
}

/// This machine's name, as in `uname -n`.
///
/// Errors: /proc is not mounted.
pub fn read_name() -> io::Result<String> {
    read_sys("kernel/hostname")
}

fn read_sys(key: &str) -> io::Result<String> {
    Ok(proc_text::read(format!("/proc/sys/{key}"))?.trim().to_owned())
}

/// `host{}` of a run result; what could not be read comes as rows (key, reason).
pub fn read_host() -> (Host, Vec<(String, String)>) {
    let (sysctls, mut missing) = read_sysctls();
    let kernel = read_kernel_release().unwrap_or_else(|e| format!("unknown ({e})"));
    let cpus = online_cpus().unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get() as u32));
    let mut note = |key: &str, reason: String| missing.push((format!("host.{key}"), reason));
    let total_memory = |mut system: System| {
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        system.total_memory()
    };
    let memory_bytes = System::new().ok().map(total_memory).filter(|m| *m > 0);
    if memory_bytes.is_none() {
        note("memory_bytes", "/proc/meminfo could not be read".into());
    }
    let nofile = getrlimit(Resource::RLIMIT_NOFILE).inspect_err(|e| note("nofile", format!("getrlimit: {e}"))).ok();
    let cpu_quota = CpuGroups::read_of(std::process::id()).and_then(|groups| groups.read_quota_cores()).ok().flatten();
    let host = Host {
        name: read_name().ok().filter(|name| !name.is_empty()),
        // The kernel drew it when it started: containers of one machine have the same.
        boot_id: read_sys("kernel/random/boot_id").ok(),
        kernel,
        cpus,
        memory_bytes,
        nofile: nofile.map(|(soft, _)| soft),
        sysctls,
        sysctls_at_end: None,
        congestion_control: read_sys("net/ipv4/tcp_congestion_control").ok(),
        cpu_quota,
    };
    (host, missing)
}

/// CPUs of the machine, whatever this process may use of them (`cpuN` lines of proc_stat(5)): the host's CPU figures are
/// shares of all of them.
fn online_cpus() -> Option<u32> {
    let stat = proc_text::read("/proc/stat").ok()?;
    let is_cpu = |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    Some(stat.lines().filter(is_cpu).count() as u32).filter(|n| *n > 0)
}

/// Host CPU and memory between calls of [`Self::read`].
#[derive(Debug)]
pub struct HostMeter {
    system: Result<System, String>,
    last: Stamp,
}

impl HostMeter {
    /// Starts measuring at `now`.
    pub fn start(now: Stamp) -> Self {
        let system = System::new().map_err(|e| format!("host CPU and memory: {e:?}")).map(|mut s| {
            s.refresh_cpu_usage();
            s
        });
        Self { system, last: now }
    }

    /// All cores together since the last call, and memory in use (total minus available), percent.
    /// Unavailable when the last call was less than 200 ms ago.
    pub fn read(&mut self, now: Stamp) -> Fact<HostUsage> {
        let system = match &mut self.system {
            Ok(system) => system,
            Err(reason) => return Fact::missing(reason.clone()),
        };
        if now.since(self.last) < CPU_REFRESH_MIN {
            return Fact::missing("too short for CPU, which needs 200 ms between two readings");
        }
        self.last = now;
        system.refresh_cpu_usage();
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let total = system.total_memory();
        if total == 0 {
            return Fact::missing("/proc/meminfo could not be read");
        }
        let used = total.saturating_sub(system.available_memory());
        Fact::Known(HostUsage {
            cpu_percent: f64::from(system.global_cpu_usage()),
            memory_percent: used as f64 / total as f64 * 100.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_described_or_says_why_not() {
        let (host, missing) = read_host();
        assert!(host.cpus >= 1);
        assert!(host.kernel.starts_with(|c: char| c.is_ascii_digit()));
        assert!(host.memory_bytes.is_some_and(|m| m > 1 << 20));
        assert!(host.nofile.is_some());
        let mut nulls: Vec<_> = crate::model::document::nulls(&host).iter().map(|k| format!("host.{k}")).collect();
        nulls.retain(|n| !missing.iter().any(|(k, _)| k == n));
        assert!(nulls.is_empty(), "{nulls:?}");
    }

    #[test]
    fn usage_needs_two_readings_a_while_apart() {
        let mut meter = HostMeter::start(Stamp::ZERO);
        assert!(meter.read(Stamp::from_millis(10)).known().is_none());
        crate::sys::clock::sleep(Duration::from_millis(220));
        let usage = *meter.read(Stamp::from_millis(220)).known().unwrap();
        assert!((0.0..=100.0).contains(&usage.cpu_percent) && (1.0..=100.0).contains(&usage.memory_percent), "{usage:?}");
    }
}
