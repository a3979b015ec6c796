//! Field values that framing depends on.

/// A Content-Length (RFC 9110 section 8.6): digits only. Values too large for any limit come back as `u64::MAX`.
pub fn length(value: &[u8]) -> Option<u64> {
    let value = value.trim_ascii();
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(value.iter().fold(0u64, |n, b| n.saturating_mul(10).saturating_add(u64::from(b - b'0'))))
}

/// The members of a comma-separated list, blanks around them removed.
pub fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii)
}

/// Whether `value` is a Host (RFC 9110 section 7.2): name or address, then perhaps a port. May be empty.
pub fn is_host(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&b);
    let (name_is_sound, port) = if let Some(rest) = value.strip_prefix(b"[") {
        let Some(end) = rest.iter().position(|b| *b == b']') else { return false };
        (end > 0 && rest[..end].iter().all(|b| b.is_ascii_hexdigit() || b":.vV".contains(b)), &rest[end + 1..])
    } else {
        let end = value.iter().position(|b| *b == b':').unwrap_or(value.len());
        (value[..end].iter().all(|b| is_name_byte(*b)), &value[end..])
    };
    name_is_sound
        && port.strip_prefix(b":").unwrap_or(port).iter().all(u8::is_ascii_digit)
        && (port.is_empty() || port[0] == b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        assert_eq!(length(b" 12 "), Some(12));
        assert_eq!(length(b"99999999999999999999999"), Some(u64::MAX));
        for bad in [&b""[..], b"+1", b"-1", b"1,1", b"0x1", b"1 1"] {
            assert_eq!(length(bad), None);
        }
    }

    #[test]
    fn hosts() {
        for good in [&b""[..], b"a", b"a:80", b"127.0.0.1:", b"[::1]:80", b"x.example"] {
            assert!(is_host(good), "{}", good.escape_ascii());
        }
        for bad in [&b"a b"[..], b"a/b", b"a:b", b"[::1", b"[]", b"[::1]x", b"a@b", b"a:80:80"] {
            assert!(!is_host(bad), "{}", bad.escape_ascii());
        }
    }
}
