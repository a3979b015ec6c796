//! Settings of server programs, by the name of their process: how many connections they serve at once.

use super::command::Command;

/// What to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// in words
    pub action: &'static str,
    /// the setting
    pub change: &'static str,
}

/// Process names begin with these words.
const KNOWN: &[(&str, Setting)] = &[
    ("sockbench", Setting { action: "--max-conns", change: "sockbench server --max-conns 20000" }),
    ("nginx", Setting { action: "worker_connections and worker_processes", change: "events { worker_connections 4096; }" }),
    ("gunicorn", Setting { action: "threads, and a short keep-alive", change: "gunicorn -w 4 --threads 16 --keep-alive 2" }),
    ("uwsgi", Setting { action: "processes and threads", change: "uwsgi --processes 4 --threads 16" }),
    ("uvicorn", Setting { action: "limit-concurrency and workers", change: "uvicorn --workers 4 --limit-concurrency 1000" }),
    ("python", Setting { action: "a thread for each connection", change: "http.server.ThreadingHTTPServer" }),
    ("flask", Setting { action: "a thread for each connection", change: "app.run(threaded=True)" }),
    ("java", Setting { action: "its threads and connections", change: "server.tomcat.threads.max=200" }),
    ("puma", Setting { action: "threads and workers", change: "puma --threads 5:32 --workers 2" }),
    ("ruby", Setting { action: "threads and workers", change: "puma --threads 5:32 --workers 2" }),
    ("php", Setting { action: "children of its pool", change: "pm.max_children = 64" }),
    ("apache", Setting { action: "workers, and a short keep-alive", change: "MaxRequestWorkers 400" }),
    ("httpd", Setting { action: "workers, and a short keep-alive", change: "MaxRequestWorkers 400" }),
    ("node", Setting { action: "server.maxConnections", change: "server.maxConnections = 10000" }),
    ("haproxy", Setting { action: "maxconn", change: "maxconn 10000" }),
];

/// The settings of the usual programs, where it is not known which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usual {
    /// of the most usual ones, for a narrow column
    pub short: &'static str,
    /// all of them
    pub all: &'static str,
}

impl Usual {
    /// What changes is a setting of the one that listens at `port`; which one that is, the command shows (with the accept queue,
    /// Recv-Q). The settings themselves are no command line.
    pub fn at(self, port: u16) -> Command {
        Command { line: format!("ss -ltnp 'sport = :{port}'"), change: Some(self.short.to_owned()) }
    }

    /// What is to be reached, and by which setting of which program.
    pub fn reaching(self, expected: &str) -> String {
        format!("{expected}; by the program that listens: {}", self.all)
    }
}

/// How each serves more connections at once.
pub const PLACES: Usual = Usual {
    short: "worker_connections (nginx), MaxRequestWorkers (Apache)",
    all: "nginx worker_connections 4096; Apache MaxRequestWorkers 400; gunicorn --threads 16; HAProxy maxconn 10000; Node.js maxConnections",
};

/// How each keeps idle connections for 75 s.
pub const LONGER_IDLE: Usual = Usual {
    short: "keepalive_timeout (nginx), --keep-alive (gunicorn)",
    all: "nginx keepalive_timeout 75s; Apache KeepAliveTimeout 75; gunicorn --keep-alive 75; Node.js keepAliveTimeout = 75000",
};

/// How the program of this process serves more connections at once; none where nothing is known of it.
pub fn more_places(process: &str) -> Option<Setting> {
    KNOWN.iter().find(|(name, _)| process.starts_with(name)).map(|(_, setting)| *setting)
}

/// How programs use more cores, by the name of their process.
const CORES: &[(&str, &str)] = &[
    ("nginx", "worker_processes auto;"),
    ("gunicorn", "gunicorn -w NUMBER-OF-CORES"),
    ("uwsgi", "uwsgi --processes NUMBER-OF-CORES"),
    ("uvicorn", "uvicorn --workers NUMBER-OF-CORES"),
    ("haproxy", "nbthread NUMBER-OF-CORES"),
    ("puma", "puma --workers NUMBER-OF-CORES"),
    ("node", "the cluster module: cluster.fork() for each core"),
];

/// How the program of this process uses more cores; in words where nothing is known of it.
pub fn more_cores(process: &str) -> &'static str {
    let known = CORES.iter().find(|(name, _)| process.starts_with(name));
    known.map_or(
        "more threads, or more processes of it behind one port (an interpreter with a lock: one for each core)",
        |(_, change)| change,
    )
}

/// How programs that end each connection by default keep it, by the name of their process. Werkzeug, the development server of
/// Flask, ends each connection whatever its handler says (werkzeug/serving.py of 3.1.9, tried). `http.server` speaks HTTP/1.0 until
/// its handler class says otherwise. The name of the process does not tell the two apart.
pub fn keeps_connections(process: &str) -> Option<&'static str> {
    const KEEP: &[(&str, &str)] = &[
        ("python", "http.server: protocol_version = \"HTTP/1.1\" on the handler class; Flask: gunicorn -k gthread app:app"),
        ("flask", "gunicorn -k gthread app:app"),
        ("gunicorn", "gunicorn -k gthread --keep-alive 75"),
        ("nginx", "keepalive_timeout 75s;"),
        ("haproxy", "option http-keep-alive"),
    ];
    KEEP.iter().find(|(name, _)| process.starts_with(name)).map(|(_, change)| *change)
}

/// How programs keep idle connections for longer, by the name of their process.
const IDLE: &[(&str, &str)] = &[
    ("nginx", "keepalive_timeout 75s;"),
    ("apache", "KeepAliveTimeout 75"),
    ("httpd", "KeepAliveTimeout 75"),
    ("gunicorn", "gunicorn --keep-alive 75 app:app"),
    ("uvicorn", "uvicorn --timeout-keep-alive 75"),
    ("puma", "persistent_timeout 75"),
    ("node", "server.keepAliveTimeout = 75000"),
    ("java", "server.tomcat.keep-alive-timeout=75s"),
    ("haproxy", "timeout http-keep-alive 75s"),
];

/// How the program of this process keeps idle connections for 75 s; none where nothing is known of it.
pub fn longer_idle(process: &str) -> Option<&'static str> {
    IDLE.iter().find(|(name, _)| process.starts_with(name)).map(|(_, change)| *change)
}

/// How programs ask for a longer queue of connections that wait for accept(), by the name of their process.
const BACKLOGS: &[(&str, &str)] = &[
    ("nginx", "listen 80 backlog=4096;"),
    ("gunicorn", "gunicorn --backlog 4096"),
    ("uwsgi", "uwsgi --listen 4096"),
    ("uvicorn", "uvicorn --backlog 4096"),
    ("python", "request_queue_size = 4096 (socketserver)"),
    ("java", "server.tomcat.accept-count=4096"),
    ("php", "listen.backlog = 4096"),
    ("apache", "ListenBacklog 4096"),
    ("httpd", "ListenBacklog 4096"),
    ("node", "server.listen({ port, backlog: 4096 })"),
    ("haproxy", "backlog 4096"),
];

/// How the program of this process asks for a longer backlog; the call itself where nothing is known of it.
pub fn longer_backlog(process: &str) -> &'static str {
    BACKLOGS.iter().find(|(name, _)| process.starts_with(name)).map_or("listen(fd, 4096)", |(_, change)| change)
}

/// Where programs that are installed from packages write what failed, by the name of their process.
const ERROR_LOGS: &[(&str, &str)] =
    &[("nginx", "/var/log/nginx/error.log"), ("apache", "/var/log/apache2/error.log"), ("httpd", "/var/log/httpd/error_log")];

/// The usual file in which the program of this process writes what failed; none where it has none of its own.
pub fn error_log(process: &str) -> Option<&'static str> {
    ERROR_LOGS.iter().find(|(name, _)| process.starts_with(name)).map(|(_, file)| *file)
}

/// How programs send what they wrote at once (TCP_NODELAY), by the name of their process. `disable_nagle_algorithm` is an
/// attribute of the handler (Lib/socketserver.py, StreamRequestHandler).
const NO_DELAYS: &[(&str, &str)] = &[
    ("python", "disable_nagle_algorithm = True"),
    ("node", "socket.setNoDelay(true)"),
    ("java", "socket.setTcpNoDelay(true)"),
    ("ruby", "setsockopt(:TCP, :NODELAY, 1)"),
    ("nginx", "tcp_nodelay on;"),
    ("haproxy", "option http-no-delay"),
];

/// How the program of this process sets TCP_NODELAY; the call itself where nothing is known of it.
pub fn no_delay(process: &str) -> &'static str {
    let known = NO_DELAYS.iter().find(|(name, _)| process.starts_with(name));
    known.map_or("setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int))", |(_, change)| change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_the_beginning_of_their_name() {
        let change = |process: &str| more_places(process).map(|setting| setting.change);
        assert_eq!(change("python3.11"), Some("http.server.ThreadingHTTPServer"));
        assert_eq!(change("php-fpm8.2"), Some("pm.max_children = 64"));
        assert_eq!((change("my-server"), change("")), (None, None));
        assert_eq!(
            (no_delay("python3"), no_delay("")),
            ("disable_nagle_algorithm = True", "setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int))")
        );
        assert_eq!(more_cores("nginx"), "worker_processes auto;");
        assert!(more_cores("my-server").contains("more processes"));
        assert!(
            keeps_connections("python3").is_some_and(|c| c.contains("protocol_version = \"HTTP/1.1\"") && c.contains("Flask"))
        );
        assert_eq!((longer_idle("nginx"), longer_idle("my-server")), (Some("keepalive_timeout 75s;"), None));
        assert_eq!((error_log("apache2"), error_log("my-server")), (Some("/var/log/apache2/error.log"), None));
        assert_eq!((longer_backlog("nginx"), longer_backlog("my-server")), ("listen 80 backlog=4096;", "listen(fd, 4096)"));
    }
}
