//! How connections are kept in the program that lacked ports: the change in its own code or settings.

use super::software::Setting;

/// A client, a library or a server whose connections can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "names of programs")]
pub enum Program {
    Requests,
    Locust,
    Aiohttp,
    Httpx,
    Urllib,
    Go,
    Java,
    OkHttp,
    Netty,
    DotNet,
    Node,
    Reqwest,
    Hyper,
    Ruby,
    Php,
    Perl,
    K6,
    JMeter,
    Gatling,
    Vegeta,
    Ab,
    Siege,
    Curl,
    Redis,
    Database,
    KeepsByItself,
    Tsung,
    Nginx,
    HaProxy,
    Envoy,
    Flask,
    Gunicorn,
    NodeServer,
    NginxServer,
}

const fn keep(action: &'static str, change: &'static str) -> Setting {
    Setting { action, change }
}

impl Program {
    /// The program that `explain` names as the tool of a reading; none where nothing is known of it.
    pub fn of_tool(tool: &str) -> Option<Self> {
        Some(match tool {
            "Python requests" | "Python" => Self::Requests,
            "Locust" => Self::Locust,
            "aiohttp" => Self::Aiohttp,
            "Python httpx" => Self::Httpx,
            "Python urllib" => Self::Urllib,
            "Go" => Self::Go,
            "Java" | "Java HttpClient" | "Apache HttpClient" => Self::Java,
            "OkHttp" => Self::OkHttp,
            "Netty" | "Reactor Netty" => Self::Netty,
            ".NET" => Self::DotNet,
            "Node.js" => Self::Node,
            "Rust" | "Rust reqwest" => Self::Reqwest,
            "Rust hyper" => Self::Hyper,
            "Ruby" => Self::Ruby,
            "PHP" | "PHP PDO" => Self::Php,
            "Perl" => Self::Perl,
            "k6" => Self::K6,
            "JMeter" => Self::JMeter,
            "Gatling" => Self::Gatling,
            "vegeta" => Self::Vegeta,
            "ab" => Self::Ab,
            "siege" => Self::Siege,
            "curl" => Self::Curl,
            "Python redis" | "redis-cli" => Self::Redis,
            "MySQL" | "PyMongo" | "psql" => Self::Database,
            "wrk" | "h2load" | "hey" | "oha" | "bombardier" | "Nighthawk" | "httperf" => Self::KeepsByItself,
            "tsung" => Self::Tsung,
            "nginx" => Self::Nginx,
            "HAProxy" => Self::HaProxy,
            "Envoy" => Self::Envoy,
            _ => return None,
        })
    }

    /// The server behind a listening process of this name; none where nothing is known of it.
    pub fn of_server(process: &str) -> Option<Self> {
        let is = |word: &str| process.contains(word);
        if is("gunicorn") {
            Some(Self::Gunicorn)
        } else if is("python") || is("flask") || is("werkzeug") {
            Some(Self::Flask)
        } else if is("node") {
            Some(Self::NodeServer)
        } else if is("nginx") {
            Some(Self::NginxServer)
        } else {
            None
        }
    }

    /// A load tool that sends the next request as soon as it has an answer: its connections are never idle.
    pub const fn is_busy(self) -> bool {
        matches!(self, Self::KeepsByItself | Self::Ab)
    }

    /// What to change in it so that it keeps connections.
    pub const fn keep(self) -> Setting {
        match self {
            Self::Requests => keep(
                "use one requests.Session per user instead of requests.get()",
                "session = requests.Session(); session.get(URL)",
            ),
            Self::Locust => keep(
                "use self.client, which keeps one session per user, and a server that keeps connections (Flask under gunicorn -k gthread)",
                "self.client.get(PATH)",
            ),
            Self::Aiohttp => {
                keep("use one ClientSession for all requests, without force_close", "session = aiohttp.ClientSession()")
            }
            Self::Httpx => keep("use one httpx.Client instead of httpx.get()", "client = httpx.Client(); client.get(URL)"),
            Self::Urllib => keep(
                "use a pool of connections (urllib3) instead of urlopen()",
                "pool = urllib3.PoolManager(); pool.request(\"GET\", URL)",
            ),
            Self::Go => keep(
                "use one http.Client, keep as many idle connections as requests run at once, and read each body to its end",
                "&http.Transport{MaxIdleConnsPerHost: 100}; io.Copy(io.Discard, resp.Body); resp.Body.Close()",
            ),
            Self::Java => keep(
                "share one client with a pooled connection manager, and consume each response",
                "PoolingHttpClientConnectionManager.setDefaultMaxPerRoute(100); EntityUtils.consume(entity)",
            ),
            Self::OkHttp => keep(
                "share one OkHttpClient, and close each response body",
                "static final OkHttpClient CLIENT = new OkHttpClient();",
            ),
            Self::Netty => keep("use a pool of connections", "HttpClient.create(ConnectionProvider.create(NAME, 100))"),
            Self::DotNet => keep(
                "share one HttpClient (or IHttpClientFactory) instead of one per request",
                "static readonly HttpClient client = new();",
            ),
            Self::Node => keep("use one agent with keepAlive", "new http.Agent({ keepAlive: true, maxSockets: 100 })"),
            Self::Reqwest => {
                keep("share one reqwest::Client, and read each body to its end", "let client = reqwest::Client::new();")
            }
            Self::Hyper => keep(
                "share one pooled client, and read each body to its end",
                "hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http()",
            ),
            Self::Ruby => {
                keep("keep the connection open over several requests", "Net::HTTP.start(HOST, PORT) { |http| http.get(PATH) }")
            }
            Self::Php => keep(
                "reuse one curl handle, or a persistent connection",
                "curl_setopt($handle, ...) on one handle; PDO::ATTR_PERSISTENT",
            ),
            Self::Perl => keep("let LWP keep connections", "LWP::UserAgent->new(keep_alive => 100)"),
            Self::K6 => keep(
                "leave connection reuse on, and check that the server does not end each connection",
                "noConnectionReuse: false, noVUConnectionReuse: false",
            ),
            Self::JMeter => keep(
                "tick Use KeepAlive, and keep connections over iterations",
                "httpclient.reset_state_on_thread_group_iteration=false",
            ),
            Self::Gatling => keep("share connections among users", "http.shareConnections"),
            Self::Vegeta => keep(
                "leave -keepalive on, with as many idle connections as workers",
                "vegeta attack -keepalive -connections=10000",
            ),
            Self::Ab => keep("ask for kept connections", "ab -k"),
            Self::Siege => keep("ask for kept connections in siege.conf", "connection = keep-alive"),
            Self::Curl => keep("fetch many URLs in one call, which reuses the connection", "curl URL1 URL2 ..."),
            Self::Redis => keep("share one pool of connections", "redis.ConnectionPool(max_connections=100)"),
            Self::KeepsByItself | Self::Tsung => keep(
                "this client keeps connections by itself: let the server keep them (it ends each after its answer)",
                "HTTP/1.1 without Connection: close in the answers; Flask: gunicorn -k gthread app:app",
            ),
            Self::Database => keep("use a pool of connections instead of one per query", "pool_size = 32"),
            Self::Nginx => keep(
                "keep connections to the upstream",
                "upstream { server ...; keepalive 64; }  proxy_http_version 1.1; proxy_set_header Connection \"\";",
            ),
            Self::HaProxy => keep("reuse connections to the backend", "http-reuse always"),
            Self::Envoy => keep("do not limit the requests of an upstream connection", "max_requests_per_connection: 0"),
            Self::Flask => keep(
                "let the server keep connections: http.server and Flask's development server end each",
                "http.server: protocol_version = \"HTTP/1.1\" on the handler class; Flask: gunicorn -k gthread --keep-alive 75 app:app",
            ),
            Self::Gunicorn => keep(
                "use a worker that keeps connections (the default one ends each)",
                "gunicorn --worker-class gthread --keep-alive 75",
            ),
            Self::NodeServer => keep("keep idle connections longer", "server.keepAliveTimeout = 75000"),
            Self::NginxServer => {
                keep("keep connections, over many requests", "keepalive_timeout 75s; keepalive_requests 100000;")
            }
        }
    }
}
