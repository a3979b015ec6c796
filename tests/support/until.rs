//! Waiting for something to be so, instead of sleeping and hoping that it is.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use procfs::net::{TcpNetEntry, TcpState};
use sockbench::testing::model::Stamp;
use sockbench::testing::sys::{Clock, sleep};

/// No wait of a test is longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Looks again and again until `holds` is true.
///
/// # Panics
/// When it is not true within [`PATIENCE`].
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = Clock::start();
    while !holds() {
        assert!(clock.now().since(Stamp::ZERO) < PATIENCE, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(2));
    }
}

/// Waits until the other end, on this host, has accepted the connection of `client` and read all that was sent.
pub(crate) fn read_by_peer(client: &TcpStream) {
    let (near, far) = (client.local_addr().expect("connected"), client.peer_addr().expect("connected"));
    until("the other end has read everything", || other_end(near, far).is_some_and(|e| e.inode != 0 && e.rx_queue == 0));
}

/// The socket of the other end, as the kernel lists it. Without an inode it is still in the backlog.
fn other_end(near: SocketAddr, far: SocketAddr) -> Option<TcpNetEntry> {
    let open = |e: &TcpNetEntry| matches!(e.state, TcpState::Established | TcpState::CloseWait);
    let all = procfs::net::tcp().expect("/proc/net/tcp");
    all.into_iter().find(|e| e.local_address == far && e.remote_address == near && open(e))
}
