//! Which program, library or language a line comes from: by the words that only it prints. Data only; all in lower case.

/// A program or a library whose lines are recognised.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    /// it only ever makes connections: an address error without a call is its connect()
    pub(super) is_client: bool,
    /// which of its running sums the line has, where several of them count the same failure
    sum: Option<&'static str>,
}

/// A tool, and words that only its lines have.
type Row = (Tool, &'static [&'static str]);

const fn client(name: &'static str, patterns: &'static [&'static str]) -> Row {
    (Tool { name, is_client: true, sum: None }, patterns)
}

const fn either(name: &'static str, patterns: &'static [&'static str]) -> Row {
    (Tool { name, is_client: false, sum: None }, patterns)
}

const fn sum(name: &'static str, patterns: &'static [&'static str; 1]) -> Row {
    (Tool { name, is_client: true, sum: Some(patterns[0]) }, patterns)
}

/// The first that occurs counts: programs before libraries, libraries before languages.
pub(super) const TOOLS: &[Row] = &[
    client("Python requests", &["requests.exceptions", "newconnectionerror", "urllib3"]),
    client("Python requests", &["httpconnectionpool", "httpsconnectionpool"]),
    client("Locust", &["locust.", "cpu usage above 90%", "exceeded cpu threshold", "oserror("]),
    client("Locust", &["connectionrefusederror(", "connectionreseterror(", "connectionabortederror("]),
    client("Python", &["remotedisconnected"]),
    client("aiohttp", &["aiohttp.", "clientconnectorerror"]),
    client("Python httpx", &["httpx.", "httpcore.connecterror"]),
    client("Python redis", &["redis.exceptions"]),
    client("PyMongo", &["pymongo."]),
    client("Python urllib", &["urlopen error"]),
    either("Python", &["winerror", "[errno "]),
    client("k6", &["insufficient vus", "goerror", "request failed", "\"type\":\"point\""]),
    client("vegeta", &["0.0.0.0:0->"]),
    client("bombardier", &["before returning the first response byte", "no free connections available to host"]),
    client("Go", &["connectex:", "connectex tcp", "dial tcp", "dial:"]),
    either("Go", &["listen tcp", "accept tcp"]),
    client("Go", &["read tcp ", "write tcp ", "net/http: ", "http: request canceled", "client.timeout exceeded"]),
    client("JMeter", &["non http response"]),
    client("Gatling", &["i.n.c.", "j.i.", "j.n.", "i.g.h."]),
    client("Reactor Netty", &["reactor.netty.http.client"]),
    client("Apache HttpClient", &["org.apache.http", "org.apache.hc."]),
    client("OkHttp", &["okhttp"]),
    client("Java HttpClient", &["java.net.http."]),
    either("Netty", &["io.netty."]),
    either("Java", &["java.net.", "java.io.", "sun.nio.ch."]),
    client(".NET", &["system.net.http."]),
    either(".NET", &["system.net.", "system.io.ioexception", "socketexception ("]),
    client("PHP", &["predis"]),
    client("PHP PDO", &["sqlstate["]),
    client("PHP", &["stream_socket_client", "fsockopen"]),
    client("ab", &["apr_socket", "apr_poll"]),
    client("wrk", &["socket errors: connect"]),
    client("h2load", &["client could not connect to host", " started, "]),
    client("httperf", &["httperf", "client-timo ", "fd-unavail "]),
    sum("tsung", &["error_connect"]),
    sum("tsung", &["error_abort"]),
    client("siege", &["sock.c:", "address is unavailable."]),
    client("curl", &["curl: (", "immediate connect fail"]),
    client("wget", &["... failed: "]),
    client("Nighthawk", &["benchmark."]),
    client("sockbench", &["timeout timeout: ", "selfconnect:"]),
    client("nginx", &["while connecting to upstream", "upstream timed out", "upstream prematurely closed"]),
    client("nginx", &["reading upstream", "header from upstream"]),
    either("nginx", &["() failed (", "worker_connections"]),
    client("nginx", &["no live upstreams"]),
    either("nginx", &["limiting requests, excess:", "delaying request, excess:", "limiting connections by zone"]),
    client("Envoy", &["no healthy upstream", "upstream connect error"]),
    client("HAProxy", &["has no server available", "for backend"]),
    client("MySQL", &["mysql server"]),
    client("psql", &["psql:", "connection to server at"]),
    client("redis-cli", &["could not connect to redis"]),
    client("Perl", &["io::socket::inet"]),
    client("Node.js", &["und_err_", "axioserror", "error: connect e", "error: getaddrinfo "]),
    either("Node.js", &["error: listen e"]),
    client("Node.js", &["error: read e", "error: write e", "socket hang up", "esockettimedout", "aggregateerror [e"]),
    either("Node.js", &["syscall: '", "\"syscall\":"]),
    client("Ruby", &["net::opentimeout", "net::readtimeout"]),
    either("Ruby", &["errno::e"]),
    client("Elixir Mint", &["mint."]),
    client("Elixir", &["httpoison"]),
    either("Haskell", &["network.socket."]),
    client("SwiftNIO", &["nioconnectionerror"]),
    client("Rust hyper", &["hyper::error"]),
    client("Rust reqwest", &["kind: hyper", "reqwest", "error sending request for url"]),
    client("Rust hyper", &["hyper"]),
    either("Rust", &["os error "]),
    client("Windows event 4227", &["tcp/ip failed to establish"]),
    client("Windows event 4231", &["request to allocate an ephemeral port"]),
    either(
        "Linux kernel",
        &["nf_conntrack", "possible syn flooding", "time wait bucket table", "orphaned sockets", "table overflow", "tcp_mem"],
    ),
    either("Linux kernel", &["oom-kill", "out of memory: kill"]),
];

/// The first row of this name.
pub(super) fn named(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().map(|(tool, _)| tool).find(|t| t.name == name)
}
