//! The rule about a target that answered and then went away.

use super::prelude::*;

use super::refused::when_it_listens;

pub(in crate::diagnose) fn target_gone(run: &RunResult, seen: &Indicators) -> Ruling {
    let gone = seen.gone.ok_or(Clear)?;
    let since = seconds(gone.since_s);
    // No rate follows from less than a second.
    let per_second = (gone.since_s >= SHORT_RUN_S).then(|| rate(gone.rps_before));
    let each = per_second.as_ref().map_or_else(String::new, |rps| format!(", {rps} per second"));
    let read = per_second.map_or_else(String::new, |rps| format!(": read {rps} req/s until {since}"));
    let target = run.resources.target.as_ref();
    let end = target.and_then(|t| Some((t, t.ended.as_deref()?)));
    let how = match end {
        Some((t, end)) => format!("Its process {} ({}) has ended ({end}).", t.pid, t.name),
        None => "Its program ended, crashed, or closed its listener.".to_owned(),
    };
    let text = format!(
        "The target answered {} until {since}{each}. Then nothing listened there any more, and it was not back \
         when the run ended. {how} Rates and latencies of the \
         whole run mix both parts{read}.",
        counted(gone.answered, "request")
    );
    let remedies = vec![
        advice(
            "find out why it ended",
            log_since(run, gone.since_s),
            format!("an exit, a kill, out of memory, or a restart at {since} of the run"),
        ),
        when_it_listens(run, "start it again, wait until it listens, then run the same load"),
    ];
    Ok(Found::new(
        format!("the target is gone since {since}: {} answered before, none after", counted(gone.answered, "request")),
        text,
    )
    .with("since_s", gone.since_s)
    .with("answered_before", gone.answered)
    .with("rps_before", gone.rps_before)
    .with("refused_since", gone.refused)
    .with("ended", end.map(|(_, end)| end))
    .remedies(remedies))
}
