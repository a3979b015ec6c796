//! Which address a text is about: the target's, or the one that a listener wants. Only to show it again in commands; what
//! kind of address it is decides `address`.

use super::address::pieces;
use crate::model::address::Address;
use crate::model::explanation::FailedCall;

/// Extensions of source files: `sock.c:282` is no host and port.
const SOURCES: &[&str] = &[
    "c", "cc", "cpp", "h", "go", "js", "mjs", "cjs", "ts", "rb", "py", "rs", "java", "kt", "scala", "php", "ex", "erl", "lua",
    "cs", "pl", "swift",
];

/// `10.0.0.1:8080`, `[::1]:80`, `:3000`; none where the text shows no port, or of a failed look-up no name.
pub(super) fn endpoint(line: &str, call: FailedCall) -> Option<Address> {
    if call == FailedCall::Getaddrinfo {
        return name(line).map(Address::from);
    }
    let text = if call == FailedCall::Bind { line } else { line.split_once("->").map_or(line, |(_, peer)| peer) };
    by_token(text).or_else(|| by_url(text)).or_else(|| by_key(text)).map(Address::from)
}

/// Where connections go, as far as T depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destination {
    /// this machine: the kernel's default lets connect() take ports again after 1 s
    Loopback,
    Elsewhere,
    Unsaid,
}

/// Of an address as [`endpoint`] gives it.
pub(super) fn destination(address: Option<&Address>) -> Destination {
    let Some(at) = address.filter(|a| a.port.is_some()) else { return Destination::Unsaid };
    match at.ip() {
        Some(ip) if ip.is_unspecified() => Destination::Loopback,
        _ if at.is_loopback() => Destination::Loopback,
        Some(_) => Destination::Elsewhere,
        // What a name stands for is not known here.
        None => Destination::Unsaid,
    }
}

/// The first host and port in one piece.
fn by_token(text: &str) -> Option<String> {
    let is_part = |c: char| c.is_alphanumeric() || "._:-[]%*".contains(c);
    pieces(text, is_part).find_map(|(before, piece, _)| {
        let token = piece.trim_end_matches(['.', ':', '-', ']', '[']);
        let token = token.strip_prefix('[').filter(|t| !t.contains(']')).unwrap_or(token);
        let is_peer = before.ends_with("client ") || before.ends_with("client: ");
        host_and_port(token, before).filter(|_| !is_peer)
    })
}

fn host_and_port(token: &str, before: &str) -> Option<String> {
    let (host, port) = token.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|p| *p > 0)?;
    let is_ip = |h: &str| h.split('.').count() == 4 && h.split('.').all(|g| g.parse::<u8>().is_ok());
    let colons = host.matches(':').count();
    if let Some(v6) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return is_v6(v6).then(|| format!("[{v6}]:{port}"));
    }
    // `*:80`, `:3000`, `:::3000`: any address.
    if host == "*" || host == "::" || (host.is_empty() && (before.is_empty() || before.ends_with([' ', '"', '\'']))) {
        return Some(format!(":{port}"));
    }
    if colons >= 2 {
        return is_v6(host).then(|| format!("[{host}]:{port}"));
    }
    let is_name = |h: &str| {
        let last = h.rsplit('.').next().unwrap_or_default();
        let letters =
            h.starts_with(|c: char| c.is_alphanumeric()) && h.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
        letters && h.contains('.') && last.chars().any(|c| c.is_ascii_alphabetic()) && !SOURCES.contains(&last)
    };
    // A name without a dot is a host where the text says so.
    let is_said = || {
        let words = ["host ", "to ", "://", "server ", "Host ", "address "];
        host.starts_with(|c: char| c.is_ascii_alphabetic()) && !host.contains(':') && words.iter().any(|w| before.ends_with(w))
    };
    (is_ip(host) || host == "localhost" || is_name(host) || is_said()).then(|| format!("{host}:{port}"))
}

fn is_v6(text: &str) -> bool {
    text.split('%').next().is_some_and(|a| a.parse::<std::net::Ipv6Addr>().is_ok())
}

/// `http://10.0.0.1/`: the port of its scheme.
fn by_url(text: &str) -> Option<String> {
    [("http://", 80), ("https://", 443)].iter().find_map(|(scheme, port)| {
        let rest = text.split_once(scheme)?.1;
        let host = rest.split(['/', '"', '\'', ' ', '?', ')', ',', '\\']).next()?;
        let is_host = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
        is_host.then(|| format!("{host}:{port}"))
    })
}

/// `host='10.0.0.1', port=8080`, `('10.0.0.1', 8080)`, `"localhost" port 3000`, `htons(80)`.
fn by_key(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let number = |rest: &str| {
        let rest = rest.trim_start_matches([' ', '=', ':', '"', '\'', '(']);
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u16>().ok().filter(|p| *p > 0)
    };
    let port = ["htons(", "port=", "port: ", "port\":", "port ", "', "]
        .iter()
        .find_map(|key| lower.match_indices(key).find_map(|(at, _)| number(&lower[at + key.len()..])))?;
    let quoted = |key: &str| {
        let rest = text.split_once(key)?.1;
        let host = rest.split(['\'', '"']).next()?;
        let is_host = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".:-_".contains(c));
        is_host.then(|| host.to_owned())
    };
    let before_port = || {
        let word = text[..lower.find(" port ")?].trim_end_matches(['"', ',', '\'']).rsplit([' ', '"', '\'']).next()?;
        (word.contains('.') || word == "localhost").then(|| word.to_owned())
    };
    let host = ["inet_addr(\"", "host='", "host=\"", "\"address\":\"", "address: '", "('"]
        .iter()
        .find_map(|key| quoted(key))
        .or_else(before_port);
    Some(match host {
        Some(host) if is_v6(&host) => format!("[{host}]:{port}"),
        Some(host) => format!("{host}:{port}"),
        None => format!(":{port}"),
    })
}

/// The name that gave no address.
fn name(text: &str) -> Option<&str> {
    const BEFORE: &[&str] = &[
        "lookup ",
        "resolve host: ",
        "resolve host \"",
        "enotfound ",
        "eai_again ",
        "host='",
        "resolve '",
        "resolved: '",
        "resolved: ",
        "unknownhostexception: ",
        "to resolve ",
        "host \"",
        "host not found: ",
        "to host ",
        "nxdomain ",
    ];
    let lower = text.to_ascii_lowercase();
    BEFORE.iter().find_map(|words| {
        let at = lower.find(words)? + words.len();
        let name =
            text.get(at..)?.split(|c: char| !c.is_ascii_alphanumeric() && !".-_".contains(c)).next()?.trim_end_matches('.');
        let is_name = name.contains(|c: char| c.is_ascii_alphabetic())
            && !matches!(name, "on" | "host" | "the" | "error" | "address" | "getaddrinfo");
        is_name.then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_text_is_found_in_the_spelling_of_every_tool() {
        for (text, call, wanted) in [
            ("Error: connect ECONNREFUSED 127.0.0.1:8080", FailedCall::Connect, "127.0.0.1:8080"),
            ("connect EADDRNOTAVAIL ::1:3000 - Local (:::0)", FailedCall::Connect, "[::1]:3000"),
            ("Error: listen EADDRINUSE: address already in use :::3000", FailedCall::Bind, ":3000"),
            ("listen tcp :8080: bind: address already in use", FailedCall::Bind, ":8080"),
            ("dial tcp 10.0.0.2:50110->10.0.0.1:80: i/o timeout", FailedCall::Connect, "10.0.0.1:80"),
            ("dial tcp 10.0.0.2:40000->10.0.0.1:80: bind: in use", FailedCall::Bind, "10.0.0.2:40000"),
            ("dial tcp [::1]:8080: connect: refused", FailedCall::Connect, "[::1]:8080"),
            ("HTTPConnectionPool(host='10.0.0.1', port=8080)", FailedCall::Connect, "10.0.0.1:8080"),
            ("Connect call failed ('127.0.0.1', 8080)", FailedCall::Connect, "127.0.0.1:8080"),
            ("Failed to connect to localhost port 8080 after 0 ms", FailedCall::Connect, "localhost:8080"),
            ("connect(2) for \"localhost\" port 3000)", FailedCall::Connect, "localhost:3000"),
            ("bind() to 0.0.0.0:80 failed (98: in use)", FailedCall::Bind, "0.0.0.0:80"),
            ("could not bind to address [::]:80", FailedCall::Bind, "[::]:80"),
            ("sin_port=htons(80), sin_addr=inet_addr(\"10.0.0.1\")}, 16) = -1", FailedCall::Connect, "10.0.0.1:80"),
            ("Connection refused: localhost/127.0.0.1:8080", FailedCall::Connect, "127.0.0.1:8080"),
            (
                "2024/02/01 10:48:11 [error] 7#7: *1 connect() failed, client: 10.0.0.9, upstream: \"http://10.0.0.1:81/\"",
                FailedCall::Connect,
                "10.0.0.1:81",
            ),
            ("[client 10.0.0.9:50110] error reading from remote server 10.0.0.1:82", FailedCall::Read, "10.0.0.1:82"),
            ("Get \"https://api.example.com/v1\": EOF", FailedCall::Read, "api.example.com:443"),
            ("getaddrinfo ENOTFOUND api.internal", FailedCall::Getaddrinfo, "api.internal"),
            ("dial tcp: lookup api on 10.0.0.53:53: no such host", FailedCall::Getaddrinfo, "api"),
            ("curl: (6) Could not resolve host: api.internal", FailedCall::Getaddrinfo, "api.internal"),
        ] {
            assert_eq!(endpoint(text, call).map(|a| a.to_string()).as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn times_files_and_classes_are_no_address() {
        for text in [
            "10:48:11.104 connection refused",
            "sock.c:282: Connection refused",
            "at a.b.C.d(C.java:104)",
            "[7#7: *1] x",
            "java.net.X: y",
        ] {
            assert_eq!(endpoint(text, FailedCall::Connect), None, "{text}");
        }
    }
}
