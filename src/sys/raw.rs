//! The one unsafe file: socket options that neither std, socket2 nor nix know. One function per option, each
//! with a SAFETY comment; no decision is made here.
#![expect(unsafe_code, reason = "setsockopt(2) of an option that no safe crate offers; see the SAFETY comments")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

use crate::model::plan::PortRange;

/// IP_LOCAL_PORT_RANGE (include/uapi/linux/in.h), Linux 6.3 and later; libc has no constant for it.
const IP_LOCAL_PORT_RANGE: libc::c_int = 51;

/// Restricts the ports that the kernel may pick for `fd` to `range`, further clamped by
/// net.ipv4.ip_local_port_range: where the two do not overlap, the kernel ignores the option in silence.
/// Works on AF_INET and on AF_INET6 sockets.
///
/// Errors: ENOPROTOOPT (92) before Linux 6.3.
pub(super) fn set_local_port_range(fd: BorrowedFd<'_>, range: PortRange) -> io::Result<()> {
    let value: u32 = u32::from(range.hi) << 16 | u32::from(range.lo);
    // SAFETY: `fd` is borrowed, hence open for the whole call; the pointer is to a live u32 on this stack frame
    // and the length passed is its size; the kernel only reads it and keeps no reference.
    let rc = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_IP,
            IP_LOCAL_PORT_RANGE,
            std::ptr::from_ref(&value).cast(),
            size_of::<u32>() as libc::socklen_t,
        )
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
