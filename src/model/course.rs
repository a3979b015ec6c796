//! A load that changes while the run goes on: its stages, and the arithmetic of a level that moves in straight lines.
//!
//! ```
//! use sockbench::testing::model::Course;
//! // 10 users at 2 a second: the first at once, the fifth two seconds later.
//! let ramp = Course::ramp(10.0, 2.0);
//! assert_eq!([0.0, 1.9, 2.0, 99.0].map(|t| ramp.users_at(t)), [1, 4, 5, 10]);
//! // Requests due by then, and when the fifth of them is due.
//! assert_eq!((Course::level(50.0).until(2.0), Course::level(50.0).when(5.0)), (100.0, Some(0.1)));
//! ```

use std::fmt;
use std::time::Duration;

use super::time::Secs;
use super::units::exact;

/// What the level of a stage counts.
#[apply(lowercase)]
pub enum LevelOf {
    /// virtual users
    Users,
    /// requests per second in an open loop
    Rate,
}

/// When requests of an open loop are due.
#[apply(lowercase)]
#[derive(Default)]
pub enum Arrivals {
    /// evenly
    #[default]
    Constant,
    /// independently of each other (a Poisson process)
    Poisson,
    /// so many at once
    Burst(u32),
}

/// As it is typed: `constant`, `poisson`, `burst:20`.
impl fmt::Display for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant => f.write_str("constant"),
            Self::Poisson => f.write_str("poisson"),
            Self::Burst(n) => write!(f, "burst:{n}"),
        }
    }
}

/// One straight line of the load.
#[apply(record)]
#[derive(Copy)]
pub struct Stage {
    /// how long it takes; 0 jumps
    #[serde(rename = "duration_s", with = "Secs")]
    pub duration: Duration,
    /// users, or requests per second, at its end
    pub to: f64,
}

/// `--stages`: one line after the other, the first from 0.
#[apply(record)]
pub struct Stages {
    /// users or requests per second
    pub of: LevelOf,
    /// in order
    pub each: Vec<Stage>,
}

impl Stages {
    /// How long all of them take.
    pub fn duration(&self) -> Duration {
        self.each.iter().fold(Duration::ZERO, |sum, stage| sum.saturating_add(stage.duration))
    }

    /// The highest level that is asked for.
    pub fn peak(&self) -> f64 {
        self.each.iter().fold(0.0, |most, stage| most.max(stage.to))
    }

    /// The level over time.
    pub fn course(&self) -> Course {
        Course::of(0.0, self.each.iter().map(|s| (s.duration.as_secs_f64(), s.to)))
    }

    /// The same stages with every level and every length multiplied.
    #[must_use]
    pub fn scaled(&self, level: f64, length: f64) -> Self {
        let to = |to: f64| if self.of == LevelOf::Users { (to * level - EDGE).ceil().max(0.0) + 0.0 } else { typed(to * level) };
        let whole_ms = |d: Duration| {
            // A stage of no length jumps, and stays one.
            let least = if d.is_zero() { 0.0 } else { 1.0 };
            Duration::from_millis((d.as_secs_f64() * length * 1000.0).round().max(least) as u64)
        };
        let each = self.each.iter().map(|s| Stage { duration: whole_ms(s.duration), to: to(s.to) });
        Self { of: self.of, each: each.collect() }
    }
}

/// A rate as a person types it: four digits.
fn typed(rate: f64) -> f64 {
    if rate <= 0.0 {
        return rate;
    }
    let scale = 10_f64.powi(3 - rate.log10().floor() as i32);
    (rate * scale).round() / scale
}

/// As it is typed: `30s@50,60s@200/s`.
impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = if self.of == LevelOf::Rate { "/s" } else { "" };
        let each: Vec<String> = self.each.iter().map(|s| format!("{}@{}{unit}", exact(s.duration), s.to)).collect();
        f.write_str(&each.join(","))
    }
}

/// A user begins or leaves where the level passes a whole number; so far from one it counts as passed.
const EDGE: f64 = 1e-10;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Piece {
    start: f64,
    length: f64,
    from: f64,
    to: f64,
    /// the area below all earlier pieces
    before: f64,
}

impl Piece {
    fn slope(&self) -> f64 {
        (self.to - self.from) / self.length
    }

    /// The area below its first `x` seconds.
    fn area(&self, x: f64) -> f64 {
        if x.is_infinite() {
            return if self.from.max(self.to) > 0.0 { f64::INFINITY } else { 0.0 };
        }
        (self.from + self.slope() * x / 2.0) * x
    }
}

/// A level over time, in straight lines; after the last one it stays. Times in seconds from the start.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    pieces: Vec<Piece>,
}

impl Course {
    /// The same level all the time.
    pub fn level(level: f64) -> Self {
        Self::of(level, [])
    }

    /// From 0 to `to` at `per_s` a second, then level; level from the start where `per_s` is 0.
    pub fn ramp(to: f64, per_s: f64) -> Self {
        if per_s > 0.0 { Self::of(0.0, [(to / per_s, to)]) } else { Self::level(to) }
    }

    /// From `level` on by (seconds, level at their end).
    fn of(mut level: f64, lines: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let (mut pieces, mut start, mut before) = (Vec::new(), 0.0, 0.0);
        for (length, to) in lines {
            let to = to.max(0.0);
            if length > 0.0 {
                let piece = Piece { start, length, from: level, to, before };
                (start, before) = (start + length, before + piece.area(length));
                pieces.push(piece);
            }
            level = to;
        }
        if start.is_finite() {
            pieces.push(Piece { start, length: f64::INFINITY, from: level, to: level, before });
        }
        Self { pieces }
    }

    fn piece_at(&self, t: f64) -> &Piece {
        let after = self.pieces.partition_point(|p| p.start <= t);
        &self.pieces[after.saturating_sub(1)]
    }

    /// The level at `t`.
    pub fn at(&self, t: f64) -> f64 {
        let p = self.piece_at(t);
        p.from + p.slope() * (t - p.start)
    }

    /// The area below it up to `t`: requests that were due, where the level is a rate.
    pub fn until(&self, t: f64) -> f64 {
        let p = self.piece_at(t);
        p.before + p.area(t - p.start)
    }

    /// When that area reaches `total`; never where it stays below.
    pub fn when(&self, total: f64) -> Option<f64> {
        let p = self.pieces.iter().find(|p| p.before + p.area(p.length) >= total)?;
        let rest = total - p.before;
        if rest <= 0.0 {
            return Some(p.start);
        }
        // The root of slope x^2 / 2 + from x = rest, in the form that loses nothing where the slope is nearly 0.
        let under_root = (p.from * p.from + 2.0 * p.slope() * rest).max(0.0);
        Some(p.start + (2.0 * rest / (p.from + under_root.sqrt())).min(p.length))
    }

    /// Users that are asked for at `t`: number n (from 0) from when the level rises above n until it falls to n.
    pub fn users_at(&self, t: f64) -> u32 {
        let p = self.piece_at(t);
        let level = self.at(t);
        let rises = if p.to > p.from { EDGE } else { -EDGE };
        (level + rises).ceil().min((p.from.max(p.to) - EDGE).ceil()).max(0.0) as u32
    }

    /// When [`Course::users_at`] changes next after `t`, or may: never too late. Infinity: it stays.
    pub fn next_change(&self, t: f64) -> f64 {
        let p = self.piece_at(t);
        let now = f64::from(self.users_at(t));
        let level = if p.to > p.from { now } else { now - 1.0 };
        let at = if p.to == p.from { f64::INFINITY } else { p.start + (level - p.from) / p.slope() };
        let end = p.start + p.length;
        if at > t { at.min(end) } else { end }
    }

    /// Its course up to `until` in steps: (end of the step, mean level in it), at most `steps` to a straight line.
    pub fn steps(&self, until: f64, steps: u32) -> Vec<(f64, f64)> {
        let mut all = Vec::new();
        for p in self.pieces.iter().filter(|p| p.start < until) {
            let length = p.length.min(until - p.start);
            let parts = if p.from == p.to { 1 } else { steps.max(1) };
            for i in 1..=parts {
                let [x0, x1] = [i - 1, i].map(|n| length * f64::from(n) / f64::from(parts));
                all.push((p.start + x1, p.from + p.slope() * f64::midpoint(x0, x1)));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(of: LevelOf, each: &[(u64, f64)]) -> Stages {
        Stages { of, each: each.iter().map(|(s, to)| Stage { duration: Duration::from_secs(*s), to: *to }).collect() }
    }

    #[test]
    fn a_stage_of_no_length_stays_one_when_stages_are_scaled() {
        let jump = stages(LevelOf::Users, &[(0, 9.0), (3, 90.0)]);
        assert_eq!(jump.scaled(1.0, 1.0), jump);
        assert_eq!(jump.scaled(2.0, 2.0), stages(LevelOf::Users, &[(0, 18.0), (6, 180.0)]));
        assert_eq!(jump.scaled(1.0, 1e-9).each[1].duration, Duration::from_millis(1));
    }

    #[test]
    fn stages_are_lines_from_zero_and_a_stage_of_no_length_jumps() {
        let c = stages(LevelOf::Rate, &[(0, 10.0), (10, 30.0), (20, 30.0), (5, 0.0)]).course();
        assert_eq!([0.0, 5.0, 10.0, 20.0, 32.5, 35.0, 99.0].map(|t| c.at(t)), [10.0, 20.0, 30.0, 30.0, 15.0, 0.0, 0.0]);
        assert_eq!([10.0, 30.0, 35.0, 99.0].map(|t| c.until(t)), [200.0, 800.0, 875.0, 875.0]);
        assert_eq!((c.when(800.0), c.when(876.0)), (Some(30.0), None));
        for total in [0.0, 1.0, 199.0, 200.5, 512.0, 874.9] {
            let at = c.when(total).expect("it comes to that");
            assert!((c.until(at) - total).abs() < 1e-6, "{total} at {at}");
        }
    }

    #[test]
    fn users_start_and_leave_one_by_one_and_each_change_is_foretold() {
        let c = stages(LevelOf::Users, &[(2, 4.0), (3, 4.0), (4, 0.0)]).course();
        assert_eq!([0.0, 0.49, 0.5, 1.99, 4.9, 5.0, 5.99, 6.0, 8.99, 9.0].map(|t| c.users_at(t)), [1, 1, 2, 4, 4, 4, 4, 3, 1, 0]);
        let (mut t, mut seen) = (0.0_f64, vec![(0.0, c.users_at(0.0))]);
        while t.is_finite() && seen.len() < 50 {
            t = c.next_change(t);
            let now = c.users_at(t.min(1e9));
            if seen.last().is_some_and(|(_, before)| *before != now) {
                seen.push((t, now));
            }
        }
        let expected = [(0.0, 1), (0.5, 2), (1.0, 3), (1.5, 4), (6.0, 3), (7.0, 2), (8.0, 1), (9.0, 0)];
        assert!(seen.iter().zip(expected).all(|(a, b)| (a.0 - b.0).abs() < 1e-9 && a.1 == b.1) && seen.len() == 8, "{seen:?}");
    }

    #[test]
    fn a_spawn_rate_is_a_ramp() {
        let c = Course::ramp(100.0, 10.0);
        assert_eq!([0.0, 0.95, 2.0, 99.0].map(|t| c.users_at(t)), [1, 10, 21, 100]);
        assert_eq!(Course::ramp(7.0, 0.0).users_at(0.0), 7);
        // Near zero: the second user never starts.
        assert_eq!([1e-300, 1e-12, 5e-324].map(|slow| Course::ramp(9.0, slow).users_at(1e6)), [1, 1, 1]);
    }

    #[test]
    fn they_are_typed_as_they_are_read_and_scale() {
        let s = stages(LevelOf::Rate, &[(30, 50.0), (60, 12.5)]);
        assert_eq!(s.to_string(), "30s@50/s,60s@12.5/s");
        assert_eq!(
            (s.peak(), s.duration(), s.scaled(0.5, 2.0).to_string()),
            (50.0, Duration::from_secs(90), "60s@25/s,120s@6.25/s".into())
        );
        assert_eq!(stages(LevelOf::Users, &[(3, 3.0), (3, 0.0)]).scaled(0.5, 1.0).to_string(), "3s@2,3s@0");
    }

    #[test]
    fn steps_have_the_area_of_the_course() {
        let c = stages(LevelOf::Rate, &[(10, 30.0), (5, 30.0), (5, 0.0)]).course();
        let (mut area, mut from) = (0.0_f64, 0.0);
        for (end, level) in c.steps(20.0, 16) {
            area += (end - from) * level;
            from = end;
        }
        assert!((area - c.until(20.0)).abs() < 1e-9 && from == 20.0);
    }
}
