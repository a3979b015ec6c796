//! `sockbench ports --serve`: the source ports of this machine for Prometheus, on loopback unless asked otherwise.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{Exit, files, tell_line};
use crate::live::Door;
use crate::model::time::Stamp;
use crate::observe::looker::PortsLooker;
use crate::sys::clock::Clock;
use crate::sys::signals::{Hangup, StopFlag};
use crate::watch::ports_metrics;

/// Where it listens when nothing else is asked for.
pub(crate) const ADDRESS: &str = "127.0.0.1:9469";
/// A look is shown for so long: many scrapers cost no more than one.
const KEPT: Duration = Duration::from_secs(1);
/// Who wakes the loop at its end need not wait longer.
const PATIENCE: Duration = Duration::from_secs(2);
const PAGE: &str = "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>sockbench ports</title>\n\
    <h1>Source ports of this machine</h1>\n<p><a href=\"metrics\">/metrics</a> for Prometheus: ports in use by destination, what they \
    sustain, when they run out, and the queues of the listeners.</p>\n<p><code>sockbench ports</code> shows the same on a terminal.</p>\n\
    </html>\n";

/// Answers until a signal comes. `top` destinations have lines of their own.
pub(crate) fn run(addr: SocketAddr, top: usize) -> Result<u8, Exit> {
    let failed = |what: &str, e: io::Error| Exit::environment(format!("ports --serve: {what}: {}", files::words(&e)));
    let door = Door::open(addr).map_err(|e| failed(&addr.to_string(), e))?;
    let at = door.addr();
    // The loop sleeps until somebody comes: at a signal that is us.
    let stop = StopFlag::install_with(Hangup::Stops, Box::new(move || drop(TcpStream::connect_timeout(&at, PATIENCE))))
        .map_err(|e| failed("signals", e))?;
    let clock = Clock::start();
    let mut looker = PortsLooker::open(clock).map_err(|e| failed("sock_diag", e))?;
    tell_line(&format!("metrics at {}metrics, until Ctrl-C", door.url()));
    let mut page: Option<(Stamp, String)> = None;
    let metrics = || {
        let now = clock.now();
        if page.as_ref().is_none_or(|(made, _)| now.since(*made) >= KEPT) {
            page = looker.look().ok().map(|look| (now, ports_metrics(&look, top)));
        }
        page.as_ref().map(|(_, text)| text.clone())
    };
    door.answer(PAGE, metrics, || stop.is_set()).map_err(|e| failed("poll", e))?;
    Ok(stop.signal().map_or(0, |signal| 128 + signal as u8))
}
