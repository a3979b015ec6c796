//! Lines of a server's log that are no failure of a request: a client ended an idle connection, or had gone before its
//! answer was written. They explain nothing, and a text of these alone says so in one line.

use super::normal::normal;
use crate::model::address::Address;
use crate::model::figures::counted;

/// What such a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aside {
    /// between two requests
    IdleEnded,
    /// within a request: the client had given up, or ended
    ClientGone,
}

/// Words of a line, in normal form, and what it says.
pub(super) const ASIDES: &[(&str, Aside)] = &[
    ("closed keepalive connection", Aside::IdleEnded),
    ("while waiting for request", Aside::IdleEnded),
    ("while keepalive, client", Aside::IdleEnded),
    ("clientabortexception", Aside::ClientGone),
    ("asyncrequestnotusableexception", Aside::ClientGone),
    ("org.eclipse.jetty.io.eofexception", Aside::ClientGone),
    ("uwsgi_response_write_body_do", Aside::ClientGone),
    ("uwsgi_response_writev_headers_and_body_do", Aside::ClientGone),
    ("probably the client disconnected", Aside::ClientGone),
    ("processing of request from ('", Aside::ClientGone),
    ("broken pipe from (", Aside::ClientGone),
    ("while sending to client", Aside::ClientGone),
    ("while sending response to client", Aside::ClientGone),
    ("while reading client request", Aside::ClientGone),
    ("client prematurely closed connection", Aside::ClientGone),
    ("client closed connection while", Aside::ClientGone),
    ("core_output_filter: writing data to the network", Aside::ClientGone),
    ("clientdisconnect", Aside::ClientGone),
    ("badrequesterror: request aborted", Aside::ClientGone),
    ("cannot write to closing transport", Aside::ClientGone),
    ("the client reset the request stream", Aside::ClientGone),
    ("unexpected end of request content", Aside::ClientGone),
    ("downstream_remote_disconnect", Aside::ClientGone),
];

/// What a line in normal form says of a server's client; none where it says nothing of one.
pub(super) fn of(text: &str) -> Option<Aside> {
    if is_of_upstream(text) {
        return None;
    }
    ASIDES.iter().find(|(words, _)| text.contains(words)).map(|(_, aside)| *aside).or_else(|| by_ports(text))
}

/// nginx, a proxy: `recv() failed (104: ...) while sending to client, ..., upstream: "..."`. What it did for its client
/// meanwhile stands there too, but what failed is a call towards the server behind it.
fn is_of_upstream(text: &str) -> bool {
    const CALLS: &[&str] =
        &["upstream prematurely", "upstream timed out", "upstream sent", "recv() failed", "readv() failed", "connect() failed"];
    text.contains("upstream: \"") && CALLS.iter().any(|call| text.contains(call))
}

/// `write tcp 10.0.0.2:8080->10.0.0.1:51234: write: broken pipe`: the end with the listener's port lost its client.
fn by_ports(text: &str) -> Option<Aside> {
    let verb = ["write tcp ", "read tcp "].iter().find_map(|verb| Some(text.split_once(verb)?.1))?;
    let (own, rest) = verb.split_once("->")?;
    let port = |address: &str| Address::from(address).port_number();
    let other = rest.split(": ").next()?;
    let is_of_end = ["broken pipe", "connection reset by peer"].iter().any(|words| rest.ends_with(words));
    (is_of_end && port(own)? < EPHEMERAL_FROM && port(other)? >= EPHEMERAL_FROM).then_some(Aside::ClientGone)
}

/// The first port of `ip_local_port_range` by default: a client's port is not below it.
const EPHEMERAL_FROM: u16 = 32_768;

/// Modules of servers, and of clients, in frames of Python, in lower case.
const SERVERS: &[&str] = &[
    "/socketserver.py",
    "/http/server.py",
    "/wsgiref/",
    "/werkzeug/serving.py",
    "/gunicorn/",
    "/waitress/",
    "/uvicorn/",
    "/hypercorn/",
    "/cheroot/",
    "/pywsgi.py",
    "/aiohttp/web",
    "/daphne/",
    "/eventlet/wsgi.py",
];
const CLIENTS: &[&str] = &[
    "/http/client.py",
    "/urllib",
    "/requests/",
    "/httpx/",
    "/httpcore/",
    "/aiohttp/client",
    "/aiohttp/connector.py",
    "/geventhttpclient/",
    "/locust/",
    "/redis/",
    "/psycopg",
    "/pymysql/",
    "/kombu/",
    "/botocore/",
];
/// Packages of servers, and of clients, in frames of Java, in lower case.
const JAVA_SERVERS: &[&str] = &[
    "org.apache.coyote.",
    "org.apache.catalina.",
    "org.apache.tomcat.util.net.",
    "io.undertow.server.",
    "org.eclipse.jetty.server.",
    "reactor.netty.http.server.",
    "com.sun.net.httpserver.",
    "sun.net.httpserver.",
];
const JAVA_CLIENTS: &[&str] = &[
    "org.apache.http.",
    "org.apache.hc.",
    "okhttp3.",
    "jdk.internal.net.http.",
    "sun.net.www.",
    "reactor.netty.http.client.",
    "org.eclipse.jetty.client.",
    "org.postgresql.",
    "com.mysql.",
    "redis.clients.",
    "io.lettuce.",
];
/// Below both.
const SHARED: &[&str] = &["/socket.py", "/ssl.py", "/selectors.py", "/asyncio/", "/gevent/_socket", "/_socket"];

/// Whose socket the innermost frames of a traceback use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Frames {
    #[default]
    Unsaid,
    /// a server's, towards its client
    Server,
    Other,
}

impl Frames {
    /// With the next outer frame of Java, which come innermost first: the first known one decides.
    pub(super) fn then_outer(self, line: &str) -> Self {
        let lower = line.to_lowercase();
        let frame = lower.trim_start().strip_prefix("at ").unwrap_or_default();
        // `at java.base/sun.nio.ch...`, `at app//org.apache...`
        let frame = frame.rsplit('/').next().unwrap_or_default();
        let is = |list: &[&str]| list.iter().any(|package| frame.starts_with(package));
        match self {
            Self::Unsaid if is(JAVA_SERVERS) => Self::Server,
            Self::Unsaid if is(JAVA_CLIENTS) => Self::Other,
            known => known,
        }
    }

    /// With the next inner frame; a line that names no file changes nothing.
    pub(super) fn then(self, line: &str) -> Self {
        let lower = line.to_lowercase().replace('\\', "/");
        let Some((_, file)) = lower.split_once("file \"") else { return self };
        let is = |list: &[&str]| list.iter().any(|module| file.contains(module));
        match (is(SERVERS), is(CLIENTS), is(SHARED)) {
            (true, ..) => Self::Server,
            (_, true, _) => Self::Other,
            (_, _, true) => self,
            _ => Self::Other,
        }
    }
}

/// How many such lines a text has.
#[derive(Debug, Default)]
pub(super) struct Asides {
    idle: u64,
    gone: u64,
}

impl Asides {
    pub(super) fn take(&mut self, line: &str) {
        match of(&normal(line)) {
            Some(Aside::IdleEnded) => self.idle += 1,
            Some(Aside::ClientGone) => self.gone += 1,
            None => {}
        }
    }

    /// Tracebacks of a server whose client had gone, but for those that a line announced.
    pub(super) fn traces(&mut self, n: u64) {
        self.gone = self.gone.max(n);
    }

    /// What the text says in one line; none where it has no such line.
    pub(super) fn sentence(&self) -> Option<String> {
        let gone = (self.gone > 0).then(|| {
            format!(
                "{} of a server's log: its client had gone before the answer was written (it gave up, or its run ended); the client's own log \
                 says why",
                counted(self.gone, "line")
            )
        });
        let idle = (self.idle > 0).then(|| {
            format!("{} of a server's log: a client ended an idle connection, which is harmless", counted(self.idle, "line"))
        });
        let both: Vec<String> = [gone, idle].into_iter().flatten().collect();
        (!both.is_empty()).then(|| format!("no failed request: {}", both.join("; ")))
    }
}
