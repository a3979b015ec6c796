//! Pages over HTTP, of a run or for Prometheus: one loop over a listener and a few clients that never blocks but in poll(2).

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use super::client::{Client, Shown};
use super::course::{Course, Update};
use crate::model::limits::ACCEPT_PAUSE;
use crate::model::time::Stamp;
use crate::sys::clock::Clock;
use crate::sys::listen::{ListenSpec, is_of_one_connection, listen, stop_listening};
use crate::sys::thread;

/// Clients at once. A further one takes the place of one that has not asked yet, or is closed at once.
const CLIENTS: usize = 16;
/// How long the end of a run waits for those who follow to take the last page.
const LAST: Duration = Duration::from_secs(1);
const BACKLOG: i32 = 16;
/// Reads from one client in a turn: more than a request needs.
const READS_PER_TURN: usize = 8;
const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
/// Of clients: which one it was is not asked, all are looked at.
const CLIENT: Token = Token(0);

/// A listening socket, not served yet. Opened before a private namespace is entered, it stays outside.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    addr: SocketAddr,
}

/// The page, being served. Dropped, it ends without a last page.
#[derive(Debug)]
pub struct Page {
    updates: Option<Sender<Update>>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    /// Errors: the address is in use, or not this host's.
    pub fn open(addr: SocketAddr) -> io::Result<Self> {
        let listener = listen(ListenSpec { addr, backlog: BACKLOG, reuse_port: false, core: None })?;
        let addr = listener.local_addr()?;
        Ok(Self { listener, addr })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where the page is.
    pub fn url(&self) -> String {
        format!("http://{}/", self.addr)
    }

    /// Serves it from a thread of its own.
    ///
    /// Errors: a poll or a thread could not be made.
    pub fn serve(self) -> io::Result<Page> {
        let serving = Serving::new(self.listener, Course::default())?;
        let waker = Arc::new(Waker::new(serving.poll.registry(), WAKER)?);
        let (send, receive) = channel();
        let feed = move |course: &mut Course| feed(&receive, course);
        let thread = thread::start("live-page", Box::new(move || serving.serve(feed)))?;
        Ok(Page { updates: Some(send), waker, thread: Some(thread) })
    }

    /// Answers here with `page` and with `metrics`, none of which means that there are none just now, until `is_over` says so
    /// at a connection.
    ///
    /// Errors: a poll could not be made.
    pub fn answer(
        self,
        page: &'static str,
        metrics: impl FnMut() -> Option<String>,
        is_over: impl Fn() -> bool,
    ) -> io::Result<()> {
        Serving::new(self.listener, Figures { page, metrics })?.serve(|_| !is_over());
        Ok(())
    }
}

/// Whether more will come; what has come is taken in.
fn feed(updates: &Receiver<Update>, course: &mut Course) -> bool {
    loop {
        match updates.try_recv() {
            Ok(update) => course.on_update(update),
            Err(TryRecvError::Empty) => return true,
            Err(TryRecvError::Disconnected) => return false,
        }
    }
}

/// A page that stays, and figures made for each who asks.
struct Figures<M> {
    page: &'static str,
    metrics: M,
}

impl<M: FnMut() -> Option<String>> Shown for Figures<M> {
    fn page(&mut self) -> String {
        self.page.into()
    }

    fn update(&mut self) -> &str {
        self.page
    }

    fn metrics(&mut self) -> Option<String> {
        (self.metrics)()
    }
}

impl Page {
    /// Hands an update over. Never waits.
    pub fn send(&self, update: Update) {
        let is_shown = !matches!(update, Update::Interval(_));
        // A thread that has ended serves nobody: nothing is lost.
        let _ = self.updates.as_ref().map(|to| to.send(update));
        if is_shown {
            let _ = self.waker.wake();
        }
    }
}

impl Drop for Page {
    /// Waits for those who take the last page, one second at most.
    fn drop(&mut self) {
        self.updates = None;
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Serving<S> {
    poll: Poll,
    listener: Option<TcpListener>,
    clients: Vec<(TcpStream, Client)>,
    shown: S,
    clock: Clock,
    /// when accept() is tried again
    again: Option<Stamp>,
    /// when all is over, whoever is still there
    last: Option<Stamp>,
}

impl<S: Shown> Serving<S> {
    fn new(mut listener: TcpListener, shown: S) -> io::Result<Self> {
        let (poll, clock) = (Poll::new()?, Clock::start());
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self { poll, listener: Some(listener), clients: Vec::new(), shown, clock, again: None, last: None })
    }

    /// Until `feed` says that nothing more will come, and those who are there have the last of it.
    fn serve(mut self, mut feed: impl FnMut(&mut S) -> bool) {
        let mut events = Events::with_capacity(CLIENTS + 2);
        loop {
            let now = self.clock.now();
            let deadlines = self.clients.iter().filter_map(|(_, client)| client.deadline());
            let next = deadlines.chain(self.last).chain(self.again).min().map(|deadline| deadline.since(now));
            if let Err(error) = self.poll.poll(&mut events, next)
                && error.kind() != io::ErrorKind::Interrupted
            {
                return;
            }
            let now = self.clock.now();
            if !feed(&mut self.shown) {
                // Nobody new is let in; those who are there get the last page.
                // A copy in another table of descriptors must not go on listening.
                let _ = self.listener.take().as_ref().map(stop_listening);
                self.last.get_or_insert(now.plus(LAST));
            }
            self.accept(now);
            self.clients.retain_mut(|(stream, client)| {
                go_on(stream, client, now, &mut self.shown);
                !client.is_over(now)
            });
            if self.last.is_some_and(|last| now >= last || self.clients.iter().all(|(_, client)| client.pending().is_empty())) {
                return;
            }
        }
    }

    fn accept(&mut self, now: Stamp) {
        self.again = None;
        while let Some(accepted) = self.listener.as_ref().map(TcpListener::accept) {
            let mut stream = match accepted {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.raw_os_error().is_some_and(is_of_one_connection) => continue,
                Err(_) => {
                    // Without descriptors: those who wait are let in a little later.
                    self.again = Some(now.plus(ACCEPT_PAUSE));
                    return;
                }
            };
            if self.clients.len() >= CLIENTS {
                let Some(silent) = self.clients.iter().position(|(_, client)| client.is_asking()) else { continue };
                self.clients.remove(silent);
            }
            let both = Interest::READABLE | Interest::WRITABLE;
            if self.poll.registry().register(&mut stream, CLIENT, both).is_ok() {
                self.clients.push((stream, Client::new(now)));
            }
        }
    }
}

/// Reads and writes until the socket would block.
fn go_on(stream: &mut TcpStream, client: &mut Client, now: Stamp, shown: &mut dyn Shown) {
    let mut piece = [0; 4096];
    // Who sends more than a request has is not waited for: the end of the run would wait with it.
    for _ in 0..READS_PER_TURN {
        match stream.read(&mut piece) {
            Ok(0) => return client.on_end(),
            Ok(n) => client.on_bytes(&piece[..n], now, shown),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return client.on_end(),
        }
    }
    client.on_change(now, shown);
    while !client.pending().is_empty() {
        match stream.write(client.pending()) {
            Ok(n) => {
                client.on_written(n, now);
                client.on_change(now, shown);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return client.on_end(),
        }
    }
}
