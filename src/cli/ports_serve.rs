//! `sockbench ports --serve`: the source ports of this machine for Prometheus, on loopback unless asked otherwise.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::{Exit, files, tell};
use crate::model::limits::ACCEPT_PAUSE;
use crate::model::time::Stamp;
use crate::observe::looker::PortsLooker;
use crate::sys::clock::{Clock, sleep};
use crate::sys::listen::is_of_one_connection;
use crate::sys::signals::StopFlag;
use crate::watch::ports_metrics;

/// Where it listens when nothing else is asked for.
pub(crate) const ADDRESS: &str = "127.0.0.1:9469";
/// A look is shown for so long: many scrapers cost no more than one.
const KEPT: Duration = Duration::from_secs(1);
/// A client has this long to ask, and to take the answer, in all.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest request that is read.
const REQUEST_BYTES: usize = 8 * 1024;

/// Answers until a signal comes. `top` destinations have lines of their own.
pub(crate) fn run(addr: SocketAddr, top: usize) -> Result<u8, Exit> {
    let failed = |what: &str, e: io::Error| Exit::environment(format!("ports --serve: {what}: {}", files::words(&e)));
    let listener = TcpListener::bind(addr).map_err(|e| failed(&addr.to_string(), e))?;
    let at = listener.local_addr().map_err(|e| failed("getsockname", e))?;
    // accept() sleeps until somebody comes: at a signal that is us.
    let stop =
        StopFlag::install_with(move || drop(TcpStream::connect_timeout(&at, PATIENCE))).map_err(|e| failed("signals", e))?;
    let clock = Clock::start();
    let mut looker = PortsLooker::open(clock).map_err(|e| failed("sock_diag", e))?;
    tell(&format!("metrics at http://{at}/metrics, until Ctrl-C"));
    let mut page: Option<(Stamp, String)> = None;
    for stream in listener.incoming() {
        if let Some(signal) = stop.signal() {
            return Ok(128 + signal as u8);
        }
        let stream = match stream {
            Ok(stream) => stream,
            Err(e) => {
                if !e.raw_os_error().is_some_and(is_of_one_connection) {
                    sleep(ACCEPT_PAUSE);
                }
                continue;
            }
        };
        let mut client = Client { stream, clock, until: clock.now().plus(PATIENCE) };
        let Some(path) = asked(&mut client) else { continue };
        let now = clock.now();
        if page.as_ref().is_none_or(|(made, _)| now.since(*made) >= KEPT) {
            page = looker.look().ok().map(|look| (now, ports_metrics(&look, top)));
        }
        let (status, body) = match (path.as_str(), &page) {
            ("/metrics", Some((_, text))) => ("200 OK", text.as_str()),
            ("/metrics", None) => ("503 Service Unavailable", "the sockets of this machine could not be read\n"),
            _ => ("404 Not Found", "/metrics\n"),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        // A reader that left takes nothing.
        let _ = client.write_all(head.as_bytes()).and_then(|()| client.write_all(body.as_bytes()));
    }
    Ok(0)
}

/// A client whose time ends at one moment, however little it sends or takes at once.
struct Client {
    stream: TcpStream,
    clock: Clock,
    until: Stamp,
}

impl Client {
    /// Errors: its time is over.
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.since(self.clock.now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl io::Read for Client {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(to)
    }
}

impl io::Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The path of a GET; none where nothing sensible is asked in time.
fn asked(client: &mut Client) -> Option<String> {
    let (mut request, mut piece) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|w| w == b"\r\n\r\n") {
        let n = client.read(&mut piece).ok()?;
        if n == 0 || request.len() + n > REQUEST_BYTES {
            return None;
        }
        request.extend_from_slice(&piece[..n]);
    }
    let line = request.split(|b| *b == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    (words.next()? == "GET").then(|| words.next()?.split('?').next().map(str::to_owned)).flatten()
}
