//! The one formatter of numbers: each kind of figure has one form, the same on every page that people read. Commands,
//! JSON, CSV and the interval log write numbers for programs and do not pass here.
//!
//! Most figures carry three significant digits and at most two decimals: more says nothing in a load test, less hides
//! a difference. Whole thousands are separated: `3,845`.
//!
//! ```
//! use sockbench::testing::model::figures;
//! assert_eq!([0.2, 3.61, 57.34, 1163.2].map(figures::ms), ["0.20", "3.61", "57.3", "1,163"]);
//! assert_eq!([8.0, 8.333, 16.67, 136.53, 3845.4].map(figures::rate), ["8", "8.33", "16.7", "137", "3,845"]);
//! assert_eq!([0.0, 0.12, 4.0, 77.2, 99.97].map(figures::percent), ["0 %", "0.1 %", "4 %", "77 %", ">99.9 %"]);
//! assert_eq!([0.042, 1.44, 60.0, 185.0].map(figures::seconds), ["42 ms", "1.4 s", "60 s", "3 min 05 s"]);
//! ```

use std::time::Duration;

/// Nanoseconds of a second.
const PRECISE_DECIMALS: i32 = 9;

/// A count with its thousands separated: `19,225`.
pub fn count(n: impl Into<u64>) -> String {
    separated(n.into())
}

/// A count and its noun, which is the last word: `1 request`, `2,000 kept connections`, `2 retries`.
pub fn counted(n: impl Into<u64>, noun: &str) -> String {
    debug_assert!(ends_with_its_noun(noun), "{noun:?}: words follow the noun");
    let n = n.into();
    if n == 1 { format!("1 {noun}") } else { format!("{} {}", separated(n), plural(noun)) }
}

/// The verb behind such a count: `was` of one, `were` of others.
pub fn were(n: impl Into<u64>) -> &'static str {
    if n.into() == 1 { "was" } else { "were" }
}

/// Several of them, in the spelling of regular nouns.
fn plural(noun: &str) -> String {
    let has_vowel = ["ay", "ey", "oy", "uy"].iter().any(|end| noun.ends_with(end));
    match noun.strip_suffix('y') {
        Some(stem) if !has_vowel => format!("{stem}ies"),
        _ if ["s", "x", "z", "ch", "sh"].iter().any(|end| noun.ends_with(end)) => format!("{noun}es"),
        _ => format!("{noun}s"),
    }
}

/// Whether a phrase ends with the noun that is counted: no words about it follow.
fn ends_with_its_noun(phrase: &str) -> bool {
    const FOLLOW: &[&str] =
        &["about", "after", "at", "by", "for", "from", "in", "not", "of", "on", "over", "that", "to", "with", "without"];
    !phrase.contains([',', ';', ':']) && !phrase.split(' ').any(|word| FOLLOW.contains(&word))
}

/// Milliseconds without the unit; zeros are kept, so that columns show their precision: `0.42`, `31.1`, `256`, `1,163`.
pub fn ms(value: f64) -> String {
    significant(value)
}

/// A rate per second without the unit: `8.33`, `48`, `3,845`. One without bound is `any number`.
pub fn rate(per_s: f64) -> String {
    number(per_s)
}

/// A number without needless decimals: `7`, `3.7`, `1,163`.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "any number".into();
    }
    let text = significant(value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A number that others are calculated from, with four significant digits: `0.005`, `0.0001145`, `97.86`, `1,163`.
pub fn precise(value: f64) -> String {
    if !value.is_finite() || value == 0.0 || value.abs() >= 999.95 {
        return number(value);
    }
    let decimals = (3 - value.abs().log10().floor() as i32).clamp(0, PRECISE_DECIMALS);
    let text = format!("{value:.*}", decimals as usize);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".into() } else { text.to_owned() }
}

/// How many times as much: `3.7`, `14`. Its noun is `times`.
pub fn times(ratio: f64) -> String {
    if ratio < 9.95 { number((ratio * 10.0).round() / 10.0) } else { number(ratio.round()) }
}

/// A length or point of time as measured: `42 ms`, `1.4 s`, `60 s`, `3 min 05 s`, `2 h 05 min`.
pub fn seconds(s: f64) -> String {
    if s > 0.0 && s < 0.095 {
        return format!("{} ms", number(s * 1000.0));
    }
    if s < 119.95 {
        return format!("{} s", number((s * 10.0).round() / 10.0).replace(',', ""));
    }
    minutes(s.round() as u64)
}

/// A hold time T, always in seconds, because ports are divided by it: `60 s`, `120 s`.
pub fn hold(s: f64) -> String {
    format!("{} s", number((s * 10.0).round() / 10.0))
}

/// A point of time of a short experiment, with hundredths: `3.00 s`.
pub fn instant(s: f64) -> String {
    format!("{s:.2} s")
}

/// A length of time as it was asked for: `5 ms`, `1.5 s`, `90 s`, `3 min`.
pub fn span(d: Duration) -> String {
    let s = d.as_secs_f64();
    if d.is_zero() {
        "0 s".into()
    } else if d < Duration::from_secs(1) {
        format!("{} ms", exact(s * 1000.0))
    } else if d < Duration::from_secs(120) || d.subsec_nanos() > 0 {
        format!("{} s", exact(s))
    } else {
        minutes(d.as_secs())
    }
}

/// Whether so many samples say anything of this percentile: one of them at least lies at or above it (20 for p95, 100 for p99).
pub fn is_supported(percentile: f64, samples: u64) -> bool {
    // 100 - 99.9 is not a tenth in floating point.
    samples as f64 * (100.0 - percentile) >= 100.0 - 1e-6
}

/// Microseconds without the unit: `4.2`, `13`, `1,020`.
pub fn us(value: f64) -> String {
    if value < 9.95 { number((value * 10.0).round() / 10.0) } else { separated(value.round() as u64) }
}

/// Bytes in the largest binary unit that leaves at least one whole: `24 B`, `31.4 MiB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{} {}", number((value * 10.0).round() / 10.0), UNITS[unit]) }
}

/// A share given in hundredths: `0.1 %`, `4 %`, `77 %`. Only nothing is `0 %`, and only all is `100 %`.
pub fn percent(of_hundred: f64) -> String {
    let p = of_hundred;
    if p > 0.0 && p < 0.05 {
        "<0.1 %".into()
    } else if p > 99.95 && p < 100.0 {
        ">99.9 %".into()
    } else if p < 9.95 || (p > 99.0 && p < 100.0) {
        format!("{} %", number((p * 10.0).round() / 10.0))
    } else {
        format!("{} %", separated(p.round() as u64))
    }
}

/// How far a figure is from what was expected, in hundredths of that: `+4 %`, `-0.1 %`.
pub fn deviation(of_hundred: f64) -> String {
    format!("{}{}", if of_hundred < 0.0 { "-" } else { "+" }, percent(of_hundred.abs()))
}

/// A share of one, as per cent.
pub fn share(of_one: f64) -> String {
    // 0.7 * 100 is a little more than 70. What rounds to nothing or to all is neither.
    let rounded = (of_one * 1e6).round() / 1e4;
    percent(if rounded == 0.0 || (rounded == 100.0 && of_one < 1.0) { of_one * 100.0 } else { rounded })
}

/// Three significant digits, at most two decimals, thousands separated.
fn significant(value: f64) -> String {
    let (sign, v) = if value < 0.0 { ("-", -value) } else { ("", value) };
    if v < 9.995 {
        format!("{sign}{v:.2}")
    } else if v < 99.95 {
        format!("{sign}{v:.1}")
    } else {
        format!("{sign}{}", separated(v.round() as u64))
    }
}

/// As many decimals as were given, up to microseconds of a millisecond.
fn exact(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn minutes(whole_s: u64) -> String {
    let (h, min, s) = (whole_s / 3600, whole_s / 60 % 60, whole_s % 60);
    match (h, min, s) {
        (0, min, 0) => format!("{min} min"),
        (0, min, s) => format!("{min} min {s:02} s"),
        (h, 0, 0) => format!("{h} h"),
        (h, min, _) => format!("{h} h {min:02} min"),
    }
}

fn separated(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// A change as a share: `+5 %`, `-12 %`, `0 %` for less than 0.1 %.
pub fn signed_share(change: f64) -> String {
    let text = share(change.abs());
    // `>99.9 %` has no sign before it.
    match text.as_str() {
        "0 %" | "<0.1 %" => "0 %".into(),
        _ => format!("{}{}", if change < 0.0 { "-" } else { "+" }, text.trim_start_matches('>')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        assert_eq!([0_u64, 999, 1000, 12_345, 1_234_567].map(count), ["0", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!([counted(1_u32, "port"), counted(28_232_u32, "port")], ["1 port", "28,232 ports"]);
        let nouns = ["retry", "key", "process", "switch", "box", "kept connection"];
        let plurals = ["2 retries", "2 keys", "2 processes", "2 switches", "2 boxes", "2 kept connections"];
        assert_eq!(nouns.map(|noun| counted(2_u32, noun)), plurals);
        assert_eq!([0_u32, 1, 2].map(were), ["were", "was", "were"]);
        for phrase in ["line not about connections", "line over 64 KiB, read at its start only", "core of the machine"] {
            assert!(!ends_with_its_noun(phrase), "{phrase}");
        }
    }

    #[test]
    fn digits_follow_the_size() {
        assert_eq!([0.4217, 9.999, 31.06, 256.4, 99.96, 999.6].map(ms), ["0.42", "10.0", "31.1", "256", "100", "1,000"]);
        assert_eq!([0.5, 9.5, 33.0, 1234.56, 123_456.7].map(rate), ["0.5", "9.5", "33", "1,235", "123,457"]);
        assert_eq!([rate(f64::INFINITY), number(-1.5)], ["any number", "-1.5"]);
        assert_eq!([1.0, 3.74, 14.4].map(times), ["1", "3.7", "14"]);
        assert_eq!([0.3, 4.25, 13.4, 1020.0].map(us), ["0.3", "4.3", "13", "1,020"]);
    }

    #[test]
    fn what_others_are_calculated_from_has_four_digits() {
        assert_eq!([0.0, 0.005, 0.000_114_49, 0.5, 3.0].map(precise), ["0", "0.005", "0.0001145", "0.5", "3"]);
        assert_eq!([9.999_96, 97.864, -1.25, 999.96, 1163.2].map(precise), ["10", "97.86", "-1.25", "1,000", "1,163"]);
        assert_eq!([1e-12, -1e-12, f64::INFINITY].map(precise), ["0", "0", "any number"]);
    }

    #[test]
    fn units_follow_the_size() {
        assert_eq!([0, 1023, 1024, 33_554_432].map(bytes), ["0 B", "1023 B", "1 KiB", "32 MiB"]);
        assert_eq!([0.0, 0.094, 0.4, 59.96, 100.04].map(seconds), ["0 s", "94 ms", "0.4 s", "60 s", "100 s"]);
        assert_eq!([180.0, 3600.2, 7502.0].map(seconds), ["3 min", "1 h", "2 h 05 min"]);
        assert_eq!([hold(120.0), hold(0.5), instant(3.0)], ["120 s", "0.5 s", "3.00 s"]);
        let asked = [0, 5, 1500, 90_000, 180_000, 5_400_000].map(|n| span(Duration::from_millis(n)));
        assert_eq!(asked, ["0 s", "5 ms", "1.5 s", "90 s", "3 min", "1 h 30 min"]);
    }

    #[test]
    fn a_share_is_nothing_or_all_only_where_it_is() {
        assert_eq!([0.0, 0.04, 0.9, 9.94, 9.96].map(percent), ["0 %", "<0.1 %", "0.9 %", "9.9 %", "10 %"]);
        assert_eq!([99.0, 99.6, 99.96, 100.0, 180.0].map(percent), ["99 %", "99.6 %", ">99.9 %", "100 %", "180 %"]);
        assert_eq!([0.7, 0.0035, 1.0].map(share), ["70 %", "0.4 %", "100 %"]);
        assert_eq!([-12.4, -0.1, 3.96].map(deviation), ["-12 %", "-0.1 %", "+4 %"]);
        assert_eq!([1e-9, 1.0 - 1e-9, 0.0].map(share), ["<0.1 %", ">99.9 %", "0 %"]);
    }

    #[test]
    fn a_change_has_a_sign_unless_it_is_nothing() {
        let all = [0.0, 0.0002, -0.0002, 0.05, -0.12, 0.9997, -0.9997].map(signed_share);
        assert_eq!(all, ["0 %", "0 %", "0 %", "+5 %", "-12 %", "+99.9 %", "-99.9 %"]);
    }
}
