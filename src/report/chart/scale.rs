//! From values to pixels, and where the ticks go.

/// How values spread along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum ScaleKind {
    /// equal steps
    #[default]
    #[strum(serialize = "lin")]
    Linear,
    /// equal factors; values at or below zero have no place on it
    Log,
    /// seconds, with ticks at whole seconds, minutes, hours
    Time,
    /// shares of one, the same room for each nine: 0, 0.9, 0.99, 0.999; one has no place on it
    Nines,
}

/// Bounds of a log axis.
const LOG_MIN: f64 = 1e-300;
/// See [`LOG_MIN`].
const LOG_MAX: f64 = 1e300;

/// A range of values laid over a range of pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    kind: ScaleKind,
    lo: f64,
    hi: f64,
    from_px: f64,
    to_px: f64,
}

impl Scale {
    /// A scale over `lo..=hi`, widened where it is empty. `round` ends it at a tick.
    pub(super) fn new(kind: ScaleKind, lo: f64, hi: f64, px: (f64, f64), round: bool) -> Self {
        let (mut lo, mut hi) = if kind == ScaleKind::Log {
            // Rounded out to a power of ten, a bound must still be a number: the next decade after 1e308 is none.
            let hi = if hi > 0.0 { hi.clamp(LOG_MIN, LOG_MAX) } else { 1.0 };
            (if lo > 0.0 { lo.clamp(LOG_MIN, hi) } else { hi / 1000.0 }, hi)
        } else {
            (lo, hi)
        };
        if hi <= lo {
            hi = if kind == ScaleKind::Log { lo * 10.0 } else { lo + 1.0 };
        }
        if round {
            match kind {
                ScaleKind::Linear => {
                    let step = linear_step(hi - lo);
                    lo = (lo / step).floor() * step;
                    hi = (hi / step - 1e-9).ceil() * step;
                }
                ScaleKind::Log => {
                    let (below, above) = (10_f64.powf((lo.log10() + 1e-9).floor()), 10_f64.powf((hi.log10() - 1e-9).ceil()));
                    lo = [5.0, 2.0].map(|m| below * m).into_iter().find(|v| *v <= lo * (1.0 + 1e-9)).unwrap_or(below);
                    hi = [5.0, 2.0].map(|m| above / m).into_iter().find(|v| *v >= hi * (1.0 - 1e-9)).unwrap_or(above);
                }
                ScaleKind::Time | ScaleKind::Nines => {}
            }
        }
        Self { kind, lo, hi, from_px: px.0, to_px: px.1 }
    }

    /// The pixel of a value; none when it has no place here.
    pub(super) fn px(&self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return None;
        }
        let share = match self.kind {
            ScaleKind::Log if value <= 0.0 => return None,
            ScaleKind::Nines if value >= 1.0 => return None,
            ScaleKind::Nines => (nines(value) - nines(self.lo)) / (nines(self.hi) - nines(self.lo)),
            ScaleKind::Log => (value / self.lo).ln() / (self.hi / self.lo).ln(),
            ScaleKind::Linear | ScaleKind::Time => (value - self.lo) / (self.hi - self.lo),
        };
        // A point outside (a reference line above the range) is drawn at the edge's far side, not drawn over the page.
        (-0.001..=1.001).contains(&share).then_some(self.from_px + share * (self.to_px - self.from_px))
    }

    /// Values that get a grid line, and their labels.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        match self.kind {
            ScaleKind::Linear => {
                let step = linear_step(self.hi - self.lo);
                multiples(self.lo, self.hi, step).into_iter().map(|v| (v, number(v, step))).collect()
            }
            ScaleKind::Time => {
                let step = time_step(self.hi - self.lo);
                multiples(self.lo, self.hi, step).into_iter().map(|v| (v, time(v, self.hi))).collect()
            }
            ScaleKind::Log => log_ticks(self.lo, self.hi),
            ScaleKind::Nines => nines_ticks(self.hi),
        }
    }

    /// `lin LO HI PX PX`: for a script that reads values off a picture.
    pub(super) fn description(&self) -> String {
        let kind: &str = self.kind.into();
        format!("{kind} {} {} {} {}", self.lo, self.hi, self.from_px, self.to_px)
    }
}

/// How many nines a share has: 0.99 has two.
fn nines(share: f64) -> f64 {
    -(1.0 - share).log10()
}

fn nines_ticks(hi: f64) -> Vec<(f64, String)> {
    const ALL: [(f64, &str); 6] = [(0.0, "0"), (0.5, "50"), (0.9, "90"), (0.99, "99"), (0.999, "99.9"), (0.9999, "99.99")];
    ALL.into_iter().filter(|(share, _)| *share <= hi + 1e-9).map(|(share, text)| (share, text.to_owned())).collect()
}

fn multiples(lo: f64, hi: f64, step: f64) -> Vec<f64> {
    let first = (lo / step - 1e-9).ceil() as i64;
    let last = (hi / step + 1e-9).floor() as i64;
    (first..=last.min(first + 100)).map(|n| n as f64 * step).collect()
}

/// A step of 1, 2 or 5 times a power of ten that gives four to eight ticks.
fn linear_step(span: f64) -> f64 {
    let raw = span / 5.0;
    let power = 10_f64.powf(raw.log10().floor());
    let step = match raw / power {
        m if m < 1.5 => 1.0,
        m if m < 3.5 => 2.0,
        m if m < 7.5 => 5.0,
        _ => 10.0,
    };
    step * power
}

/// A step that clocks know, giving about ten ticks at most.
fn time_step(span_s: f64) -> f64 {
    const STEPS: [f64; 16] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0];
    STEPS.into_iter().find(|s| span_s / s <= 12.5).unwrap_or(86_400.0)
}

fn log_ticks(lo: f64, hi: f64) -> Vec<(f64, String)> {
    let (first, last) = (lo.log10().floor() as i32, hi.log10().ceil() as i32);
    let parts: &[f64] = if last - first <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let all = (first..=last).flat_map(|e| parts.iter().map(move |m| m * 10_f64.powi(e)));
    all.filter(|v| *v >= lo * 0.999 && *v <= hi * 1.001).map(|v| (v, number(v, v))).collect()
}

/// `v` with the decimals that `step` needs; thousands as `k` from ten thousand on.
fn number(v: f64, step: f64) -> String {
    if v == 0.0 {
        return "0".into();
    }
    if v.abs() >= 10_000.0 {
        let (v, step) = (v / 1000.0, step / 1000.0);
        let decimals = usize::from(step < 1.0);
        return format!("{v:.decimals$}k");
    }
    let decimals = if step >= 1.0 { 0 } else { (-step.log10()).ceil().clamp(0.0, 6.0) as usize };
    format!("{v:.decimals$}")
}

/// Seconds below two minutes, minutes and seconds above.
fn time(v: f64, hi: f64) -> String {
    if hi <= 120.0 {
        return number(v, time_step(hi));
    }
    let whole = v.round() as i64;
    if hi < 7200.0 {
        format!("{}:{:02}", whole / 60, whole % 60)
    } else {
        format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(kind: ScaleKind, lo: f64, hi: f64) -> Vec<String> {
        Scale::new(kind, lo, hi, (0.0, 100.0), true).ticks().into_iter().map(|t| t.1).collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(labels(ScaleKind::Linear, 0.0, 122.6), ["0", "20", "40", "60", "80", "100", "120", "140"]);
        assert_eq!(labels(ScaleKind::Linear, 0.0, 0.9), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(ScaleKind::Linear, 0.0, 28_231.0), ["0", "5000", "10k", "15k", "20k", "25k", "30k"]);
        assert_eq!(
            labels(ScaleKind::Time, 0.0, 540.0),
            ["0:00", "1:00", "2:00", "3:00", "4:00", "5:00", "6:00", "7:00", "8:00", "9:00"]
        );
        assert_eq!(labels(ScaleKind::Time, 0.0, 20.0), ["0", "2", "4", "6", "8", "10", "12", "14", "16", "18", "20"]);
        assert_eq!(labels(ScaleKind::Log, 3.0, 2000.0), ["10", "100", "1000"]);
    }

    #[test]
    fn an_empty_range_still_has_a_scale() {
        let s = Scale::new(ScaleKind::Linear, 0.0, 0.0, (100.0, 0.0), true);
        assert_eq!(s.px(0.0), Some(100.0));
        assert_eq!(Scale::new(ScaleKind::Log, 0.0, 0.0, (0.0, 1.0), true).px(0.0), None, "zero has no place on a log axis");
    }

    #[test]
    fn a_log_axis_over_extreme_values_has_as_many_ticks_as_decades_at_most() {
        for (lo, hi) in [(1.0, f64::MAX), (f64::MIN_POSITIVE, f64::MAX), (5e-324, 1.0), (f64::MAX, f64::MAX)] {
            let ticks = Scale::new(ScaleKind::Log, lo, hi, (0.0, 100.0), true).ticks();
            assert!(ticks.len() < 1900 && ticks.iter().all(|t| t.0.is_finite()), "{lo} {hi}: {}", ticks.len());
        }
    }
}
