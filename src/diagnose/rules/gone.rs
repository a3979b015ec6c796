//! The rule about a target that answered and then went away.

use crate::diagnose::indicators::{Gone, Indicators};
use crate::diagnose::rule::{Found, Ruling};
use crate::model::figures::{counted, rate, seconds};
use crate::model::result::RunResult;
use crate::remedy::{advice, load_with};

/// target-gone.
pub(in crate::diagnose) fn target_gone(run: &RunResult, seen: &Indicators) -> Ruling {
    seen.gone.map_or(Ruling::Clear, |gone| went(run, gone))
}

fn went(run: &RunResult, gone: Gone) -> Ruling {
    let (to, since) = (run.plan.target.addr, seconds(gone.since_s));
    let rps = rate(gone.rps_before);
    let text = format!(
        "The target answered {} until {since}, {rps} per second. Then nothing listened there any more, and it was not back \
         when the run ended. Its program ended, crashed, or closed its listener. Rates and latencies of the \
         whole run mix both parts: read {rps} req/s until {since}.",
        counted(gone.answered, "request")
    );
    let again = load_with(&run.plan, |_| ());
    let remedies = vec![
        advice(
            "find out why it ended",
            "journalctl --since -10min | grep -iE 'exit|killed|oom|segfault|restart'",
            format!("a line from {since} after the start of the run"),
        ),
        advice(
            "start it, look that it listens, and run again",
            format!("ss -ltn 'sport = :{}' && {again}", to.port()),
            "0 refused",
        ),
    ];
    Found::new(
        format!("the target is gone since {since}: {} answered before, none after", counted(gone.answered, "request")),
        text,
    )
    .with("since_s", gone.since_s)
    .with("answered_before", gone.answered)
    .with("rps_before", gone.rps_before)
    .with("refused_since", gone.refused)
    .remedies(remedies)
    .ruling()
}
