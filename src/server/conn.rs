//! One connection as a pure machine: bytes, time and job results go in; answers, one job at a time, a wish to shut
//! down the sending side and a close reason come out. It knows no socket; `reactor` is its hands.
//!
//! ```text
//!            head with a body            body read            /io, /cpu
//!   Reading ------------------> Body -----------+----> Job ----------------+
//!    ^  |  head without a body                  |                          | on_job_done
//!    |  +---------------------------------------+--> answer appended <-----+
//!    |                                                   |
//!    |  the connection stays                             |  it ends: agreed, refused, draining
//!    +---------------------------------------------------+------> Ending: what is left is written
//!                                                                   |              |
//!                                           --closer client         |              | else
//!                                                     AwaitFin <----+              v
//!                                                        | its time is up    Linger: shutdown(WR), read to
//!                                                        +-----------------> EOF, 256 KiB or 1 s -> closed
//! ```
//! A client that asked for the end must send no further request (RFC 9112 section 9.6). Where its last one has no body and no job,
//! and its answer is the only one and out at once, the connection closes if a last look at the socket finds nothing.
//!
//! Pipelined requests are answered in order: while a job is pending, or 64 KiB of answers wait, parsing stops, what
//! was read is kept, and [`Conn::wants_read`] is false. A client that half-closes still gets all answers.
//!
//! ```
//! use sockbench::testing::http1::Answers;
//! use sockbench::testing::model::Stamp;
//! use sockbench::testing::server::{Conn, Counters, Ctx, RequestHeads, Rules, Spare};
//! let (rules, answers, counters) = (Rules::default(), Answers::new(), Counters::default());
//! let (mut spare, mut heads) = (Spare::default(), RequestHeads::default());
//! let mut cx =
//!     Ctx { now: Stamp::ZERO, rules: &rules, answers: &answers, counters: &counters, spare: &mut spare, heads: &mut heads };
//! let mut conn = Conn::new(&cx);
//! conn.on_bytes(&mut cx, b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
//! assert!(conn.output().starts_with(b"HTTP/1.1 200 OK\r\n"));
//! conn.on_written(&mut cx, conn.output().len());
//! assert!(conn.wants_read() && conn.output().is_empty() && conn.closed().is_none());
//! ```

mod answer;
mod around;

pub use self::around::{Asked, Ctx, Job, JobResult, RequestHeads, Rules};
use super::buffers::Buffers;
pub use super::buffers::Spare;
use super::counters::CloseReason;
use super::route::{Handler, Route};
use crate::http1::chunked::Chunked;
use crate::http1::encode::CONTINUE;
use crate::http1::fault::Fault;
use crate::http1::request::{Body, Found, HeadReader, Method};
use crate::http1::status::Status;
use crate::model::limits;
use crate::model::plan::ServerCloser;
use crate::model::time::Stamp;

/// Bytes that are thrown away of a connection that ends.
const DISCARDED_AT_MOST: u32 = limits::LINGER_BYTES as u32;

#[derive(Debug)]
enum State {
    Reading,
    Fixed(u64),
    /// in a box: few connections need it, and it is large
    Chunks(Box<Chunked>, u64),
    Job,
    Ending,
    LastLook,
    AwaitFin,
    Linger,
}

/// The request that is being read or worked on.
#[derive(Debug, Clone, Copy)]
struct Request {
    route: Route,
    method: Method,
    keep: bool,
    is_1_1: bool,
    /// its client said that it is the last one, and nothing speaks against closing with its answer
    is_last: bool,
    since: Stamp,
}

/// One connection.
#[derive(Debug)]
pub struct Conn {
    state: State,
    request: Request,
    head: HeadReader,
    buffers: Option<Box<Buffers>>,
    /// the request's job is yet to be handed over
    job_due: bool,
    read_deadline: Stamp,
    write_deadline: Stamp,
    /// bytes that may still be thrown away while the connection ends
    discard_left: u32,
    reason: CloseReason,
    closed: bool,
    served: bool,
    in_head: bool,
    paused: bool,
    eof: bool,
    draining: bool,
    shutdown: bool,
}

// With its socket it takes 120 bytes; an idle connection costs little more.
const _: () = assert!(size_of::<Conn>() <= 104);

impl Conn {
    /// A connection just accepted.
    pub fn new(cx: &Ctx<'_>) -> Self {
        let route = Route::Fault(Handler::None, Status::BadRequest);
        Self {
            state: State::Reading,
            request: Request { route, method: Method::Other, keep: false, is_1_1: true, is_last: false, since: Stamp::ZERO },
            head: HeadReader::default(),
            buffers: None,
            job_due: false,
            read_deadline: cx.now.plus(cx.rules.idle_timeout),
            write_deadline: Stamp::NEVER,
            discard_left: DISCARDED_AT_MOST,
            reason: CloseReason::ClientFin,
            closed: false,
            served: false,
            in_head: false,
            paused: false,
            eof: false,
            draining: false,
            shutdown: false,
        }
    }

    /// Bytes to be sent now.
    pub fn output(&self) -> &[u8] {
        self.buffers.as_ref().map_or(&[], |b| b.unsent())
    }

    /// A job to hand to a pool; its result must come back by [`Conn::on_job_done`].
    pub fn take_job(&mut self) -> Option<Job> {
        if !std::mem::take(&mut self.job_due) {
            return None;
        }
        match self.request.route {
            Route::Io(time) => Some(Job::Io(time)),
            Route::Cpu => Some(Job::Cpu),
            Route::Health | Route::Fault(..) => None,
        }
    }

    /// Whether shutdown(WR) is due now.
    pub fn take_shutdown(&mut self) -> bool {
        std::mem::take(&mut self.shutdown)
    }

    /// Why the connection is over; its socket is then to be closed.
    pub fn closed(&self) -> Option<CloseReason> {
        self.closed.then_some(self.reason)
    }

    /// Whether bytes are welcome.
    pub fn wants_read(&self) -> bool {
        !self.closed
            && !self.eof
            && match self.state {
                State::Reading => !self.paused,
                State::Fixed(_) | State::Chunks(..) | State::LastLook | State::AwaitFin | State::Linger => true,
                State::Job | State::Ending => false,
            }
    }

    /// When [`Conn::on_deadline`] is due; moves with every event.
    pub fn deadline(&self) -> Stamp {
        self.read_deadline.min(self.write_deadline)
    }

    /// Bytes were read from the socket.
    pub fn on_bytes(&mut self, cx: &mut Ctx<'_>, bytes: &[u8]) {
        if self.buffers.as_ref().is_some_and(|b| b.has_input()) {
            self.buffers(cx).keep_input(bytes);
            self.resume(cx);
        } else {
            let used = self.parse(cx, bytes);
            if used < bytes.len() {
                self.buffers(cx).keep_input(&bytes[used..]);
            }
        }
        self.settle(cx);
    }

    /// `n` bytes of [`Conn::output`] were taken by the kernel; 0 when it takes none now.
    pub fn on_written(&mut self, cx: &mut Ctx<'_>, n: usize) {
        let Some(b) = self.buffers.as_mut() else { return };
        b.on_sent(n, |a| cx.counters.answered(a, cx.now));
        if b.unsent().is_empty() {
            self.write_deadline = Stamp::NEVER;
        } else {
            self.request.is_last = false;
            if n > 0 || self.write_deadline == Stamp::NEVER {
                self.write_deadline = cx.now.plus(cx.rules.write_timeout);
            }
        }
        if self.paused && self.waiting() < limits::WRITE_HIGH_WATER {
            self.resume(cx);
        }
        self.settle(cx);
    }

    /// The pending job ended.
    pub fn on_job_done(&mut self, cx: &mut Ctx<'_>, result: JobResult) {
        if self.closed || !matches!(self.state, State::Job) {
            return;
        }
        match result {
            JobResult::Done(body, timing) => {
                let (link, head_only) = (self.link(cx), self.request.method == Method::Head);
                cx.answers.job(self.out(cx), body, timing, link, head_only);
                self.answered(cx, Status::Ok, link);
            }
            JobResult::Panicked => self.answer_error(cx, Status::InternalError),
            JobResult::Refused => self.answer_error(cx, Status::Unavailable),
        }
        self.resume(cx);
        self.settle(cx);
    }

    /// Whether the socket is to be read whatever its last event said.
    pub fn takes_last_look(&self) -> bool {
        matches!(self.state, State::LastLook)
    }

    /// Nothing is there to be read now.
    pub fn on_dry(&mut self, cx: &mut Ctx<'_>) {
        if self.takes_last_look() {
            self.close(cx, self.reason);
        }
    }

    /// The client sent its FIN. What it asked before is still answered.
    pub fn on_eof(&mut self, cx: &mut Ctx<'_>) {
        self.eof = true;
        self.settle(cx);
    }

    /// The connection broke: a read or write failed.
    pub fn on_reset(&mut self, cx: &mut Ctx<'_>) {
        let ending = matches!(self.state, State::LastLook | State::AwaitFin | State::Linger);
        self.close(cx, if ending { self.reason } else { CloseReason::ClientReset });
    }

    /// [`Conn::deadline`] has passed.
    pub fn on_deadline(&mut self, cx: &mut Ctx<'_>) {
        if self.closed || self.deadline() > cx.now {
            return;
        }
        if self.write_deadline <= cx.now {
            self.close(cx, CloseReason::WriteTimeout);
            return;
        }
        match self.state {
            State::Reading if self.in_head => self.refuse(cx, Fault::Timeout, CloseReason::HeaderTimeout),
            State::Reading if self.draining => self.begin_linger(cx, CloseReason::Drain),
            State::Reading => self.close(cx, CloseReason::IdleTimeout),
            State::Fixed(_) | State::Chunks(..) => self.refuse(cx, Fault::Timeout, CloseReason::BodyTimeout),
            State::LastLook | State::AwaitFin => self.begin_linger(cx, self.reason),
            State::Linger => self.close(cx, self.reason),
            State::Job | State::Ending => self.read_deadline = Stamp::NEVER,
        }
        self.settle(cx);
    }

    /// The server drains: an idle connection ends now, a busy one after the answer to its present request. One that
    /// never asked anything gets a second: its first request may be under way.
    pub fn on_drain(&mut self, cx: &mut Ctx<'_>) {
        self.draining = true;
        if matches!(self.state, State::Reading) && !self.served && !self.in_head {
            self.read_deadline = self.read_deadline.min(cx.now.plus(limits::LINGER_TIMEOUT));
        }
        self.settle(cx);
    }

    fn buffers(&mut self, cx: &mut Ctx<'_>) -> &mut Buffers {
        self.buffers.get_or_insert_with(|| cx.spare.take())
    }

    fn out(&mut self, cx: &mut Ctx<'_>) -> &mut Vec<u8> {
        &mut self.buffers(cx).output
    }

    fn waiting(&self) -> usize {
        self.output().len()
    }

    /// Parses on in what was kept.
    fn resume(&mut self, cx: &mut Ctx<'_>) {
        self.paused = false;
        let Some(b) = self.buffers.as_mut().filter(|b| b.has_input()) else {
            self.parse(cx, &[]);
            return;
        };
        let (input, at) = b.take_input();
        let used = self.parse(cx, &input[at..]);
        // The socket was not read while this waited.
        self.request.is_last = false;
        self.buffers(cx).put_input(input, at + used);
    }

    /// Parses and answers what can be; how many bytes are used up.
    fn parse(&mut self, cx: &mut Ctx<'_>, bytes: &[u8]) -> usize {
        let mut at = 0;
        while !self.closed {
            let rest = &bytes[at..];
            let full = self.waiting() >= limits::WRITE_HIGH_WATER;
            match &mut self.state {
                State::Reading if full => {
                    self.paused = true;
                    self.read_deadline = Stamp::NEVER;
                    break;
                }
                State::Reading => match self.read_head(cx, rest) {
                    Ok(Some((asked, consumed))) => {
                        at += consumed;
                        self.begin(cx, asked);
                    }
                    Ok(None) => {
                        self.await_head(cx, !rest.is_empty());
                        break;
                    }
                    Err(fault) => self.refuse(cx, fault, CloseReason::Refused),
                },
                _ if rest.is_empty() => break,
                State::Fixed(left) => {
                    let n = (*left).min(rest.len() as u64);
                    *left -= n;
                    at += n as usize;
                    let done = *left == 0;
                    self.body_went_on(cx, done);
                }
                State::Chunks(chunks, total) => match chunks.on_bytes(rest) {
                    Ok(step) => {
                        at += step.consumed;
                        *total += step.body as u64;
                        if *total + chunks.announced() > cx.rules.head.body {
                            self.refuse(cx, Fault::BodyTooLarge, CloseReason::Refused);
                        } else {
                            self.body_went_on(cx, step.done);
                        }
                    }
                    Err(_) => self.refuse(cx, Fault::Chunk, CloseReason::Refused),
                },
                State::Job => break,
                State::Ending | State::LastLook | State::AwaitFin | State::Linger => {
                    self.discard_left = self.discard_left.saturating_sub(rest.len() as u32);
                    at = bytes.len();
                    if self.discard_left == 0 && !matches!(self.state, State::Ending) {
                        self.close(cx, self.reason);
                    }
                }
            }
        }
        at
    }

    /// No whole head is there. `begun`: a part of one.
    fn await_head(&mut self, cx: &Ctx<'_>, begun: bool) {
        if begun && !self.in_head {
            self.read_deadline = cx.now.plus(cx.rules.header_timeout);
        } else if !begun && (self.served || self.in_head) {
            self.read_deadline = cx.now.plus(cx.rules.idle_timeout);
        }
        self.in_head = begun;
    }

    /// The head with which `bytes` begin, and how many bytes it takes; none while it is not whole.
    fn read_head(&mut self, cx: &mut Ctx<'_>, bytes: &[u8]) -> Result<Option<(Asked, usize)>, Fault> {
        if !self.head.has_begun()
            && let Some(found) = cx.heads.find(bytes)
        {
            return Ok(Some(found));
        }
        let Found::Head { head, consumed } = self.head.read(bytes, &cx.rules.head)? else { return Ok(None) };
        let asked = Asked::from(&head);
        // Blank lines before a head are none of it.
        if !bytes.starts_with(b"\r\n") {
            cx.heads.keep(&bytes[..consumed], asked);
        }
        Ok(Some((asked, consumed)))
    }

    fn begin(&mut self, cx: &mut Ctx<'_>, asked: Asked) {
        let Asked { route, method, keep, is_1_1, body, expects_continue } = asked;
        self.in_head = false;
        let is_last = !keep && body == Body::None && self.output().is_empty();
        self.request = Request { route, method, keep, is_1_1, is_last, since: cx.now };
        if expects_continue {
            self.out(cx).extend_from_slice(CONTINUE);
        }
        self.state = match body {
            Body::None => return self.act(cx),
            Body::Fixed(n) => State::Fixed(n),
            Body::Chunked => State::Chunks(Box::new(Chunked::of_request()), 0),
        };
        self.read_deadline = self.body_deadline(cx);
    }

    /// When the next part of the body is due; a body that drips on has an end too.
    fn body_deadline(&self, cx: &Ctx<'_>) -> Stamp {
        let whole = cx.rules.body_timeout.saturating_mul(limits::BODY_TIMEOUTS);
        cx.now.plus(cx.rules.body_timeout).min(self.request.since.plus(whole))
    }

    fn body_went_on(&mut self, cx: &mut Ctx<'_>, done: bool) {
        if done {
            self.act(cx);
        } else {
            self.read_deadline = self.body_deadline(cx);
        }
    }

    /// What follows from all answers being sent, from the client's FIN and from the drain.
    fn settle(&mut self, cx: &mut Ctx<'_>) {
        if self.closed || !self.output().is_empty() {
            return;
        }
        match self.state {
            State::Reading if self.eof => {
                let reason = if self.in_head { CloseReason::ClientTruncated } else { CloseReason::ClientFin };
                self.close(cx, reason);
            }
            State::Reading if self.draining && self.served && !self.in_head => self.begin_linger(cx, CloseReason::Drain),
            State::Fixed(_) | State::Chunks(..) if self.eof => self.close(cx, CloseReason::ClientTruncated),
            State::Ending | State::LastLook | State::AwaitFin | State::Linger if self.eof => self.close(cx, self.reason),
            State::Ending if cx.rules.closer == ServerCloser::Client && self.reason == CloseReason::Announced => {
                self.state = State::AwaitFin;
                self.read_deadline = cx.now.plus(limits::LINGER_TIMEOUT);
            }
            // Bytes behind the last request say that more may come, and closing would reset the connection.
            State::Ending if self.request.is_last && self.discard_left == DISCARDED_AT_MOST => self.state = State::LastLook,
            State::LastLook if self.discard_left == DISCARDED_AT_MOST => {}
            State::Ending | State::LastLook => self.begin_linger(cx, self.reason),
            _ => {}
        }
        if self.buffers.as_ref().is_some_and(|b| b.is_empty()) {
            cx.spare.give(self.buffers.take());
        }
    }
}

#[cfg(test)]
mod tests;
