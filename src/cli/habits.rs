//! Flags as other tools spell them: one line with the flag that does the same here.

/// What the flag `given` means elsewhere, and what to type here; none where it is not known.
pub(super) fn hint(given: &str) -> Option<&'static str> {
    let name = given.split('=').next().unwrap_or(given);
    HABITS.iter().find(|(names, _)| names.contains(&name)).map(|h| h.1)
}

/// Flags of ab, autocannon, bombardier, curl, hey, k6, Locust, oha, vegeta, wrk and wrk2.
const HABITS: &[(&[&str], &str)] = &[
    (&["--host", "--url", "-host"], "the URL is an argument of its own: sockbench load http://127.0.0.1:8080/"),
    (&["--request"], "--method METHOD, or -X METHOD"),
    (&["--data", "--data-raw", "--data-binary", "--json-body", "-p", "-D", "--body-file"], "--body TEXT, or --body @FILE"),
    (&["-T", "--content-type"], "-H 'Content-Type: application/json'"),
    (&["-m"], "--method METHOD; bombardier's and hey's -m"),
    (&["-z"], "-d DURATION; hey's -z"),
    (&["--connections", "--concurrency", "--vus", "--clients"], "-c N: one user is one connection"),
    (&["--iterations", "--amount", "--total"], "-n N"),
    (&["-k", "--keepalive", "--keep-alive"], "connections are kept anyway; --no-keepalive makes a new one for each request"),
    (&["--disable-keepalive", "--disable-keep-alive"], "--no-keepalive"),
    (&["-L", "--latency", "--latencies"], "latency percentiles are always reported: leave it out"),
    (&["--location", "--follow", "--redirects"], "redirects are counted by status, not followed: load the address they lead to"),
    (&["--insecure", "--http2", "--http3"], "plain HTTP/1.1 only: load the http:// port behind the TLS terminator"),
    (&["-A", "--user", "--auth"], "-H 'Authorization: Basic ...'"),
    (&["-C", "--cookie"], "-H 'Cookie: name=value'"),
    (&["-s", "--script", "-f", "--locustfile"], "scripts are not run: --mix names paths with weights"),
    (&["--headless", "--autostart", "--autoquit"], "leave it out: runs are never interactive"),
    (&["--stop-timeout", "--gracefulStop"], "--timeout ends a request; what is in flight at the end is reported"),
    (
        &["--unix-socket", "--unix"],
        "unix sockets have no ports and are not loaded: `socat TCP-LISTEN:8080,fork UNIX-CONNECT:PATH`",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_is_named_once_and_with_one_line() {
        let all: Vec<&str> = HABITS.iter().flat_map(|h| h.0).copied().collect();
        for (i, name) in all.iter().enumerate() {
            assert!(name.starts_with('-') && !all[..i].contains(name), "{name}");
            assert!(hint(name).is_some_and(|h| !h.contains('\n')), "{name}");
        }
        assert!(hint("--host=http://x").is_some() && hint("--bogus").is_none());
    }
}
