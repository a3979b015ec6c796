//! The rule about answers whose rest comes about 40 ms after their first byte.

use super::prelude::*;
use crate::remedy::software::no_delay;

pub(in crate::diagnose) fn splits(run: &RunResult, _: &Indicators) -> Ruling {
    let split = run.endpoints.iter().filter_map(|e| Some((e, split_ms(e)?)));
    let (e, late_ms) = split.max_by_key(|(e, _)| e.requests).ok_or(Clear)?;
    let port = run.plan.target.addr.port();
    let (late, p50) = (ms(late_ms), e.latency_ms.map(|l| l.p50));
    let of = if run.endpoints.len() > 1 { format!(" of {}", e.name) } else { String::new() };
    let text = format!(
        "The rest of each answer{of} comes {late} ms after its first byte (half of them later). Either the target writes head and body \
         with two calls, and its kernel keeps the second back until the first is acknowledged (Nagle), which this machine's kernel \
         delays by 40 ms; or its program pauses between them. Latencies do not tell which. In the first case an idle target answers no \
         faster, and each user waits so long for each answer."
    );
    let without = p50.map(|p50| p50 - late_ms).filter(|rest| *rest > 0.0 && *rest < late_ms);
    let expected = match without {
        Some(rest) => format!("a median near {} ms instead of {} ms, if it is Nagle (computed)", ms(rest), ms(rest + late_ms)),
        None => format!("{late} ms less for each answer, if it is Nagle (computed)"),
    };
    let remedies = vec![
        advice(
            "set TCP_NODELAY at the target, or write head and body with one call; then run again",
            run.resources.target.as_ref().map_or(no_delay(""), |t| no_delay(&t.name)),
            expected,
        ),
        advice(
            "see at the target which of the two it is, while it runs",
            format!("ss -tni 'sport = :{port}'"),
            "notsent above 0 in some of the lines: its kernel keeps bytes back; in none: its program pauses",
        ),
    ];
    Ok(Found::new(format!("the rest of each answer{of} comes {late} ms after its first byte"), text)
        .with("endpoint", e.name.as_str())
        .with("first_to_last_byte_p50_ms", late_ms)
        .with("first_byte_p50_ms", e.phases_ms.waiting.map(|w| w.p50))
        .with("content_size_mean", e.content_size_mean)
        .with("answers", e.requests - e.failures.min(e.requests))
        .remedies(remedies))
}

/// The median time from first to last byte, where it is that of an acknowledgement that the client's kernel puts off: of an
/// answer that fits the packets which a sender may send at once.
fn split_ms(e: &Endpoint) -> Option<f64> {
    let median = e.phases_ms.receiving?.p50;
    let is_small = e.content_size_mean.is_some_and(|bytes| bytes <= SPLIT_BYTES);
    let answered = e.requests.saturating_sub(e.failures);
    (answered >= SPLIT_ANSWERS && is_small && (SPLIT_LEAST_MS..=SPLIT_MOST_MS).contains(&median)).then_some(median)
}
