//! The thread that speaks with the master: a socket, and the machine that decides ([`crate::dist::locust::worker`]). It has no
//! part in the load, so that no load delays a heartbeat.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use crate::dist::locust::act::{Do, Leave, Usage};
use crate::dist::locust::message::{self, Spawn};
use crate::dist::locust::worker::Worker;
use crate::dist::zmtp::{Dealer, Event};
use crate::load::steering::Steering;
use crate::model::time::Stamp;
use crate::stats::interval::Interval;
use crate::sys::clock::{self, Clock};
use crate::sys::host;
use crate::sys::process::{self, ThreadReader};
use crate::sys::signals::StopFlag;
use crate::sys::socket::connect_any;

/// How long one turn waits for the master.
const TURN: Duration = Duration::from_millis(20);
/// How long a connect, or a write to a master that takes nothing, may last.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a peer may take for its greeting.
const GREETING: Duration = Duration::from_secs(5);
/// Bytes of one read.
const READ_BYTES: usize = 8 * 1024;

/// A run that has begun.
pub(super) struct Run {
    pub(super) steering: Arc<Steering>,
    /// in the order of the steering
    pub(super) classes: Vec<String>,
    pub(super) method: String,
    pub(super) paths: Vec<String>,
    /// Unix time, seconds
    pub(super) started: f64,
}

/// What the runs report.
pub(super) enum News {
    Begun(Run),
    Failed(String),
    Second(Box<Interval>),
    Over,
}

/// See the module.
pub(super) struct Link {
    master: (String, u16),
    clock: Clock,
    stop: StopFlag,
    orders: Sender<Spawn>,
    news: Receiver<News>,
    cut_at: Arc<AtomicU64>,
    machine: Worker,
    connection: Option<(TcpStream, Dealer)>,
    reopen_at: Stamp,
    /// when the connection was made
    opened_at: Stamp,
    /// of the connections that failed, the reason that was said last
    said: String,
    run: Option<Run>,
    usage: OwnUsage,
}

impl Link {
    /// `orders` gets each test to run, `news` what becomes of it; `cut_at` is when a run that is ending is cut off.
    pub(super) fn new(
        master: (String, u16),
        clock: Clock,
        stop: StopFlag,
        orders: Sender<Spawn>,
        news: Receiver<News>,
        cut_at: Arc<AtomicU64>,
    ) -> Self {
        let host = host::read_name().ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "sockbench".to_owned());
        let machine = Worker::new(&host, fastrand::u128(..), clock.now());
        Self {
            master,
            clock,
            stop,
            orders,
            news,
            cut_at,
            machine,
            connection: None,
            reopen_at: Stamp::NEVER,
            opened_at: Stamp::ZERO,
            said: String::new(),
            run: None,
            usage: OwnUsage::default(),
        }
    }

    /// Until the machine leaves. Dropping the orders ends the runs' thread.
    pub(super) fn run(mut self) -> Leave {
        let mut is_told = false;
        loop {
            if let Some(leave) = self.carry_out() {
                return leave;
            }
            // What has come is read before the time is looked at: after a standstill the answers are there.
            self.read();
            while let Ok(news) = self.news.try_recv() {
                self.on_news(news);
            }
            let now = self.clock.now();
            if let Some(run) = &self.run {
                let at_work = run.classes.iter().enumerate().map(|(n, class)| (class.clone(), run.steering.at_work(n)));
                self.machine.on_users(at_work.collect());
            }
            if self.stop.is_set() && !std::mem::replace(&mut is_told, true) {
                self.machine.on_signal(now);
            }
            self.machine.on_tick(now, &mut || self.usage.read(now));
            if now >= self.reopen_at {
                self.open();
            }
        }
    }

    /// Does what the machine wants; why it leaves, if it does.
    fn carry_out(&mut self) -> Option<Leave> {
        for wanted in self.machine.take() {
            match wanted {
                Do::Send(message) => self.send(&message),
                Do::Begin(spawn) => {
                    let _ = self.orders.send(*spawn);
                }
                Do::Users(users) => {
                    let Some(run) = &self.run else { continue };
                    for (class, count) in users {
                        if let Some(n) = run.classes.iter().position(|known| *known == class) {
                            run.steering.set(n, count);
                        }
                    }
                }
                Do::End(grace) => {
                    self.cut_at.store(self.clock.now().plus(grace).0, Ordering::SeqCst);
                    if let Some(run) = &self.run {
                        run.steering.end();
                    }
                }
                Do::Reopen(after) => {
                    self.connection = None;
                    self.reopen_at = self.clock.now().plus(after);
                }
                Do::Tell(line) => super::super::tell_line(&format!("locust: {line}")),
                Do::Leave(leave) => return Some(leave),
            }
        }
        None
    }

    fn on_news(&mut self, news: News) {
        let now = self.clock.now();
        match news {
            News::Begun(run) => {
                self.machine.on_begun(run.classes.clone(), &run.method, run.paths.clone(), run.started, now);
                self.run = Some(run);
            }
            News::Failed(why) => {
                self.run = None;
                self.machine.on_failed(&why, now);
            }
            News::Second(interval) => {
                let unix = Duration::from_nanos(clock::wall_unix_ns());
                self.machine.on_interval(&interval, unix.as_secs_f64());
            }
            News::Over => {
                self.run = None;
                self.machine.on_over(now);
            }
        }
    }

    fn open(&mut self) {
        self.reopen_at = Stamp::NEVER;
        match connect(&self.master) {
            Ok(stream) => {
                self.connection = Some((stream, Dealer::new(self.machine.node_id())));
                self.opened_at = self.clock.now();
                self.flush();
            }
            Err(why) => self.lost(&why),
        }
    }

    /// The connection is of no use; each new reason is said once.
    fn lost(&mut self, why: &str) {
        let (host, port) = &self.master;
        if self.said != why {
            super::super::tell_line(&format!("locust: master {host}:{port}: {why}"));
            why.clone_into(&mut self.said);
        }
        self.connection = None;
        self.machine.on_closed(self.clock.now());
    }

    /// Reads what the master has sent, for [`TURN`] at most.
    fn read(&mut self) {
        let Some((stream, dealer)) = &mut self.connection else {
            clock::sleep(TURN);
            return;
        };
        let mut room = [0; READ_BYTES];
        let came = match stream.read(&mut room) {
            Ok(0) => Err("the connection was closed".to_owned()),
            Ok(n) => dealer.on_bytes(&room[..n]).map_err(|fault| fault.to_string()),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                if dealer.is_open() || self.clock.now().since(self.opened_at) < GREETING {
                    return;
                }
                Err(format!("no greeting within {} s", GREETING.as_secs()))
            }
            Err(e) => Err(super::super::files::words(&e)),
        };
        match came {
            Ok(events) => events.into_iter().for_each(|event| self.on_event(event)),
            Err(why) => self.lost(&why),
        }
        self.flush();
    }

    fn on_event(&mut self, event: Event) {
        let now = self.clock.now();
        match event {
            Event::Open => {
                self.said.clear();
                self.machine.on_open(now);
            }
            Event::Message(bytes) => match message::decode(&bytes) {
                Ok(message) => self.machine.on_message(message, now),
                Err(why) => super::super::tell_line(&format!("locust: {why}")),
            },
        }
    }

    fn send(&mut self, message: &[u8]) {
        if let Some((_, dealer)) = &mut self.connection {
            dealer.send(message);
            self.flush();
        }
    }

    fn flush(&mut self) {
        let Some((stream, dealer)) = &mut self.connection else { return };
        let bytes = dealer.take_output();
        if let Err(e) = stream.write_all(&bytes) {
            let why = super::super::files::words(&e);
            self.lost(&why);
        }
    }
}

/// Errors: one line.
fn connect((host, port): &(String, u16)) -> Result<TcpStream, String> {
    let all = (host.as_str(), *port).to_socket_addrs().map_err(|e| format!("resolve: {e}"))?;
    let stream = connect_any(&all.collect::<Vec<_>>(), PATIENCE);
    let stream = stream.and_then(|stream| stream.set_read_timeout(Some(TURN)).map(|()| stream));
    stream.map_err(|e| super::super::files::words(&e))
}

/// What this process uses, between two looks.
#[derive(Default)]
struct OwnUsage {
    threads: ThreadReader,
    /// CPU seconds of each thread at the last look, and when that was
    last: (Stamp, HashMap<i32, f64>),
}

impl OwnUsage {
    /// What cannot be read is zero: a master takes no heartbeat without a figure.
    fn read(&mut self, now: Stamp) -> Usage {
        let pid = std::process::id();
        let threads = self.threads.read(pid).unwrap_or_default();
        let (at, before) = &self.last;
        let span_s = now.since(*at).as_secs_f64();
        let used = threads.iter().map(|t| t.cpu_s - before.get(&t.tid).copied().unwrap_or(t.cpu_s)).fold(0.0, f64::max);
        self.last = (now, threads.iter().map(|t| (t.tid, t.cpu_s)).collect());
        Usage {
            cpu_percent: if span_s > 0.0 { 100.0 * used / span_s } else { 0.0 },
            memory_bytes: process::read_usage(pid).map_or(0, |usage| usage.rss_bytes),
        }
    }
}
