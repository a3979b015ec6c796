//! Durations and counts as people write them.

use std::fmt;
use std::time::Duration;

/// Longer lengths of time are taken for mistakes.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// A length of time that --help shows as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without blanks, as it can be typed.
        f.write_str(&humantime::format_duration(self.0).to_string().replace(' ', ""))
    }
}

/// [`duration`] for an argument with a default.
pub fn span(text: &str) -> Result<Span, String> {
    duration(text).map(Span)
}

/// `300ms`, `3m`, `1h30m`, `1.5s`; a bare number is seconds. Errors: one line that says what is understood.
pub fn duration(text: &str) -> Result<Duration, String> {
    let length = any_duration(text.trim())?;
    if length > LONGEST { Err(format!("{}: longer than a year", text.trim())) } else { Ok(length) }
}

fn any_duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| format!("{text}: not a length of time"));
    }
    // humantime knows no fractions: 1.5s is taken apart here.
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    if let (Ok(number), Some(unit)) = (text[..unit_at].parse::<f64>(), unit_seconds(&text[unit_at..])) {
        return Duration::try_from_secs_f64(number * unit).map_err(|_| format!("{text}: not a length of time"));
    }
    humantime::parse_duration(text).map_err(|_| format!("{text:?}: not a length of time such as 300ms, 3m or 1h30m"))
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

/// A length of time as a person types it, and as [`duration`] reads it back without loss: `90s`, `1.5s`, `7.5ms`, `250us`.
pub fn exact(d: Duration) -> String {
    let (unit, nanos) = match d.as_nanos() {
        1..1_000_000 => ("us", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    };
    let (whole, rest) = (d.as_nanos() / nanos, d.as_nanos() % nanos);
    let digits = nanos.ilog10() as usize;
    let fraction = format!("{rest:0digits$}");
    match fraction.trim_end_matches('0') {
        "" => format!("{whole}{unit}"),
        fraction => format!("{whole}.{fraction}{unit}"),
    }
}

/// A number as a person types it, with at most six significant digits: `0.5`, `3.33333`, `12345.7`. A whole number keeps all.
pub fn typed(value: f64) -> String {
    const DIGITS: i32 = 6;
    if !value.is_finite() || value == 0.0 || value.fract() == 0.0 {
        return value.to_string();
    }
    let decimals = (DIGITS - 1 - value.abs().log10().floor() as i32).clamp(0, 15);
    let scale = 10f64.powi(decimals);
    ((value * scale).round() / scale).to_string()
}

/// Events per second: `0.5`, `200`, `10k`, `100/s`, `50/1s`, `600/m`. Errors: one line that says what is understood.
pub fn rate(text: &str) -> Result<f64, String> {
    let bad = || format!("{text:?}: not a rate per second such as 0.5, 200 or 10k");
    let (number, seconds) = match text.trim().split_once('/') {
        None => (text.trim(), 1.0),
        Some((number, "s" | "sec" | "second")) => (number, 1.0),
        Some((number, "m" | "min" | "minute")) => (number, 60.0),
        Some((number, "h" | "hour")) => (number, 3600.0),
        Some((number, time)) => (number, duration(time).map_err(|_| bad())?.as_secs_f64()),
    };
    if seconds <= 0.0 {
        return Err(bad());
    }
    let (digits, factor) = match number.char_indices().last() {
        Some((at, 'k' | 'K')) => (&number[..at], 1e3),
        Some((at, 'm' | 'M')) => (&number[..at], 1e6),
        _ => (number, 1.0),
    };
    digits.parse::<f64>().map(|n| n * factor / seconds).map_err(|_| bad())
}

/// Larger counts are taken for mistakes; sums and products of them with what is counted here fit their types.
const COUNT_MAX: u64 = 1_000_000_000_000_000;

/// `500`, `10k`, `1.5M`. Errors: one line that says what is understood.
pub fn count(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?}: not a whole number such as 500, 10k or 1M");
    let (digits, factor) = match text.trim().char_indices().last() {
        Some((at, 'k' | 'K')) => (&text.trim()[..at], 1e3),
        Some((at, 'm' | 'M')) => (&text.trim()[..at], 1e6),
        _ => {
            let value: u64 = text.trim().parse().map_err(|_| bad())?;
            return if value <= COUNT_MAX { Ok(value) } else { Err(format!("{value}: more than {COUNT_MAX}")) };
        }
    };
    let value = digits.parse::<f64>().map_err(|_| bad())? * factor;
    if (0.0..=COUNT_MAX as f64).contains(&value) && value.fract().abs() < 1e-6 { Ok(value as u64) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_typed_as_short_as_they_can_be() {
        for (value, text) in [
            (10.0 / 3.0, "3.33333"),
            (0.5, "0.5"),
            (1e6, "1000000"),
            (123_456.78, "123457"),
            (0.1 + 0.2, "0.3"),
            (0.000_012_345_67, "0.0000123457"),
        ] {
            assert_eq!(typed(value), text);
            assert!((rate(text).unwrap() / value - 1.0).abs() < 1e-5, "{text}");
        }
    }

    #[test]
    fn durations_as_people_write_them() {
        let ms = |t: &str| duration(t).map(|d| d.as_millis());
        assert_eq!(
            [ms("300ms"), ms("3m"), ms("1h30m"), ms("2"), ms("1.5s"), ms("0.2")],
            [300, 180_000, 5_400_000, 2000, 1500, 200].map(Ok)
        );
        for bad in ["", "abc", "-1", "1x", "nan", "inf", "10000000h", "99999999999999999999", "1e300"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_leap_year_is_the_longest_time() {
        assert_eq!(duration("31622400"), Ok(Duration::from_secs(366 * 86_400)));
        assert!(duration("31622401").is_err());
    }

    #[test]
    fn a_length_of_time_is_printed_as_a_person_types_it() {
        for (ns, typed) in [
            (0, "0s"),
            (1, "0.001us"),
            (250_000, "250us"),
            (7_500_000, "7.5ms"),
            (15_000_000, "15ms"),
            (999_999_999, "999.999999ms"),
            (1_500_000_000, "1.5s"),
            (1_000_000_001, "1.000000001s"),
            (90_000_000_000, "90s"),
        ] {
            let d = Duration::from_nanos(ns);
            assert_eq!((exact(d).as_str(), duration(typed)), (typed, Ok(d)));
        }
    }

    proptest::proptest! {
        #[test]
        fn a_printed_length_of_time_is_read_back(ns in 0u64..100_000_000_000) {
            proptest::prop_assert_eq!(duration(&exact(Duration::from_nanos(ns))), Ok(Duration::from_nanos(ns)));
        }
    }

    #[test]
    fn a_span_is_shown_as_it_is_typed() {
        let shown = Span(Duration::from_secs(75)).to_string();
        assert_eq!((shown.as_str(), span(&shown)), ("1m15s", Ok(Span(Duration::from_secs(75)))));
    }

    #[test]
    fn rates_as_people_write_them() {
        assert_eq!([rate("0.5"), rate("10k"), rate("1.5M"), rate("100/s")], [0.5, 10_000.0, 1_500_000.0, 100.0].map(Ok));
        assert_eq!([rate("50/1s"), rate("600/m"), rate("30/1m"), rate("5/100ms")], [50.0, 10.0, 0.5, 50.0].map(Ok));
        for bad in ["5/0s", "5/", "/s", "5/x", "5/s/s"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
        for bad in ["", "k", "fast", "10kk"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn counts_as_people_write_them() {
        assert_eq!([count("500"), count("10k"), count("1.5M")], [500, 10_000, 1_500_000].map(Ok));
        assert_eq!(count("1000000000000000"), Ok(COUNT_MAX));
        for bad in ["", "k", "-1", "1.5", "1e3", "0.0001k", "1000000000000001", "18446744073709551615", "9999999999M"] {
            assert!(count(bad).is_err(), "{bad}");
        }
    }
}
