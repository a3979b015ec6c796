//! CPU quota of a control group, and how often it throttled its processes.
//!
//! Sources: cgroup v2 `cpu.max` and `cpu.stat` (Documentation/admin-guide/cgroup-v2.rst), cgroup v1
//! `cpu.cfs_quota_us`, `cpu.cfs_period_us` and `cpu.stat` (Documentation/scheduler/sched-bwc.rst), `/proc/PID/cgroup`
//! (cgroups(7)). A quota of any ancestor counts: the tightest one is in force.

use std::io;
use std::path::{Path, PathBuf};

use super::proc_mount::read_if_there;
use super::proc_text;

/// The control groups that limit one process' CPU, innermost first; none of them has to have a quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuGroups {
    version: Version,
    dirs: Vec<PathBuf>,
}

/// `cpu.stat`: counters since the group was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuCounters {
    /// periods in which the quota was watched
    pub periods: u64,
    /// periods in which processes had to wait for the next one
    pub throttled: u64,
    /// time that they waited, microseconds, all of them together
    pub throttled_us: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl CpuGroups {
    /// The groups of a process.
    ///
    /// Errors: the process has ended, or no hierarchy with a CPU controller is mounted (`NotFound`).
    pub fn read_of(pid: u32) -> io::Result<Self> {
        let groups = proc_text::read(format!("/proc/{pid}/cgroup"))?;
        let mounts = proc_text::read("/proc/self/mounts")?;
        let found = parse_groups(&groups, &mounts).into_iter().find(CpuGroups::is_readable);
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no CPU controller is mounted below /sys/fs/cgroup"))
    }

    fn is_readable(&self) -> bool {
        self.dirs.iter().any(|dir| dir.join("cpu.stat").exists())
    }

    /// The tightest quota, cores; none where no group has one.
    ///
    /// Errors: a quota file could not be read or understood. A missing one is no quota (the root group has none).
    pub fn read_quota_cores(&self) -> io::Result<Option<f64>> {
        let mut tightest: Option<f64> = None;
        for dir in &self.dirs {
            let cores = match self.version {
                Version::V2 => read_if_there(&dir.join("cpu.max"))?.map(|text| parse_cpu_max(&text)).transpose()?.flatten(),
                Version::V1 => {
                    let quota = read_if_there(&dir.join("cpu.cfs_quota_us"))?;
                    let period = read_if_there(&dir.join("cpu.cfs_period_us"))?;
                    quota.zip(period).map(|(q, p)| parse_cfs(&q, &p)).transpose()?.flatten()
                }
            };
            tightest = tightest.into_iter().chain(cores).reduce(f64::min);
        }
        Ok(tightest)
    }

    /// Periods and throttling of all the groups together, since they were made.
    ///
    /// Errors: a `cpu.stat` could not be read or understood.
    pub fn read_counters(&self) -> io::Result<CpuCounters> {
        let mut sum = CpuCounters::default();
        for dir in &self.dirs {
            let Some(text) = read_if_there(&dir.join("cpu.stat"))? else { continue };
            let one = parse_cpu_stat(&text)?;
            sum.periods += one.periods;
            sum.throttled += one.throttled;
            sum.throttled_us += one.throttled_us;
        }
        Ok(sum)
    }
}

/// Candidates, the v1 CPU hierarchy first: where it is mounted, v2 has no CPU controller (hybrid mode).
fn parse_groups(groups: &str, mounts: &str) -> Vec<CpuGroups> {
    let mut found = Vec::new();
    for (version, kind) in [(Version::V1, "cgroup"), (Version::V2, "cgroup2")] {
        let mount = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ');
            let (dir, fs, options) = (fields.nth(1)?, fields.next()?, fields.next()?);
            (fs == kind && (version == Version::V2 || options.split(',').any(|o| o == "cpu"))).then_some(dir)
        });
        let group = groups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let wanted = match version {
                Version::V1 => controllers.split(',').any(|c| c == "cpu"),
                Version::V2 => controllers.is_empty(),
            };
            wanted.then_some(path)
        });
        if let Some((mount, group)) = mount.zip(group) {
            found.push(CpuGroups { version, dirs: ancestors(Path::new(mount), group) });
        }
    }
    found
}

/// The group's directory and those above it, the mount point last. A path outside the own cgroup namespace begins with
/// `..`: then only the mount point can be read.
fn ancestors(mount: &Path, group: &str) -> Vec<PathBuf> {
    let group = group.trim_matches('/');
    let mut dirs = Vec::new();
    if !group.starts_with("..") {
        let mut at = group;
        while !at.is_empty() {
            dirs.push(mount.join(at));
            at = at.rsplit_once('/').map_or("", |(above, _)| above);
        }
    }
    dirs.push(mount.to_owned());
    dirs
}

/// `max 100000` or `20000 100000`: quota and period, microseconds. Cores.
fn parse_cpu_max(text: &str) -> io::Result<Option<f64>> {
    let mut words = text.split_whitespace();
    match (words.next(), words.next().and_then(|p| p.parse::<f64>().ok())) {
        (Some("max"), _) => Ok(None),
        (Some(quota), Some(period)) if period > 0.0 => {
            quota.parse::<f64>().map(|q| Some(q / period)).map_err(|_| not_understood("cpu.max", text))
        }
        _ => Err(not_understood("cpu.max", text)),
    }
}

/// Quota (-1: none) and period, microseconds. Cores.
fn parse_cfs(quota: &str, period: &str) -> io::Result<Option<f64>> {
    match (quota.trim().parse::<f64>(), period.trim().parse::<f64>()) {
        (Ok(quota), Ok(_)) if quota < 0.0 => Ok(None),
        (Ok(quota), Ok(period)) if period > 0.0 => Ok(Some(quota / period)),
        _ => Err(not_understood("cpu.cfs_quota_us", quota)),
    }
}

/// `nr_periods`, `nr_throttled` and `throttled_usec` (v2) or `throttled_time`, nanoseconds (v1). A group without a quota
/// has only other lines in v2.
fn parse_cpu_stat(text: &str) -> io::Result<CpuCounters> {
    let mut stat = CpuCounters::default();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(' ') else { continue };
        let Ok(value) = value.trim().parse::<u64>() else { return Err(not_understood("cpu.stat", line)) };
        match key {
            "nr_periods" => stat.periods = value,
            "nr_throttled" => stat.throttled = value,
            "throttled_usec" => stat.throttled_us = value,
            "throttled_time" => stat.throttled_us = value / 1000,
            _ => {}
        }
    }
    Ok(stat)
}

fn not_understood(file: &str, text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{file}: {:?} is not understood", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n\
                          cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0\n\
                          cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";

    #[test]
    fn the_groups_of_a_process_are_found_in_both_versions() {
        let groups = "4:cpuset:/\n2:cpu,cpuacct:/a/b\n0::/user.slice\n";
        let found = parse_groups(groups, HYBRID);
        let v1 = ["/sys/fs/cgroup/cpu,cpuacct/a/b", "/sys/fs/cgroup/cpu,cpuacct/a", "/sys/fs/cgroup/cpu,cpuacct"];
        assert_eq!(found[0], CpuGroups { version: Version::V1, dirs: v1.map(PathBuf::from).to_vec() });
        let v2 = ["/sys/fs/cgroup/unified/user.slice", "/sys/fs/cgroup/unified"];
        assert_eq!(found[1], CpuGroups { version: Version::V2, dirs: v2.map(PathBuf::from).to_vec() });
    }

    #[test]
    fn a_group_outside_the_own_namespace_leaves_the_mount_point() {
        let found = parse_groups("0::/../other\n", "cgroup2 /sys/fs/cgroup cgroup2 ro 0 0\n");
        assert_eq!(found[0].dirs, [PathBuf::from("/sys/fs/cgroup")]);
        assert_eq!(parse_groups("0::/\n", ""), [], "nothing is mounted");
    }

    #[test]
    fn quotas_and_throttling_are_read_in_both_versions() {
        assert_eq!(parse_cpu_max("max 100000\n").unwrap(), None);
        assert_eq!(parse_cpu_max("20000 100000\n").unwrap(), Some(0.2));
        assert_eq!(parse_cfs("-1\n", "100000\n").unwrap(), None);
        assert_eq!(parse_cfs("150000\n", "100000\n").unwrap(), Some(1.5));
        let v2 = "usage_usec 5\nnr_periods 40\nnr_throttled 7\nthrottled_usec 91000\n";
        assert_eq!(parse_cpu_stat(v2).unwrap(), CpuCounters { periods: 40, throttled: 7, throttled_us: 91_000 });
        let v1 = "nr_periods 40\nnr_throttled 7\nthrottled_time 91000500\n";
        assert_eq!(parse_cpu_stat(v1).unwrap(), CpuCounters { periods: 40, throttled: 7, throttled_us: 91_000 });
        for bad in ["", "max", "x 1", "1 0"] {
            assert!(parse_cpu_max(bad).is_err() || bad == "max", "{bad}");
        }
        assert!(parse_cpu_stat("nr_periods many\n").is_err());
    }

    #[test]
    fn this_process_is_in_a_group_or_the_reason_is_given() {
        match CpuGroups::read_of(std::process::id()) {
            Ok(groups) => {
                groups.read_quota_cores().expect("a quota or none");
                groups.read_counters().expect("counts");
            }
            Err(e) => assert_eq!(e.kind(), io::ErrorKind::NotFound, "{e}"),
        }
    }
}
