//! A user and the server's connections over queues, without sockets or clocks: partial reads and writes, jobs that end late,
//! lost and spurious wake-ups, resets, a clock that jumps, a drain. A seed decides everything that happens. Whatever happens:
//! each request ends in exactly one sample, nobody waits for ever, and where nothing goes wrong every request is answered.
//!
//! A failure names its seed: `SOCKBENCH_SIM_SEED=N cargo test --test pure simulated` plays that one again.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use sockbench::testing::http1::{AnswerHeads, Answers, JobBody, Timing};
use sockbench::testing::load::{After, Begin, Rules, User};
use sockbench::testing::model::{Call, Cause, Closer, ECONNRESET, EndpointId, Failure, Outcome, ServerCloser, Stamp};
use sockbench::testing::server::{Conn, Counters, Ctx, JobResult, RequestHeads, Rules as ServerRules, Spare, Summary};

use crate::facts::healthy;

/// Steps in all: a debug build takes five times as long for one.
const STEPS: u64 = if cfg!(debug_assertions) { 200_000 } else { 1_000_000 };
/// Steps of one world.
const EPISODE: u64 = 400;
/// Moves that bring the end of a world, whatever was under way.
const LAST_MOVES: u32 = 20_000;

const REQUESTS: [(&str, u16); 4] = [("/health", 200), ("/io?ms=1", 200), ("/cpu", 200), ("/nowhere", 404)];

/// One connection: the server's side of it, and what is on its way.
struct Link {
    conn: Conn,
    jobs: u32,
    to_server: VecDeque<u8>,
    to_client: VecDeque<u8>,
    /// the client has closed: with a FIN, or with a reset
    client: Gone,
    server: Gone,
    eof_told: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Gone {
    No,
    Fin,
    Reset,
}

struct World {
    rng: fastrand::Rng,
    now: Stamp,
    /// things go wrong
    is_rough: bool,
    user: User,
    rules: Rules,
    server: ServerRules,
    answers: Answers,
    counters: Counters,
    spare: Spare,
    heads: RequestHeads,
    answer_heads: AnswerHeads,
    links: Vec<Link>,
    /// the user's connection is the last of the links
    has_link: bool,
    request: Vec<u8>,
    written: usize,
    expected: u16,
    /// none while a request is under way or lingers
    free_at: Option<Stamp>,
    in_flight: bool,
    begun: u64,
    samples: u64,
    drains: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut plan = healthy().plan;
        plan.think = sockbench::testing::model::Think::default();
        plan.keepalive = rng.bool();
        plan.closer = [Closer::Client, Closer::Server][rng.usize(..2)];
        let rules = Rules::of(&plan);
        let server = ServerRules {
            keepalive: rng.u8(..4) > 0,
            closer: [ServerCloser::Server, ServerCloser::Client][rng.usize(..2)],
            ..ServerRules::default()
        };
        Self {
            now: Stamp::ZERO,
            is_rough: rng.bool(),
            user: User::new(seed, &rules),
            rules,
            server,
            answers: Answers::new(),
            counters: Counters::default(),
            spare: Spare::default(),
            heads: RequestHeads::default(),
            answer_heads: AnswerHeads::default(),
            links: Vec::new(),
            has_link: false,
            request: Vec::new(),
            written: 0,
            expected: 200,
            free_at: Some(Stamp::ZERO),
            in_flight: false,
            begun: 0,
            samples: 0,
            drains: false,
            rng,
        }
    }

    /// One of the server's connections gets an event; what it asks for is done.
    fn tell(&mut self, i: usize, event: impl FnOnce(&mut Conn, &mut Ctx<'_>)) {
        let Self { now, server, answers, counters, spare, heads, .. } = self;
        let mut cx = Ctx { now: *now, rules: server, answers, counters, spare, heads };
        let link = &mut self.links[i];
        if link.server != Gone::No && link.conn.closed().is_some() {
            return;
        }
        event(&mut link.conn, &mut cx);
        link.jobs += u32::from(link.conn.take_job().is_some());
        if link.conn.take_shutdown() && link.server == Gone::No {
            link.server = Gone::Fin;
        }
        if link.conn.closed().is_some() {
            // Closed with bytes unread, the kernel sends a reset.
            link.server = if link.to_server.is_empty() && link.server != Gone::Reset { Gone::Fin } else { Gone::Reset };
        }
    }

    /// What the user asks of its loop.
    fn carry_out(&mut self, after: After) {
        if after.ended {
            let sample = *self.user.sample();
            assert!(std::mem::take(&mut self.in_flight), "a sample of no request: {sample:?}");
            self.samples += 1;
            let is_as_asked = match sample.outcome {
                Outcome::Answered { status } => status == self.expected,
                Outcome::Failed(f) => f.call == Call::Http && f.cause == Cause::Status(self.expected),
                _ => false,
            };
            assert!(is_as_asked || self.is_rough, "nothing went wrong, but {:?}", sample.outcome);
        }
        let has_none = !self.user.is_connected() && !self.user.is_connecting();
        if after.close.is_some() || (has_none && after.ended) {
            self.close();
        }
        if after.free_at.is_some() {
            self.free_at = after.free_at;
        }
        if self.user.open().is_some() {
            assert_ne!(self.user.deadline(), Stamp::NEVER, "a request without a deadline");
        }
    }

    /// The client closes.
    fn close(&mut self) {
        if std::mem::take(&mut self.has_link) {
            let link = self.links.last_mut().unwrap();
            if link.client == Gone::No {
                link.client = if link.to_client.is_empty() { Gone::Fin } else { Gone::Reset };
            }
        }
    }

    fn begin(&mut self) -> bool {
        if self.free_at.is_none_or(|at| at > self.now) || !self.user.is_idle() {
            return false;
        }
        self.free_at = None;
        let (path, status) = REQUESTS[self.rng.usize(..REQUESTS.len())];
        let close = if self.rules.keepalive { "" } else { "Connection: close\r\n" };
        self.request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{close}\r\n").into_bytes();
        (self.written, self.expected) = (0, status);
        (self.in_flight, self.begun) = (true, self.begun + 1);
        if self.user.begin(EndpointId(0), None, self.now, &self.rules) == Begin::Write {
            return true;
        }
        if self.drains || (self.is_rough && self.rng.u8(..20) == 0) {
            let failure = Failure { port_bound: true, ..Failure::new(Call::Connect, Cause::Errno(111)) };
            let after = self.user.on_open_failed(failure, self.now, &self.rules);
            self.carry_out(after);
            return true;
        }
        self.user.on_connecting();
        let cx = Ctx {
            now: self.now,
            rules: &self.server,
            answers: &self.answers,
            counters: &self.counters,
            spare: &mut self.spare,
            heads: &mut self.heads,
        };
        let conn = Conn::new(&cx);
        let (to_server, to_client) = Default::default();
        self.links.push(Link { conn, jobs: 0, to_server, to_client, client: Gone::No, server: Gone::No, eof_told: false });
        self.has_link = true;
        self.user.on_connected(self.now);
        true
    }

    fn client_writes(&mut self) -> bool {
        if !self.has_link || !self.user.is_sending() {
            return false;
        }
        let link = self.links.last_mut().unwrap();
        let n = self.rng.usize(1..=self.request.len() - self.written);
        if link.conn.closed().is_some() {
            // Nobody is there to take it.
            link.server = Gone::Reset;
        } else {
            link.to_server.extend(&self.request[self.written..self.written + n]);
        }
        self.written += n;
        self.user.on_written(n, self.written == self.request.len(), self.now);
        true
    }

    fn client_reads(&mut self) -> bool {
        if !self.has_link {
            return false;
        }
        let link = self.links.last_mut().unwrap();
        let after = if link.server == Gone::Reset && (link.to_client.is_empty() || self.rng.bool()) {
            link.to_client.clear();
            let failure = Failure { port_bound: true, ..Failure::new(Call::Read, Cause::Errno(ECONNRESET)) };
            self.user.on_error(failure, self.now, &self.rules)
        } else if !link.to_client.is_empty() {
            let n = self.rng.usize(1..=link.to_client.len());
            let bytes: Vec<u8> = link.to_client.drain(..n).collect();
            self.user.on_bytes(&bytes, self.now, &self.rules, &mut self.answer_heads)
        } else if link.server == Gone::Fin {
            self.user.on_eof(self.now, &self.rules)
        } else {
            return false;
        };
        self.carry_out(after);
        true
    }

    fn server_reads(&mut self, i: usize) -> bool {
        let link = &mut self.links[i];
        if link.conn.closed().is_some() {
            return false;
        }
        if link.client == Gone::Reset {
            link.to_server.clear();
            self.tell(i, Conn::on_reset);
            return true;
        }
        if !link.conn.wants_read() {
            return false;
        }
        if !link.to_server.is_empty() {
            let n = self.rng.usize(1..=link.to_server.len());
            let bytes: Vec<u8> = link.to_server.drain(..n).collect();
            self.tell(i, |conn, cx| conn.on_bytes(cx, &bytes));
            return true;
        }
        if link.client == Gone::Fin && !std::mem::replace(&mut link.eof_told, true) {
            self.tell(i, Conn::on_eof);
            return true;
        }
        false
    }

    fn server_writes(&mut self, i: usize) -> bool {
        let link = &mut self.links[i];
        let length = link.conn.output().len();
        if length == 0 || link.conn.closed().is_some() {
            return false;
        }
        if link.client != Gone::No {
            self.tell(i, Conn::on_reset);
            return true;
        }
        let n = self.rng.usize(1..=length);
        let bytes = link.conn.output()[..n].to_vec();
        link.to_client.extend(bytes);
        self.tell(i, |conn, cx| conn.on_written(cx, n));
        true
    }

    fn job_ends(&mut self, i: usize) -> bool {
        let link = &mut self.links[i];
        if link.jobs == 0 {
            return false;
        }
        link.jobs -= 1;
        let result = match self.rng.u8(..10) {
            0 if self.is_rough => JobResult::Panicked,
            1 if self.is_rough => JobResult::Refused,
            _ => JobResult::Done(JobBody::Io, Timing::default()),
        };
        self.tell(i, |conn, cx| conn.on_job_done(cx, result));
        true
    }

    fn deadlines(&mut self) -> bool {
        let mut any = false;
        if self.user.deadline() <= self.now {
            let after = self.user.on_deadline(self.now, &self.rules);
            self.carry_out(after);
            any = true;
        }
        for i in 0..self.links.len() {
            let link = &self.links[i];
            if link.conn.closed().is_none() && link.conn.deadline() <= self.now {
                self.tell(i, Conn::on_deadline);
                any = true;
            }
        }
        any
    }

    fn step(&mut self) {
        let i = if self.links.is_empty() { 0 } else { self.rng.usize(..self.links.len()) };
        let any = !self.links.is_empty();
        match self.rng.u8(..16) {
            0 => self.now = self.now.plus(Duration::from_micros(self.rng.u64(..500))),
            1 | 2 => drop(self.begin()),
            3 | 4 => drop(self.client_writes()),
            5 | 6 => drop(self.client_reads()),
            7 | 8 if any => drop(self.server_reads(i)),
            9 | 10 if any => drop(self.server_writes(i)),
            11 if any => drop(self.job_ends(i)),
            12 => drop(self.deadlines()),
            // A wake-up without a reason.
            13 if any => {
                self.tell(i, Conn::on_deadline);
                self.tell(i, |conn, cx| conn.on_written(cx, 0));
            }
            14 if self.is_rough => match self.rng.u8(..24) {
                // The clock jumps: a machine that slept.
                0..4 => self.now = self.now.plus(Duration::from_millis(self.rng.u64(..100_000))),
                4..8 if self.has_link => {
                    let link = self.links.last_mut().unwrap();
                    (link.client, link.server) = (Gone::Reset, Gone::Reset);
                }
                8 => {
                    self.drains = true;
                    (0..self.links.len()).for_each(|i| self.tell(i, Conn::on_drain));
                }
                9 if self.drains => (0..self.links.len()).for_each(|i| self.tell(i, Conn::on_cut)),
                _ => {}
            },
            _ => {}
        }
        // Those that both sides are done with.
        let user_s = self.has_link.then(|| self.links.len() - 1);
        let mut at = 0;
        self.links.retain(|link| {
            at += 1;
            Some(at - 1) == user_s || link.conn.closed().is_none()
        });
    }

    /// No further request: all that is under way ends by itself, at the latest by its deadlines.
    fn end(&mut self) {
        for _ in 0..LAST_MOVES {
            let moved = self.client_writes()
                | self.client_reads()
                | (0..self.links.len())
                    .fold(false, |any, i| any | self.server_reads(i) | self.server_writes(i) | self.job_ends(i))
                | self.deadlines();
            if moved {
                continue;
            }
            let open = self.links.iter().filter(|l| l.conn.closed().is_none());
            let next = open.map(|l| l.conn.deadline()).chain([self.user.deadline()]).min().unwrap_or(Stamp::NEVER);
            if next == Stamp::NEVER {
                assert!(!self.in_flight && self.samples == self.begun, "{} samples of {} requests", self.samples, self.begun);
                let hangs = self.links.iter().filter(|l| l.conn.closed().is_none()).count();
                assert_eq!(hangs, 0, "connections without a deadline");
                let answered = Summary::of(std::slice::from_ref(&self.counters)).answered();
                assert!(self.is_rough || answered == self.samples, "{answered} answers, {} samples", self.samples);
                return;
            }
            self.now = self.now.max(next);
        }
        panic!("it goes on for ever");
    }
}

fn play(seed: u64) -> u64 {
    let mut world = World::new(seed);
    for _ in 0..EPISODE {
        world.step();
    }
    world.end();
    world.samples
}

#[test]
fn whatever_happens_each_request_has_one_sample_and_nobody_hangs() {
    if let Some(seed) = std::env::var("SOCKBENCH_SIM_SEED").ok().and_then(|s| s.parse().ok()) {
        println!("seed {seed}: {} samples", play(seed));
        return;
    }
    let mut samples = 0;
    for seed in 0..STEPS / EPISODE {
        let Ok(n) = catch_unwind(AssertUnwindSafe(|| play(seed))) else {
            panic!("above: SOCKBENCH_SIM_SEED={seed} plays it again")
        };
        samples += n;
    }
    assert!(samples > STEPS / 100, "{samples} samples: nothing goes on");
    println!("{STEPS} steps, {samples} samples");
}
