//! Points in time as pure code sees them: offsets from the run's start, handed in as arguments.

use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serializer};

/// Events per second; 0 where no time passed.
pub fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

/// The time of day `s` seconds after `started_at` (`2026-11-24T10:00:00Z`), as logs can be asked for it:
/// `2026-11-24 10:00:20 UTC`. None past midnight, and where it is no such time.
pub fn clock_at(started_at: &str, s: f64) -> Option<String> {
    let (day, time) = started_at.strip_suffix('Z')?.split_once('T')?;
    let mut parts = time.split(':').map(|part| part.get(..2)?.parse::<u32>().ok());
    let began = parts.next()?? * 3600 + parts.next()?? * 60 + parts.next()??;
    let at = began.checked_add(s.max(0.0) as u32).filter(|at| *at < 86_400)?;
    Some(format!("{day} {:02}:{:02}:{:02} UTC", at / 3600, at / 60 % 60, at % 60))
}

/// Seconds since 1970 of an RFC 3339 time, with `Z` or an offset such as `+02:00`; none where it is no such time.
pub fn unix_seconds(rfc3339: &str) -> Option<f64> {
    let sign_at = rfc3339.rfind(['+', '-']).filter(|at| *at > "2026-11-29T".len());
    let (time, offset_s) = match sign_at {
        Some(at) => {
            let (hours, minutes) = rfc3339[at + 1..].split_once(':')?;
            let two = |text: &str, most| text.parse::<u32>().ok().filter(|n| text.len() == 2 && *n <= most);
            let minutes = two(hours, 23)? * 60 + two(minutes, 59)?;
            let ahead = if rfc3339[at..].starts_with('+') { 60.0 } else { -60.0 };
            (format!("{}Z", &rfc3339[..at]), f64::from(minutes) * ahead)
        }
        None => (rfc3339.to_owned(), 0.0),
    };
    let since = humantime::parse_rfc3339(&time).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs_f64() - offset_s)
}

/// The last moment that RFC 3339 can name, seconds since 1970: the end of the year 9999, less half a millisecond.
const LAST_UNIX_S: f64 = 253_402_300_799.999_5;

/// RFC 3339, UTC, milliseconds, of seconds since 1970. Moments before 1970 are its beginning, those after the year 9999 its end.
pub fn rfc3339_of(unix_s: f64) -> String {
    let since = Duration::try_from_secs_f64(unix_s.clamp(0.0, LAST_UNIX_S)).unwrap_or_default();
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

/// `#[serde(with = "Secs")]`: a [`Duration`] as seconds (fractional); the key carries the suffix `_s`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(inline, transparent))]
pub struct Secs(#[expect(dead_code, reason = "its functions and its schema are all that is used")] f64);

impl Secs {
    /// See [`Secs`].
    pub fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(d.as_secs_f64())
    }

    /// See [`Secs`]. Errors: negative or not finite.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

/// Nanoseconds since the run's epoch (the moment its clock was made). Monotonic; never wall time.
///
/// ```
/// use sockbench::testing::model::Stamp;
/// let a = Stamp::from_millis(5);
/// assert_eq!(a.since(Stamp::ZERO).as_millis(), 5);
/// assert_eq!(Stamp::ZERO.since(a).as_millis(), 0, "saturates: a stamp is never negative");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp(pub u64);

impl Stamp {
    /// The epoch itself.
    pub const ZERO: Self = Self(0);
    /// Later than any run can last: "no deadline".
    pub const NEVER: Self = Self(u64::MAX);

    /// A stamp `ms` milliseconds after the epoch.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms * 1_000_000)
    }

    /// A stamp that lies `d` after the epoch, at most [`Stamp::NEVER`].
    pub const fn from_duration(d: Duration) -> Self {
        Self::ZERO.plus(d)
    }

    /// A stamp that lies `s` seconds after the epoch; [`Stamp::NEVER`] where that is no length of time.
    pub fn after_secs(s: f64) -> Self {
        Duration::try_from_secs_f64(s).map_or(Self::NEVER, Self::from_duration)
    }

    /// Time passed from `earlier` to `self`; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Whole microseconds from `earlier` to `self`; zero when `earlier` is later.
    pub const fn micros_since(self, earlier: Self) -> u64 {
        // A thousandth as a product, exact for every u64: code that is compiled for size divides, which takes ten times as long.
        ((((self.0.saturating_sub(earlier.0) >> 3) as u128) * 0x20c4_9ba5_e353_f7cf) >> 68) as u64
    }

    /// `self` moved `d` into the future, saturating at [`Stamp::NEVER`].
    #[must_use]
    pub const fn plus(self, d: Duration) -> Self {
        let nanos = d.as_nanos();
        Self(if nanos > u64::MAX as u128 { u64::MAX } else { self.0.saturating_add(nanos as u64) })
    }

    /// Seconds since the epoch.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The whole second this stamp lies in, counted from the epoch.
    pub const fn second(self) -> u64 {
        self.0 / 1_000_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_of_a_run_has_hours_minutes_and_seconds() {
        let at = |s| clock_at("2026-11-24T02:58:30Z", s);
        assert_eq!(at(95.0).as_deref(), Some("2026-11-24 03:00:05 UTC"));
        assert_eq!(at(86_400.0), None, "another day");
    }

    #[test]
    fn times_with_an_offset_are_the_same_moment() {
        let utc = unix_seconds("2026-11-24T10:00:00.5Z");
        assert_eq!(utc, Some(1_795_514_400.5));
        assert_eq!(unix_seconds("2026-11-24T12:30:00.5+02:30"), utc);
        assert_eq!(unix_seconds("2026-11-24T05:00:00.5-05:00"), utc);
        assert_eq!(rfc3339_of(1_795_514_400.5), "2026-11-24T10:00:00.500Z");
        for bad in [
            "2026-11-24",
            "10:00",
            "",
            "+02:00",
            "2026-11-24T10:00:00+2",
            "2026-11-24T10:00:00+99:00",
            "2026-11-24T10:00:00+00:99",
            "2026-11-24T10:00:00+nan:00",
            "2026-11-24T10:00:00-1e300:00",
        ] {
            assert_eq!(unix_seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn microseconds_are_whole_thousandths_of_nanoseconds() {
        let us = |ns| Stamp(ns).micros_since(Stamp::ZERO);
        assert_eq!([0, 999, 1000, 1999, u64::MAX].map(us), [0, 0, 1, 1, u64::MAX / 1000]);
        for n in 0..100_000_u64 {
            // Right below and at a multiple, of every magnitude.
            let at = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (n % 64)) / 1000 * 1000;
            assert_eq!([at.saturating_sub(1), at].map(us), [at.saturating_sub(1) / 1000, at / 1000]);
        }
    }

    #[test]
    fn any_number_of_seconds_has_a_date() {
        for (unix_s, date) in [
            (f64::NAN, "1970-01-01T00:00:00.000Z"),
            (-1e300, "1970-01-01T00:00:00.000Z"),
            (1e12, "9999-12-31T23:59:59.999Z"),
            (f64::INFINITY, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339_of(unix_s), date, "{unix_s}");
        }
    }
}
