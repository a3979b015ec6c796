//! What the run result keeps of all requests alone, second by second: percentiles of each endpoint, and how the latencies
//! of all spread. Fed while a run goes on, or with the seconds of a stored interval log.

use super::HeatCell;
use crate::stats::interval::Interval;
use crate::stats::sparse::Sparse;

/// p50 and p95 of the answered requests, milliseconds; none in a second without an answer.
type Times = Option<(f64, f64)>;

/// Bands of a decade of latency.
const BANDS: f64 = 10.0;
/// Columns of a heat map.
const COLUMNS: u64 = 160;

/// A row for each second, a column for each endpoint in the order of the plan's mix.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EndpointTimes {
    seconds: Vec<(u64, Vec<Times>)>,
    /// answered requests of the same seconds by band: how many tenths of a decade above 1 us, and how many
    bands: Vec<Vec<(u8, u32)>>,
}

impl EndpointTimes {
    /// Adds the next second, all workers merged.
    pub fn push(&mut self, second: &Interval) {
        let times = second.endpoints.iter().map(|e| e.answered.latency_ms().map(|l| (l.p50, l.p95)));
        self.seconds.push((second.second, times.collect()));
        self.bands.push(bands(&second.answered()));
    }

    /// The seconds of a stored run.
    pub fn of(seconds: &[Interval]) -> Self {
        let mut times = Self::default();
        for second in seconds {
            times.push(second);
        }
        times
    }

    /// The middle of each second and the figure of endpoint `index` in it.
    pub(super) fn points(&self, index: usize, figure: fn((f64, f64)) -> f64) -> impl Iterator<Item = (f64, Option<f64>)> {
        let of =
            move |(second, times): &(u64, Vec<Times>)| (*second as f64 + 0.5, times.get(index).copied().flatten().map(figure));
        self.seconds.iter().map(of)
    }

    /// Answered requests by time and latency in milliseconds, within `duration_s`; seconds of long runs share a column.
    /// Densities are in equal factors, because few slow requests matter as much as many quick ones.
    pub(super) fn heat(&self, duration_s: f64) -> Vec<HeatCell> {
        let last = self.seconds.iter().map(|s| s.0 + 1).max().unwrap_or(0);
        let width = last.div_ceil(COLUMNS).max(1);
        let mut counts = std::collections::BTreeMap::<(u64, u8), u64>::new();
        for ((second, _), bands) in self.seconds.iter().zip(&self.bands) {
            for (band, count) in bands {
                *counts.entry((second / width, *band)).or_default() += u64::from(*count);
            }
        }
        let most = counts.values().copied().max().unwrap_or(1);
        let ms = |band: f64| 10_f64.powf(band / BANDS) / 1000.0;
        let cell = |((column, band), count): (&(u64, u8), &u64)| {
            let (from, band) = ((column * width) as f64, f64::from(*band));
            HeatCell {
                x: (from, (from + width as f64).min(duration_s)),
                y: (ms(band), ms(band + 1.0)),
                density: (1.0 + *count as f64).ln() / (1.0 + most as f64).ln(),
            }
        };
        counts.iter().map(cell).filter(|c| c.x.0 < c.x.1).collect()
    }
}

fn bands(answered: &Sparse) -> Vec<(u8, u32)> {
    let mut bands: Vec<(u8, u32)> = Vec::new();
    for bin in answered.bins() {
        let band = (f64::from(bin.us.max(1)).log10() * BANDS).floor() as u8;
        match bands.last_mut() {
            Some((last, count)) if *last == band => *count = count.saturating_add(bin.count),
            _ => bands.push((band, bin.count)),
        }
    }
    bands
}
