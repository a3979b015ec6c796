//! Summary lines of load tools: counts of failures by kind, without their errno. Each kind that occurred is told.

use super::judge::{Judged, hidden_connect, judged};
use crate::model::explanation::{Alternative, Certainty, FailedCall, Limit, Side};

/// What a tool counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Connect,
    Read,
    Write,
    /// wrk: the answer came later than `--timeout`
    Late,
    /// h2load: the request ended with its connection, or was never sent
    Errored,
    /// h2load: no answer before its own timeout
    TimedOut,
}

/// The kinds that occurred, as in the line; empty when it counts none; none when it is no such line.
pub(super) fn counts(text: &str) -> Option<Vec<(Kind, u64)>> {
    wrk(text).or_else(|| h2load(text))
}

/// `Socket errors: connect 12, read 34, write 0, timeout 5`
fn wrk(text: &str) -> Option<Vec<(Kind, u64)>> {
    let rest = text.split_once("socket errors: ")?.1;
    let mut out = Vec::new();
    for part in rest.split(", ") {
        let (kind, n) = part.split_once(' ')?;
        let kind = match kind {
            "connect" => Kind::Connect,
            "read" => Kind::Read,
            "write" => Kind::Write,
            "timeout" => Kind::Late,
            _ => return None,
        };
        out.push((kind, leading(n)?));
    }
    out.retain(|k| k.1 > 0);
    Some(out)
}

/// `requests: 1000 total, 500 started, 400 done, 400 succeeded, 100 failed, 100 errored, 0 timeout`: failed contains
/// errored, and errored the timed out. What failed and is not errored was answered, with another status.
fn h2load(text: &str) -> Option<Vec<(Kind, u64)>> {
    let rest = text.split_once("requests: ")?.1;
    let n = |what: &str| {
        rest.split(", ").find_map(|part| part.split_once(' ').filter(|p| p.1.trim() == what).and_then(|p| leading(p.0)))
    };
    let (_, errored, timeout) = (n("started")?, n("errored")?, n("timeout")?);
    let kinds = [(Kind::Errored, errored.saturating_sub(timeout)), (Kind::TimedOut, timeout)];
    Some(kinds.into_iter().filter(|k| k.1 > 0).collect())
}

fn leading(text: &str) -> Option<u64> {
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Which limit a kind speaks of.
pub(super) fn judged_kind(kind: Kind) -> Judged {
    let hung_up = |call, tell: &str| {
        let tell = Alternative { call, limit: Limit::Reset, tell: tell.into() };
        judged(call, Limit::Reset, Certainty::Likely, vec![tell])
    };
    let judged = match kind {
        Kind::Connect => hidden_connect(),
        Kind::Read | Kind::Write => hung_up(
            if kind == Kind::Read { FailedCall::Read } else { FailedCall::Write },
            "the target's log shows why it hung up; wrk counts an early end as a read error too",
        ),
        Kind::Errored => {
            let mut open = hidden_connect();
            open.call = FailedCall::Unnamed;
            open.alternatives.push(Alternative {
                call: FailedCall::Read,
                limit: Limit::Reset,
                tell: "some requests of the same connection succeeded before: the target closed it".into(),
            });
            open
        }
        Kind::Late | Kind::TimedOut => judged(FailedCall::Read, Limit::TimedOut, Certainty::Certain, Vec::new()),
    };
    Judged { side: Some(Side::Client), ..judged }
}
