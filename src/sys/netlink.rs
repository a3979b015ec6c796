//! One netlink conversation: a request out, its answers in. Used for sock_diag dumps and for setting a link up.
//!
//! Not here: what the payloads mean.

use std::io;

use netlink_sys::{Socket, SocketAddr};
use nix::libc;

/// struct nlmsghdr (include/uapi/linux/netlink.h), bytes.
pub(super) const HEADER: usize = 16;
const RECEIVE_BYTES: usize = 64 * 1024;
const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// A netlink socket to the kernel with its receive buffer.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: Socket,
    buffer: Vec<u8>,
    sequence: u32,
}

/// What a request asks for besides its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// many answers, then NLMSG_DONE
    Dump,
    /// one acknowledgement; further NLM_F_* flags
    Ack(u16),
}

impl Netlink {
    /// A socket of `protocol` (NETLINK_ROUTE 0, NETLINK_SOCK_DIAG 4), connected to the kernel.
    pub(super) fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, buffer: Vec::with_capacity(RECEIVE_BYTES), sequence: 0 })
    }

    /// Sends one request and hands the payload of every answer to `each`, until the kernel says that it is done.
    ///
    /// Errors: the errno of the kernel's NLMSG_ERROR or of its NLMSG_DONE (where a dump that failed puts it), or of
    /// send and recv; InvalidData for a cut message.
    pub(super) fn talk(&mut self, kind: u16, ask: Ask, payload: &[u8], mut each: impl FnMut(&[u8])) -> io::Result<()> {
        self.sequence += 1;
        let flags = match ask {
            Ask::Dump => libc::NLM_F_REQUEST | libc::NLM_F_DUMP,
            Ask::Ack(more) => libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::c_int::from(more),
        } as u16;
        let mut message = Vec::with_capacity(HEADER + payload.len());
        message.extend_from_slice(&((HEADER + payload.len()) as u32).to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&flags.to_ne_bytes());
        message.extend_from_slice(&self.sequence.to_ne_bytes());
        message.extend_from_slice(&0u32.to_ne_bytes());
        message.extend_from_slice(payload);
        self.socket.send(&message, 0)?;
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, 0) {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            }
            if read_answers(&self.buffer, self.sequence, &mut each)? {
                return Ok(());
            }
        }
    }
}

/// Walks the messages of one datagram; true when the conversation is over.
fn read_answers(mut rest: &[u8], sequence: u32, each: &mut impl FnMut(&[u8])) -> io::Result<bool> {
    let cut = || io::Error::new(io::ErrorKind::InvalidData, "netlink: cut message");
    while !rest.is_empty() {
        let (Some(length), Some(kind), Some(seq)) = (u32_at(rest, 0), u16_at(rest, 4), u32_at(rest, 8)) else {
            return Err(cut());
        };
        let length = length as usize;
        let payload = rest.get(HEADER..length).ok_or_else(cut)?;
        if seq == sequence {
            match kind {
                NLMSG_NOOP => {}
                NLMSG_DONE | NLMSG_ERROR => {
                    // An acknowledgement has its code; DONE has one since Linux 2.6.27 and was empty before.
                    let code = u32_at(payload, 0).map(u32::cast_signed);
                    return match code {
                        None if kind == NLMSG_ERROR => Err(cut()),
                        Some(code) if code < 0 => Err(io::Error::from_raw_os_error(-code)),
                        _ => Ok(true),
                    };
                }
                _ => each(payload),
            }
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// A native-endian u16 at `at`; none past the end.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// A native-endian u32 at `at`; none past the end.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, seq: u32, payload: &[u8]) -> Vec<u8> {
        let mut m = ((HEADER + payload.len()) as u32).to_ne_bytes().to_vec();
        m.extend(kind.to_ne_bytes());
        m.extend([0, 0]);
        m.extend(seq.to_ne_bytes());
        m.extend([0; 4]);
        m.extend(payload);
        m.resize(m.len().next_multiple_of(4), 0);
        m
    }

    #[test]
    fn answers_of_another_request_are_skipped_and_done_ends_it() {
        let mut seen = Vec::new();
        let mut each = |p: &[u8]| seen.push(p.to_vec());
        let both = [message(20, 1, b"old"), message(20, 2, b"new"), message(NLMSG_DONE, 2, &[0; 4])].concat();
        assert!(read_answers(&both, 2, &mut each).unwrap());
        assert_eq!(seen, vec![b"new".to_vec()]);
    }

    #[test]
    fn the_kernels_errno_survives_and_a_cut_message_is_an_error() {
        let refused = message(NLMSG_ERROR, 1, &(-13i32).to_ne_bytes());
        assert_eq!(read_answers(&refused, 1, &mut |_| ()).unwrap_err().raw_os_error(), Some(13));
        assert!(read_answers(&message(NLMSG_ERROR, 1, &0i32.to_ne_bytes()), 1, &mut |_| ()).unwrap());
        // A kernel without tcp_diag ends the dump like this, before any row: it is no empty table.
        let no_handler = message(NLMSG_DONE, 1, &(-2i32).to_ne_bytes());
        assert_eq!(read_answers(&no_handler, 1, &mut |_| ()).unwrap_err().raw_os_error(), Some(libc::ENOENT));
        let whole = message(20, 1, b"abcdefgh");
        assert!(read_answers(&whole[..20], 1, &mut |_| ()).is_err());
        assert!(read_answers(&whole[..7], 1, &mut |_| ()).is_err());
    }
}
