//! Figures as text: as many digits as say something, units beside them.

/// Milliseconds with three significant digits, no unit: `0.42`, `31.1`, `256`. Aligned columns stay narrow.
///
/// ```
/// use sockbench::report::figures::ms;
/// assert_eq!([0.4217, 9.999, 31.06, 256.4, 99.96].map(ms), ["0.42", "10.0", "31.1", "256", "100"]);
/// ```
pub fn ms(value: f64) -> String {
    if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// A rate per second: two decimals below 1000, one below 100,000.
pub fn rate(per_s: f64) -> String {
    if per_s < 999.995 {
        format!("{per_s:.2}")
    } else if per_s < 99_999.95 {
        format!("{per_s:.1}")
    } else {
        format!("{per_s:.0}")
    }
}

/// Seconds: `0.4 s`, `12.0 s`, `3 min 05 s`.
pub fn seconds(s: f64) -> String {
    if s < 119.95 {
        format!("{s:.1} s")
    } else {
        let whole = s.round() as u64;
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
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
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// A share as per cent: `0.0 %`, `90.3 %`.
pub fn percent(value: f64) -> String {
    format!("{value:.1} %")
}

/// `n` and its noun: `1 request`, `2 requests`.
pub fn counted(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// A name that takes at most `width` characters: the middle gives way, because both ends tell names apart.
pub fn shortened(name: &str, width: usize) -> String {
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= width {
        return name.to_owned();
    }
    let keep = width.saturating_sub(2);
    let head = keep.div_ceil(2);
    let tail = keep - head;
    let first: String = chars[..head].iter().collect();
    let last: String = chars[chars.len() - tail..].iter().collect();
    format!("{first}..{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_follow_the_size() {
        assert_eq!([0, 1023, 1024, 33_554_432].map(bytes), ["0 B", "1023 B", "1.0 KiB", "32.0 MiB"]);
        assert_eq!([0.0, 59.96, 180.0, 3600.2].map(seconds), ["0.0 s", "60.0 s", "3 min 00 s", "60 min 00 s"]);
        assert_eq!([9.5, 1234.56, 123_456.7].map(rate), ["9.50", "1234.6", "123457"]);
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        assert_eq!(shortened("/a/very/long/path?q=1", 11), "/a/ve..?q=1");
        assert_eq!(shortened("/short", 11), "/short");
    }
}
