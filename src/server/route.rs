//! Which of the three endpoints a request means. Pure.

use std::time::Duration;

use crate::http1::request::Method;
use crate::http1::status::Status;
use crate::model::limits;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// answered at once
    Health,
    /// a sleep on the blocking pool; none: the plan's
    Io(Option<Duration>),
    /// the loop on the CPU pool
    Cpu,
    /// 400, 404 or 405
    Fault(Handler, Status),
}

/// Label `handler` of the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Handler {
    /// `/health`
    Health,
    /// `/io`
    Io,
    /// `/cpu`
    Cpu,
    /// no endpoint: unknown path or a refused request
    None,
}

impl Handler {
    /// All, in the order of their `usize` values.
    pub const ALL: [Self; 4] = [Self::Health, Self::Io, Self::Cpu, Self::None];

    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Health => "/health",
            Self::Io => "/io",
            Self::Cpu => "/cpu",
            Self::None => "none",
        }
    }
}

impl Route {
    /// The endpoint it counts for.
    pub const fn handler(self) -> Handler {
        match self {
            Self::Health => Handler::Health,
            Self::Io(_) => Handler::Io,
            Self::Cpu => Handler::Cpu,
            Self::Fault(handler, _) => handler,
        }
    }
}

/// Routes a request.
pub fn route(method: Method, path: &str, query: &str) -> Route {
    let handler = match path {
        "/health" => Handler::Health,
        "/io" => Handler::Io,
        "/cpu" => Handler::Cpu,
        // OPTIONS for the server as a whole (RFC 9110 section 9.3.7): Allow says what there is.
        "*" => return Route::Fault(Handler::None, Status::MethodNotAllowed),
        _ => return Route::Fault(Handler::None, Status::NotFound),
    };
    if method == Method::Other {
        return Route::Fault(handler, Status::MethodNotAllowed);
    }
    match handler {
        Handler::Health => Route::Health,
        Handler::Io => sleep(query).map_or_else(|status| Route::Fault(handler, status), Route::Io),
        Handler::Cpu => Route::Cpu,
        Handler::None => Route::Fault(handler, Status::NotFound),
    }
}

/// `ms=NUMBER` in the query, if there. Errors: malformed or over the limit.
fn sleep(query: &str) -> Result<Option<Duration>, Status> {
    let Some(text) = query.split('&').find_map(|p| p.strip_prefix("ms=")) else { return Ok(None) };
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Status::BadRequest);
    }
    let asked = Duration::from_millis(text.parse().map_err(|_| Status::BadRequest)?);
    if asked <= limits::IO_SLEEP_MAX { Ok(Some(asked)) } else { Err(Status::BadRequest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_methods_and_queries() {
        use Status::{BadRequest, MethodNotAllowed, NotFound};
        let ms = |n| Route::Io(Some(Duration::from_millis(n)));
        for (method, path, query, expected) in [
            (Method::Get, "/health", "x=1", Route::Health),
            (Method::Head, "/health", "", Route::Health),
            (Method::Get, "/io", "", Route::Io(None)),
            (Method::Get, "/io", "a&ms=5&ms=6", ms(5)),
            (Method::Get, "/io", "ms=10000", ms(10_000)),
            (Method::Get, "/io", "ms=10001", Route::Fault(Handler::Io, BadRequest)),
            (Method::Get, "/io", "ms=", Route::Fault(Handler::Io, BadRequest)),
            (Method::Get, "/io", "ms=99999999999999999999999", Route::Fault(Handler::Io, BadRequest)),
            (Method::Get, "/cpu", "", Route::Cpu),
            (Method::Other, "/cpu", "", Route::Fault(Handler::Cpu, MethodNotAllowed)),
            (Method::Other, "/x", "", Route::Fault(Handler::None, NotFound)),
            (Method::Other, "*", "", Route::Fault(Handler::None, MethodNotAllowed)),
            (Method::Get, "/health/", "", Route::Fault(Handler::None, NotFound)),
        ] {
            assert_eq!(route(method, path, query), expected, "{path}?{query}");
        }
    }
}
