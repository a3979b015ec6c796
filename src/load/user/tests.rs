//! Transcripts of one user, state by state.

use super::*;
use crate::model::outcome::{EADDRNOTAVAIL, ECONNREFUSED, ECONNRESET, Foreign};
use crate::model::plan::Think;
use crate::model::received::{Framing, SurplusKind};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
fn at(ms: u64) -> Stamp {
    Stamp::from_millis(ms)
}

fn rules(keepalive: bool, closer: Closer) -> Rules {
    Rules { keepalive, closer, ..Rules::keep_alive() }
}

/// A user whose first request is out, on a fresh connection.
fn waiting(rules: &Rules) -> User {
    let mut u = User::new(7, rules);
    assert_eq!(u.begin(EndpointId(0), None, at(0), rules), Begin::Connect);
    u.on_connecting();
    u.on_connected(at(1));
    u.on_written(30, true, at(1));
    u
}

/// A system call on a bound socket failed.
fn on_socket(call: Call, errno: i32) -> Failure {
    Failure { port_bound: true, so_error: call == Call::Connect, ..Failure::new(call, Cause::Errno(errno)) }
}

fn outcome(u: &User, after: &After) -> Outcome {
    assert!(after.ended, "a request ended");
    u.sample().outcome
}

fn failure_of(u: &mut User, input: impl FnOnce(&mut User) -> After) -> Failure {
    let after = input(u);
    failure(u, &after)
}

fn failure(u: &User, after: &After) -> Failure {
    match outcome(u, after) {
        Outcome::Failed(f) | Outcome::Local(f) => f,
        o => panic!("not a failure: {o:?}"),
    }
}

#[test]
fn kept_connection_serves_the_next_request() {
    let r = rules(true, Closer::Client);
    let mut u = waiting(&r);
    let after = u.on_bytes(OK, at(5), &r, &mut AnswerHeads::default());
    assert_eq!(outcome(&u, &after), Outcome::Answered { status: 200 });
    assert_eq!((after.close, after.free_at), (None, Some(at(5))));
    assert_eq!(u.begin(EndpointId(1), None, at(6), &r), Begin::Write);
}

#[test]
fn the_client_closes_as_soon_as_it_has_the_last_byte() {
    let r = rules(false, Closer::Client);
    let mut u = waiting(&r);
    assert_eq!(u.on_bytes(OK, at(5), &r, &mut AnswerHeads::default()).close, Some(ClosedBy::Client));
    assert_eq!(u.begin(EndpointId(0), None, at(6), &r), Begin::Connect);
}

#[test]
fn closer_server_ends_the_sample_at_the_last_byte_and_frees_the_user_at_eof() {
    let r = rules(false, Closer::Server);
    let mut u = waiting(&r);
    let after = u.on_bytes(OK, at(5), &r, &mut AnswerHeads::default());
    assert_eq!((after.ended, u.sample().ended), (true, at(5)));
    assert_eq!((after.close, after.free_at), (None, None));
    let after = u.on_eof(at(9), &r);
    assert_eq!((after.ended, after.close, after.free_at), (false, Some(ClosedBy::Server), Some(at(9))));
    // The think time counts from the answer, and is kept where the end of the connection takes less.
    let think = Think::uniform(Duration::from_millis(50), Duration::from_millis(50));
    let r = Rules { think, ..r };
    for (eof, free) in [(at(9), at(55)), (at(60), at(60))] {
        let mut u = waiting(&r);
        u.on_bytes(OK, at(5), &r, &mut AnswerHeads::default());
        assert_eq!(u.on_eof(eof, &r).free_at, Some(free));
    }
}

#[test]
fn closer_server_does_not_wait_for_ever() {
    let r = rules(false, Closer::Server);
    let mut u = waiting(&r);
    u.on_bytes(OK, at(5), &r, &mut AnswerHeads::default());
    assert_eq!(u.deadline(), at(5).plus(limits::LINGER_TIMEOUT));
    let after = u.on_deadline(u.deadline(), &r);
    assert_eq!((after.ended, after.close), (false, Some(ClosedBy::Client)));
}

#[test]
fn an_announced_close_is_told_and_obeyed() {
    let r = rules(true, Closer::Client);
    let mut u = waiting(&r);
    let after =
        u.on_bytes(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", at(2), &r, &mut AnswerHeads::default());
    assert!(after.announced_close);
    assert_eq!(after.close, Some(ClosedBy::Client));
}

#[test]
fn eof_before_the_answer_is_a_read_failure_and_tells_fresh_from_reused() {
    let r = rules(true, Closer::Client);
    let mut u = waiting(&r);
    let f = failure_of(&mut u, |u| u.on_eof(at(2), &r));
    assert_eq!((f.call, f.cause, f.reused), (Call::Read, Cause::Eof, false));
    let mut u = waiting(&r);
    u.on_bytes(OK, at(2), &r, &mut AnswerHeads::default());
    u.begin(EndpointId(0), None, at(3), &r);
    u.on_written(30, true, at(3));
    let f = failure_of(&mut u, |u| u.on_eof(at(4), &r));
    assert_eq!((f.cause, f.reused), (Cause::Eof, true));
}

#[test]
fn reset_inside_and_outside_a_request() {
    let r = rules(true, Closer::Client);
    let mut u = waiting(&r);
    let after = u.on_error(on_socket(Call::Read, ECONNRESET), at(2), &r);
    assert_eq!(failure(&u, &after).errno(), Some(ECONNRESET));
    assert_eq!(after.close, Some(ClosedBy::Reset));
    let mut u = waiting(&r);
    u.on_bytes(OK, at(2), &r, &mut AnswerHeads::default());
    let after = u.on_error(on_socket(Call::Read, ECONNRESET), at(3), &r);
    assert_eq!((after.ended, after.close), (false, Some(ClosedBy::Reset)), "an idle connection is lost, nothing failed");
    assert_eq!(u.begin(EndpointId(0), None, at(4), &r), Begin::Connect);
    u.on_connecting();
    u.on_connected(at(5));
    assert!(
        !failure_of(&mut u, |u| u.on_error(on_socket(Call::Write, ECONNRESET), at(6), &r)).reused,
        "another connection, its first request"
    );
    let mut u = waiting(&r);
    u.on_bytes(OK, at(2), &r, &mut AnswerHeads::default());
    u.begin(EndpointId(0), None, at(3), &r);
    assert!(failure_of(&mut u, |u| u.on_error(on_socket(Call::Write, ECONNRESET), at(4), &r)).reused, "one answer came on it");
}

#[test]
fn a_status_from_400_on_is_a_failure() {
    for (status, fails) in [(399, false), (400, true), (599, true)] {
        let r = rules(true, Closer::Client);
        let text = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
        let mut u = waiting(&r);
        let after = u.on_bytes(text.as_bytes(), at(5), &r, &mut AnswerHeads::default());
        assert_eq!(matches!(outcome(&u, &after), Outcome::Failed(f) if f.status() == Some(status)), fails, "{status}");
    }
}

#[test]
fn a_request_has_its_time_from_its_start() {
    let r = rules(true, Closer::Client);
    let mut u = waiting(&r);
    assert_eq!(u.deadline(), at(0).plus(r.timeout));
    u.on_bytes(OK, at(5), &r, &mut AnswerHeads::default());
    assert_eq!(u.deadline(), Stamp::NEVER);
    u.begin(EndpointId(0), None, at(6), &r);
    assert_eq!(u.deadline(), at(6).plus(r.timeout), "the next one on the same connection too");
}

#[test]
fn eof_inside_an_answer_is_malformed() {
    let r = rules(true, Closer::Client);
    let mut u = waiting(&r);
    u.on_bytes(&OK[..OK.len() - 1], at(2), &r, &mut AnswerHeads::default());
    assert_eq!(failure_of(&mut u, |u| u.on_eof(at(3), &r)).cause, Cause::Malformed(ProtocolFault::Truncated));
}

#[test]
fn timeouts_name_their_phase() {
    let r = rules(true, Closer::Client);
    let mut u = User::new(1, &r);
    u.begin(EndpointId(0), None, at(0), &r);
    u.on_connecting();
    assert_eq!(failure_of(&mut u, |u| u.on_deadline(u.deadline(), &r)).cause, Cause::TimedOut(Phase::Connecting));
    let mut u = waiting(&r);
    assert_eq!(failure_of(&mut u, |u| u.on_deadline(u.deadline(), &r)).cause, Cause::TimedOut(Phase::Waiting));
    let mut u = waiting(&r);
    u.on_bytes(b"HTTP", at(1), &r, &mut AnswerHeads::default());
    assert_eq!(failure_of(&mut u, |u| u.on_deadline(u.deadline(), &r)).cause, Cause::TimedOut(Phase::Receiving));
}

#[test]
fn own_failures_pause_and_double_up_to_a_second() {
    let r = rules(false, Closer::Client);
    let mut u = User::new(1, &r);
    let mut now = at(0);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        u.begin(EndpointId(0), None, now, &r);
        let after = u.on_open_failed(Failure::new(Call::Connect, Cause::Errno(EADDRNOTAVAIL)), now, &r);
        assert!(matches!(outcome(&u, &after), Outcome::Local(_)));
        let free = after.free_at.expect("it goes on");
        pauses.push(free.since(now).as_millis());
        now = free;
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000]);
}

#[test]
fn refused_connects_pause_like_own_failures_and_an_answer_ends_the_doubling() {
    let r = rules(false, Closer::Client);
    let mut u = User::new(1, &r);
    let refused = |u: &mut User, now| {
        u.begin(EndpointId(0), None, now, &r);
        u.on_connecting();
        let after = u.on_error(on_socket(Call::Connect, ECONNREFUSED), now, &r);
        assert!(after.paused && matches!(outcome(u, &after), Outcome::Failed(_)), "the target's failure: {after:?}");
        after.free_at.expect("it goes on").since(now).as_millis()
    };
    assert_eq!([refused(&mut u, at(0)), refused(&mut u, at(100)), refused(&mut u, at(300))], [100, 200, 400]);
    u.begin(EndpointId(0), None, at(700), &r);
    u.on_connecting();
    u.on_connected(at(701));
    u.on_written(30, true, at(701));
    let after = u.on_bytes(OK, at(702), &r, &mut AnswerHeads::default());
    assert_eq!((after.free_at, after.paused), (Some(at(702)), false));
    assert_eq!(refused(&mut u, at(703)), 100);
}

#[test]
fn with_think_time_a_failing_user_takes_it_and_no_more() {
    let think = Think::uniform(Duration::from_millis(100), Duration::from_millis(500));
    let r = Rules { think, ..rules(false, Closer::Client) };
    let mut u = User::new(1, &r);
    for _ in 0..50 {
        u.begin(EndpointId(0), None, at(0), &r);
        let free = u.on_open_failed(Failure::new(Call::Connect, Cause::Errno(EADDRNOTAVAIL)), at(0), &r).free_at;
        assert!((at(100)..=at(500)).contains(&free.expect("goes on")));
    }
}

#[test]
fn refused_is_the_targets() {
    let r = rules(true, Closer::Client);
    let mut u = User::new(1, &r);
    u.begin(EndpointId(0), None, at(0), &r);
    u.on_connecting();
    let after = u.on_error(on_socket(Call::Connect, ECONNREFUSED), at(1), &r);
    assert!(matches!(outcome(&u, &after), Outcome::Failed(_)));
    assert_eq!(after.close, None, "a connection that was never established was not closed by anybody");
}

#[test]
fn the_end_cuts_what_is_in_flight() {
    let r = rules(true, Closer::Client);
    let mut u = waiting(&r);
    let after = u.on_end(at(9));
    assert_eq!((outcome(&u, &after), after.close), (Outcome::Cut, Some(ClosedBy::Client)));
    assert_eq!(u.on_end(at(9)), After::default());
}

#[test]
fn latency_counts_from_the_intended_start() {
    let r = rules(true, Closer::Client);
    let mut u = User::new(1, &r);
    u.begin(EndpointId(0), Some(at(0)), at(40), &r);
    u.on_connecting();
    u.on_connected(at(41));
    u.on_written(1, true, at(41));
    assert!(u.on_bytes(OK, at(50), &r, &mut AnswerHeads::default()).ended);
    assert_eq!((u.sample().latency_us(), u.sample().blocked_us()), (50_000, 40_000));
}

#[test]
fn surplus_bytes_end_the_connection_and_the_answer_counts() {
    let with_more = [OK, b"more"].concat();
    for (r, then) in [(rules(true, Closer::Client), Begin::Connect), (rules(false, Closer::Client), Begin::Connect)] {
        let mut u = waiting(&r);
        let after = u.on_bytes(&with_more, at(2), &r, &mut AnswerHeads::default());
        assert_eq!(outcome(&u, &after), Outcome::Answered { status: 200 });
        assert_eq!(after.surplus.map(|s| (s.kind, s.bytes)), Some((SurplusKind::Other, 4)));
        assert_eq!((after.close, u.excerpt()), (Some(ClosedBy::Client), &b"more"[..]));
        assert_eq!(u.begin(EndpointId(0), None, at(3), &r), then);
    }
}

#[test]
fn surplus_bytes_that_come_later_are_counted_once() {
    let r = rules(true, Closer::Client);
    let mut u = waiting(&r);
    assert_eq!(u.on_bytes(OK, at(2), &r, &mut AnswerHeads::default()).surplus, None);
    let after = u.on_bytes(b"\r\n", at(3), &r, &mut AnswerHeads::default());
    assert_eq!(after.surplus.map(|s| (s.kind, s.bytes)), Some((SurplusKind::LineEnd, 2)));
    assert_eq!((after.ended, after.close), (false, Some(ClosedBy::Client)));
    let r = rules(false, Closer::Server);
    let mut u = waiting(&r);
    assert!(u.on_bytes(&[OK, b"a"].concat(), at(2), &r, &mut AnswerHeads::default()).surplus.is_some());
    assert_eq!(u.on_bytes(b"b", at(3), &r, &mut AnswerHeads::default()), After::default(), "one answer, one surplus");
}

#[test]
fn surplus_bytes_that_come_after_the_next_request_belong_to_the_answer_before() {
    let r = rules(true, Closer::Client);
    let mut u = waiting(&r);
    u.on_bytes(OK, at(2), &r, &mut AnswerHeads::default());
    assert_eq!(u.begin(EndpointId(0), None, at(3), &r), Begin::Write);
    u.on_written(30, true, at(3));
    assert_eq!(u.on_bytes(b"<p>rest of a body", at(4), &r, &mut AnswerHeads::default()), After::default());
    let after = u.on_bytes(OK, at(5), &r, &mut AnswerHeads::default());
    assert_eq!(outcome(&u, &after), Outcome::Answered { status: 200 });
    assert_eq!(after.surplus.map(|s| (s.kind, s.bytes)), Some((SurplusKind::Other, 17)));
    assert_eq!(after.close, Some(ClosedBy::Client));
}

#[test]
fn an_idle_connection_that_the_target_ends_is_noted_by_fin_and_by_rst() {
    let r = rules(true, Closer::Client);
    let mut u = waiting(&r);
    u.on_bytes(OK, at(2), &r, &mut AnswerHeads::default());
    let after = u.on_eof(at(3), &r);
    assert!(after.ended_idle && after.close == Some(ClosedBy::Server));
    let mut u = waiting(&r);
    u.on_bytes(OK, at(2), &r, &mut AnswerHeads::default());
    let after = u.on_error(on_socket(Call::Read, ECONNRESET), at(3), &r);
    assert!(after.ended_idle && after.close == Some(ClosedBy::Reset));
    let mut u = waiting(&r);
    assert!(!u.on_eof(at(3), &r).ended_idle, "a request was in flight");
}

#[test]
fn what_came_of_an_answer_that_does_not_end_is_known() {
    let r = rules(true, Closer::Client);
    let mut u = waiting(&r);
    assert_eq!(u.open().map(|o| (o.phase, o.sent, o.received)), Some((Phase::Waiting, Some(at(1)), None)));
    let part = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello";
    u.on_bytes(part, at(2), &r, &mut AnswerHeads::default());
    let open = u.open().expect("in flight");
    let received = open.received.expect("bytes came");
    assert_eq!((open.phase, received.bytes, received.missing_bytes), (Phase::Receiving, part.len() as u64, Some(95)));
    let failure = failure_of(&mut u, |u| u.on_deadline(u.deadline(), &r));
    assert_eq!(failure.cause, Cause::TimedOut(Phase::Receiving));
    assert_eq!(u.received().and_then(|r| r.framing), Some(Framing::ContentLength(100)), "still known after the failure");
    assert!(u.excerpt().starts_with(b"HTTP/1.1 200 OK"));
}

#[test]
fn a_greeting_of_another_protocol_is_no_timeout() {
    let r = rules(true, Closer::Client);
    let mut u = User::new(1, &r);
    u.begin(EndpointId(0), None, at(0), &r);
    u.on_connecting();
    u.on_connected(at(1));
    // The peer speaks first, before the request is out; it waits for more without a line end.
    assert_eq!(u.on_bytes(b"\x01\x02", at(1), &r, &mut AnswerHeads::default()), After::default());
    let failure = failure_of(&mut u, |u| u.on_deadline(u.deadline(), &r));
    assert_eq!(failure.cause, Cause::Malformed(ProtocolFault::NotHttp(Foreign::Unknown)));
}
