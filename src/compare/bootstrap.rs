//! How much each figure of a side varies by chance.

use super::blocks::{Blocks, Figures};

/// Times that the blocks are drawn.
const DRAWS: usize = 600;
/// The same files compared twice say the same.
const SEED: u64 = 0x50_C4_BE_7C;

/// A figure and its variance; none where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Spread {
    /// of the blocks as they are
    pub(super) value: f64,
    /// of the logarithm; for a share of the value itself
    pub(super) variance: f64,
}

/// The figures of a side.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spreads {
    pub(super) rate: Option<Spread>,
    pub(super) failed_share: Option<Spread>,
    pub(super) p50_ms: Option<Spread>,
    pub(super) p95_ms: Option<Spread>,
    pub(super) p99_ms: Option<Spread>,
}

/// Draws the blocks again and again.
pub(super) fn spreads(blocks: &Blocks) -> Spreads {
    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut counts = Vec::new();
    let whole = blocks.figures(&vec![1; blocks.len()], &mut counts);
    let draws: Vec<Figures> = (0..DRAWS)
        .map(|_| {
            let mut times = vec![0; blocks.len()];
            for _ in 0..blocks.len() {
                times[rng.usize(0..blocks.len())] += 1;
            }
            blocks.figures(&times, &mut counts)
        })
        .collect();
    // Blocks drawn from themselves vary a little less than new ones would.
    let n = blocks.len() as f64;
    let small = if n > 1.0 { n / (n - 1.0) } else { 1.0 };
    let of = |value: Option<f64>, of: &dyn Fn(&Figures) -> Option<f64>| {
        let value = value?;
        let drawn: Vec<f64> = draws.iter().filter_map(of).filter(|v| v.is_finite()).collect();
        Some(Spread { value, variance: variance(&drawn) * small })
    };
    let log = |value: Option<f64>| value.filter(|v| *v > 0.0).map(f64::ln);
    Spreads {
        rate: of((whole.rate > 0.0).then_some(whole.rate), &|f| log(Some(f.rate))),
        failed_share: of(Some(whole.failed_share), &|f| Some(f.failed_share)),
        p50_ms: of(whole.p50_ms, &|f| log(f.p50_ms)),
        p95_ms: of(whole.p95_ms, &|f| log(f.p95_ms)),
        p99_ms: of(whole.p99_ms, &|f| log(f.p99_ms)),
    }
}

fn variance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    if values.len() < 2 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)
}
