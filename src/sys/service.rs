//! What a service manager such as systemd gives a daemon, and what it reports back: sd_notify(3), sd_watchdog_enabled(3),
//! sd_listen_fds(3). Without one nothing is given and nothing is sent.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::{NotifyState, notify, watchdog_enabled};

/// What is reported to the manager.
#[derive(Debug, Clone, Copy)]
pub enum State<'a> {
    /// it serves; a line of status
    Ready(&'a str),
    /// it has begun to end
    Stopping,
    /// it still turns
    Alive,
}

/// Reports it.
///
/// Errors: the manager's socket takes nothing.
pub fn report(state: State<'_>) -> io::Result<()> {
    match state {
        State::Ready(status) => notify(false, &[NotifyState::Ready, NotifyState::Status(status)]),
        State::Stopping => notify(false, &[NotifyState::Stopping]),
        State::Alive => notify(false, &[NotifyState::Watchdog]),
    }
}

/// After how long without [`State::Alive`] the manager takes this process for hung; none where it does not watch.
pub fn read_watchdog() -> Option<Duration> {
    let mut us = 0;
    (watchdog_enabled(false, &mut us) && us > 0).then(|| Duration::from_micros(us))
}

/// Listening sockets that were opened for this process, in the manager's order.
///
/// Errors: one is no TCP listener.
pub fn take_listeners() -> io::Result<Vec<TcpListener>> {
    let mut given = ListenFd::from_env();
    let mut listeners = Vec::with_capacity(given.len());
    for i in 0..given.len() {
        let listener = given.take_tcp_listener(i);
        let listener = listener.map_err(|e| io::Error::new(e.kind(), format!("descriptor {} is no TCP listener: {e}", i + 3)))?;
        listeners.extend(listener);
    }
    Ok(listeners)
}
