//! Addresses in a line: what kind of target, and whether the source port was named.

use crate::model::address::Address;

/// What is known of the target's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Target {
    Unsaid,
    V4,
    /// an IPv6 address: a machine without IPv6 has no address to reach it from
    V6,
    /// `localhost` and no address: either family
    Localhost,
    /// a socket in the file system
    Unix,
    /// UDP
    Datagram,
}

/// What is known of the port that the client's own end was to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum SourcePort {
    Unsaid,
    /// port 0: the kernel was to choose
    Kernel,
    Named,
}

pub(super) fn target(text: &str) -> Target {
    let ends_word = |at: usize| !text[at..].starts_with(|c: char| c.is_alphanumeric());
    let is_file = text.match_indices(".sock").any(|(at, w)| ends_word(at + w.len()));
    if is_file || ["unix:", "af_unix", "af_local", "sun_path"].iter().any(|w| text.contains(w)) {
        Target::Unix
    } else if text.contains("af_inet6") || has_v6(text) {
        Target::V6
    } else if text.contains(" udp ") || text.contains("sock_dgram") {
        Target::Datagram
    } else if has_v4(text) {
        Target::V4
    } else if text.contains("localhost") {
        Target::Localhost
    } else {
        Target::Unsaid
    }
}

/// The text has an IPv6 address, in brackets or not, with a port behind it or not.
fn has_v6(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_hexdigit() || c == ':' || c == '.';
    let bounded = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    pieces(text, is_part).any(|(before, piece, after)| {
        bounded(before.chars().next_back()) && bounded(after.chars().next()) && is_v6(piece.trim_end_matches('.'))
    })
}

/// Longest pieces of `text` of which each character `is_part`: what is before, the piece, what is after.
pub(super) fn pieces(text: &str, is_part: impl Fn(char) -> bool + Copy) -> impl Iterator<Item = (&str, &str, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text[from..].find(is_part)?;
        from = text[start..].find(|c| !is_part(c)).map_or(text.len(), |n| start + n);
        Some((&text[..start], &text[start..from], &text[from..]))
    })
}

fn is_v6(piece: &str) -> bool {
    let colons = piece.matches(':').count();
    let groups = piece.split(':').all(|g| g.len() <= 5 || g.contains('.'));
    let shortened = piece.contains("::") && piece.bytes().any(|b| b.is_ascii_hexdigit());
    let mapped = piece.contains(":ffff:") && piece.contains('.');
    groups && !mapped && (shortened || colons >= 7) && piece != "::"
}

fn has_v4(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_digit() && c != '.').any(|piece| {
        let mut groups = piece.split('.').filter(|g| !g.is_empty());
        let four = groups.by_ref().take(4).filter(|g| g.parse::<u8>().is_ok()).count() == 4;
        four && groups.next().is_none()
    })
}

/// The source port that a text shows: `dial tcp 10.0.0.2:0->10.0.0.1:80` (Go), `- Local (10.0.0.2:40000)` (Node.js), the
/// address of a bind() that strace saw.
pub(super) fn source_port(text: &str) -> SourcePort {
    let local = text.split_once("local (").and_then(|(_, rest)| rest.split_once(')')).map(|(local, _)| local);
    let dialled = || text.split_once("->").and_then(|(before, _)| before.rsplit(' ').next());
    let named = local.or_else(dialled).and_then(|a| Address::from(a).port_number());
    let traced = || {
        let rest = text.split_once("bind(")?.1.split_once("port=htons(")?.1;
        rest.split(')').next()?.parse::<u16>().ok()
    };
    match named.or_else(traced) {
        None => SourcePort::Unsaid,
        Some(0) => SourcePort::Kernel,
        Some(_) => SourcePort::Named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_and_without_brackets() {
        for v6 in [
            "connect eaddrnotavail ::1:3000 - local (:::0)",
            "dial tcp [::1]:8080",
            "localhost/0:0:0:0:0:0:0:1:8080",
            "localhost (localhost)|::1|:8080... failed",
            "listen 2a02:908::288c:8080",
            "fe80::1%eth0",
        ] {
            assert_eq!(target(v6), Target::V6, "{v6}");
        }
        for other in ["errno::eaddrnotavail", "12:00:01 std::net::tcp", "aa:bb:cc:dd:ee:ff", "net::err_failed", "a :: b"] {
            assert_eq!(target(other), Target::Unsaid, "{other}");
        }
        assert_eq!(target("::ffff:10.0.0.1:80"), Target::V4);
        assert_eq!(target("localhost/127.0.0.1:8080"), Target::V4);
        assert_eq!(target("localhost:8080"), Target::Localhost);
    }

    #[test]
    fn source_ports_of_go_node_and_strace() {
        assert_eq!(source_port("dial tcp 10.0.0.2:0->10.0.0.1:80: bind"), SourcePort::Kernel);
        assert_eq!(source_port("10.0.0.1:80 - local (10.0.0.2:40000)"), SourcePort::Named);
        assert_eq!(source_port("bind(5, {sa_family=af_inet, sin_port=htons(0), "), SourcePort::Kernel);
        assert_eq!(source_port("connect(5, {sin_port=htons(80)}"), SourcePort::Unsaid);
    }
}
