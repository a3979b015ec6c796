//! Rules about failures at the target after the connection was made, or while it was: reset, late, malformed.

use super::lighter::{just_saturating, round_rate};
use super::places;
use super::prelude::*;
use super::unfinished::{self, ask_by_hand};
use crate::model::outcome::ProtocolFault;
use crate::model::result::LatencyMs;
use crate::model::time::per_second;
use crate::remedy::longer_idle;

/// Idle timeouts that are shorter are rare.
const IDLE_LEAST: Duration = Duration::from_millis(100);

/// The gap between the totals and the error table hides this kind of failure.
pub(super) fn hidden(run: &RunResult, side: FailureSide) -> Ruling {
    let at = if side == FailureSide::Local { "of this machine" } else { "at the target" };
    match unnamed(run, side) {
        0 => Err(Clear),
        n => undecided(format!("{n} failures {at} have no row in the error table")),
    }
}

/// The common evidence of rows.
pub(super) fn evidence(found: Found, rows: &Rows<'_>) -> Found {
    let row = rows.largest();
    found
        .with("failures", rows.count())
        .with("call", row.map(|r| r.call.word()))
        .with("errno", row.and_then(|r| r.errno))
        .with("windows_code", row.and_then(|r| r.windows_code))
        .with("first_s", rows.first_s())
        .with("last_s", rows.last_s())
}

/// `every second request {what}, 5 of 10`, `50 % of 10 requests {what}, all since 3 s`.
fn how_many(run: &RunResult, rows: &Rows<'_>, course: &Course, turn: Option<Turn>, what: &str) -> String {
    match turn {
        Some(turn) => format!("{} {what}, {}", turn.in_words("request"), turn.counted()),
        None => format!("{} {what}{}", part_of(rows.count(), run.totals.requests, "request"), course.all_in_words()),
    }
}

/// Adds when it was so, where that is a part of the run.
pub(super) fn in_part(found: Found, course: &Course) -> Found {
    found
        .with("since_s", course.since_s)
        .with("until_s", course.until_s)
        .with("share_meanwhile", course.share.filter(|_| course.is_part()))
}

pub(in crate::diagnose) fn resets(run: &RunResult, seen: &Indicators) -> Ruling {
    let rows = Rows::kind(run, Kind::Reset);
    if rows.is_empty() {
        return hidden(run, FailureSide::Target);
    }
    let course = Course::of(run, &rows);
    let reused = Rows::of(run, |e| Kind::of(e) == Kind::Reset && e.reused).count();
    let fresh = rows.count() - reused;
    // Those of a target that went away have no other reason.
    let went = seen.gone.is_some_and(|gone| rows.first_s() >= gone.since_s);
    let turn = Turn::of(run, &rows, &course);
    let mut text =
        format!("The target ended {} before it had answered: {}. ", counted(rows.count(), "connection"), rows.in_words());
    let few = seen.kept_most.filter(|_| !went);
    let limit = few.filter(|few| few.is_limit);
    if went {
        text += "They ended when the target went away. ";
    } else if let Some(KeptMost { open, users, life_s, .. }) = limit {
        text += &format!(
            "It ends some for new ones: one lives {} on average ({} open / {} opened){}. {} of {} had one at the end. ",
            seconds(life_s),
            count(open),
            format_args!("{}/s", rate(open as f64 / life_s.max(1e-9))),
            if life_s < IDLE_TIMEOUT_LEAST_S {
                ", shorter than idle timeouts are"
            } else {
                "; users never pause, so it is no idle timeout"
            },
            count(open),
            counted(users, "user")
        );
    } else {
        if reused > 0 {
            text += &format!(
                "{} of them had carried an answer before: the target closed the connection while the next request was on its \
                 way. ",
                count(reused)
            );
            text += &match turn {
                // Where each pause is longer than an idle timeout, each second request meets its end: that takes turns too.
                Some(turn) if fresh == 0 && turn.every == 2 && pauses(run) => {
                    "Its idle timeout is shorter than the users' pauses (or that of a box between), or it ends each connection \
                     after 1 answer and does not announce the end. "
                        .to_owned()
                }
                Some(turn) if fresh == 0 => format!(
                    "It closed each after {}: it limits the requests of a connection, and does not announce the end. ",
                    counted(turn.every - 1, "answer")
                ),
                // One that takes turns does so whatever the connection did before.
                Some(_) => String::new(),
                None if pauses(run) => {
                    "Its idle timeout is shorter than the users' pauses, or it limits requests per connection. ".to_owned()
                }
                None => "The users hardly pause, so it is hardly an idle timeout: it limits its connections, or the requests of each. "
                    .to_owned(),
            };
        }
        if fresh > 0 {
            text += &format!(
                "{} were fresh: the target accepted and hung up, as a crashing worker, a connection limit or a TLS port does. ",
                count(fresh)
            );
        }
    }
    text += &turn.filter(|_| fresh > 0 && limit.is_none()).map_or_else(String::new, |turn| turn.meaning() + " ");
    if let Some(KeptMost { open, users, .. }) = few.filter(|few| !few.is_limit) {
        text += &format!(
            "{} of {} had a connection at the end: the target keeps only so many and ends idle ones for new ones, or its idle timeout is \
             shorter than the pauses. ",
            count(open),
            counted(users, "user")
        );
    }
    text += "No request is retried. Windows shows WSAECONNRESET 10054.";
    let many = how_many(run, &rows, &course, turn, "ended without an answer");
    let title = match limit {
        Some(KeptMost { open, users, .. }) => {
            format!("the target keeps about {} at a time for {}: {many}", counted(open, "connection"), counted(users, "user"))
        }
        None => format!("{many}: {}", rows.in_words()),
    };
    Ok(in_part(evidence(Found::new(title, text), &rows), &course)
        .with("open_at_the_end", few.map(|few| few.open))
        .with("kept_at_a_time", limit.map(|limit| limit.open))
        .with("mean_life_s", limit.map(|limit| limit.life_s))
        .with("on_reused_connections", reused)
        .with("on_fresh_connections", fresh)
        .with("share", rows.count() as f64 / run.totals.requests.max(1) as f64)
        .with("every_nth", turn.map(|turn| turn.every))
        .with("endpoints", rows.endpoints())
        .remedies(if went { Vec::new() } else { against_resets(run, few, &rows, reused, fresh) })
        .caused_only_by(if went { vec![Id::TargetGone] } else { vec![Id::TargetBacklogOverflow] }))
}

fn against_resets(run: &RunResult, few: Option<KeptMost>, rows: &Rows<'_>, reused: u64, fresh: u64) -> Vec<Remedy> {
    let mut remedies = Vec::new();
    if let Some(KeptMost { open, users, is_limit, .. }) = few {
        remedies.push(places::more(run, "keep more connections", format!("{users} of {users} open at the end")));
        if is_limit {
            let fewer = load_with(&run.plan, |p| p.users = u32::try_from(open).unwrap_or(p.users).max(1));
            remedies.push(advice("use as many connections as it keeps", fewer, "no connection ended for a new one"));
            let short = load_with(&run.plan, |p| p.keepalive = false);
            remedies.push(advice("measure with a connection per request", short, "none is kept; mind the source ports"));
            return remedies;
        }
    }
    if reused > 0 {
        if pauses(run) {
            let expected = format!("no resets on reused connections: {} less", counted(reused, "failure"));
            remedies.push(longer_idle(run, expected));
        } else {
            remedies.push(less_load(run, "no resets, where a connection limit of the target is the cause".into()));
        }
        if run.plan.keepalive {
            let short = load_with(&run.plan, |p| p.keepalive = false);
            remedies.push(advice(
                "measure with a connection per request",
                short,
                "resets that stay are a crash or a limit, not idle connections; mind the source ports",
            ));
        }
    }
    if fresh > 0 {
        remedies.push(advice(
            "read the target's log at the times of the resets",
            log_since(run, rows.first_s()),
            format!("{} between {} and {} of the run", counted(fresh, "reset"), seconds(rows.first_s()), seconds(rows.last_s())),
        ));
    }
    if reused == 0 || pauses(run) {
        remedies.push(less_load(run, "no resets, where a connection limit of the target is the cause".into()));
    }
    remedies
}

/// Whether connections are idle between requests, for as long as an idle timeout may be: users think, or wait for the next due
/// time. Shorter pauses count where a connection ended in one.
fn pauses(run: &RunResult) -> bool {
    let ended_idle = run.closes.idle_fin.saturating_add(run.closes.idle_reset) > 0;
    let think = run.plan.think.max;
    think >= IDLE_LEAST || (!think.is_zero() && ended_idle) || run.plan.is_open_loop()
}

/// target-timeouts. Those at connect belong to the backlog where it overflowed.
pub(in crate::diagnose) fn timeouts(run: &RunResult, seen: &Indicators) -> Ruling {
    let overflow = seen.overflow.is_ok();
    let rows = Rows::are(run, |kind| kind.is_timeout() && !(overflow && kind == Kind::ConnectTimeout));
    if rows.is_empty() {
        return hidden(run, FailureSide::Target);
    }
    let limit = run.plan.timeout.as_secs_f64();
    if let Some(why) = no_way_back(run, rows.first_s() - limit) {
        return undecided(why);
    }
    let course = Course::after(run, &rows, limit);
    let connecting = if overflow { 0 } else { Rows::kind(run, Kind::ConnectTimeout).count() };
    let begun = Rows::of(run, |e| Kind::of(e) == Kind::AnswerTimeout && e.phase == Some(Phase::Receiving));
    let waiting = rows.count() - connecting - begun.count();
    let mut text =
        format!("{} had no whole answer within {}{}. ", counted(rows.count(), "request"), seconds(limit), rows.after_a_clause());
    if connecting > 0 {
        text += &format!(
            "{connecting} never got a connection: SYNs or their answers were lost. Whether the path, the target's machine or its backlog \
             lost them cannot be said from here. "
        );
    }
    if waiting > 0 {
        text +=
            &format!("{waiting} were sent and not a byte came back: the target's program is too slow for this load, or stuck. ");
    }
    if let Some(row) = begun.largest() {
        let known = row.received.map_or_else(|| "its end did not come".to_owned(), |r| format!("it {}", r.in_words()));
        text += &format!("Of {} part of an answer came: {known}{}. ", begun.count(), excerpt(row));
    }
    let longer = load_with(&run.plan, |p| p.timeout = Duration::try_from_secs_f64((limit * 3.0).ceil()).unwrap_or(p.timeout));
    let counts = format!("answers up to {} are counted", seconds((limit * 3.0).ceil()));
    let mut remedies = Vec::new();
    if connecting > 0 {
        remedies.push(advice(
            "see whether SYNs are answered at all",
            format!("ss -tn state syn-sent dst {}   # while it runs", run.plan.target.addr.ip()),
            "0 lines that stay: each is a SYN without an answer",
        ));
    }
    // Bytes of every answer came at once, and the rest never did: it is not the load.
    let only_begun = begun.largest().filter(|_| begun.count() == rows.count() && run.totals.latency_ms.is_none());
    let unfinished = unfinished::longest(run).filter(|_| only_begun.is_some());
    match unfinished {
        Some((received, _)) => remedies.extend(unfinished::remedies(run, &received)),
        None if is_idle_and_fast(run) => {
            remedies.extend(ask_by_hand(run, rows.count(), "an answer at once, or none at all".into()));
        }
        None => remedies.push(less_load(run, "no timeouts, where the load is the cause".into())),
    }
    if is_idle_and_fast(run) {
        text +=
            "The target hardly used its CPU, and what it answered it answered at once: it is neither the load nor the timeout. ";
        remedies.extend(alone(run, "the same timeouts with 1 request at a time are not the load's".into()));
    } else {
        remedies.push(advice(
            "wait longer, to see the whole distribution",
            longer,
            run.totals
                .latency_ms
                .filter(|_| figures::is_supported(99.0, run.totals.requests - run.totals.failures.min(run.totals.requests)))
                .map_or_else(|| counts.clone(), |l| format!("{counts}; the p99 of those in time is {} ms", number(l.p99))),
        ));
    }
    text += "Windows shows WSAETIMEDOUT 10060.";
    let (after, when) = (seconds(limit), course.in_words());
    let title = if let Some((received, _)) = unfinished {
        format!("{} did not end within {after}{when}: {}", counted(rows.count(), "answer"), unfinished::missing(&received))
    } else {
        let many = part_of(rows.count(), run.totals.requests, "request");
        format!("{many} timed out after {after}{}{}", rows.after_a_clause(), course.all_in_words())
    };
    // Those of a target that went away have no other reason.
    let went = seen.gone.is_some_and(|gone| rows.first_s() >= gone.since_s);
    let found = in_part(evidence(Found::new(title, text), &rows), &course);
    let ended_s = [rows.first_s(), rows.last_s()];
    let found = if went {
        found.caused_only_by(vec![Id::TargetGone])
    } else {
        // A stall explains no wait that it had little part in, nor one of which nobody can say whose it is.
        let stall = seen.target_stall.as_ref().ok().filter(|stall| stall.still != Still::HostFull);
        let by_client = stalls_cover(run, ended_s, limit);
        let by_target = stall.is_some_and(|stall| cover(run, &stall.stretches, ended_s, limit));
        let others = [(Id::ClientStalled, by_client), (Id::TargetStalled, by_target)];
        found.not_caused_by(others.into_iter().filter_map(|(id, is_cause)| (!is_cause).then_some(id)))
    };
    Ok(found
        .with("timeout_s", limit)
        .with("while_connecting", connecting)
        .with("after_connecting", rows.count() - connecting)
        .with("with_part_of_an_answer", Some(begun.count()).filter(|n| *n > 0))
        .with("endpoints", rows.endpoints())
        .remedies(if went { Vec::new() } else { remedies }))
}

/// A target that had time, and answers far quicker than the timeout: those that got none are not late.
fn is_idle_and_fast(run: &RunResult) -> bool {
    let cpu = run.resources.target.as_ref().and_then(|t| Some(t.worked_percent()?.max(t.busiest_thread_percent.unwrap_or(0.0))));
    let quick = |l: LatencyMs| l.p95 * FAR_BELOW < run.plan.timeout.as_secs_f64() * 1000.0;
    cpu.is_some_and(|percent| percent < IDLE_PERCENT) && run.totals.latency_ms.is_some_and(quick)
}

/// ` (received: "HTTP/1.1 200 OK")`, where something was.
fn excerpt(row: &ErrorRow) -> String {
    row.first_bytes.as_ref().map_or_else(String::new, |bytes| format!(" (received: \"{bytes}\")"))
}

fn raw(run: &RunResult, row: &ErrorRow) -> Remedy {
    let url = run.plan.url_of(&row.endpoint);
    advice("look at one raw answer", format!("curl -v --raw {}", quoted(&url)), "1 head with the length that it announces")
}

pub(in crate::diagnose) fn malformed(run: &RunResult, _: &Indicators) -> Ruling {
    let rows = Rows::kind(run, Kind::Malformed);
    let Some(row) = rows.largest() else { return hidden(run, FailureSide::Target) };
    let course = Course::of(run, &rows);
    let text = format!(
        "{} broke HTTP/1.1: {}. The most frequent one, at {}: {}{}. The connection is closed after such an answer, because \
         where the next one begins is not known. The target's program does this; one that is killed or overloaded does it in mid-answer.",
        counted(rows.count(), "answer"),
        rows.in_words(),
        row.endpoint,
        message_of(row),
        excerpt(row)
    );
    let again = alone(run, "the same faults with 1 request at a time are not the load's".into());
    let remedies = std::iter::once(raw(run, row)).chain(again).collect();
    let what = match row.failure().map(|f| f.cause) {
        Some(Cause::Malformed(ProtocolFault::NotHttp(_))) => "got an answer that is not HTTP/1",
        _ => "got a malformed answer",
    };
    let turn = Turn::of(run, &rows, &course);
    let text = text + &turn.map_or_else(String::new, |turn| format!(" {}", turn.meaning()));
    let title = format!("{}: {}", how_many(run, &rows, &course, turn, what), message_of(row));
    Ok(in_part(evidence(Found::new(title, text), &rows), &course)
        .with("fault", name_of(row).into_owned())
        .with("every_nth", turn.map(|turn| turn.every))
        .with("first_bytes", row.first_bytes.clone())
        .with("endpoints", rows.endpoints())
        .remedies(remedies))
}

/// Half of the load: users in a closed loop, rate in an open one, less where it answers less than that, or where fewer users
/// saturate it; a pause where there is one user only.
pub(super) fn less_load(run: &RunResult, expected: String) -> Remedy {
    if run.plan.is_open_loop() {
        let answers = run.totals.requests.saturating_sub(run.totals.failures);
        let answered = per_second(answers, run.duration_s);
        if answers > 0 && answered < run.plan.rate / 2.0 {
            let easy = round_rate(answered * CAPACITY_SHARE);
            return advice("try a rate below what it answers", load_with(&run.plan, |p| p.rate = easy), expected);
        }
        return advice("try half of the rate", load_with(&run.plan, |p| p.rate /= 2.0), expected);
    }
    if let Some((few, sum)) = just_saturating(run).filter(|(few, _)| *few < run.plan.users / 2) {
        let action = format!("offer as many users as just saturate it: {} ({sum})", count(few));
        return advice(action, load_with(&run.plan, |p| p.users = few), expected);
    }
    if run.plan.users > 1 {
        return advice("try half of the users", load_with(&run.plan, |p| p.users /= 2), expected);
    }
    let pause = run.plan.think.max.saturating_mul(2).max(Duration::from_millis(500));
    advice("let the user pause longer between requests", load_with(&run.plan, |p| p.think.max = pause), expected)
}

/// One user, or one request where there is one user already; none where it was one request.
pub(super) fn alone(run: &RunResult, expected: String) -> Option<Remedy> {
    if run.plan.users > 1 {
        return Some(advice("try one user", load_with(&run.plan, |p| p.users = 1), expected));
    }
    if run.plan.requests == 1 {
        return None;
    }
    let once = load_with(&run.plan, |p| (p.requests, p.duration) = (1, Duration::ZERO));
    Some(advice("try one request", once, expected))
}
