//! send(2) and recv(2) of a connected stream, without what the C library adds around them: its wrappers are cancellation
//! points, two atomic operations for each call, which nobody here uses. 1 to 3 % of a small request
//! (docs/MEASURING.md).

use std::io;
use std::time::Duration;

use mio::net::TcpStream;
use rustix::io::ioctl_fionbio;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvFlags, SendFlags};

/// Sends what the kernel takes of `bytes` now; how many that were. No SIGPIPE.
///
/// Errors: send(2).
pub fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(stream, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?)
}

/// Receives what is there into `room`; how many bytes that were, 0 at the peer's FIN.
///
/// Errors: recv(2).
pub fn receive(stream: &TcpStream, room: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::net::recv(stream, room, RecvFlags::DONTWAIT)?.0)
}

/// The same; the bytes stay there.
///
/// Errors: recv(2).
pub fn peek(stream: &TcpStream, room: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::net::recv(stream, room, RecvFlags::DONTWAIT | RecvFlags::PEEK)?.0)
}

/// From now on [`wait_and_receive`] waits for up to `longest`; without this it does not wait.
///
/// Errors: ioctl(2) FIONBIO, setsockopt(2) SO_RCVTIMEO.
pub fn let_wait(stream: &TcpStream, longest: Duration) -> io::Result<()> {
    set_socket_timeout(stream, Timeout::Recv, Some(longest))?;
    Ok(ioctl_fionbio(stream, false)?)
}

/// As [`receive`]; waits where nothing is there.
///
/// Errors: recv(2); EAGAIN when the longest wait is over.
pub fn wait_and_receive(stream: &TcpStream, room: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::net::recv(stream, room, RecvFlags::empty())?.0)
}
