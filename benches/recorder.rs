//! What one sample costs the client, and what a second costs when it ends.
//!
//! `cargo bench --bench recorder`

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sockbench::testing::model::{EndpointId, Outcome, Sample, Stamp};
use sockbench::testing::stats::Recorder;

/// Samples of one second at 50,000 requests per second over three endpoints, latencies from 50 us to 20 ms.
fn second() -> Vec<Sample> {
    (0..50_000_u64)
        .map(|n| {
            let ended = Stamp(n * 20_000 + 1);
            let took_us = 50 + n * 7919 % 20_000;
            let started = Stamp(ended.0.saturating_sub(took_us * 1000));
            Sample {
                sent: Some(started),
                first_byte: Some(ended),
                ended,
                outcome: Outcome::Answered { status: 200 },
                bytes_in: 120,
                body_bytes: 21,
                bytes_out: 60,
                ..Sample::begun(EndpointId((n % 3) as u16), None, started)
            }
        })
        .collect()
}

fn recorder(c: &mut Criterion) {
    let samples = second();
    let warm = || {
        let mut r = Recorder::new(3, Duration::ZERO, false);
        for s in &samples {
            r.record(s);
        }
        r
    };
    let mut group = c.benchmark_group("recorder");
    group.sample_size(20);
    group.throughput(Throughput::Elements(samples.len() as u64));
    group.bench_function("record a second of 50,000 samples", |b| {
        b.iter_batched_ref(
            warm,
            |r| {
                for s in &samples {
                    r.record(black_box(s));
                }
            },
            BatchSize::LargeInput,
        );
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("end a second of 50,000 samples", |b| {
        b.iter_batched_ref(
            warm,
            |r| {
                r.roll_to(Stamp::from_millis(1000));
                r.drain_intervals().count()
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, recorder);
criterion_main!(benches);
