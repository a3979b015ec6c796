//! Looks at a command of somebody else's: its processes, its sockets, the servers that it talks to on this host.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;

use super::interpreters::{Interpreters, busiest};
use super::meters::{NoTarget, TargetMeter};
use super::sockets_look::{SocketsLook, SocketsLooker};
use crate::model::facts::Fact;
use crate::model::result::Throttling;
use crate::model::time::Stamp;
use crate::sys::clock::Clock;
use crate::sys::host::HostMeter;
use crate::sys::sysctl::read_sysctls;
use crate::sys::{command, descriptors, owner, proc_net, process, sock_diag, socket};
use crate::watch::{Look, PortsNow, ServerLook, TreeLook};

/// A destination whose listener has no visible owner is looked for this often.
const TRIES: u32 = 5;

/// Whom to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// the children of this process: a command that it started, and what that left behind
    Children,
    /// a process that runs already, and its descendants
    Tree(u32),
}

/// Open ones, and their limit.
type Descriptors = (u32, Option<u64>);

#[derive(Debug)]
enum Server {
    Found(Box<(TargetMeter, Interpreters)>),
    Unseen { tries: u32 },
}

/// Looks again and again.
#[derive(Debug)]
pub struct Looker {
    whom: Whom,
    clock: Clock,
    sockets: Result<SocketsLooker, String>,
    meter: Option<TargetMeter>,
    interpreters: Interpreters,
    servers: HashMap<SocketAddr, Server>,
    host: HostMeter,
    started: Option<Stamp>,
    /// processes were seen that serve no destination
    had_clients: bool,
}

impl Looker {
    /// Before the command starts.
    pub fn new(whom: Whom, clock: Clock) -> Self {
        Self {
            whom,
            sockets: SocketsLooker::open().map_err(|e| format!("sock_diag: {e}")),
            meter: None,
            interpreters: Interpreters::default(),
            servers: HashMap::new(),
            host: HostMeter::start(clock.now()),
            started: None,
            had_clients: false,
            clock,
        }
    }

    /// Looks now. `destinations` are those whose listeners matter. About 10 ms of CPU with 28,000 in TIME_WAIT.
    pub fn look(&mut self, destinations: &[SocketAddr]) -> Look {
        let now = self.clock.now();
        let (sysctls, _) = read_sysctls();
        let pids = self.read_pids();
        let (inodes, fds) = Self::read_descriptors(&pids);
        let (sockets, missing) = match &mut self.sockets {
            Ok(looker) => match looker.look(&inodes, &sysctls, self.clock) {
                Ok(look) => (look, None),
                Err(e) => (SocketsLook::default(), Some(format!("sock_diag: {e}"))),
            },
            Err(e) => (SocketsLook::default(), Some(e.clone())),
        };
        let servers = destinations.iter().filter_map(|dest| Some((*dest, self.read_server(*dest, &sockets, now)?))).collect();
        let tree = self.read_tree(pids, fds, now);
        Look {
            at_s: self.started.map_or(0.0, |started| now.since(started).as_secs_f64()),
            sockets_missing: missing,
            towards: sockets.towards,
            pool: sockets.pool,
            counters: proc_net::read_counters().ok(),
            tree,
            servers,
            host_cpu_percent: self.host.read(now).known().map(|usage| usage.cpu_percent),
            sysctls,
        }
    }

    /// The command starts now: looks count from here.
    pub fn start(&mut self) {
        self.started = Some(self.clock.now());
    }

    /// All processes that live now.
    pub fn read_all(&self) -> Vec<u32> {
        let roots = match self.whom {
            Whom::Children => command::read_children().unwrap_or_default(),
            Whom::Tree(pid) => vec![pid],
        };
        process::read_tree_of_others(&roots).unwrap_or(roots).into_iter().filter(|pid| is_alive(*pid)).collect()
    }

    /// The same, those that serve a destination excepted: a command that is nothing but its own server is all there is.
    pub fn read_pids(&self) -> Vec<u32> {
        let tree = self.read_all();
        let clients: Vec<u32> = tree.iter().copied().filter(|pid| !self.serves(*pid)).collect();
        if clients.is_empty() && !self.had_clients { tree } else { clients }
    }

    fn serves(&self, pid: u32) -> bool {
        self.servers.values().any(|s| matches!(s, Server::Found(m) if m.0.tree.contains(&pid)))
    }

    /// What a CPU quota did to the command so far; none where none is in force.
    pub fn throttling(&self) -> Option<Throttling> {
        self.meter.as_ref()?.quota.read()
    }

    fn read_tree(&mut self, pids: Vec<u32>, fds: Option<Descriptors>, now: Stamp) -> TreeLook {
        let count = pids.len() as u32;
        self.had_clients |= pids.iter().any(|pid| !self.serves(*pid));
        let Some(first) = pids.first().copied() else { return TreeLook::default() };
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        if self.meter.is_none() {
            self.meter = TargetMeter::find(nowhere, Some(first), now).ok();
        }
        let in_turn = self.interpreters.read(&pids, now);
        let usage = self.meter.as_mut().and_then(|meter| meter.read_of(pids, now).known().copied());
        let threads = usage.and_then(|u| u.threads);
        let (ran, waited) = threads.map(|t| busiest(t, in_turn)).unzip();
        TreeLook {
            count,
            cpu_percent: usage.map(|u| u.cpu_percent),
            ran,
            busiest_waited: waited,
            waited: threads.map(|t| t.waited_most),
            rss_bytes: usage.map(|u| u.rss_bytes),
            descriptors: fds,
        }
    }

    /// The sockets of all `pids`, and the descriptors of the one that is nearest to its limit.
    fn read_descriptors(pids: &[u32]) -> (HashSet<u32>, Option<Descriptors>) {
        let mut inodes = HashSet::new();
        let mut nearest: Option<Descriptors> = None;
        let share = |(count, limit): Descriptors| f64::from(count) / limit.unwrap_or(u64::MAX) as f64;
        for pid in pids {
            let Ok(open) = descriptors::read_open(*pid) else { continue };
            // Read each time: a shell lowers it before it becomes the command.
            let Ok(limit) = descriptors::read_limit(*pid) else { continue };
            let now = (open.count, limit);
            if nearest.is_none_or(|n| share(now) > share(n)) {
                nearest = Some(now);
            }
            inodes.extend(open.sockets);
        }
        (inodes, nearest)
    }

    /// Who listens at `dest`; none where it is not on this host.
    fn read_server(&mut self, dest: SocketAddr, sockets: &SocketsLook, now: Stamp) -> Option<ServerLook> {
        let queue = owner::queue_at(dest, &sockets.listeners);
        let server = self.servers.entry(dest).or_insert(Server::Unseen { tries: 0 });
        if let Server::Unseen { tries } = server {
            if queue.is_none() {
                // Nobody listens there: of this host that is known, of another one nothing is.
                return socket::is_own_address(dest.ip()).then(ServerLook::default);
            }
            if *tries < TRIES {
                *tries += 1;
                match TargetMeter::find(dest, None, now) {
                    Ok(meter) => *server = Server::Found(Box::new((meter, Interpreters::default()))),
                    Err(NoTarget::Never(_)) => *tries = TRIES,
                    Err(NoTarget::NotYet(_)) => {}
                }
            }
        }
        let Server::Found(found) = server else { return Some(ServerLook { queue, ..ServerLook::default() }) };
        let (meter, interpreters) = &mut **found;
        let usage = match meter.read(now) {
            Fact::Known(usage) => Some(usage),
            Fact::Unavailable(_) => None,
        };
        let in_turn = interpreters.read(&meter.tree, now);
        let (ran, waited) = usage.and_then(|u| u.threads).map(|t| busiest(t, in_turn)).unzip();
        let open = descriptors::read_open(meter.pid).ok().map(|open| open.count);
        Some(ServerLook {
            pid: meter.pid,
            name: meter.name.clone(),
            cpu_percent: usage.map(|u| u.cpu_percent),
            ran,
            waited,
            queue,
            descriptors: open.map(|count| (count, descriptors::read_limit(meter.pid).ok().flatten())),
        })
    }
}

/// Looks at the source ports and the listeners of the whole network namespace.
#[derive(Debug)]
pub struct PortsLooker {
    sockets: SocketsLooker,
    clock: Clock,
}

impl PortsLooker {
    /// Errors: no sock_diag.
    pub fn open(clock: Clock) -> io::Result<Self> {
        Ok(Self { sockets: SocketsLooker::open()?, clock })
    }

    /// Looks now, in one dump.
    ///
    /// Errors: the kernel's.
    pub fn look(&mut self) -> io::Result<PortsNow> {
        let (sysctls, _) = read_sysctls();
        let look = self.sockets.look(&HashSet::new(), &sysctls, self.clock)?;
        Ok(PortsNow { towards: look.towards, pool: look.pool, listeners: look.listeners, sysctls })
    }
}

/// Whether a process listens: a server that the command started, not a load.
pub fn listens(pid: u32) -> bool {
    let inodes = descriptors::read_open(pid).map(|open| open.sockets).unwrap_or_default();
    !inodes.is_empty() && sock_diag::listening_inodes().is_ok_and(|all| inodes.iter().any(|i| all.contains(i)))
}

/// Whether a process runs: a zombie does not.
pub fn is_alive(pid: u32) -> bool {
    process::read_usage(pid).is_ok_and(|usage| usage.rss_bytes > 0)
}
