//! The bytes of a request as a client sends them, made once per endpoint of the mix.

use crate::model::plan::{Closer, LoadPlan, MixEntry};

/// One request per entry of the mix, in its order: HTTP/1.1, `Host` first, the plan's fields as given.
///
/// With kept connections nothing is said about the connection. Without, `Connection: close` is sent only when the
/// target is to close first, or the user asked for it: a client that sends it makes the target the active closer (RFC 9112
/// section 9.6), and then the TIME_WAIT is at the target.
///
/// ```
/// use sockbench::testing::http1::request;
/// assert_eq!(
///     request("GET", "/health", "localhost:80", &[], b"", false),
///     b"GET /health HTTP/1.1\r\nHost: localhost:80\r\nUser-Agent: sockbench\r\nAccept: */*\r\n\r\n"
/// );
/// ```
pub fn requests(plan: &LoadPlan) -> Vec<Vec<u8>> {
    let close = !plan.keepalive && (plan.closer == Closer::Server || plan.says_close);
    let one = |entry: &MixEntry| {
        let (host, path) = entry.host_and_path(&plan.target.authority);
        request(&plan.method, path, host, &plan.headers, plan.body.content(), close)
    };
    plan.mix.iter().map(one).collect()
}

/// One request. `headers` override `Host`, `User-Agent`, `Accept` and `Content-Length` where they name them. Methods that
/// mean to carry a body say its length even where it is empty (RFC 9110 section 8.6).
pub fn request(method: &str, path: &str, authority: &str, headers: &[(String, String)], body: &[u8], close: bool) -> Vec<u8> {
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
    if close {
        field("Connection", "close");
    }
    for (name, value) in headers {
        field(name, value);
    }
    let has_length = !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH");
    if has_length && !given("Content-Length") {
        field("Content-Length", &body.len().to_string());
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_given_by_the_user_win() {
        let h = [("host".to_owned(), "other".to_owned()), ("X-A".to_owned(), "1".to_owned())];
        let text = String::from_utf8(request("POST", "/", "a:1", &h, b"hi", true)).expect("text");
        assert!(!text.contains("Host: a:1") && text.contains("host: other\r\n"));
        assert!(text.contains("Connection: close\r\n") && text.ends_with("X-A: 1\r\nContent-Length: 2\r\n\r\nhi"));
    }

    #[test]
    fn an_empty_body_has_a_length_where_the_method_means_one() {
        let text = |method: &str, fields: &[(String, String)]| {
            String::from_utf8(request(method, "/", "a", fields, b"", false)).expect("text")
        };
        for method in ["POST", "PUT", "PATCH"] {
            assert!(text(method, &[]).contains("\r\nContent-Length: 0\r\n"), "{method}");
        }
        for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
            assert!(!text(method, &[]).contains("Content-Length"), "{method}");
        }
        let asked = [("content-length".to_owned(), "0".to_owned())];
        assert_eq!(text("POST", &asked).matches("ontent-").count(), 1);
        assert!(text("GET", &asked).contains("content-length: 0\r\n"));
    }

    #[test]
    fn connection_close_is_said_once_where_it_is_asked_for() {
        let mut plan = LoadPlan::new(crate::model::plan::Target::own(([127, 0, 0, 1], 80).into()), Vec::new());
        plan.mix = vec![crate::model::plan::MixEntry { path: "/".into(), weight: 1 }];
        let said =
            |plan: &LoadPlan| String::from_utf8(requests(plan).remove(0)).expect("text").matches("Connection: close\r\n").count();
        assert_eq!(said(&plan), 0);
        (plan.keepalive, plan.says_close) = (false, true);
        assert_eq!(said(&plan), 1);
        plan.says_close = false;
        assert_eq!(said(&plan), 0, "the client closes, and says nothing");
        plan.closer = Closer::Server;
        assert_eq!(said(&plan), 1);
    }
}
