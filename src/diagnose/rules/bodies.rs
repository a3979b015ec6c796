//! The rule about answers whose time is their body's, although the body is small.

use super::prelude::*;

/// Where the time of answers goes.
#[derive(Debug, Clone, Copy)]
struct Slow {
    /// it is so for half of the answers; else for 1 % of them
    is_median: bool,
    /// the part of the request before the first byte
    first_byte_ms: Option<f64>,
    body_ms: f64,
    /// what a body of that size needs
    needs_ms: f64,
}

pub(in crate::diagnose) fn slow_bodies(run: &RunResult, seen: &Indicators) -> Ruling {
    let slow = run.endpoints.iter().filter_map(|e| Some((e, slow(run, seen, e)?)));
    let worst = slow.max_by(|a, b| a.1.is_median.cmp(&b.1.is_median).then(a.1.body_ms.total_cmp(&b.1.body_ms)));
    let (e, slow) = worst.ok_or(Clear)?;
    let of = if run.endpoints.len() > 1 { format!(" of {}", e.name) } else { String::new() };
    let size = e.content_size_mean.unwrap_or(0.0);
    let body = ms(slow.body_ms);
    let which = if slow.is_median { "half of the answers" } else { "1 % of the answers" };
    let first = slow.first_byte_ms.map_or_else(String::new, |first| format!("begin after {} ms and ", ms(first)));
    let title = format!("the body takes the time: {which}{of} {first}end {body} ms later, with {}", bytes(size.round() as u64));
    let text = format!(
        "{} of the time of {which}{of} passes between their first and their last byte, {body} ms or more, although a body of that size \
         needs about {} ms. The program writes it piece by piece, or waits before the rest (for a database, a disk, another server), or \
         the path is slow: latencies do not tell which. A stream that is meant to last, as server-sent events and some long polls \
         are, looks the same: then this is its pace.",
        share((slow.body_ms / (slow.body_ms + slow.first_byte_ms.unwrap_or(0.0))).min(1.0)),
        ms(slow.needs_ms.max(0.1))
    );
    let url = run.plan.url_of(&e.name);
    Ok(Found::new(title, text)
        .with("endpoint", e.name.as_str())
        .with("percentile", if slow.is_median { 50_u32 } else { 99 })
        .with("first_byte_ms", slow.first_byte_ms)
        .with("body_ms", slow.body_ms)
        .with("body_needs_ms", slow.needs_ms)
        .with("content_size_mean", size)
        .remedies(vec![
            advice(
                "see when the bytes of one answer come",
                format!("curl -sN -o /dev/null --trace-time --trace-ascii - {}", quoted(&url)),
                "a line with its time for each piece of the body",
            ),
            advice(
                "the same with one user",
                load_with(&run.plan, |p| {
                    (p.users, p.threads, p.rate) = (1, 1, 0.0);
                    p.mix = vec![MixEntry { path: e.name.clone(), weight: 1 }];
                }),
                format!("{body} ms from first to last byte again: it is how the answer is made; much less: it is the load"),
            ),
        ]))
}

fn slow(run: &RunResult, seen: &Indicators, e: &Endpoint) -> Option<Slow> {
    let (body, latency, size) = (e.phases_ms.receiving?, e.latency_ms?, e.content_size_mean?);
    let first = e.phases_ms.waiting;
    let answered = e.requests.saturating_sub(e.failures);
    let judge = |is_median: bool, body_ms: f64, of_ms: f64, size: f64| {
        let needs_ms = needs_ms(run, size);
        let first_byte_ms = first.map(|w| if is_median { w.p50 } else { w.p99 });
        let is_slow = body_ms >= BODY_LEAST_MS && body_ms >= BODY_SHARE * of_ms && body_ms >= BODY_NEEDS_TIMES * needs_ms;
        is_slow.then_some(Slow { is_median, first_byte_ms, body_ms, needs_ms })
    };
    let median = (answered >= BODY_ANSWERS).then(|| judge(true, body.p50, latency.p50, size)).flatten();
    // A few slow bodies may be those of the few large answers: these have all the bytes at the most. And a few are slow where
    // something stood still.
    let stood_still = seen.contention.as_ref().ok().is_some()
        || seen.client_stalls.as_ref().ok().is_some()
        || seen.target_stall.as_ref().ok().is_some();
    let tail =
        || (answered >= BODY_TAIL_ANSWERS && !stood_still).then(|| judge(false, body.p99, latency.p99, size * 100.0)).flatten();
    median.or_else(tail)
}

/// What a body of `size` bytes takes at the most on a path that is not slow: a round trip for each doubling beyond what a sender
/// may send at once, and its bytes.
fn needs_ms(run: &RunResult, size: f64) -> f64 {
    let round_trip_ms = run.totals.connects.as_ref().map_or(0.0, |c| c.setup_p50_ms);
    let doublings = (size / SPLIT_BYTES).max(1.0).log2().ceil();
    (1.0 + doublings) * round_trip_ms + size / BODY_BYTES_PER_MS
}
