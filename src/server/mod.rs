//! The server: mio reactors around a pure connection machine, two fixed pools, counters and an admin port.
//!
//! `buffers`, `conn`, `counters` and `route` are pure; `reactor`, `pools`, `work` and `admin` are their
//! hands. [`Server::bind`] makes everything that can fail, [`Server::run_alone`] serves until [`Handle::stop`] and a drain.

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::{Poll, Waker};

mod admin;
mod buffers;
pub mod conn;
pub mod counters;
mod exposition;
mod places;
pub mod pools;
mod reactor;
pub mod route;
pub mod shortage;
mod slot;
pub mod work;

use self::admin::Admin;
use self::conn::{Job, Rules};
use self::counters::Counters;
pub use self::counters::Summary;
use self::places::Room;
use self::pools::{Gauge, Mailbox, Pin, PoolSpec, WorkerPool};
use self::reactor::{Parts, Reactor};
use crate::http1::encode::JobBody;
use crate::model::plan::{Pinning, ServerPlan};
use crate::sys::clock::{self, Clock};
use crate::sys::listen::{ListenSpec, adopt, listen};
use crate::sys::thread;

/// What all threads of a server see.
#[derive(Debug)]
struct Shared {
    stopping: AtomicBool,
    room: Room,
    mailboxes: Arc<[Mailbox]>,
    counters: Vec<Counters>,
    gauges: [Arc<Gauge>; 2],
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// an address cannot be listened on
    #[error("listen on {addr}: {source}")]
    Listen {
        /// the address
        addr: SocketAddr,
        /// bind(2)'s or listen(2)'s error
        source: io::Error,
    },
    /// a poll, a thread or a clock
    #[error("start the server: {0}")]
    Setup(#[from] io::Error),
}

/// Stops a server from anywhere: the first call begins the drain.
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// Begins the drain; further calls change nothing.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.mailboxes.iter().for_each(Mailbox::wake);
    }

    /// Wakes every event loop; how often each has woken up before.
    pub fn wake(&self) -> Vec<u64> {
        let before = self.shared.mailboxes.iter().map(Mailbox::times_woken).collect();
        self.shared.mailboxes.iter().for_each(Mailbox::wake);
        before
    }

    /// Whether every event loop has turned since [`Self::wake`]. One that drains has a deadline of its own.
    pub fn has_turned_since(&self, before: &[u64]) -> bool {
        self.shared.is_stopping() || self.shared.mailboxes.iter().zip(before).all(|(m, before)| m.times_woken() > *before)
    }

    /// Pauses of accept(2) so far, and the errno of one of the latest.
    pub fn accept_pauses(&self) -> (u64, i32) {
        let pauses = self.shared.counters.iter().map(|c| c.accept_pauses.get()).sum();
        (pauses, self.shared.counters.iter().find_map(Counters::accept_errno).unwrap_or(0))
    }

    /// What was counted so far.
    pub fn summary(&self) -> Summary {
        Summary::of(&self.shared.counters)
    }
}

/// A server that listens already.
#[derive(Debug)]
pub struct Server {
    addrs: Vec<SocketAddr>,
    admin: Option<Admin>,
    iterations: u64,
    pins: Vec<Pin>,
    shared: Arc<Shared>,
    reactors: Vec<Reactor>,
}

impl Server {
    /// Calibrates `/cpu`, starts the pools and binds. From here on the kernel accepts for us; [`Server::run`] answers. Sockets that
    /// listen already, `given`, take the place of the plan's addresses.
    ///
    /// Errors: an address is in use or not of this host; descriptors or threads ran out.
    pub fn bind(plan: &ServerPlan, given: &[std::net::TcpListener]) -> Result<Self, BindError> {
        let clock = Clock::start();
        let allowed = thread::cores();
        // Sockets that others opened take connections of any core.
        let pin = if given.is_empty() { plan.pin } else { Pinning::Off };
        let cores: Vec<Option<usize>> = (0..plan.reactors.max(1)).map(|i| pin.core(i, &allowed)).collect();
        let iterations = work::iterations(plan.cpu_work)?;
        let count = cores.len();
        let (addrs, mut sockets) = if given.is_empty() { bind_all(plan, &cores)? } else { share(given, count)? };
        let mut polls = Vec::new();
        let mut mailboxes = Vec::new();
        // All that can be under way at once, so that no worker ever waits to put a result down.
        let in_flight = [plan.queue, plan.queue, plan.io_workers, plan.cpu_workers].into_iter().fold(0, usize::saturating_add);
        for _ in 0..count {
            let poll = Poll::new()?;
            let (mailbox, results) = Mailbox::new(Waker::new(poll.registry(), reactor::WAKER)?, in_flight, plan.max_conns);
            mailboxes.push(mailbox);
            polls.push((poll, results));
        }
        let mailboxes: Arc<[Mailbox]> = mailboxes.into();
        let default_sleep = plan.io_sleep;
        let io = PoolSpec {
            name: "io",
            workers: plan.io_workers,
            queue: plan.queue,
            pin: false,
            work: Arc::new(move |task| {
                let asked = if let Job::Io(Some(asked)) = task.job { asked } else { default_sleep };
                clock::sleep(asked);
                JobBody::Io
            }),
        };
        let cpu = PoolSpec {
            name: "cpu",
            workers: plan.cpu_workers,
            queue: plan.queue,
            pin: plan.cpu_pin,
            work: Arc::new(move |task| JobBody::Cpu(work::cpu_loop(iterations, task.token.bits() as u64))),
        };
        let (io, _) = WorkerPool::start(&io, clock, &mailboxes)?;
        let (cpu, pins) = WorkerPool::start(&cpu, clock, &mailboxes)?;
        let shared = Arc::new(Shared {
            stopping: AtomicBool::new(false),
            room: Room::new(plan.max_conns),
            mailboxes,
            counters: (0..count).map(|_| Counters::default()).collect(),
            gauges: [Arc::clone(&io.gauge), Arc::clone(&cpu.gauge)],
        });
        let mut reactors = Vec::new();
        for (number, (poll, results)) in polls.into_iter().enumerate() {
            reactors.push(Reactor::new(Parts {
                number,
                clock,
                poll,
                shared: Arc::clone(&shared),
                rules: Rules::from(plan),
                io: io.clone(),
                cpu: cpu.clone(),
                results,
                listeners: sockets.remove(0),
                drain_timeout: plan.drain_timeout,
                core: cores[number],
                busy_poll: plan.busy_poll,
            })?);
        }
        let admin = plan.admin.map(|addr| Admin::bind(addr, &shared)).transpose()?;
        Ok(Self { addrs, admin, iterations, pins, shared, reactors })
    }

    /// The addresses bound, in the plan's order.
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// The admin address bound.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Admin::addr)
    }

    /// Iterations of one `/cpu` job.
    pub fn cpu_iterations(&self) -> u64 {
        self.iterations
    }

    /// Which cores the CPU workers got; empty when they are not pinned.
    pub fn pins(&self) -> &[Pin] {
        &self.pins
    }

    /// To stop it with, from any thread.
    pub fn handle(&self) -> Handle {
        Handle { shared: Arc::clone(&self.shared) }
    }

    /// Serves until it is stopped and drained, on threads of its own. What was counted.
    ///
    /// Errors: a thread could not be started, or epoll_wait(2) failed.
    pub fn run(self) -> io::Result<Summary> {
        let handle = self.handle();
        let admin = self.admin.map(Admin::start).transpose()?;
        let result = on_threads(self.reactors);
        drop(admin);
        result.map(|()| handle.summary())
    }

    /// The same in a process that does nothing else: a single event loop runs on the calling thread, with a table of
    /// descriptors of its own ([`thread::split_descriptor_table`]). `on_refused`: where it has to share the table.
    pub fn run_alone(mut self, on_refused: impl FnOnce(nix::Error)) -> io::Result<Summary> {
        if self.reactors.len() != 1 {
            return self.run();
        }
        let (handle, reactor, admin) = (self.handle(), self.reactors.remove(0), self.admin.take());
        // A scrape that came before would stay open in the loop's table.
        let start = move || admin.map(Admin::start).transpose();
        let (admin, split) = thread::split_descriptor_table(reactor.descriptors(), start)?;
        let admin = admin?;
        split.unwrap_or_else(on_refused);
        let result = catch_unwind(AssertUnwindSafe(|| reactor.run())).unwrap_or_else(|_| Err(panicked()));
        drop(admin);
        result.map(|()| handle.summary())
    }
}

fn on_threads(reactors: Vec<Reactor>) -> io::Result<()> {
    let mut threads = Vec::new();
    for (i, reactor) in reactors.into_iter().enumerate() {
        threads.push(thread::giving(&format!("reactor-{i}"), move || reactor.run())?);
    }
    // All of them end, also where one has failed.
    let mut result = Ok(());
    for thread in threads {
        result = result.and(thread.join().unwrap_or_else(|| Err(panicked())));
    }
    result
}

fn panicked() -> io::Error {
    io::Error::other("a reactor panicked")
}

/// The addresses bound, and one set of listeners per reactor.
type Bound = (Vec<SocketAddr>, Vec<Vec<mio::net::TcpListener>>);

/// The same listeners for each reactor.
fn share(given: &[std::net::TcpListener], reactors: usize) -> Result<Bound, BindError> {
    let addrs = given.iter().map(std::net::TcpListener::local_addr).collect::<io::Result<_>>()?;
    let set = || given.iter().map(|socket| adopt(socket.try_clone()?)).collect::<io::Result<_>>();
    Ok((addrs, (0..reactors).map(|_| set()).collect::<io::Result<_>>()?))
}

/// One set for each event loop, which runs on the core named.
fn bind_all(plan: &ServerPlan, cores: &[Option<usize>]) -> Result<Bound, BindError> {
    let mut addrs = Vec::new();
    let mut sets: Vec<Vec<_>> = cores.iter().map(|_| Vec::new()).collect();
    for &asked in &plan.listen {
        let fail = |source| BindError::Listen { addr: asked, source };
        let spec = ListenSpec { addr: asked, backlog: plan.backlog, reuse_port: cores.len() > 1, core: None };
        if spec.reuse_port {
            // Shared ports would be shared with a stranger's server of the same user, too: it must be free first.
            drop(listen(ListenSpec { reuse_port: false, ..spec }).map_err(fail)?);
        }
        let mut addr = asked;
        for (set, core) in sets.iter_mut().zip(cores) {
            let socket = listen(ListenSpec { addr, core: *core, ..spec }).map_err(fail)?;
            addr = socket.local_addr()?;
            set.push(socket);
        }
        addrs.push(addr);
    }
    Ok((addrs, sets))
}
