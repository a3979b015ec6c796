//! One virtual user: a machine that makes one request after another over at most one connection. Pure: the loop
//! hands in what the sockets said and when, and does what comes back.
//!
//! ```text
//!              begin            on_connecting            on_connected           on_written (all)
//!   Idle ──────────────► Opening ───────────► Connecting ───────────► Sending ───────────────► Waiting
//!    ▲  │ begin, connection kept                                         ▲                        │ on_bytes
//!    │  └────────────────────────────────────────────────────────────────┘                        ▼
//!    │◄───────────────────── whole answer, kept or closed here ───────────────────────────── Receiving
//!    │                                                                                            │
//!    └──────────── on_eof, on_deadline ◄──────────── Lingering ◄──────── whole answer, closer = server
//! ```
//!
//! Every [`User::begin`] is followed by exactly one [`Sample`], from whichever input ends it; [`User::on_end`]
//! ends one that is still in flight as cut. Nothing is retried in silence.
//!
//! ```
//! use sockbench::testing::http1::AnswerHeads;
//! use sockbench::testing::load::{Begin, Rules, User};
//! use sockbench::testing::model::{EndpointId, Outcome, Stamp};
//! let rules = Rules::keep_alive();
//! let mut user = User::new(1, &rules);
//! let at = Stamp::from_millis;
//! assert_eq!(user.begin(EndpointId(0), None, at(0), &rules), Begin::Connect);
//! user.on_connecting();
//! user.on_connected(at(1));
//! user.on_written(18, true, at(1));
//! let after = user.on_bytes(b"HTTP/1.1 204 No Content\r\n\r\n", at(3), &rules, &mut AnswerHeads::default());
//! assert!(after.ended);
//! assert_eq!((user.sample().outcome, user.sample().latency_us()), (Outcome::Answered { status: 204 }, 3000));
//! assert_eq!(user.begin(EndpointId(0), None, at(3), &rules), Begin::Write, "the connection was kept");
//! ```

use std::sync::Arc;
use std::time::Duration;

use crate::http1::response::{AnswerHeads, AtEof, Progress, ResponseReader, Start, Surplus};
use crate::load::pacer::exponential;
use crate::model::limits;
use crate::model::outcome::{Call, Cause, ClosedBy, EndpointId, Failure, Outcome, Phase, ProtocolFault, Sample};
use crate::model::plan::{Closer, Spread};
use crate::model::received::Received;
use crate::model::time::Stamp;

mod rules;
mod step;

pub use rules::Rules;
pub use step::{After, Begin, Open};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// no request in flight
    Idle,
    /// a request began; no socket yet
    Opening,
    /// connect(2) was called; not known to be established
    Connecting,
    /// the request is being written
    Sending,
    /// the request is out
    Waiting,
    /// the answer has begun
    Receiving,
    /// the answer is whole; the target is to close
    Lingering,
}

/// One virtual user.
#[derive(Debug)]
pub struct User {
    state: State,
    connected: bool,
    /// answers on the current connection
    answers: u64,
    sample: Sample,
    reader: ResponseReader,
    rng: fastrand::Rng,
    pause: Duration,
    /// bytes beyond the latest answer were reported
    surplus_seen: bool,
    deadline: Stamp,
    free_at: Stamp,
}

impl User {
    /// A user without a connection; `seed` decides all its random choices.
    pub fn new(seed: u64, rules: &Rules) -> Self {
        Self {
            state: State::Idle,
            connected: false,
            answers: 0,
            sample: Sample::begun(EndpointId(0), None, Stamp::ZERO),
            reader: ResponseReader::new(Arc::clone(&rules.expect)),
            rng: fastrand::Rng::with_seed(seed),
            pause: limits::LOCAL_PAUSE,
            surplus_seen: false,
            deadline: Stamp::NEVER,
            free_at: Stamp::ZERO,
        }
    }

    /// The user's own randomness, for its choice of endpoint.
    pub fn rng(&mut self) -> &mut fastrand::Rng {
        &mut self.rng
    }

    /// Whether there is a connection, as far as is known.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Whether a request may begin.
    pub fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// Whether connect(2) was called and its outcome is not known yet.
    pub fn is_connecting(&self) -> bool {
        self.state == State::Connecting
    }

    /// Whether the answer is whole and the target is yet to close.
    pub fn is_lingering(&self) -> bool {
        self.state == State::Lingering
    }

    /// The latest request; final once [`After::ended`] has said so, and until the next one begins.
    pub fn sample(&self) -> &Sample {
        &self.sample
    }

    /// Whether request bytes are still to be written.
    pub fn is_sending(&self) -> bool {
        matches!(self.state, State::Sending | State::Connecting)
    }

    /// When [`User::on_deadline`] is due; [`Stamp::NEVER`] when nothing is awaited.
    pub fn deadline(&self) -> Stamp {
        self.deadline
    }

    /// Starts a request. The user must be idle.
    pub fn begin(&mut self, endpoint: EndpointId, intended: Option<Stamp>, now: Stamp, rules: &Rules) -> Begin {
        debug_assert_eq!(self.state, State::Idle, "one request at a time");
        self.sample = Sample::begun(endpoint, intended, now);
        self.surplus_seen = false;
        self.reader.begin(if self.connected && self.answers > 0 { Start::Reused } else { Start::Fresh });
        self.deadline = now.plus(rules.timeout);
        if self.connected {
            self.state = State::Sending;
            Begin::Write
        } else {
            self.state = State::Opening;
            self.answers = 0;
            Begin::Connect
        }
    }

    /// socket(2), bind(2) or connect(2) failed at once.
    pub fn on_open_failed(&mut self, failure: Failure, now: Stamp, rules: &Rules) -> After {
        self.fail(failure, now, rules, None)
    }

    /// A connection was made before the run: it has carried nothing yet.
    pub fn on_preconnected(&mut self) {
        self.connected = true;
    }

    /// connect(2) was called and goes on by itself.
    pub fn on_connecting(&mut self) {
        self.state = State::Connecting;
    }

    /// The connection was established at `at`.
    pub fn on_connected(&mut self, at: Stamp) {
        self.connected = true;
        self.sample.connected = Some(at);
        self.state = State::Sending;
    }

    /// `n` request bytes went to the kernel; `all` of them are out now.
    pub fn on_written(&mut self, n: usize, all: bool, now: Stamp) {
        self.sample.bytes_out += n as u64;
        if all {
            self.sample.sent = Some(now);
            self.state = State::Waiting;
        }
    }

    /// Bytes came; `heads` are what the loop has read of answers lately.
    pub fn on_bytes(&mut self, bytes: &[u8], now: Stamp, rules: &Rules, heads: &mut AnswerHeads) -> After {
        match self.state {
            State::Sending | State::Waiting | State::Receiving => {}
            // Bytes that nobody asked for: the connection can carry no further request.
            State::Idle if self.connected => {
                return After { surplus: self.surplus(bytes), ..self.lose(ClosedBy::Client) };
            }
            State::Lingering => return After { surplus: self.surplus(bytes), ..After::default() },
            State::Idle | State::Opening | State::Connecting => return After::default(),
        }
        if !self.reader.has_begun() {
            self.sample.first_byte = Some(now);
        }
        self.sample.bytes_in += bytes.len() as u64;
        match self.reader.on_bytes(bytes, heads) {
            Ok(Progress::More) => {
                if self.state == State::Waiting {
                    self.state = State::Receiving;
                }
                After::default()
            }
            Ok(Progress::Done { surplus }) => self.answered(now, rules, End::Framed(surplus)),
            Err(fault) => self.malformed(fault, now, rules, ClosedBy::Client),
        }
    }

    /// The target's FIN came.
    pub fn on_eof(&mut self, now: Stamp, rules: &Rules) -> After {
        match self.state {
            State::Idle => self.lose(ClosedBy::Server),
            State::Lingering => self.linger_over(ClosedBy::Server, now),
            State::Opening => After::default(),
            State::Connecting | State::Sending | State::Waiting | State::Receiving => match self.reader.on_eof() {
                AtEof::Complete => self.answered(now, rules, End::Eof),
                AtEof::NothingCame => {
                    let failure = Failure { reused: self.answers > 0, ..Failure::new(Call::Read, Cause::Eof) };
                    self.fail(Failure { port_bound: true, ..failure }, now, rules, Some(ClosedBy::Server))
                }
                AtEof::Broken(fault) => self.malformed(fault, now, rules, ClosedBy::Server),
            },
        }
    }

    /// A system call on the socket failed, or SO_ERROR had an error; whether the connection was reused is known here.
    pub fn on_error(&mut self, failure: Failure, now: Stamp, rules: &Rules) -> After {
        match self.state {
            State::Idle => self.lose(ClosedBy::Reset),
            State::Lingering => self.linger_over(ClosedBy::Reset, now),
            _ => {
                let failure = Failure { reused: self.answers > 0, ..failure };
                // A connection that was never established was not ended by anybody.
                let ended = self.connected.then_some(ClosedBy::Reset);
                self.fail(failure, now, rules, ended)
            }
        }
    }

    /// The socket turned out to be connected to itself (a connect to a free port of the own range can do that).
    pub fn on_self_connect(&mut self, now: Stamp, rules: &Rules) -> After {
        self.connected = false;
        self.fail(Failure { port_bound: true, ..Failure::new(Call::Connect, Cause::SelfConnect) }, now, rules, None)
    }

    /// [`User::deadline`] has passed.
    pub fn on_deadline(&mut self, now: Stamp, rules: &Rules) -> After {
        let Some(phase) = self.phase() else {
            if self.state == State::Lingering {
                return self.linger_over(ClosedBy::Client, now);
            }
            self.deadline = Stamp::NEVER;
            return After::default();
        };
        if let Some(fault) = self.reader.certain_fault() {
            return self.malformed(fault, now, rules, ClosedBy::Client);
        }
        let failure =
            Failure { reused: self.answers > 0, port_bound: true, ..Failure::new(Call::Timeout, Cause::TimedOut(phase)) };
        let ended = self.connected.then_some(ClosedBy::Client);
        self.fail(failure, now, rules, ended)
    }

    /// What the request in flight waits for; none when there is none.
    fn phase(&self) -> Option<Phase> {
        match self.state {
            State::Idle | State::Lingering => None,
            State::Opening | State::Connecting => Some(Phase::Connecting),
            State::Sending => Some(Phase::Sending),
            State::Waiting => Some(Phase::Waiting),
            State::Receiving => Some(Phase::Receiving),
        }
    }

    /// The request in flight, in its present state.
    pub fn open(&self) -> Option<Open> {
        self.phase().map(|phase| Open { phase, sent: self.sample.sent, received: self.received() })
    }

    /// What came of the latest answer, whole or not; none where nothing came. Stays until the next request begins.
    pub fn received(&self) -> Option<Received> {
        self.reader.received(self.sample.bytes_in)
    }

    /// Fields of the latest answer that say when the target takes more (Retry-After, RateLimit-*).
    pub fn limit_fields(&self) -> Option<&str> {
        self.reader.limit_fields()
    }

    /// The connection that is open has carried an answer.
    pub fn has_carried_an_answer(&self) -> bool {
        self.connected && self.answers > 0
    }

    /// The bytes that show what is wrong with the latest answer, or came beyond it. Stays until the next request begins.
    pub fn excerpt(&self) -> &[u8] {
        self.reader.excerpt()
    }

    /// The run ends: a request in flight becomes a cut sample; a standing connection is to be closed.
    pub fn on_end(&mut self, now: Stamp) -> After {
        let ended = self.phase().is_some();
        if ended {
            self.sample.ended = now;
            self.sample.outcome = Outcome::Cut;
        }
        let close = self.connected.then_some(ClosedBy::Client);
        self.state = State::Idle;
        self.connected = false;
        self.deadline = Stamp::NEVER;
        After { ended, close, ..After::default() }
    }

    /// The whole answer is here.
    fn answered(&mut self, now: Stamp, rules: &Rules, end: End) -> After {
        let answer = self.reader.answer();
        self.answers += 1;
        self.pause = limits::LOCAL_PAUSE;
        self.deadline = Stamp::NEVER;
        let outcome = if answer.status >= 400 {
            let failure =
                Failure { reused: self.answers > 1, port_bound: true, ..Failure::new(Call::Http, Cause::Status(answer.status)) };
            Outcome::Failed(failure)
        } else {
            Outcome::Answered { status: answer.status }
        };
        self.sample.ended = now;
        self.sample.outcome = outcome;
        self.sample.body_bytes = answer.body_bytes;
        self.sample.server_timing_us = answer.server_timing_us;
        let surplus = if let End::Framed(surplus) = end { surplus } else { None };
        self.surplus_seen = surplus.is_some();
        let announced_close = rules.keepalive && !answer.keep;
        let mut after = After { ended: true, announced_close, surplus, ..After::default() };
        self.free_at = self.after_think(now, rules);
        if end == End::Eof {
            self.connected = false;
            self.state = State::Idle;
            after.close = Some(ClosedBy::Server);
        } else if rules.keepalive && answer.keep && self.sample.sent.is_some() && surplus.is_none() {
            self.state = State::Idle;
        } else if rules.closer == Closer::Server {
            self.state = State::Lingering;
            self.deadline = now.plus(rules.timeout.min(limits::LINGER_TIMEOUT));
            return after;
        } else {
            self.connected = false;
            self.state = State::Idle;
            after.close = Some(if rules.closer == Closer::Reset { ClosedBy::Reset } else { ClosedBy::Client });
        }
        after.free_at = Some(self.free_at);
        after
    }

    /// Bytes beyond the latest answer; reported once, however many pieces they come in.
    fn surplus(&mut self, bytes: &[u8]) -> Option<Surplus> {
        let is_new = !std::mem::replace(&mut self.surplus_seen, true);
        is_new.then(|| self.reader.on_surplus(bytes))
    }

    fn malformed(&mut self, fault: ProtocolFault, now: Stamp, rules: &Rules, by: ClosedBy) -> After {
        let failure =
            Failure { reused: self.answers > 0, port_bound: true, ..Failure::new(Call::Protocol, Cause::Malformed(fault)) };
        self.fail(failure, now, rules, Some(by))
    }

    /// Ends the sample as a failure, drops the connection, and says when the user may go on.
    fn fail(&mut self, failure: Failure, now: Stamp, rules: &Rules, by: Option<ClosedBy>) -> After {
        let outcome = Outcome::of(failure);
        self.sample.ended = now;
        self.sample.outcome = outcome;
        self.sample.body_bytes = self.reader.answer().body_bytes;
        self.state = State::Idle;
        self.connected = false;
        self.deadline = Stamp::NEVER;
        // No port or descriptor here, or nobody there: asked again at once, the answer would be the same.
        let paused = matches!(outcome, Outcome::Local(_)) || failure.call == Call::Connect;
        let free_at = if paused && rules.think.max.is_zero() {
            let pause = self.pause;
            self.pause = (pause * 2).min(limits::LOCAL_PAUSE_MAX);
            now.plus(pause)
        } else {
            self.after_think(now, rules)
        };
        After { ended: true, close: by, free_at: Some(free_at), paused, ..After::default() }
    }

    /// The connection went while no request was in flight: nothing failed, the next request opens another.
    fn lose(&mut self, by: ClosedBy) -> After {
        let had = std::mem::replace(&mut self.connected, false);
        After { close: had.then_some(by), ended_idle: had && by != ClosedBy::Client, ..After::default() }
    }

    fn linger_over(&mut self, by: ClosedBy, now: Stamp) -> After {
        self.state = State::Idle;
        self.connected = false;
        self.deadline = Stamp::NEVER;
        After { close: Some(by), free_at: Some(self.free_at.max(now)), ..After::default() }
    }

    fn after_think(&mut self, now: Stamp, rules: &Rules) -> Stamp {
        let (min, max) = (rules.think.min, rules.think.max);
        if max.is_zero() {
            return now;
        }
        if rules.think.spread == Spread::Exponential {
            return now.plus(Duration::try_from_secs_f64(max.as_secs_f64() * exponential(&mut self.rng)).unwrap_or(max));
        }
        let span = max.saturating_sub(min).as_nanos() as u64;
        let extra = if span == 0 { 0 } else { self.rng.u64(0..=span) };
        now.plus(min).plus(Duration::from_nanos(extra))
    }
}

/// How a whole answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// by its own framing, with what came beyond it
    Framed(Option<Surplus>),
    /// by the end of the connection
    Eof,
}

#[cfg(test)]
mod tests;
