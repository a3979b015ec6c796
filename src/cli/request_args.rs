//! What is asked of the target: method, fields, body, paths.

use std::fs::File;
use std::io::{self, Read};

use super::{Exit, files};
use crate::model::body::Body;
use crate::model::limits;
use crate::model::plan::MixEntry;
use crate::report::style::visible;

/// What each request says.
#[derive(Debug, clap::Args, Clone, Default)]
pub(crate) struct RequestArgs {
    /// 'Name: value', repeatable [default: none]
    ///
    /// A header field, sent beside Host, User-Agent and Accept.
    #[arg(short = 'H', long = "header", value_name = "FIELD", value_parser = header, help_heading = "Request")]
    pub(crate) headers: Vec<(String, String)>,
    /// Request method [default: GET; POST with --body]
    #[arg(short = 'X', long, hide_short_help = true, value_name = "METHOD", value_parser = method, help_heading = "Request")]
    pub(crate) method: Option<String>,
    /// Request body, or @FILE [default: none]
    ///
    /// @FILE reads it from a file, @- from standard input; @@ begins a text that starts with @.
    #[arg(long, hide_short_help = true, value_name = "TEXT|@FILE", value_parser = body, help_heading = "Request")]
    pub(crate) body: Option<Body>,
}

/// What each request says, checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
    /// `Connection: close` was given: each connection carries one request (RFC 9112 section 9.6)
    pub(crate) says_close: bool,
}

impl RequestArgs {
    /// Errors: a Content-Length that is not the body's.
    pub(crate) fn resolve(&self) -> Result<Request, Exit> {
        let body = self.body.clone().unwrap_or_default();
        let length = body.content().len();
        let mut headers = Vec::new();
        let mut says_close = false;
        for (name, value) in &self.headers {
            if name.eq_ignore_ascii_case("content-length") && value.parse() != Ok(length) {
                return Err(Exit::usage(format!("--header '{name}: {value}': the body has {length} bytes"))
                    .hint("--body TEXT or --body @FILE sends a body with its length"));
            }
            if !name.eq_ignore_ascii_case("connection") {
                headers.push((name.clone(), value.clone()));
                continue;
            }
            let others: Vec<&str> =
                value.split(',').map(str::trim).filter(|token| !token.eq_ignore_ascii_case("close")).collect();
            says_close |= others.len() < value.split(',').count();
            if others.iter().any(|token| !token.is_empty()) {
                headers.push((name.clone(), others.join(", ")));
            }
        }
        // As with curl, an empty one too.
        let usual = if self.body.is_some() { "POST" } else { "GET" };
        let method = self.method.clone().unwrap_or_else(|| usual.to_owned());
        Ok(Request { method, headers, body, says_close })
    }
}

/// A parsed `--mix`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mix(pub(crate) Vec<MixEntry>);

/// `/a=50,/b=30`; a path without a weight has weight 1.
pub(crate) fn mix(text: &str) -> Result<Mix, String> {
    let mut entries: Vec<MixEntry> = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (path, weight) = match part.rsplit_once('=') {
            // The '=' of a query string is not a weight.
            Some((path, weight)) if !weight.is_empty() && weight.bytes().all(|b| b.is_ascii_digit()) && !path.contains('?') => {
                (path, weight)
            }
            Some((path, weight)) if !path.contains('?') => {
                return Err(match weight {
                    "" => format!("{path}: no weight after ="),
                    _ => format!("{path}: weight {weight:?} is not a whole number"),
                });
            }
            _ => (part, "1"),
        };
        let weight: u32 = weight.parse().map_err(|_| format!("{path}: weight {weight} is too large"))?;
        let (is_url, path) = match without_scheme(path) {
            Some(rest) => (true, format!("http://{rest}")),
            None => (false, path.to_owned()),
        };
        if path.contains("://") && !is_url && !path.starts_with('/') {
            return Err(format!("{path}: not an http:// URL\nhint: such as http://127.0.0.1:8080/a=3, or a path alone"));
        }
        if path.is_empty() {
            return Err("an entry without a path".into());
        }
        if !(is_url || path.starts_with('/')) || path.bytes().any(|b| b <= b' ' || b == 127) {
            return Err(format!("{path:?}: a path starts with / and has no blanks"));
        }
        if path.contains('#') {
            return Err(format!("{path}: a fragment (#) is never sent\nhint: leave it out; %23 sends the character"));
        }
        if weight == 0 {
            return Err(format!("{path}: weight 0 asks for nothing"));
        }
        let path = percent_encoded(&path);
        if entries.iter().any(|e| e.path == path) {
            return Err(format!("{path}: named twice"));
        }
        entries.push(MixEntry { path, weight });
    }
    if entries.len() > limits::MIX_ENTRIES || entries.iter().map(|e| u64::from(e.weight)).sum::<u64>() > u64::from(u32::MAX) {
        return Err(format!("more than {} entries, or weights beyond {}", limits::MIX_ENTRIES, u32::MAX));
    }
    Ok(Mix(entries))
}

/// What follows the scheme of an http:// URL, which may be in capitals (RFC 3986 section 3.1); none where it is no such URL.
pub(crate) fn without_scheme(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_at_checked("http://".len())?;
    scheme.eq_ignore_ascii_case("http://").then_some(rest)
}

/// A request target whose characters beyond ASCII are percent-encoded, as browsers and curl send them (RFC 3986 section
/// 2.5: UTF-8, then `%XX` for each byte), and those of ASCII that browsers encode both in a path and in a query.
pub(crate) fn percent_encoded(target: &str) -> String {
    let mut out = String::with_capacity(target.len());
    for c in target.chars() {
        if c.is_ascii() && !matches!(c, '"' | '<' | '>' | '`') {
            out.push(c);
        } else {
            let mut bytes = [0; 4];
            out.extend(c.encode_utf8(&mut bytes).bytes().map(|b| format!("%{b:02X}")));
        }
    }
    out
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| format!("{text:?}: not 'Name: value'"))?;
    // Locust's -H is its host.
    if ["http", "https"].iter().any(|s| name.eq_ignore_ascii_case(s)) && value.starts_with("//") {
        return Err(format!("{text}: a URL, not a header field\nhint: the URL is an argument of its own: sockbench load {text}"));
    }
    if is_address(name, value) {
        return Err(format!(
            "{text}: an address, not a header field\nhint: the URL is an argument of its own: sockbench load http://{text}"
        ));
    }
    if name.is_empty() {
        return Err(format!("{text}: no name before the colon"));
    }
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !name.bytes().all(token) {
        return Err(format!("{name:?}: not a field name (RFC 9110 section 5.1)"));
    }
    if name.eq_ignore_ascii_case("transfer-encoding") {
        return Err(format!(
            "{name}: bodies are sent with their length\nhint: --body TEXT or --body @FILE sends a body with its length"
        ));
    }
    let value = value.trim();
    if value.bytes().any(|b| b == b'\r' || b == b'\n' || b == 0) {
        return Err(format!("{name}: a line break in the value"));
    }
    if value.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
        return Err(format!("{name}: a control character in the value (RFC 9110 section 5.5)"));
    }
    Ok((name.into(), value.into()))
}

/// `127.0.0.1:8080`, `localhost:8080/x`: no field has such a name, or a port right behind its colon.
fn is_address(name: &str, value: &str) -> bool {
    let port = value.split(['/', '?']).next().unwrap_or_default();
    let is_host = name == "localhost" || (name.contains('.') && !name.starts_with('.') && !name.ends_with('.'));
    is_host && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

fn method(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(format!("{text:?}: a method is a word in capitals, such as GET"));
    }
    Ok(text.into())
}

/// A text, or the content of a file as curl and ab take it.
fn body(text: &str) -> Result<Body, String> {
    let Some(name) = text.strip_prefix('@') else { return Ok(text.into()) };
    if name.starts_with('@') {
        return Ok(name.into());
    }
    let content = match name {
        "" => return Err("no file name after @\nhint: @@ begins a text with @".into()),
        "-" => read_body(io::stdin()),
        name => File::open(name).and_then(read_body),
    };
    let content =
        content.map_err(|e| format!("{}: {}\nhint: @@ begins a text with @", visible(shown(name)), files::words(&e)))?;
    if content.len() > limits::BODY_FILE_BYTES {
        return Err(format!("{}: more than {} bytes", shown(name), limits::BODY_FILE_BYTES));
    }
    Ok(Body::of_file(name, content))
}

fn shown(name: &str) -> &str {
    if name == "-" { "standard input" } else { name }
}

/// One byte beyond the limit at most.
fn read_body(from: impl Read) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    from.take(limits::BODY_FILE_BYTES as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixes() {
        let m = mix("/health=50,/io=30,/cpu?a=b").expect("ok").0;
        assert_eq!(
            m.iter().map(|e| (e.path.as_str(), e.weight)).collect::<Vec<_>>(),
            [("/health", 50), ("/io", 30), ("/cpu?a=b", 1)]
        );
        assert_eq!(mix("http://h:80/a=3").expect("a URL").0, [MixEntry { path: "http://h:80/a".into(), weight: 3 }]);
        for bad in ["", "health=1", "/a=0", "/a=x", "/a=1,/a=2", "/a b=1", "/a=99999999999", "/a#b", "ftp://h/a=1", "/ü,/%C3%BC"]
        {
            assert!(mix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn characters_that_browsers_encode_are_percent_encoded_and_no_others() {
        assert_eq!(percent_encoded("/grüße?q=日"), "/gr%C3%BC%C3%9Fe?q=%E6%97%A5");
        assert_eq!(percent_encoded("/a%20b?c=d&e={f}"), "/a%20b?c=d&e={f}");
        assert_eq!(percent_encoded("/<a>?q=\"b`\""), "/%3Ca%3E?q=%22b%60%22");
        assert_eq!(mix("/é=3").expect("ok").0[0], MixEntry { path: "/%C3%A9".into(), weight: 3 });
    }

    fn resolved(fields: &[&str], body: Option<&str>) -> Result<Request, Exit> {
        let headers = fields.iter().map(|f| header(f).expect("a field")).collect();
        RequestArgs { headers, method: None, body: body.map(|b| super::body(b).expect("a text")) }.resolve()
    }

    #[test]
    fn a_body_is_posted_unless_another_method_is_asked_for() {
        assert_eq!(resolved(&[], None).expect("ok").method, "GET");
        assert_eq!(resolved(&[], Some("x")).expect("ok").method, "POST");
    }

    #[test]
    fn connection_close_is_taken_out_of_the_fields() {
        for (field, left) in
            [("Connection: close", None), ("connection: TE, Close", Some("TE")), ("Connection: TE,close, x", Some("TE, x"))]
        {
            let request = resolved(&[field], None).expect("ok");
            assert_eq!((request.says_close, request.headers.first().map(|h| h.1.as_str())), (true, left), "{field}");
        }
        let kept = resolved(&["Connection: keep-alive"], None).expect("ok");
        assert_eq!((kept.says_close, kept.headers.len()), (false, 1));
    }

    #[test]
    fn a_content_length_must_be_the_bodys() {
        assert!(resolved(&["Content-Length: 0"], None).is_ok() && resolved(&["content-length: 2"], Some("ok")).is_ok());
        for (field, body) in [("Content-Length: 1", None), ("Content-Length: x", None), ("Content-Length: 0", Some("ok"))] {
            let exit = resolved(&[field], body).expect_err(field);
            assert!(exit.code == 2 && exit.hint.is_some() && !exit.message.contains('\n'), "{exit:?}");
        }
    }

    #[test]
    fn files_are_read_and_literals_are_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("b.bin");
        std::fs::write(&file, b"\x00\xffab").expect("written");
        let name = file.to_str().expect("a name");
        assert_eq!(body(&format!("@{name}")).expect("read").content(), b"\x00\xffab");
        assert_eq!(body("@@x").expect("a text"), Body::from("@x"));
        for bad in ["@", "@no-such-file", &format!("@{}", dir.path().display())] {
            let error = body(bad).expect_err(bad);
            assert!(error.lines().count() == 2 && error.contains("hint: "), "{error}");
        }
    }
}
