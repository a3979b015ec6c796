//! How much each figure of a side varies by chance.

use super::blocks::{Blocks, Figures, JUDGED};
use crate::model::comparison::Compared;

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

/// Those of [`JUDGED`].
pub(super) type Spreads = [Option<Spread>; 5];

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
    std::array::from_fn(|at| {
        // A share may be zero; of the others the logarithm is looked at.
        let scaled = |v: f64| if JUDGED[at] == Compared::FailedShare { v } else { v.ln() };
        let value = whole[at].filter(|v| JUDGED[at] != Compared::RateRps || *v > 0.0)?;
        let drawn: Vec<f64> = draws.iter().filter_map(|f| f[at].map(scaled)).filter(|v| v.is_finite()).collect();
        Some(Spread { value, variance: variance(&drawn) * small })
    })
}

fn variance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    if values.len() < 2 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)
}
