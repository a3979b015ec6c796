//! send(2) and recv(2) of a connected stream, without what the C library adds around them: its wrappers are cancellation
//! points, two atomic operations for each call, which nobody here uses. 1 to 3 % of a small request
//! (docs/MEASURING.md).

use std::io;

use mio::net::TcpStream;
use rustix::net::{RecvFlags, SendFlags};

/// Sends what the kernel takes of `bytes`; how many that were. No SIGPIPE.
///
/// Errors: send(2).
pub fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(stream, bytes, SendFlags::NOSIGNAL)?)
}

/// Receives into `room`; how many bytes came, 0 at the peer's FIN.
///
/// Errors: recv(2).
pub fn receive(stream: &TcpStream, room: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::net::recv(stream, room, RecvFlags::empty())?.0)
}
