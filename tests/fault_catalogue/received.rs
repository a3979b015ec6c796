//! What was received: answers over a limit of sockbench's own, and bytes beyond complete answers.

use std::time::Duration;

use sockbench::testing::model::FindingId::{ClientLimit, TargetSplitsAnswers, TargetSurplusBytes};
use sockbench::testing::model::{SurplusKind, VerdictId};

use crate::check::{Case, Check, ROW};
use crate::peers::{OK, answer, answer_part, peer, read_head};
use crate::rig::load;

/// Few users that pause.
const CALM: [&str; 6] = ["--conns", "4", "--think", "50ms", "--duration", "2s"];

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "answers with 6000 fields",
        expected: Some(ClientLimit),
        run: || {
            peer(|s| always(s, &with_head(&"x: y\r\n".repeat(6000), "ok")));
            load("/", &CALM)
        },
        check: |c| over(c, "head-fields", 5000),
        ..ROW
    },
    Case {
        name: "answers with a head of 400 KiB",
        expected: Some(ClientLimit),
        run: || {
            peer(|s| always(s, &with_head(&format!("Set-Cookie: {}\r\n", "c".repeat(400 << 10)), "ok")));
            load("/", &CALM)
        },
        check: |c| over(c, "head-bytes", 300 << 10),
        ..ROW
    },
    Case {
        name: "answers with a body over --body-bytes",
        expected: Some(ClientLimit),
        run: || {
            peer(|s| always(s, &with_head("", &"b".repeat(5000))));
            load("/", &[&CALM[..], &["--body-bytes", "4096"]].concat())
        },
        check: |c| {
            over(c, "body-bytes", 4096);
            let advice = c.run.findings[0].remedies[0].change.clone();
            c.that(&format!("what the answer needs: {advice:?}"), advice.as_deref() == Some("--body-bytes 5000"));
        },
        ..ROW
    },
    Case {
        name: "healthy: the same fields under a raised --head-fields",
        run: || {
            peer(|s| always(s, &with_head(&"x: y\r\n".repeat(6000), "ok")));
            load("/", &[&CALM[..], &["--head-fields", "20000"]].concat())
        },
        check: |c| c.same("failures", (c.run.totals.failures, c.run.totals.local_failures), (0, 0)),
        ..ROW
    },
    Case {
        name: "a line end after each answer",
        expected: Some(TargetSurplusBytes),
        run: || {
            peer(|s| always(s, &format!("{OK}\r\n")));
            load("/", &CALM)
        },
        check: |c| surplus(c, SurplusKind::LineEnd, "\\r\\n"),
        ..ROW
    },
    Case {
        name: "two answers to each request",
        expected: Some(TargetSurplusBytes),
        run: || {
            peer(|s| always(s, &format!("{OK}{OK}")));
            load("/", &CALM)
        },
        check: |c| surplus(c, SurplusKind::SecondAnswer, "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"),
        ..ROW
    },
    Case {
        name: "head and body in two writes: Nagle and delayed ACK",
        expected: Some(TargetSplitsAnswers),
        run: || {
            peer(|s| in_two(s, Duration::ZERO));
            load("/", &["--conns", "2", "--duration", "3s"])
        },
        check: |c| {
            // How long a delayed ACK takes is the kernel's affair; that half of the answers waited for one the witness counts.
            c.counts("answers", c.run.totals.requests);
            c.is("content_size_mean", 2.0);
        },
        ..ROW
    },
    Case {
        name: "healthy: head and body in two writes 100 ms apart",
        run: || {
            peer(|s| in_two(s, Duration::from_millis(100)));
            load("/", &["--conns", "2", "--duration", "3s"])
        },
        check: |c| c.same("failures", (c.run.totals.failures, c.run.totals.local_failures), (0, 0)),
        ..ROW
    },
    Case {
        name: "healthy: 44 ms of work before each answer",
        run: || {
            peer(|mut s| {
                while read_head(&mut s) {
                    std::thread::sleep(Duration::from_millis(44));
                    if !answer(&mut s, OK) {
                        break;
                    }
                }
            });
            load("/", &["--conns", "2", "--duration", "3s"])
        },
        check: |c| c.same("failures", (c.run.totals.failures, c.run.totals.local_failures), (0, 0)),
        ..ROW
    },
];

/// The head, and the body behind it `apart`.
fn in_two(mut s: std::net::TcpStream, apart: Duration) {
    while read_head(&mut s) && answer_part(&mut s, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n") {
        std::thread::sleep(apart);
        if !answer(&mut s, "ok") {
            break;
        }
    }
}

/// Every answer is over the limit.
fn over(c: &mut Check<'_>, limit: &str, value: u64) {
    c.failure("protocol", None, None);
    c.word("limit", limit);
    c.word("flag", &format!("--{limit}"));
    c.counts("value", value);
    c.counts("failures", c.run.totals.requests);
    c.same("nothing was answered", c.run.totals.latency_ms.is_some(), false);
    c.same("the client is the limit", c.run.verdict.id == VerdictId::ClientBound, true);
}

/// Each answer counts, with bytes beyond it.
fn surplus(c: &mut Check<'_>, kind: SurplusKind, first_bytes: &str) {
    let t = &c.run.totals;
    c.same("failures", (t.failures, t.local_failures), (0, 0));
    c.that("answers", t.requests > 50);
    c.counts("answers", t.requests);
    c.word("first_bytes", first_bytes);
    c.same("one kind", c.run.surplus.iter().map(|row| row.kind).collect::<Vec<_>>() == [kind], true);
    // Those whose answer was under way at the end have one too.
    c.that("a connection each", (t.requests..=t.requests + t.cut).contains(&t.connections_opened));
}

fn with_head(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn always(mut s: std::net::TcpStream, text: &str) {
    while read_head(&mut s) && answer(&mut s, text) {}
}
