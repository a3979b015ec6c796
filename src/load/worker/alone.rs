//! The wait of a thread with one user: recv(2) instead of epoll_wait(2).
//!
//! It saves a system call for each request, and the kernel the timer of the poll (docs/MEASURING.md). The socket stays in the
//! poll, which sees all that comes while the user does not wait here.

use std::time::Duration;

use super::{LONGEST_WAIT, Worker};
use crate::model::time::Stamp;
use crate::sys::stream;

/// How long recv(2) waits. It counts in ticks of 1 to 10 ms and rounds up: less than [`LONGEST_WAIT`], so that it is over before anything
/// is due.
const WAIT: Duration = Duration::from_millis(80);
const _: () = assert!(WAIT.as_millis() + 2 * 10 <= LONGEST_WAIT.as_millis(), "a deadline could pass in recv(2)");

impl Worker<'_> {
    /// Whether nothing but one answer, on a connection that has carried one, can end a wait, because all else is due after
    /// [`LONGEST_WAIT`] (`is_far`). The schedule of an open loop has a timer, which can.
    pub(super) fn waits_for_one_answer(&mut self, is_far: bool) -> bool {
        let (true, [slot]) = (is_far && self.in_flight == 1 && self.pacer.is_none(), &mut self.slots[..]) else {
            return false;
        };
        let Some(stream) = slot.stream.as_ref().filter(|_| slot.user.has_carried_an_answer() && !slot.user.is_sending()) else {
            return false;
        };
        if !slot.may_wait {
            slot.may_wait = stream::let_wait(stream, WAIT).is_ok();
        }
        slot.may_wait
    }

    /// Waits for it since `from`. False: a signal ended the wait, and nobody has looked at the socket.
    pub(super) fn wait_for_answer(&mut self, from: Stamp) -> bool {
        let Some(stream) = &self.slots[0].stream else { return false };
        let received = stream::wait_and_receive(stream, &mut self.buffer);
        let now = self.read_clock();
        self.recorder.record_wait(from, now);
        let has_looked = !received.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::Interrupted);
        // The target's FIN may have come with the answer. recv(2) does not say so, as a poll does: another look shows it before the
        // next request goes out.
        if !self.shared.is_to_stop() && self.on_received(0, received, now, true) {
            self.read(0, true);
        }
        has_looked
    }
}
