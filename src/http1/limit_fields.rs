//! Fields of an answer that say when its target takes more: Retry-After (RFC 9110 section 10.2.3), RateLimit and its forms.

use crate::model::received::escaped;

/// Fields that are kept.
const FIELDS: usize = 4;

/// Of the first answer with a status that refuses more for now.
#[derive(Debug, Default)]
pub(super) struct LimitFields {
    status: u16,
    text: Option<Box<str>>,
}

impl LimitFields {
    /// Whether an answer with `status` refuses more for now.
    pub(super) fn come_with(status: u16) -> bool {
        matches!(status, 429 | 503)
    }

    /// Looks at a whole head of such a status, once for each in turn: at a rate limit every answer has the same fields.
    pub(super) fn on_head(&mut self, status: u16, head: &[u8]) {
        if self.status != status {
            *self = Self { status, text: find(head) };
        }
    }

    /// Those that came with `status`.
    pub(super) fn of(&self, status: u16) -> Option<&str> {
        self.text.as_deref().filter(|_| self.status == status)
    }
}

fn find(head: &[u8]) -> Option<Box<str>> {
    let lines = head.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
    let known: Vec<String> = lines.filter(|line| is_limit(line)).take(FIELDS).map(escaped).collect();
    (!known.is_empty()).then(|| known.join("; ").into())
}

fn is_limit(line: &[u8]) -> bool {
    let name = line.split(|b| *b == b':').next().unwrap_or_default();
    let begins = |prefix: &[u8]| name.len() >= prefix.len() && name[..prefix.len()].eq_ignore_ascii_case(prefix);
    name.len() < line.len() && (name.eq_ignore_ascii_case(b"retry-after") || begins(b"ratelimit") || begins(b"x-ratelimit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_about_a_limit_are_found_whatever_their_case() {
        let of = |status: u16, fields: &str| {
            let mut seen = LimitFields::default();
            assert!(LimitFields::come_with(status));
            seen.on_head(status, format!("HTTP/1.1 {status} No\r\n{fields}\r\n").as_bytes());
            seen.of(status).map(str::to_owned)
        };
        assert_eq!(of(429, "retry-after: 5\r\nX: y\r\n").as_deref(), Some("retry-after: 5"));
        let both = of(503, "RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 17\r\n");
        assert_eq!(both.as_deref(), Some("RateLimit-Remaining: 0; X-RateLimit-Reset: 17"));
        assert_eq!(of(429, "Rate: 5\r\nretry-after-me: no\r\n"), None);
        assert!(!LimitFields::come_with(500), "a failure is no limit");
    }
}
