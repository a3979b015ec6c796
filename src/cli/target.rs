//! A URL argument to a [`Target`]: parsed, resolved to the address that takes connections, and checked to be this host
//! unless --allow-remote is given.

use std::net::SocketAddr;

use super::Exit;
use super::request_args::{percent_encoded, without_scheme};
use crate::model::plan::{Target, Unreached};
use crate::sys::{reach, socket};

/// A target and the path that its URL names (`/` when it names none).
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    pub(crate) target: Target,
    pub(crate) path: String,
}

/// Parses and resolves `url`; of several addresses the first that takes connections is used, as curl does. Errors: exit 2
/// for a bad URL, 3 for a name that does not resolve.
pub(crate) fn resolve(url: &str, allow_remote: bool) -> Result<Resolved, Exit> {
    let (host, port, path) = parse(url)?;
    let found = addresses(&host, port)?;
    let allowed: Vec<SocketAddr> = found.iter().copied().filter(|a| allow_remote || socket::is_own_address(a.ip())).collect();
    if allowed.is_empty() {
        let addr = found[0];
        return Err(Exit::usage(format!(
            "{url}: {addr} is not an address of this host: a load test can bring down a server that is not yours"
        ))
        .hint("--allow-remote, if you may load that server"));
    }
    let (addr, unreached) = choose(&allowed);
    let authority = authority(&host, port, addr);
    Ok(Resolved {
        target: Target { url: percent_encoded(url), host, addr, resolved: found, unreached, authority, own_server: false },
        path,
    })
}

/// The addresses of `host`, never none. Errors: exit 3.
pub(crate) fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, Exit> {
    let unresolved = |why: &str| {
        Exit::environment(format!("resolve {host}: {why}")).hint("check the name, or give an address such as 127.0.0.1")
    };
    let found = socket::resolve(host, port).map_err(|e| unresolved(&e.to_string()))?;
    if found.is_empty() { Err(unresolved("no address")) } else { Ok(found) }
}

/// The one that is used, and those before it that took no connection. A single address is not tried: the run does that.
pub(crate) fn choose(addrs: &[SocketAddr]) -> (SocketAddr, Vec<Unreached>) {
    match addrs {
        [one] => (*one, Vec::new()),
        several => reach::first_that_connects(several),
    }
}

/// Host, port and path of an http:// URL. Errors: exit 2.
pub(crate) fn parse(url: &str) -> Result<(String, u16, String), Exit> {
    let bad = |why: &str| Exit::usage(format!("url {url:?}: {why}"));
    let scheme = |name: &str| url.get(..name.len()).is_some_and(|s| s.eq_ignore_ascii_case(name));
    if scheme("https://") {
        return Err(bad("https is not supported: TLS would be measured instead of sockets")
            .hint("load the plain http:// port behind the TLS terminator"));
    }
    if is_unix_socket(url) {
        return Err(bad("unix sockets are not supported: they have no ports").hint(
            "put a TCP port before it: `socat TCP-LISTEN:8080,fork,reuseaddr UNIX-CONNECT:PATH`, then http://127.0.0.1:8080/",
        ));
    }
    if scheme("ws://") || scheme("wss://") {
        return Err(bad("WebSocket is not supported").hint("load an http:// path of the same server"));
    }
    if SCRIPTS.iter().any(|end| url.ends_with(end)) && without_scheme(url).is_none() {
        return Err(bad("a script, not a URL").hint("scripts are not run: --mix names paths with weights"));
    }
    let Some(rest) = without_scheme(url) else {
        return Err(bad("not an http:// URL").hint(as_url(url)));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if !authority.is_ascii() {
        return Err(bad("the host name is not ASCII").hint("its ASCII form, as DNS has it: it begins with xn--"));
    }
    let uri: http::Uri = percent_encoded(url)
        .parse()
        .map_err(|e| bad(&format!("{e}")).hint("such as http://127.0.0.1:8080/path; a blank is %20"))?;
    let authority = uri.authority().ok_or_else(|| bad("no host").hint("such as http://127.0.0.1:8080/"))?;
    if authority.as_str().contains('@') {
        return Err(bad("a user name in a URL is not sent").hint("-H 'Authorization: Basic ...'"));
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    if host.is_empty() {
        return Err(bad("no host").hint("such as http://127.0.0.1:8080/"));
    }
    let port = match authority.port() {
        Some(p) => p.as_u16(),
        None if authority.as_str().ends_with(':') || authority.as_str().rsplit(']').next().is_some_and(|t| t.contains(':')) => {
            return Err(bad("the port is not a number between 1 and 65535").hint("such as http://127.0.0.1:8080/"));
        }
        None => 80,
    };
    if port == 0 {
        return Err(bad("port 0 cannot be connected to").hint("the port that the server printed when it began to listen"));
    }
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    // A query without a path asks for the root (RFC 9112 section 3.2.1).
    let root = if path.starts_with('/') { "" } else { "/" };
    Ok((host, port, format!("{root}{path}")))
}

/// How the names of other tools' scripts and plans end.
const SCRIPTS: &[&str] = &[".js", ".ts", ".lua", ".py", ".jmx", ".scala", ".yml", ".yaml"];

/// The address of a unix socket, in any of the forms that other tools take.
fn is_unix_socket(url: &str) -> bool {
    let lower = url.to_ascii_lowercase();
    ["unix:", "http+unix:", "unix+http:", "http://unix:", "http://unix/"].iter().any(|form| lower.starts_with(form))
        || (lower.starts_with(['/', '.']) && lower.contains(".sock"))
}

/// What somebody who typed `text` may have meant.
fn as_url(text: &str) -> String {
    let rest = text.trim_start_matches("http:").trim_start_matches('/');
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    match rest.strip_prefix(':') {
        // A port alone, or a path alone.
        Some(port) => format!("http://127.0.0.1:{port}"),
        None if text.starts_with('/') => format!("http://127.0.0.1:8080{text}, or --mix {text} for sockbench's own server"),
        None if rest.is_empty() => "such as http://127.0.0.1:8080/".to_owned(),
        None if rest.bytes().all(|b| b.is_ascii_digit()) => format!("http://127.0.0.1:{rest}/"),
        None => format!("http://{rest}"),
    }
}

/// The Host field: as the URL named it, brackets around an IPv6 literal, no port when it is 80 (RFC 9110 section 7.2).
pub(crate) fn authority(host: &str, port: u16, addr: SocketAddr) -> String {
    let host = if host.contains(':') && addr.is_ipv6() { format!("[{host}]") } else { host.to_owned() };
    if port == 80 { host } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_work() {
        assert_eq!(parse("http://127.0.0.1:8080/a?b=c").expect("ok"), ("127.0.0.1".into(), 8080, "/a?b=c".into()));
        assert_eq!(parse("http://localhost").expect("ok"), ("localhost".into(), 80, "/".into()));
        assert_eq!(parse("http://h?q=1").expect("ok"), ("h".into(), 80, "/?q=1".into()));
        assert_eq!(parse("HTTP://[::1]:81/").expect("ok"), ("::1".into(), 81, "/".into()));
        assert_eq!(parse("http://h/ü?ß=é#x").expect("ok"), ("h".into(), 80, "/%C3%BC?%C3%9F=%C3%A9".into()));
    }

    #[test]
    fn urls_that_do_not() {
        for url in [
            "https://x/",
            "unix:///run/x.sock",
            "http://unix:/run/x.sock:/",
            "/run/x.sock",
            "ws://x/",
            "http://bücher.example/",
            "localhost:80",
            "ftp://x",
            "http://",
            "http://u:p@h/",
            "http://h:0/",
            "http://h:99999/",
            "http://h:x/",
        ] {
            let e = parse(url).expect_err(url);
            assert_eq!(e.code, 2, "{url}");
            assert!(!e.message.contains('\n') && e.hint.is_some(), "{url}");
        }
    }

    #[test]
    fn what_was_meant_is_offered() {
        for (text, meant) in [
            ("localhost:8080", "http://localhost:8080"),
            (":8080", "http://127.0.0.1:8080"),
            ("8080", "http://127.0.0.1:8080/"),
            ("ftp://x/a", "http://x/a"),
            ("http:/x", "http://x"),
            ("http:", "such as http://127.0.0.1:8080/"),
        ] {
            assert_eq!(as_url(text), meant, "{text}");
        }
    }
}
