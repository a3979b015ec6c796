//! What to change in the program itself where another limit than source ports was hit. Data only.

use super::programs::Program as P;
use super::step::Hit;
use crate::model::explanation::{Exactly, Limit, Side};
use crate::model::finding::Remedy;

/// The change in its program; none where nothing is known of that.
pub(super) fn change(Hit { program, limit, exactly, side, .. }: Hit) -> Option<Remedy> {
    let program = program?;
    let is_server = side == Some(Side::Server);
    let (action, code, expected) = match (limit, exactly) {
        (Limit::Reset, _) if !is_server => (
            "let the client give up idle connections before the server does, or send the request again",
            idle(program)?,
            "no request goes out on a connection that the server has just closed",
        ),
        (Limit::Descriptors, _) if !is_server => {
            ("use fewer connections at once", fewer(program)?, "500 connections fit into the usual limit of 1,024")
        }
        (Limit::Descriptors, _) => ("let the server have more descriptors", more_files(program)?, "room for 65,536 descriptors"),
        (Limit::Hidden, Some(Exactly::ProgramLimit)) => {
            ("allow as many connections as requests run at once", larger_pool(program)?, "no request waits for the pool")
        }
        (Limit::Hidden, Some(exactly)) => {
            let (action, expected) = against(exactly)?;
            (action, own_limit(program, exactly)?, expected)
        }
        _ => return None,
    };
    Some(Remedy { action: action.into(), change: Some(code.into()), expected: expected.into(), ..Remedy::default() })
}

/// Idle connections end at the client first: a server's usual idle timeout is 5 s.
const fn idle(program: P) -> Option<&'static str> {
    Some(match program {
        P::Requests => "session.mount(\"http://\", HTTPAdapter(max_retries=2))",
        P::Locust => "self.client.mount(\"http://\", HTTPAdapter(max_retries=2))",
        P::Aiohttp => "aiohttp.ClientSession(connector=aiohttp.TCPConnector(keepalive_timeout=4))",
        P::Httpx => "httpx.Client(limits=httpx.Limits(keepalive_expiry=4))",
        P::Go => "&http.Transport{IdleConnTimeout: 4 * time.Second}",
        P::Java => "connectionManager.setValidateAfterInactivity(TimeValue.ofSeconds(1))",
        P::OkHttp => "new ConnectionPool(100, 4, TimeUnit.SECONDS)",
        P::Netty => "ConnectionProvider.builder(NAME).maxIdleTime(Duration.ofSeconds(4))",
        P::DotNet => "new SocketsHttpHandler { PooledConnectionIdleTimeout = TimeSpan.FromSeconds(4) }",
        P::Node => "new http.Agent({ keepAlive: true, timeout: 4000 })",
        P::Reqwest | P::Hyper => "client builder: .pool_idle_timeout(Duration::from_secs(4))",
        P::Ruby => "http.keep_alive_timeout = 4",
        P::JMeter => "httpclient4.idletimeout=4000",
        P::Gatling => "gatling.http.pooledConnectionIdleTimeout = 4000",
        P::Nginx => "upstream { keepalive 64; keepalive_timeout 4s; }  proxy_next_upstream error timeout;",
        P::HaProxy => "retry-on conn-failure empty-response response-timeout",
        P::Envoy => "common_http_protocol_options: { idle_timeout: 4s }, retry_on: reset",
        _ => return None,
    })
}

const fn fewer(program: P) -> Option<&'static str> {
    Some(match program {
        P::Aiohttp => "aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=500))",
        P::Httpx => "httpx.AsyncClient(limits=httpx.Limits(max_connections=500))",
        P::Go => "&http.Transport{MaxConnsPerHost: 500}",
        P::Java => "connectionManager.setMaxTotal(500)",
        P::OkHttp => "dispatcher.setMaxRequests(500); dispatcher.setMaxRequestsPerHost(500)",
        P::Netty => "ConnectionProvider.create(NAME, 500)",
        P::DotNet => "new SocketsHttpHandler { MaxConnectionsPerServer = 500 }",
        P::Node => "new http.Agent({ keepAlive: true, maxSockets: 500 })",
        P::K6 => "k6 run --vus 500",
        P::Locust => "locust --users 500",
        P::Gatling => "constantConcurrentUsers(500)",
        P::Vegeta => "vegeta attack -max-connections=500",
        P::Ab => "ab -c 500",
        P::Siege => "siege -c 500",
        P::Redis => "redis.BlockingConnectionPool(max_connections=500)",
        P::Database => "pool_size = 100",
        P::Nginx => "worker_rlimit_nofile 65536;",
        P::HaProxy => "global: ulimit-n 65536, or a lower maxconn",
        _ => return None,
    })
}

const fn more_files(program: P) -> Option<&'static str> {
    Some(match program {
        P::Nginx | P::NginxServer => "worker_rlimit_nofile 65536;",
        P::HaProxy => "global: ulimit-n 65536",
        _ => return None,
    })
}

const fn larger_pool(program: P) -> Option<&'static str> {
    Some(match program {
        P::Httpx => "httpx.AsyncClient(limits=httpx.Limits(max_connections=1000))",
        P::Aiohttp => "aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1000))",
        P::Java => "connectionManager.setMaxTotal(1000); setDefaultMaxPerRoute(1000)",
        P::Netty => "ConnectionProvider.builder(NAME).maxConnections(1000).pendingAcquireMaxCount(-1)",
        P::Gatling => "gatling.http.maxConnectionsPerHost = 1000",
        P::Redis => "redis.BlockingConnectionPool(max_connections=1000)",
        P::Database => "pool_size = 100, max_overflow = 100",
        P::Envoy => "circuit_breakers: { thresholds: [{ max_connections: 10000, max_pending_requests: 10000 }] }",
        _ => return None,
    })
}

/// What is done about a limit that a program has for itself or for its users, and what comes of it.
const fn against(limit: Exactly) -> Option<(&'static str, &'static str)> {
    Some(match limit {
        Exactly::ServerLimit => {
            ("raise its limit of connections, and its limit of open files with it", "as many connections as clients")
        }
        Exactly::AllDown => (
            "show the failures as what they are: a server that is the only one must not be left out",
            "the errors of the connections themselves come back, with their errno",
        ),
        Exactly::RateLimit => {
            ("raise its limit for one client, or exempt the load generator", "no request is refused for its rate")
        }
        Exactly::ToolCpu => ("let it use more cores, or a client that takes less CPU", "CPU below 90 % in each process"),
        Exactly::ToolUsers => (
            "allow more users: rate times response time, and as many again",
            "no iteration is dropped, where the target keeps up",
        ),
        _ => return None,
    })
}

/// The change in the program.
const fn own_limit(program: P, exactly: Exactly) -> Option<&'static str> {
    Some(match (exactly, program) {
        (Exactly::ServerLimit, P::Nginx | P::NginxServer) => "events { worker_connections 8192; }  worker_rlimit_nofile 16384;",
        (Exactly::ServerLimit, P::HaProxy) => "maxconn 20000",
        (Exactly::AllDown, P::Nginx | P::NginxServer) => "upstream { server ADDRESS max_fails=0; }",
        (Exactly::AllDown, P::HaProxy) => "server NAME ADDRESS, without check",
        (Exactly::AllDown, P::Envoy) => "common_lb_config: { healthy_panic_threshold: { value: 100 } }",
        (Exactly::RateLimit, P::Nginx | P::NginxServer) => "limit_req zone=NAME burst=1000 nodelay;  limit_conn NAME 1000;",
        (Exactly::ToolCpu, P::Locust) => "locust --processes -1  (one for each core), or FastHttpUser instead of HttpUser",
        (Exactly::ToolUsers, P::K6) => "preAllocatedVUs: 200, maxVUs: 1000",
        _ => return None,
    })
}
