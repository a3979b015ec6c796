//! CPU and memory of processes and their threads, from /proc and the kernel's process clocks.
//!
//! Not here: who listens where ([`super::owner`]), and percentages over time (`observe`).

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::str::FromStr;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;

use super::proc_text;
use crate::model::facts::{ProcessUsage, ThreadUsage};

/// CPU (all threads, those that ended included) and resident memory of one process, without its children.
///
/// Sources: the process's CPU clock (clock_getcpuclockid(3), nanoseconds; /proc/PID/stat has only 10 ms) and
/// /proc/PID/statm. Errors: ESRCH or ENOENT when it is gone.
pub fn read_usage(pid: u32) -> io::Result<ProcessUsage> {
    let clock = if pid == std::process::id() {
        ClockId::CLOCK_PROCESS_CPUTIME_ID
    } else {
        clock_getcpuclockid(Pid::from_raw(pid.cast_signed())).map_err(io::Error::from)?
    };
    let cpu = clock.now().map_err(io::Error::from)?;
    let statm = proc_text::read(format!("/proc/{pid}/statm"))?;
    let pages = statm.split_whitespace().nth(1).and_then(|w| w.parse::<u64>().ok());
    let pages = pages.ok_or_else(|| unexpected(&format!("/proc/{pid}/statm")))?;
    let cpu_s = cpu.tv_sec() as f64 + cpu.tv_nsec() as f64 / 1e9;
    Ok(ProcessUsage { cpu_s, rss_bytes: pages * procfs::page_size() })
}

/// User CPU seconds of all threads of one process, proc_pid_stat(5) field 14, in steps of 10 ms.
///
/// Errors: it has ended, or is not readable.
pub fn read_user_s(pid: u32) -> io::Result<f64> {
    let ticks: u64 = Stat::read(pid)?.field(14).ok_or_else(|| unexpected(&format!("/proc/{pid}/stat")))?;
    Ok(ticks as f64 / procfs::ticks_per_second() as f64)
}

/// The file name of the program that a process executes, links resolved.
///
/// Errors: it has ended, or is another user's.
pub fn read_executable(pid: u32) -> io::Result<String> {
    let path = std::fs::read_link(format!("/proc/{pid}/exe"))?;
    Ok(path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default())
}

/// Whether a process is stopped: state `T` (a stop signal) or `t` (a debugger), proc_pid_stat(5).
///
/// Errors: it has ended, or is not readable.
pub fn read_is_stopped(pid: u32) -> io::Result<bool> {
    Ok(matches!(read_stat(pid)?.0, 'T' | 't'))
}

/// Whether a process exists and is no zombie.
pub(super) fn is_alive(pid: u32) -> bool {
    read_stat(pid).is_ok_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// The line of one process, proc_pid_stat(5).
pub(super) struct Stat(String);

impl Stat {
    /// Errors: it has ended, or is not readable.
    pub(super) fn read(pid: u32) -> io::Result<Self> {
        let mut bytes = [0; STAT_ROOM];
        let n = std::fs::File::open(format!("/proc/{pid}/stat"))?.read(&mut bytes)?;
        Ok(Self(String::from_utf8_lossy(&bytes[..n]).into_owned()))
    }

    /// A field by its number there, from 3 on; none where it is not there, or something else.
    pub(super) fn field<T: FromStr>(&self, number: usize) -> Option<T> {
        // The name in parentheses may contain anything, blanks and parentheses too; what follows has none.
        self.0.rsplit_once(')')?.1.split_ascii_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
    }

    fn state_and_parent(&self) -> Option<(char, u32)> {
        self.field(3).zip(self.field(4))
    }
}

/// State and parent of one process.
fn read_stat(pid: u32) -> io::Result<(char, u32)> {
    Stat::read(pid)?.state_and_parent().ok_or_else(|| unexpected(&format!("/proc/{pid}/stat")))
}

fn unexpected(file: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{file}: not the expected line"))
}

/// How a process has ended, as far as anybody but its parent sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessEnd {
    /// it runs, or is gone without a trace
    Unknown,
    /// `signal: 9 (SIGKILL)`, `exit status: 1`
    Ended(String),
    /// it has ended, and how is not for this user to see
    Hidden,
}

/// How a process has ended that nobody has waited for yet.
///
/// The kernel writes a code of 0 for every reader that it would not let look into the process (proc_pid_stat(5), field 52:
/// PTRACE_MODE_READ_FSCREDS), so 0 is believed only with that right.
pub fn read_end(pid: u32) -> ProcessEnd {
    let Ok(stat) = Stat::read(pid) else { return ProcessEnd::Unknown };
    // Of a main thread that ended before the others the process lives on.
    let ended = stat.field(3) == Some('Z') && stat.field(20).is_some_and(|threads: u32| threads <= 1);
    if ended { end_of(stat.field(52), may_look_into(pid)) } else { ProcessEnd::Unknown }
}

/// A zombie's exit code, as wait(2) has it, by what its reader may see.
fn end_of(code: Option<i32>, may_look: bool) -> ProcessEnd {
    match code {
        Some(code) if code != 0 || may_look => ProcessEnd::Ended(ExitStatus::from_raw(code).to_string()),
        _ => ProcessEnd::Hidden,
    }
}

/// Whether the kernel lets this process look into another one, zombies included: the links of namespaces(7) are read with the
/// same right as the hidden fields of proc_pid_stat(5). The user namespace is the one that a zombie still has.
fn may_look_into(pid: u32) -> bool {
    std::fs::read_link(format!("/proc/{pid}/ns/user")).is_ok()
}

/// Online cores that the main thread of a process may run on (sched_getaffinity(2)); of cores 0 to 1023.
///
/// Errors: it has ended, or a security module forbids it.
pub fn read_cores_allowed(pid: u32) -> io::Result<HashSet<u32>> {
    let set = sched_getaffinity(Pid::from_raw(pid.cast_signed()))?;
    Ok((0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).map(|core| core as u32).collect())
}

/// Whether an error of [`read_usage`] says that the process has ended.
pub fn is_gone(e: &io::Error) -> bool {
    use nix::libc::{ENOENT, ESRCH};
    matches!(e.raw_os_error(), Some(ENOENT | ESRCH))
}

/// The short name (comm, at most 15 bytes).
///
/// Errors: the process is gone.
pub fn read_name(pid: u32) -> io::Result<String> {
    Ok(proc_text::read(format!("/proc/{pid}/comm"))?.trim_end().to_owned())
}

/// The command line, word by word; the name where there is none.
///
/// Errors: the process is gone.
pub fn read_words(pid: u32) -> io::Result<Vec<String>> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline"))?;
    let words = bytes.split(|b| *b == 0).filter(|w| !w.is_empty()).map(|w| String::from_utf8_lossy(w).into_owned());
    let words: Vec<String> = words.collect();
    if words.is_empty() { Ok(vec![read_name(pid)?]) } else { Ok(words) }
}

/// `roots` and all their descendants that live now, each once, roots first. One pass over /proc.
///
/// Errors: /proc cannot be listed.
pub fn read_tree(roots: &[u32]) -> io::Result<Vec<u32>> {
    let parents = read_parents()?;
    let mut tree: Vec<u32> = roots.to_vec();
    let mut at = 0;
    while at < tree.len() {
        for (pid, parent) in &parents {
            if *parent == tree[at] && !tree.contains(pid) {
                tree.push(*pid);
            }
        }
        at += 1;
    }
    Ok(tree)
}

/// The same without this process and its children: who starts a watcher or a load client is not watched with it.
///
/// Errors: /proc cannot be listed.
pub fn read_tree_of_others(roots: &[u32]) -> io::Result<Vec<u32>> {
    let mut tree = read_tree(roots)?;
    if tree.contains(&std::process::id()) {
        let own = read_tree(&[std::process::id()])?;
        tree.retain(|pid| !own.contains(pid));
    }
    Ok(tree)
}

/// Parent of every process, as (pid, parent). A process that ends meanwhile is left out.
pub fn read_parents() -> io::Result<Vec<(u32, u32)>> {
    Ok(read_pids()?.into_iter().filter_map(|pid| Some((pid, read_stat(pid).ok()?.1))).collect())
}

/// Parent of one process. Errors: it has ended.
pub(super) fn read_parent(pid: u32) -> io::Result<u32> {
    Ok(read_stat(pid)?.1)
}

/// Every process that is to be seen.
pub(super) fn read_pids() -> io::Result<Vec<u32>> {
    let entries = std::fs::read_dir("/proc")?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// A name has 64 bytes at the most (kernel threads), each of the 51 numbers 20 and a blank.
const STAT_ROOM: usize = 2048;
/// Three decimal numbers of 64 bits, two blanks and a line end fit.
const SCHEDSTAT_ROOM: usize = 64;

/// Reads threads again and again; keeps their names, which do not change in what is measured here.
#[derive(Debug, Default)]
pub struct ThreadReader {
    names: HashMap<i32, String>,
    path: String,
}

impl ThreadReader {
    /// CPU and run-queue wait of every thread of `pid` (/proc/PID/task/TID/schedstat: nanoseconds on a CPU,
    /// nanoseconds runnable but waiting). A thread that ends meanwhile is left out.
    ///
    /// Errors: the process is gone, or the kernel has no schedstat (CONFIG_SCHED_INFO).
    pub fn read(&mut self, pid: u32) -> io::Result<Vec<ThreadUsage>> {
        let mut threads = Vec::new();
        let mut failure = None;
        for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            let Some(tid) = entry?.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
            match self.read_one(pid, tid) {
                Ok(thread) => threads.push(thread),
                Err(e) => failure = Some(e),
            }
        }
        match failure {
            Some(e) if threads.is_empty() => Err(e),
            _ => Ok(threads),
        }
    }

    /// Forgets the names of all threads but those that are `alive`.
    pub fn forget_but(&mut self, alive: impl Fn(i32) -> bool) {
        self.names.retain(|tid, _| alive(*tid));
    }

    fn read_one(&mut self, pid: u32, tid: i32) -> io::Result<ThreadUsage> {
        self.path.clear();
        let _ = write!(self.path, "/proc/{pid}/task/{tid}/schedstat");
        // One read takes the whole line; reading on to its end would double the calls of a thousand threads.
        let mut room = [0; SCHEDSTAT_ROOM];
        let n = std::fs::File::open(&self.path)?.read(&mut room)?;
        let figures = std::str::from_utf8(&room[..n]).ok().and_then(parse_schedstat);
        let (cpu_s, wait_s) = figures.ok_or_else(|| unexpected("schedstat"))?;
        let name = if let Some(name) = self.names.get(&tid) {
            name.clone()
        } else {
            let name = proc_text::read(format!("/proc/{pid}/task/{tid}/comm"))?.trim_end().to_owned();
            // A thread names itself after its start: until then it bears its parent's name, which is not kept.
            if tid == pid.cast_signed() || self.names.get(&pid.cast_signed()).is_some_and(|parent| *parent != name) {
                self.names.insert(tid, name.clone());
            }
            name
        };
        Ok(ThreadUsage { tid, name, cpu_s, wait_s })
    }
}

/// `ON_CPU_NS WAIT_NS SLICES` (Documentation/scheduler/sched-stats.rst).
fn parse_schedstat(text: &str) -> Option<(f64, f64)> {
    let mut words = text.split_whitespace().map(str::parse::<u64>);
    let (cpu, wait) = (words.next()?.ok()?, words.next()?.ok()?);
    Some((cpu as f64 / 1e9, wait as f64 / 1e9))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::Clock;
    use crate::sys::thread::cpu_time;
    use std::time::Duration;

    /// Uses so much CPU time, whatever a hypervisor takes away meanwhile; for ten seconds at most. What the thread has used by then.
    fn burn(ms: u64) -> Duration {
        let (clock, enough) = (Clock::start(), cpu_time().unwrap() + Duration::from_millis(ms));
        while cpu_time().unwrap() < enough {
            assert!(clock.now() < crate::model::time::Stamp::from_millis(10_000), "no CPU");
        }
        cpu_time().unwrap()
    }

    #[test]
    fn own_usage_grows_with_work_and_memory_is_resident() {
        let before = read_usage(std::process::id()).unwrap();
        burn(50);
        let after = read_usage(std::process::id()).unwrap();
        assert!(after.cpu_s > before.cpu_s, "{before:?} {after:?}");
        assert!(after.rss_bytes > 100_000);
    }

    #[test]
    fn a_named_thread_is_found_with_its_own_time() {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("burner".into())
            .spawn(move || {
                ready.send(burn(30)).unwrap();
                let _ = stopped.recv();
            })
            .unwrap();
        let used = is_ready.recv().unwrap();
        let threads = ThreadReader::default().read(std::process::id()).unwrap();
        let burner = threads.iter().find(|t| t.name == "burner").unwrap();
        assert!(burner.cpu_s >= used.as_secs_f64() - 1e-6, "{used:?} {burner:?}");
        drop(stop);
        thread.join().unwrap();
    }

    #[test]
    fn a_process_that_is_gone_is_an_error_and_schedstat_is_read_whole() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert!(read_usage(pid).is_err());
        assert!(ThreadReader::default().read(pid).is_err());
        assert_eq!(parse_schedstat("2000000000 500000000 7\n"), Some((2.0, 0.5)));
        assert_eq!(parse_schedstat("7\n"), None);
        let stat = |line: &str| Stat(line.into());
        assert_eq!(stat("42 (a (b) S 1) T 7 42 42 0 -1").state_and_parent(), Some(('T', 7)));
        assert_eq!(stat("42 (a (b) S 1) T 7 42 42 0 -1\n").field::<i32>(8), Some(-1));
        assert_eq!((stat("42 (x) S").state_and_parent(), stat("42").field::<u32>(1)), (None, None));
    }

    #[test]
    fn the_end_of_a_child_is_seen_until_it_is_waited_for() {
        for (script, end) in
            [("kill -KILL $$", "signal: 9 (SIGKILL)"), ("exit 3", "exit status: 3"), ("exit 0", "exit status: 0")]
        {
            let mut child = std::process::Command::new("sh")
                .args(["-c", &format!("read x; {script}")])
                .stdin(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let pid = child.id();
            assert_eq!(read_end(pid), ProcessEnd::Unknown, "it runs");
            drop(child.stdin.take());
            while read_end(pid) == ProcessEnd::Unknown {
                crate::sys::clock::sleep(std::time::Duration::from_millis(1));
            }
            assert_eq!(read_end(pid), ProcessEnd::Ended(end.into()));
            child.wait().unwrap();
            assert_eq!(read_end(pid), ProcessEnd::Unknown, "nobody knows any more");
        }
    }

    /// proc_pid_stat(5): the field reads as 0 for whoever may not look into the process.
    #[test]
    fn a_code_of_zero_is_believed_only_by_who_may_see_another_one() {
        assert_eq!(end_of(Some(0), false), ProcessEnd::Hidden);
        assert_eq!(end_of(None, true), ProcessEnd::Hidden, "a kernel without the field");
        assert_eq!(end_of(Some(0), true), ProcessEnd::Ended("exit status: 0".into()));
        assert_eq!(end_of(Some(0x300), false), ProcessEnd::Ended("exit status: 3".into()), "no kernel hides it as that");
        assert!(may_look_into(std::process::id()) && !may_look_into(u32::MAX >> 1));
    }

    #[test]
    fn a_child_is_in_the_tree_of_its_parent() {
        let mut child = std::process::Command::new("sleep").arg("5").spawn().unwrap();
        let tree = read_tree(&[std::process::id()]).unwrap();
        assert_eq!(tree[0], std::process::id());
        assert!(tree.contains(&child.id()));
        let usage = read_usage(child.id()).unwrap();
        assert!(usage.cpu_s < 1.0 && usage.rss_bytes > 0, "another process's clock is readable: {usage:?}");
        let parent = std::os::unix::process::parent_id();
        let others = read_tree_of_others(&[parent]).unwrap();
        assert!(others[0] == parent && !others.contains(&std::process::id()) && !others.contains(&child.id()), "{others:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
