//! The client's user and the server's connection against each other over byte queues: no kernel, no clock. A seed
//! decides how many bytes move, when a job ends, when a reset strikes and how far time jumps. Whatever happens,
//! every request that starts ends as exactly one sample, and every connection ends.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use sockbench::testing::http1::{AnswerHeads, Answers, JobBody, Timing};
use sockbench::testing::load::{After, Begin, Rules as UserRules, User};
use sockbench::testing::model::{
    Call, Cause, Closer, EADDRNOTAVAIL, ECONNRESET, EndpointId, Failure, Outcome, ServerCloser, Stamp,
};
use sockbench::testing::server::{Conn, Counters, Ctx, Job, JobResult, RequestHeads, Rules as ConnRules, Spare, Summary};

const REQUESTS: [&[u8]; 3] = [
    b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /io HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /cpu HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
];
/// More steps than any run needs: a livelock shows as a failure.
const STEPS: usize = 200_000;

/// One connection between the two: the server's machine and what is on the way.
struct Wire {
    conn: Conn,
    up: VecDeque<u8>,
    down: VecDeque<u8>,
    /// the client closed: a FIN follows the last byte up
    up_fin: bool,
    up_fin_seen: bool,
    /// the server shut down or closed: a FIN follows the last byte down
    down_fin: bool,
    job: Option<Job>,
}

fn reset() -> Failure {
    Failure { port_bound: true, ..Failure::new(Call::Read, Cause::Errno(ECONNRESET)) }
}

struct World {
    rng: fastrand::Rng,
    now: Stamp,
    user: User,
    user_rules: UserRules,
    conn_rules: ConnRules,
    answers: Answers,
    counters: Counters,
    spare: Spare,
    heads: RequestHeads,
    answer_heads: AnswerHeads,
    /// the user's present connection
    wire: Option<Wire>,
    /// connections that the user has left and the server has not
    left: Vec<Wire>,
    to_write: &'static [u8],
    free_at: Option<Stamp>,
    started: u32,
    outcomes: Vec<Outcome>,
    resets: bool,
}

impl World {
    fn new(seed: u64, keepalive: bool, closer: Closer, server_keeps: bool, resets: bool) -> Self {
        // Without faults nothing may time out, however far time jumps.
        let timeout = Duration::from_secs(if resets { 2 } else { 3600 });
        let user_rules = UserRules { keepalive, closer, timeout, ..UserRules::keep_alive() };
        let server_closer = if closer == Closer::Client { ServerCloser::Client } else { ServerCloser::Server };
        Self {
            rng: fastrand::Rng::with_seed(seed),
            now: Stamp::ZERO,
            user: User::new(seed, &user_rules),
            user_rules,
            conn_rules: ConnRules { keepalive: server_keeps, closer: server_closer, ..ConnRules::default() },
            answers: Answers::new(),
            counters: Counters::default(),
            spare: Spare::default(),
            heads: RequestHeads::default(),
            answer_heads: AnswerHeads::default(),
            wire: None,
            left: Vec::new(),
            to_write: b"",
            free_at: Some(Stamp::ZERO),
            started: 0,
            outcomes: Vec::new(),
            resets,
        }
    }

    fn with<T>(&mut self, wire: &mut Wire, f: impl FnOnce(&mut Conn, &mut Ctx<'_>) -> T) -> T {
        let mut cx = Ctx {
            now: self.now,
            rules: &self.conn_rules,
            answers: &self.answers,
            counters: &self.counters,
            spare: &mut self.spare,
            heads: &mut self.heads,
        };
        f(&mut wire.conn, &mut cx)
    }

    fn obey(&mut self, after: After) {
        if after.ended {
            self.outcomes.push(self.user.sample().outcome);
            self.to_write = b"";
        }
        if (after.close.is_some() || !self.user.is_connected())
            && let Some(mut wire) = self.wire.take()
        {
            wire.up_fin = true;
            self.left.push(wire);
        }
        if let Some(at) = after.free_at {
            self.free_at = Some(at);
        }
    }

    fn begin(&mut self) {
        self.free_at = None;
        self.started += 1;
        let endpoint = self.rng.u16(0..3);
        self.to_write = REQUESTS[endpoint as usize];
        if self.user.begin(EndpointId(endpoint), None, self.now, &self.user_rules) == Begin::Write {
            return;
        }
        if self.resets && self.rng.u8(0..10) == 0 {
            let failure = Failure::new(Call::Connect, Cause::Errno(EADDRNOTAVAIL));
            let after = self.user.on_open_failed(failure, self.now, &self.user_rules);
            self.obey(after);
            return;
        }
        let cx = Ctx {
            now: self.now,
            rules: &self.conn_rules,
            answers: &self.answers,
            counters: &self.counters,
            spare: &mut self.spare,
            heads: &mut self.heads,
        };
        let conn = Conn::new(&cx);
        self.wire = Some(Wire {
            conn,
            up: VecDeque::new(),
            down: VecDeque::new(),
            up_fin: false,
            up_fin_seen: false,
            down_fin: false,
            job: None,
        });
        self.user.on_connecting();
        self.user.on_connected(self.now);
    }

    fn some(&mut self, len: usize) -> usize {
        self.rng.usize(1..=len)
    }

    /// One thing happens on the client's side.
    fn client_step(&mut self) {
        if self.user.is_idle() && self.free_at.is_some_and(|t| t <= self.now) {
            self.begin();
            return;
        }
        let Some(mut wire) = self.wire.take() else { return };
        let mut after = After::default();
        if self.resets && self.rng.u16(0..400) == 0 {
            self.with(&mut wire, Conn::on_reset);
            wire.down.clear();
            wire.down_fin = true;
            after = self.user.on_error(reset(), self.now, &self.user_rules);
        } else if !self.to_write.is_empty() && self.rng.bool() {
            let n = self.some(self.to_write.len());
            wire.up.extend(&self.to_write[..n]);
            self.to_write = &self.to_write[n..];
            self.user.on_written(n, self.to_write.is_empty(), self.now);
        } else if !wire.down.is_empty() {
            let n = self.some(wire.down.len());
            let bytes: Vec<u8> = wire.down.drain(..n).collect();
            after = self.user.on_bytes(&bytes, self.now, &self.user_rules, &mut self.answer_heads);
        } else if wire.down_fin {
            after = self.user.on_eof(self.now, &self.user_rules);
        }
        self.wire = Some(wire);
        self.obey(after);
    }

    /// One thing happens on the server's side of `wire`.
    fn server_step(&mut self, wire: &mut Wire) {
        if wire.conn.closed().is_some() {
            wire.down_fin = true;
            return;
        }
        if let Some(job) = wire.conn.take_job() {
            wire.job = Some(job);
        }
        if wire.conn.take_shutdown() {
            wire.down_fin = true;
        }
        match self.rng.u8(0..4) {
            0 if wire.job.is_some() => {
                let timing = Timing::default();
                let result = match wire.job.take() {
                    Some(Job::Io(_)) if self.resets && self.rng.u8(0..20) == 0 => JobResult::Refused,
                    Some(Job::Io(_)) => JobResult::Done(JobBody::Io, timing),
                    _ => JobResult::Done(JobBody::Cpu(7), timing),
                };
                self.with(wire, |c, cx| c.on_job_done(cx, result));
            }
            1 if !wire.conn.output().is_empty() => {
                let n = self.some(wire.conn.output().len());
                wire.down.extend(&wire.conn.output()[..n]);
                self.with(wire, |c, cx| c.on_written(cx, n));
            }
            2 if wire.conn.wants_read() && !wire.up.is_empty() => {
                let n = self.some(wire.up.len());
                let bytes: Vec<u8> = wire.up.drain(..n).collect();
                self.with(wire, |c, cx| c.on_bytes(cx, &bytes));
            }
            3 if wire.up.is_empty() && wire.up_fin && !wire.up_fin_seen && wire.conn.wants_read() => {
                wire.up_fin_seen = true;
                self.with(wire, Conn::on_eof);
            }
            _ => {}
        }
    }

    /// Time passes: a little, or up to the next deadline.
    fn pass_time(&mut self) {
        let mut next = self.now.plus(Duration::from_micros(self.rng.u64(1..500)));
        if self.rng.u8(0..50) == 0 {
            let deadlines = self.left.iter().chain(&self.wire).map(|w| w.conn.deadline());
            let near = deadlines.chain([self.user.deadline()]).chain(self.free_at).min().unwrap_or(next);
            if near < Stamp::NEVER && (self.resets || near <= self.now.plus(Duration::from_millis(1500))) {
                next = next.max(near);
            }
        }
        if self.user.is_idle()
            && let Some(at) = self.free_at
        {
            next = next.max(at.min(self.now.plus(Duration::from_secs(1))));
        }
        self.now = next;
        if self.user.deadline() <= self.now {
            let after = self.user.on_deadline(self.now, &self.user_rules);
            self.obey(after);
        }
        let mut all: Vec<Wire> = std::mem::take(&mut self.left);
        all.extend(self.wire.take());
        let mine = self.user.is_connected();
        for wire in &mut all {
            if wire.conn.deadline() <= self.now {
                self.with(wire, Conn::on_deadline);
            }
        }
        if mine {
            self.wire = all.pop();
        }
        self.left = all;
    }

    fn run(&mut self, requests: u32) {
        for _ in 0..STEPS {
            if self.started == requests && self.user.is_idle() && self.outcomes.len() == requests as usize {
                break;
            }
            if self.started < requests || !self.user.is_idle() || self.wire.is_some() {
                self.client_step();
            }
            if let Some(mut wire) = self.wire.take() {
                self.server_step(&mut wire);
                self.wire = Some(wire);
            }
            let mut left = std::mem::take(&mut self.left);
            for wire in &mut left {
                self.server_step(wire);
            }
            left.retain(|w| w.conn.closed().is_none());
            self.left = left;
            self.pass_time();
        }
        let after = self.user.on_end(self.now);
        self.obey(after);
        if let Some(mut wire) = self.wire.take() {
            wire.up_fin = true;
            self.left.push(wire);
        }
        for _ in 0..STEPS {
            let mut left = std::mem::take(&mut self.left);
            for wire in &mut left {
                self.server_step(wire);
            }
            left.retain(|w| w.conn.closed().is_none());
            self.left = left;
            if self.left.is_empty() {
                break;
            }
            self.pass_time();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn without_faults_every_request_is_answered_once(seed in any::<u64>(), keep in any::<bool>(), server_keeps in any::<bool>(), closer in 0u8..3) {
        let closer = [Closer::Client, Closer::Server, Closer::Reset][closer as usize];
        let mut w = World::new(seed, keep, closer, server_keeps, false);
        w.run(20);
        prop_assert_eq!(w.started, 20);
        prop_assert_eq!(w.outcomes.len(), 20);
        prop_assert!(w.outcomes.iter().all(|o| *o == Outcome::Answered { status: 200 }), "{:?}", w.outcomes);
        prop_assert_eq!(Summary::of(std::slice::from_ref(&w.counters)).answered(), 20, "the server counted what the client got");
        prop_assert!(w.left.is_empty(), "every connection ends");
    }

    #[test]
    fn with_resets_and_delays_every_start_still_ends_as_one_sample(seed in any::<u64>(), keep in any::<bool>(), closer in 0u8..3) {
        let closer = [Closer::Client, Closer::Server, Closer::Reset][closer as usize];
        let mut w = World::new(seed, keep, closer, keep, true);
        w.run(30);
        prop_assert_eq!(w.started as usize, w.outcomes.len());
        prop_assert_eq!(w.started, 30);
        prop_assert!(w.left.is_empty(), "every connection ends");
    }
}
