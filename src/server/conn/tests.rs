//! Transcripts: what goes in, what comes out, no sockets.

use proptest::prelude::*;

use super::*;
use crate::http1::encode::{Answers, JobBody, Timing};
use crate::server::counters::Counters;
use crate::server::counters::Summary;

const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
const IO: &[u8] = b"GET /io HTTP/1.1\r\nHost: a\r\n\r\n";

/// A connection with its environment; what it sends is collected.
struct Bench {
    rules: Rules,
    answers: Answers,
    counters: Counters,
    spare: Spare,
    heads: RequestHeads,
    now: Stamp,
    conn: Option<Conn>,
    sent: Vec<u8>,
    /// the kernel takes what is sent at once
    flows: bool,
    shutdowns: u32,
}

impl Bench {
    fn new(rules: Rules) -> Self {
        let mut b = Self {
            rules,
            answers: Answers::new(),
            counters: Counters::default(),
            spare: Spare::default(),
            heads: RequestHeads::default(),
            now: Stamp::ZERO,
            conn: None,
            sent: Vec::new(),
            flows: true,
            shutdowns: 0,
        };
        b.with(|_, _| {});
        b
    }

    fn with(&mut self, f: impl FnOnce(&mut Conn, &mut Ctx<'_>)) -> &mut Self {
        let mut cx = Ctx {
            now: self.now,
            rules: &self.rules,
            answers: &self.answers,
            counters: &self.counters,
            spare: &mut self.spare,
            heads: &mut self.heads,
        };
        let conn = self.conn.get_or_insert_with(|| Conn::new(&cx));
        f(conn, &mut cx);
        while self.flows && !conn.output().is_empty() {
            self.sent.extend_from_slice(conn.output());
            conn.on_written(&mut cx, conn.output().len());
        }
        conn.on_dry(&mut cx);
        self.shutdowns += u32::from(conn.take_shutdown());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.with(|c, cx| c.on_bytes(cx, bytes))
    }

    fn at(&mut self, ms: u64) -> &mut Self {
        self.now = Stamp::from_millis(ms);
        self.with(Conn::on_deadline)
    }

    fn job(&mut self, result: JobResult) -> &mut Self {
        self.with(|c, cx| c.on_job_done(cx, result))
    }

    fn conn(&mut self) -> &mut Conn {
        self.conn.as_mut().unwrap()
    }

    /// Status codes sent, in order, with `!` where the answer closes; and forgets them.
    fn statuses(&mut self) -> String {
        let text = String::from_utf8(std::mem::take(&mut self.sent)).unwrap();
        let one = |a: &str| format!("{}{}", &a[..3], if a.contains("Connection: close") { "!" } else { "" });
        text.split("HTTP/1.1 ").skip(1).map(one).collect::<Vec<_>>().join(" ")
    }
}

fn io_done() -> JobResult {
    JobResult::Done(JobBody::Io, Timing::default())
}

#[test]
fn keep_alive_pipelining_and_no_buffers_when_idle() {
    let mut b = Bench::new(Rules::default());
    b.bytes(&[HEALTH, b"HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /hea"].concat());
    assert_eq!(b.statuses(), "200 200 404");
    b.bytes(b"lth HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(b.statuses(), "200");
    assert!(b.conn().buffers.is_none());
    assert_eq!(Summary::of(&[b.counters]).answered(), 4);
}

#[test]
fn answers_leave_in_order_around_a_job() {
    let mut b = Bench::new(Rules::default());
    b.bytes(&[HEALTH, IO, HEALTH, IO].concat());
    assert_eq!(b.statuses(), "200");
    assert_eq!(b.conn().take_job(), Some(Job::Io(None)));
    assert_eq!(b.conn().take_job(), None);
    assert!(!b.conn().wants_read());
    b.job(io_done());
    assert_eq!(b.statuses(), "200 200");
    assert_eq!(b.conn().take_job(), Some(Job::Io(None)));
    b.job(JobResult::Panicked);
    assert_eq!(b.statuses(), "500");
    assert!(b.conn().wants_read());
    b.bytes(b"GET /cpu HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(b.conn().take_job(), Some(Job::Cpu));
    b.job(JobResult::Refused);
    assert_eq!(b.statuses(), "503");
    assert!(b.conn().closed().is_none());
}

#[test]
fn a_half_closed_client_gets_every_answer() {
    let mut b = Bench::new(Rules::default());
    b.bytes(&[IO, HEALTH].concat()).with(Conn::on_eof);
    assert!(b.conn().closed().is_none());
    b.job(io_done());
    assert_eq!(b.statuses(), "200 200");
    assert_eq!(b.conn().closed(), Some(CloseReason::ClientFin));
}

#[test]
fn eof_inside_a_request_is_told_apart() {
    for (bytes, reason) in [
        (&b""[..], CloseReason::ClientFin),
        (b"GET", CloseReason::ClientTruncated),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab", CloseReason::ClientTruncated),
    ] {
        let mut b = Bench::new(Rules::default());
        b.bytes(bytes).with(Conn::on_eof);
        assert_eq!(b.conn().closed(), Some(reason));
    }
}

#[test]
fn bodies_are_skipped_by_length_and_by_chunks() {
    let mut b = Bench::new(Rules::default());
    b.bytes(b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGE");
    assert_eq!(b.statuses(), "");
    b.bytes(b"T /POST /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab");
    assert_eq!(b.statuses(), "200");
    b.bytes(b"c\r\n0\r\nT: v\r\n\r\n").bytes(HEALTH);
    assert_eq!(b.statuses(), "405 200");
}

#[test]
fn a_body_may_be_asked_for() {
    let mut b = Bench::new(Rules::default());
    b.bytes(b"GET /health HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    assert_eq!(b.statuses(), "100");
    b.bytes(b"x");
    assert_eq!(b.statuses(), "200");
}

#[test]
fn refusals_reach_the_client_then_the_rest_is_thrown_away() {
    let mut b = Bench::new(Rules::default());
    b.bytes(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
    assert_eq!((b.statuses().as_str(), b.shutdowns), ("400!", 1));
    b.bytes(&vec![b'x'; 200_000]);
    assert!(b.conn().closed().is_none() && b.conn().wants_read());
    b.bytes(&vec![b'x'; 70_000]);
    assert_eq!(b.conn().closed(), Some(CloseReason::Refused));

    let mut b = Bench::new(Rules::default());
    b.bytes(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n");
    assert_eq!(b.statuses(), "413!");
    b.at(999);
    assert!(b.conn().closed().is_none());
    b.at(1000);
    assert_eq!(b.conn().closed(), Some(CloseReason::Refused));
}

#[test]
fn who_closes_first() {
    let mut b = Bench::new(Rules { keepalive: false, ..Rules::default() });
    b.bytes(HEALTH);
    assert_eq!((b.statuses().as_str(), b.shutdowns), ("200!", 1));
    b.with(Conn::on_eof);
    assert_eq!(b.conn().closed(), Some(CloseReason::Announced));

    let mut b = Bench::new(Rules { keepalive: false, closer: ServerCloser::Client, ..Rules::default() });
    b.bytes(HEALTH);
    assert_eq!((b.statuses().as_str(), b.shutdowns), ("200!", 0));
    b.at(1000);
    assert_eq!(b.shutdowns, 1, "the wait for the client's FIN is bounded");
    b.at(2000);
    assert_eq!(b.conn().closed(), Some(CloseReason::Announced));
}

#[test]
fn a_client_that_asked_for_the_end_is_not_waited_for_unless_more_came_from_it() {
    const LAST: &str = "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for last in [LAST, "GET /health HTTP/1.0\r\n\r\n", "GET /none HTTP/1.0\r\n\r\n"] {
        let mut b = Bench::new(Rules::default());
        b.bytes(HEALTH).bytes(last.as_bytes());
        assert_eq!((b.shutdowns, b.conn().closed()), (0, Some(CloseReason::Announced)), "{last}");
    }
    let with_a_body = "POST /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
    for more in [&format!("{LAST}\r\n"), &LAST.repeat(2), with_a_body] {
        let mut b = Bench::new(Rules::default());
        b.bytes(more.as_bytes());
        assert_eq!((b.shutdowns, b.conn().closed()), (1, None), "{more}");
    }

    // While a job runs, answers wait or the kernel takes none, the socket is not read: more may be there.
    let behind = |first: &[u8]| [first, LAST.as_bytes()].concat();
    for bytes in [LAST.replace("health", "io").into_bytes(), behind(IO), behind(HEALTH)] {
        let mut b = Bench::new(Rules::default());
        b.bytes(&bytes).with(|c, cx| c.on_job_done(cx, JobResult::Refused));
        assert_eq!((b.shutdowns, b.conn().closed()), (1, None), "{}", bytes.escape_ascii());
    }
    let mut b = Bench::new(Rules::default());
    b.flows = false;
    b.bytes(LAST.as_bytes()).with(|c, cx| c.on_written(cx, 1));
    b.flows = true;
    b.with(|_, _| {});
    assert_eq!((b.shutdowns, b.conn().closed()), (1, None), "an answer in pieces");
    let mut b = Bench::new(Rules { closer: ServerCloser::Client, ..Rules::default() });
    assert_eq!(b.bytes(LAST.as_bytes()).conn().closed(), None, "the client is to close first");
}

#[test]
fn http_1_0_is_kept_only_when_asked() {
    let mut b = Bench::new(Rules::default());
    b.bytes(b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(String::from_utf8_lossy(&b.sent).contains("Connection: keep-alive"));
    b.sent.clear();
    b.bytes(b"GET /health HTTP/1.0\r\n\r\n");
    assert_eq!(b.statuses(), "200!");
}

#[test]
fn a_dripped_head_has_its_time_from_its_first_byte() {
    let mut b = Bench::new(Rules::default());
    for (i, byte) in HEALTH.iter().take(29).enumerate() {
        b.at(1000 * (i as u64 + 1)).bytes(&[*byte]);
    }
    assert_eq!(b.statuses(), "");
    b.at(30_999);
    assert_eq!(b.statuses(), "");
    b.at(31_000);
    assert_eq!((b.statuses().as_str(), b.shutdowns), ("408!", 1));
    b.at(32_000);
    assert_eq!(b.conn().closed(), Some(CloseReason::HeaderTimeout));
}

fn drop_at(b: &mut Bench, ms: u64, bytes: &[u8]) {
    b.at(ms).bytes(bytes);
}

#[test]
fn idle_body_and_write_have_their_times() {
    let mut b = Bench::new(Rules::default());
    b.at(10_000).bytes(HEALTH).at(84_999);
    assert!(b.conn().closed().is_none());
    b.at(85_000);
    assert_eq!(b.conn().closed(), Some(CloseReason::IdleTimeout));

    let mut b = Bench::new(Rules::default());
    b.bytes(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n").at(20_000).bytes(b"x").at(49_999);
    assert_eq!(b.statuses(), "");
    b.at(50_000);
    assert_eq!(b.statuses(), "408!");

    for (framing, drop) in [("Content-Length: 99", &b"x"[..]), ("Transfer-Encoding: chunked", b"1\r\nx\r\n")] {
        let mut b = Bench::new(Rules::default());
        b.bytes(format!("GET / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n").as_bytes());
        (1..15).for_each(|n| drop_at(&mut b, n * 20_000, drop));
        b.at(299_999);
        assert_eq!(b.statuses(), "", "it drips");
        b.at(300_000);
        assert_eq!(b.statuses(), "408!", "{framing}");
    }

    let mut b = Bench::new(Rules::default());
    b.flows = false;
    b.bytes(HEALTH).with(|c, cx| c.on_written(cx, 0)).at(20_000).with(|c, cx| c.on_written(cx, 1)).at(49_999);
    assert!(b.conn().closed().is_none());
    b.at(50_000);
    assert_eq!(b.conn().closed(), Some(CloseReason::WriteTimeout));
    assert_eq!(b.counters.unsent.get(), 1);
}

#[test]
fn reading_stops_while_64_kib_of_answers_wait() {
    let mut b = Bench::new(Rules::default());
    b.flows = false;
    let n = 1000;
    b.bytes(&HEALTH.repeat(n));
    assert!(!b.conn().wants_read());
    let waiting = b.conn().output().len();
    assert!((64 * 1024..66 * 1024).contains(&waiting), "{waiting}");
    b.with(Conn::on_eof);
    b.flows = true;
    b.with(|_, _| {});
    assert_eq!(b.statuses().matches("200").count(), n);
    assert_eq!(b.conn().closed(), Some(CloseReason::ClientFin));
}

#[test]
fn a_slow_reader_has_its_time_from_the_last_byte_that_it_took() {
    // It takes its answer late, but whole: what is left is the idle time.
    let mut b = Bench::new(Rules::default());
    b.flows = false;
    b.bytes(HEALTH).with(|c, cx| c.on_written(cx, 0));
    b.flows = true;
    b.at(20_000).at(60_000);
    assert_eq!(b.conn().closed(), None, "the write timeout is over with the write");

    // It asks faster than it takes the answers: that is no idle connection, however long it lasts.
    let mut b = Bench::new(Rules::default());
    b.flows = false;
    b.bytes(&HEALTH.repeat(1000));
    for n in 0..10 {
        b.with(|c, cx| c.on_written(cx, 1)).at(n * 20_000);
    }
    assert_eq!(b.conn().closed(), None);
}

#[test]
fn the_pieces_of_a_chunked_body_add_up() {
    let mut rules = Rules::default();
    rules.head.body = 10;
    let mut b = Bench::new(rules);
    b.bytes(b"GET /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    b.bytes(b"6\r\nabcdef\r\n").bytes(b"4\r\nghij\r\n");
    assert_eq!(b.statuses(), "", "ten bytes are allowed");
    b.bytes(b"1\r\n");
    assert_eq!(b.statuses(), "413!");
}

#[test]
fn an_error_to_head_has_no_body() {
    let mut b = Bench::new(Rules::default());
    b.bytes(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(b.sent.starts_with(b"HTTP/1.1 404 ") && b.sent.ends_with(b"\r\n\r\n"), "{}", b.sent.escape_ascii());
}

#[test]
fn a_drain_lets_go_the_idle_and_finishes_the_busy() {
    let mut idle = Bench::new(Rules::default());
    idle.bytes(HEALTH).with(Conn::on_drain);
    assert_eq!(idle.shutdowns, 1);
    idle.with(Conn::on_eof);
    assert_eq!(idle.conn().closed(), Some(CloseReason::Drain));

    let mut busy = Bench::new(Rules::default());
    busy.bytes(&[IO, HEALTH].concat()).with(Conn::on_drain);
    assert_eq!(busy.shutdowns, 0);
    busy.job(io_done());
    assert_eq!((busy.statuses().as_str(), busy.shutdowns), ("200!", 1));

    let mut halfway = Bench::new(Rules::default());
    halfway.bytes(&[HEALTH, &HEALTH[..9]].concat()).with(Conn::on_drain);
    assert_eq!(halfway.shutdowns, 0, "the request that has begun is answered");
    halfway.bytes(&HEALTH[9..]);
    assert_eq!((halfway.statuses().as_str(), halfway.shutdowns), ("200 200!", 1));

    let mut fresh = Bench::new(Rules::default());
    fresh.with(Conn::on_drain).at(500).bytes(HEALTH);
    assert_eq!((fresh.statuses().as_str(), fresh.shutdowns), ("200!", 1));

    let mut silent = Bench::new(Rules::default());
    silent.with(Conn::on_drain).at(1000);
    assert_eq!(silent.shutdowns, 1);
    silent.at(2000);
    assert_eq!(silent.conn().closed(), Some(CloseReason::Drain));
}

#[test]
fn a_late_job_result_and_a_cut_do_no_harm() {
    let mut b = Bench::new(Rules::default());
    b.bytes(IO).with(Conn::on_cut).job(io_done());
    assert_eq!((b.statuses().as_str(), b.conn().closed()), ("", Some(CloseReason::DrainCut)));
}

proptest! {
    /// However the input is cut and the output dammed, the answers are the same and in order.
    #[test]
    fn pieces_make_no_difference(cuts in proptest::collection::vec(1usize..40, 1..60), dams in proptest::collection::vec(any::<bool>(), 1..20)) {
        let text = [HEALTH, IO, b"GET /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", HEALTH, IO, b"BAD"].concat();
        let mut b = Bench::new(Rules::default());
        let (mut at, mut i) = (0, 0);
        while at < text.len() || b.conn().job_due {
            b.flows = dams[i % dams.len()];
            if b.conn().take_job().is_some() {
                b.job(io_done());
            } else {
                let end = (at + cuts[i % cuts.len()]).min(text.len());
                b.bytes(&text[at..end]);
                at = end;
            }
            i += 1;
        }
        b.flows = true;
        b.with(Conn::on_eof);
        prop_assert_eq!(b.statuses(), "200 200 200 200 200");
        prop_assert_eq!(b.conn().closed(), Some(CloseReason::ClientTruncated));
    }

    #[test]
    fn garbage_never_panics(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..8)) {
        let mut b = Bench::new(Rules::default());
        for p in &pieces {
            b.bytes(p);
        }
    }
}

#[test]
fn a_head_from_the_table_asks_the_same_as_one_that_is_parsed() {
    const HEADS: [&[u8]; 8] = [
        HEALTH,
        IO,
        b"GET /io?ms=5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"POST /cpu HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /cpu HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\r\nHEAD /health HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /io HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    let mut b = Bench::new(Rules::default());
    let (mut rng, mut known) = (fastrand::Rng::with_seed(11), 0_u32);
    for _ in 0..crate::http1::recent::MUTATED_HEADS {
        let bytes = crate::http1::recent::mutated(HEADS[rng.usize(..HEADS.len())], &mut rng);
        let parsed = HeadReader::default().read(&bytes, &b.rules.head).map(|found| match found {
            Found::Head { head, consumed } => Some((Asked::from(&head), consumed)),
            Found::More => None,
        });
        known += u32::from(b.heads.find(&bytes).is_some());
        b.with(|_, cx| assert_eq!(Conn::new(cx).read_head(cx, &bytes), parsed, "{}", bytes.escape_ascii()));
    }
    assert!(known > crate::http1::recent::MUTATED_HEADS / 10, "{known} came from the table");
}
