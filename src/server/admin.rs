//! The admin port: `/metrics`, on its own threads, so that a scrape never waits for the reactors and they never for
//! it, nor for a scraper that is silent.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::counters::Summary;
use super::exposition::{PoolState, ProcessState, render};
use super::{BindError, Shared};
use crate::http1::request::{Found, HeadLimits, HeadReader, Method};
use crate::model::time::Stamp;
use crate::sys::clock::Clock;
use crate::sys::{own_process, thread};

/// One scrape, from its accept to the client's FIN: a scraper that takes longer is left.
const PATIENCE: Duration = Duration::from_secs(2);
/// Scrapes at once. A further one waits for [`QUEUED`]; then the oldest that has not asked yet is closed for it, and where
/// all have asked it is refused.
const SCRAPES: usize = 8;
const QUEUED: Duration = Duration::from_millis(100);
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const HEAD_BYTES: usize = 8 * 1024;

/// A bound admin port.
#[derive(Debug)]
pub(super) struct Admin {
    listener: TcpListener,
    addr: SocketAddr,
    shared: Arc<Shared>,
}

/// A running admin port; ends when dropped.
#[derive(Debug)]
pub(super) struct Running {
    addr: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    pub(super) fn bind(addr: SocketAddr, shared: &Arc<Shared>) -> Result<Self, BindError> {
        let bound = TcpListener::bind(addr).and_then(|l| l.local_addr().map(|a| (l, a)));
        let (listener, bound) = bound.map_err(|source| BindError::Listen { addr, source })?;
        Ok(Self { listener, addr: bound, shared: Arc::clone(shared) })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(super) fn start(self) -> io::Result<Running> {
        let ended = Arc::new(AtomicBool::new(false));
        let (addr, flag) = (self.addr, Arc::clone(&ended));
        let thread = thread::start(
            "admin",
            Box::new(move || {
                let scrapes = Scrapes::default();
                for stream in self.listener.incoming() {
                    if flag.load(Ordering::SeqCst) {
                        return;
                    }
                    match stream {
                        Ok(stream) => scrape(stream, &self.shared, &scrapes),
                        Err(_) => crate::sys::clock::sleep(crate::model::limits::ACCEPT_PAUSE),
                    }
                }
            }),
        )?;
        Ok(Running { addr, ended, thread: Some(thread) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the accept(2). If that fails, the thread is left to the end of the process.
        if TcpStream::connect_timeout(&self.addr, PATIENCE).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// The clients that are being served, the oldest first.
#[derive(Debug, Clone, Default)]
struct Scrapes(Arc<(Mutex<Vec<Arc<Client>>>, Condvar)>);

#[derive(Debug)]
struct Client {
    stream: TcpStream,
    has_asked: AtomicBool,
}

impl Scrapes {
    /// Makes room and enters the client. None: all others are about to get their answer.
    fn enter(&self, stream: TcpStream) -> Option<Arc<Client>> {
        let (clients, left) = &*self.0;
        let clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = left.wait_timeout_while(clients, QUEUED, |clients| clients.len() >= SCRAPES);
        let mut clients = waited.unwrap_or_else(PoisonError::into_inner).0;
        if clients.len() >= SCRAPES {
            let silent = clients.iter().position(|c| !c.has_asked.load(Ordering::SeqCst))?;
            // Its thread reads the end and leaves.
            let _ = clients.remove(silent).stream.shutdown(Shutdown::Both);
        }
        let client = Arc::new(Client { stream, has_asked: AtomicBool::new(false) });
        clients.push(Arc::clone(&client));
        Some(client)
    }

    fn leave(&self, client: &Arc<Client>) {
        let (clients, left) = &*self.0;
        clients.lock().unwrap_or_else(PoisonError::into_inner).retain(|c| !Arc::ptr_eq(c, client));
        left.notify_one();
    }
}

/// Answers one client on its own thread, which ends after a timeout; nobody waits for it.
fn scrape(mut stream: TcpStream, shared: &Arc<Shared>, scrapes: &Scrapes) {
    let client = match stream.try_clone() {
        Ok(twin) => scrapes.enter(twin),
        Err(_) => None,
    };
    let Some(client) = client else {
        // A fresh socket's buffer takes it whole; a request that was not read would turn the end into a reset.
        let _ = stream.write_all(REFUSAL).and_then(|()| stream.shutdown(Shutdown::Write));
        let _ = stream.set_nonblocking(true).and_then(|()| stream.read(&mut [0; 2048]));
        return;
    };
    let (shared, in_thread, all) = (Arc::clone(shared), Arc::clone(&client), scrapes.clone());
    let serve = move || {
        // A client that goes away is no error of the server.
        let _ = answer(stream, &in_thread, &shared);
        all.leave(&in_thread);
    };
    let thread = thread::start("admin-scrape", Box::new(serve));
    if thread.is_err() {
        scrapes.leave(&client);
    }
}

/// Reads with what is left of the scrape's time.
fn read_some(stream: &mut TcpStream, piece: &mut [u8], clock: Clock) -> io::Result<usize> {
    let left = PATIENCE.saturating_sub(clock.now().since(Stamp::ZERO));
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    stream.set_read_timeout(Some(left))?;
    stream.read(piece)
}

fn answer(mut stream: TcpStream, client: &Client, shared: &Shared) -> io::Result<()> {
    let clock = Clock::start();
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut bytes = Vec::new();
    let mut piece = [0; 2048];
    let mut reader = HeadReader::default();
    let limits = HeadLimits { bytes: HEAD_BYTES, ..HeadLimits::default() };
    let (status, body, head_only) = loop {
        match read_some(&mut stream, &mut piece, clock)? {
            0 => return Ok(()),
            n => bytes.extend_from_slice(&piece[..n]),
        }
        match reader.read(&bytes, &limits) {
            Ok(Found::More) => {}
            Ok(Found::Head { head, .. }) => {
                break match (head.path, head.method) {
                    ("/metrics", Method::Other) => ("405 Method Not Allowed\r\nAllow: GET, HEAD", String::new(), false),
                    ("/metrics", method) => ("200 OK", page(shared), method == Method::Head),
                    _ => ("404 Not Found", "only /metrics is here\n".into(), false),
                };
            }
            Err(fault) => break (fault.status().text(), format!("{fault}\n"), false),
        }
    };
    client.has_asked.store(true, Ordering::SeqCst);
    let length = body.len();
    let mut text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    if !head_only {
        text.push_str(&body);
    }
    stream.write_all(text.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    // To the client's FIN, so that no reset overtakes the answer.
    while read_some(&mut stream, &mut piece, clock)? > 0 {}
    Ok(())
}

fn page(shared: &Shared) -> String {
    let pools = shared.gauges.each_ref().map(|g| PoolState {
        name: g.name,
        workers: g.workers,
        capacity: g.capacity,
        waiting: g.waiting(),
        busy: g.busy(),
    });
    let own = own_process::read();
    let state = ProcessState {
        cpu_s: own.cpu_s,
        resident_bytes: own.resident_bytes,
        virtual_bytes: own.virtual_bytes,
        open_fds: own.open_fds,
        max_fds: own.max_fds,
        start_s: own.start_s,
    };
    render(&Summary::of(&shared.counters), &pools, &state)
}
