//! The bytes of a request as a client sends them, made once per endpoint of the mix.

use crate::model::plan::{Closer, LoadPlan};

/// One request per entry of the mix, in its order: HTTP/1.1, `Host` first, the plan's fields as given.
///
/// With kept connections nothing is said about the connection. Without, `Connection: close` is sent only when the
/// target is to close first: a client that asks for it makes the target the active closer (RFC 9112 section 9.6),
/// and then the TIME_WAIT is at the target.
///
/// ```
/// use sockbench::http1::request_bytes::request;
/// assert_eq!(
///     request("GET", "/health", "localhost:80", &[], "", false),
///     b"GET /health HTTP/1.1\r\nHost: localhost:80\r\nUser-Agent: sockbench\r\nAccept: */*\r\n\r\n"
/// );
/// ```
pub fn requests(plan: &LoadPlan) -> Vec<Vec<u8>> {
    let close = !plan.keepalive && plan.closer == Closer::Server;
    plan.mix.iter().map(|m| request(&plan.method, &m.path, &plan.target.authority, &plan.headers, &plan.body, close)).collect()
}

/// One request. `headers` override `Host`, `User-Agent`, `Accept` and `Connection` where they name them.
pub fn request(method: &str, path: &str, authority: &str, headers: &[(String, String)], body: &str, close: bool) -> Vec<u8> {
    let given = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    let mut out = format!("{method} {path} HTTP/1.1\r\n");
    let mut field = |name: &str, value: &str| {
        out.push_str(name);
        out.push_str(": ");
        out.push_str(value);
        out.push_str("\r\n");
    };
    for (name, value) in [("Host", authority), ("User-Agent", "sockbench"), ("Accept", "*/*")] {
        if !given(name) {
            field(name, value);
        }
    }
    if close && !given("Connection") {
        field("Connection", "close");
    }
    for (name, value) in headers {
        field(name, value);
    }
    if !body.is_empty() && !given("Content-Length") && !given("Transfer-Encoding") {
        field("Content-Length", &body.len().to_string());
    }
    out.push_str("\r\n");
    out.push_str(body);
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_given_by_the_user_win() {
        let h = [("host".to_owned(), "other".to_owned()), ("X-A".to_owned(), "1".to_owned())];
        let text = String::from_utf8(request("POST", "/", "a:1", &h, "hi", true)).expect("text");
        assert!(!text.contains("Host: a:1") && text.contains("host: other\r\n"));
        assert!(text.contains("Connection: close\r\n") && text.ends_with("X-A: 1\r\nContent-Length: 2\r\n\r\nhi"));
    }
}
