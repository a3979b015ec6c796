//! The machine: kernel release, cores, memory, descriptor limit, and its CPU and memory use over time.

use std::io;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::utsname::uname;

use super::cgroup::CpuGroups;
use super::proc_text;
use super::sysctl::read_sysctls;
use crate::model::facts::{Fact, HostUsage};
use crate::model::result::Host;
use crate::model::time::Stamp;

/// Between two readings of the CPU, at the least: it is counted in ticks of 10 ms.
const CPU_APART_MIN: Duration = Duration::from_millis(200);
/// Why the memory of this machine is not known.
const NO_MEMORY: &str = "/proc/meminfo could not be read";

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
    let memory_bytes = Memory::read().map(|memory| memory.total_bytes);
    if memory_bytes.is_none() {
        note("memory_bytes", NO_MEMORY.into());
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
    ticks: Option<Ticks>,
    last: Stamp,
}

impl HostMeter {
    /// Starts measuring at `now`.
    pub fn start(now: Stamp) -> Self {
        Self { ticks: Ticks::read(), last: now }
    }

    /// All cores together since the last call, and memory in use (total minus available), percent.
    /// Unavailable when the last call was less than 200 ms ago.
    pub fn read(&mut self, now: Stamp) -> Fact<HostUsage> {
        if now.since(self.last) < CPU_APART_MIN {
            return Fact::missing("too short for CPU, which needs 200 ms between two readings");
        }
        self.last = now;
        let before = std::mem::replace(&mut self.ticks, Ticks::read());
        let Some(cpu_percent) = before.zip(self.ticks).and_then(|(before, now)| now.busy_percent_since(before)) else {
            return Fact::missing("/proc/stat could not be read");
        };
        let Some(memory) = Memory::read() else { return Fact::missing(NO_MEMORY) };
        Fact::Known(HostUsage { cpu_percent, memory_percent: memory.used_percent() })
    }
}

/// CPU time of all cores together since the start of the machine, in ticks: the first line of proc_stat(5).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ticks {
    /// user, nice, system, irq and softirq; the time of guests is part of the first two
    busy: u64,
    /// the same with idle, iowait, and steal, which the host of this virtual machine took
    all: u64,
}

impl Ticks {
    fn read() -> Option<Self> {
        Self::of(&proc_text::read("/proc/stat").ok()?)
    }

    fn of(stat: &str) -> Option<Self> {
        let numbers = stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace().take(8);
        let ticks: Vec<u64> = numbers.map(str::parse).collect::<Result<_, _>>().ok()?;
        let &[user, nice, system, idle, iowait, irq, softirq, steal] = &ticks[..] else { return None };
        let busy = user + nice + system + irq + softirq;
        Some(Self { busy, all: busy + idle + iowait + steal })
    }

    /// None where no time has passed.
    fn busy_percent_since(self, before: Self) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|all| *all > 0)?;
        // iowait may go back (proc_stat(5)), and with it the sum.
        Some((self.busy.saturating_sub(before.busy) as f64 / all as f64 * 100.0).min(100.0))
    }
}

/// proc_meminfo(5).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Memory {
    total_bytes: u64,
    /// what programs can have without swapping
    available_bytes: u64,
}

impl Memory {
    fn read() -> Option<Self> {
        Self::of(&proc_text::read("/proc/meminfo").ok()?)
    }

    fn of(meminfo: &str) -> Option<Self> {
        let bytes = |key: &str| {
            let kib = meminfo.lines().find_map(|line| line.strip_prefix(key)?.strip_suffix("kB")?.trim().parse::<u64>().ok());
            kib.map(|kib| kib * 1024)
        };
        let total_bytes = bytes("MemTotal:").filter(|total| *total > 0)?;
        Some(Self { total_bytes, available_bytes: bytes("MemAvailable:")? })
    }

    fn used_percent(self) -> f64 {
        self.total_bytes.saturating_sub(self.available_bytes) as f64 / self.total_bytes as f64 * 100.0
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
    fn busy_is_what_is_neither_idle_nor_taken() {
        let before = Ticks::of("cpu  100 10 50 800 20 5 15 0 60 0\ncpu0 1 2 3\n").unwrap();
        assert_eq!(before, Ticks { busy: 180, all: 1000 }, "guests are in user already");
        let now = Ticks::of("cpu  150 10 70 860 30 5 15 60 100 0\n").unwrap();
        assert_eq!(now.busy_percent_since(before), Some(35.0), "70 of 200");
        assert_eq!(before.busy_percent_since(before), None);
        assert_eq!(before.busy_percent_since(now), None, "it went back");
        for other in ["", "cpu0 1 2 3 4 5 6 7 8", "cpu  1 2 3 4 5 6 7", "cpu  1 2 3 4 5 6 7 x"] {
            assert_eq!(Ticks::of(other), None, "{other}");
        }
    }

    #[test]
    fn memory_in_use_is_what_is_not_available() {
        let memory = Memory::of("MemTotal:        4000 kB\nMemFree:  10 kB\nMemAvailable:    1000 kB\n").unwrap();
        assert_eq!(memory, Memory { total_bytes: 4_096_000, available_bytes: 1_024_000 });
        assert_eq!(memory.used_percent(), 75.0);
        for other in ["", "MemTotal: 4000 kB\n", "MemTotal: 0 kB\nMemAvailable: 0 kB\n", "MemTotal: x kB\nMemAvailable: 1 kB\n"] {
            assert_eq!(Memory::of(other), None, "{other}");
        }
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
