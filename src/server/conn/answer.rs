//! How a connection answers, and how it ends.

use super::{Conn, Ctx, Request, State};
use crate::http1::encode::Link;
use crate::http1::fault::Fault;
use crate::http1::request::Method;
use crate::http1::status::Status;
use crate::model::limits;
use crate::model::time::Stamp;
use crate::server::counters::{Answered, CloseReason};
use crate::server::route::{Handler, Route};

impl Conn {
    pub(super) fn act(&mut self, cx: &mut Ctx<'_>) {
        match self.request.route {
            Route::Health => {
                let (link, head_only) = (self.link(cx), self.request.method == Method::Head);
                cx.answers.health(self.out(cx), link, head_only);
                self.answered(cx, Status::Ok, link);
            }
            Route::Fault(_, status) => self.answer_error(cx, status),
            Route::Io(_) | Route::Cpu => self.start_job(),
        }
    }

    fn start_job(&mut self) {
        self.state = State::Job;
        self.job_due = true;
        // The socket is not read meanwhile.
        self.request.is_last = false;
        self.read_deadline = Stamp::NEVER;
    }

    pub(super) fn link(&self, cx: &Ctx<'_>) -> Link {
        if !self.request.keep || !cx.rules.keepalive || self.draining {
            Link::Close
        } else if self.request.is_1_1 {
            Link::Keep
        } else {
            Link::KeepOld
        }
    }

    pub(super) fn answer_error(&mut self, cx: &mut Ctx<'_>, status: Status) {
        let (link, head_only) = (self.link(cx), self.request.method == Method::Head);
        cx.answers.error(self.out(cx), status, link, head_only);
        self.answered(cx, status, link);
    }

    /// The answer is appended: marks where it ends, and goes on as `link` says.
    pub(super) fn answered(&mut self, cx: &mut Ctx<'_>, status: Status, link: Link) {
        let Request { route, method, since, .. } = self.request;
        self.buffers(cx).mark(Answered { handler: route.handler(), method, status, since });
        self.served = true;
        if link == Link::Close {
            self.end(if self.draining { CloseReason::Drain } else { CloseReason::Announced });
        } else {
            self.state = State::Reading;
        }
    }

    /// Answers a request that cannot be taken, and ends the connection.
    pub(super) fn refuse(&mut self, cx: &mut Ctx<'_>, fault: Fault, reason: CloseReason) {
        let status = fault.status();
        cx.answers.error(self.out(cx), status, Link::Close, false);
        self.buffers(cx).mark(Answered { handler: Handler::None, method: Method::Other, status, since: cx.now });
        self.end(reason);
    }

    fn end(&mut self, reason: CloseReason) {
        self.state = State::Ending;
        self.reason = reason;
        self.in_head = false;
        self.read_deadline = Stamp::NEVER;
    }

    pub(super) fn begin_linger(&mut self, cx: &Ctx<'_>, reason: CloseReason) {
        self.state = State::Linger;
        self.reason = reason;
        self.shutdown = true;
        self.read_deadline = cx.now.plus(limits::LINGER_TIMEOUT);
    }

    /// The kernel cannot report its events (epoll_ctl(2) failed).
    pub fn on_unwatched(&mut self, cx: &mut Ctx<'_>) {
        self.close(cx, CloseReason::Unwatched);
    }

    /// The drain's time is up.
    pub fn on_cut(&mut self, cx: &mut Ctx<'_>) {
        let ending = matches!(self.state, State::AwaitFin | State::Linger);
        self.close(cx, if ending { self.reason } else { CloseReason::DrainCut });
    }

    pub(super) fn close(&mut self, cx: &mut Ctx<'_>, reason: CloseReason) {
        if self.closed {
            return;
        }
        self.closed = true;
        self.reason = reason;
        cx.counters.closed(reason);
        if let Some(b) = &mut self.buffers {
            cx.counters.unsent.add(b.clear() as u64);
        }
        cx.spare.give(self.buffers.take());
    }
}
