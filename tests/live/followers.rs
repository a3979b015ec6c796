//! Who follows a run: the live page over HTTP and in a real browser, Prometheus, a collector, the block on a terminal.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use sockbench::testing::model::Stamp;
use sockbench::testing::sys::Clock;

use crate::loud;
use crate::support::{SOCKBENCH, messages};
use crate::until::{PATIENCE, until};

/// A run with the page on a free port.
pub(crate) struct Followed {
    child: Child,
    pub(crate) addr: SocketAddr,
    _err: Receiver<String>,
}

impl Followed {
    pub(crate) fn start(line: &str) -> Self {
        let words = shlex::split(line).unwrap();
        let own = ["--server", "cpu-iterations=1", "--server", "io-sleep=5ms", "--live", "0"];
        let mut command = Command::new(SOCKBENCH);
        command.args(words).args(own).stdout(Stdio::piped()).stderr(Stdio::piped()).env_remove("GITHUB_ACTIONS");
        let mut child = command.spawn().unwrap();
        let (send, err) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| drop(send.send(line))));
        let mut seen = Vec::new();
        let addr = loop {
            let line = err.recv_timeout(PATIENCE).unwrap_or_else(|e| panic!("{e}: {seen:?}"));
            if let Some((_, rest)) = line.split_once("live page http://") {
                break rest.split('/').next().unwrap().parse().unwrap();
            }
            seen.push(line);
        };
        Self { child, addr, _err: err }
    }

    fn get(&self, path: &str) -> String {
        let mut answer = ureq::get(format!("http://{}{path}", self.addr)).call().unwrap();
        answer.body_mut().read_to_string().unwrap()
    }

    /// Ends by itself; what it printed.
    fn finish(mut self) -> String {
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert!(self.child.wait().unwrap().success(), "{out}");
        out
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_run_is_followed_from_before_one_came_to_its_end() {
    let run = Followed::start("load -c 4 --think 20ms -d 8s --mix /health=1,/io=1");
    let elapsed = |metrics: &str| {
        let line = metrics.lines().find_map(|l| l.strip_prefix("sockbench_elapsed_seconds "));
        line.and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0)
    };
    until("two seconds are over", || elapsed(&run.get("/metrics")) >= 2.0);
    let page = run.get("/");
    assert!(page.contains("running, ") && page.contains("of 8 s") && page.contains("chart-requests"), "{page:.300}");
    promtool(&run.get("/metrics"));
    // Who says nothing, who asks and does not read, and who goes away in the middle hold nobody.
    let silent = TcpStream::connect(run.addr).unwrap();
    let mut deaf = TcpStream::connect(run.addr).unwrap();
    deaf.write_all(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut gone = TcpStream::connect(run.addr).unwrap();
    gone.write_all(b"GET / HT").unwrap();
    gone.shutdown(Shutdown::Both).unwrap();
    let mut events = TcpStream::connect(run.addr).unwrap();
    events.write_all(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut all = String::new();
    events.read_to_string(&mut all).unwrap();
    assert!(all.starts_with("HTTP/1.1 200 OK\r\n") && all.matches("\nevent: page\n").count() >= 1, "{all:.200}");
    let (_, last) = all.rsplit_once("\nevent: end\n").expect("the last page");
    assert!(last.contains("data: <title>sockbench load: ") && !last.contains("running, "), "{last:.300}");
    assert!(run.finish().contains("answered"));
    drop((silent, deaf));
}

#[test]
fn a_study_is_followed_from_step_to_step() {
    let run = Followed::start("study --users 1,2 -d 2s --mix /health");
    let mut events = TcpStream::connect(run.addr).unwrap();
    events.write_all(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut all = String::new();
    events.read_to_string(&mut all).unwrap();
    for part in ["step 1 of 2 (1 user)", "step 2 of 2 (2 users)", "Steps that are over", "\nevent: end\n"] {
        assert!(all.contains(part), "{part}");
    }
    run.finish();
}

/// A run that nobody looks at ends when it does without the page.
#[test]
fn the_page_keeps_no_run_alive() {
    let run = Followed::start("load -n 5 -c 1 --mix /health");
    let _open = TcpStream::connect(run.addr);
    run.finish();
}

#[test]
fn mistakes_are_found_before_the_run() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    for (flags, says, hint) in [
        (vec!["--live", "0.0.0.0:0"], "other hosts would see the page", "--live-remote"),
        (vec!["--live", "http://127.0.0.1:1/"], "a URL, not an address to listen at", "goes before --live"),
        (vec!["--live", "here"], "not an address and port", "127.0.0.1:7625"),
        (vec!["--live", &taken], "EADDRINUSE", "--live 0"),
        (vec!["--otlp", "https://127.0.0.1:1/"], "https is not spoken here", "4318"),
        (vec!["--otlp", "127.0.0.1:1"], "not an http:// URL", "4318"),
        (vec!["--otlp", "http://127.0.0.1:1", "--sandbox"], "no way out", "/metrics"),
    ] {
        let out = Command::new(SOCKBENCH).arg("load").args(&flags).output().unwrap();
        let err = messages(&out);
        assert!(out.status.code() == Some(2) && err.contains(says) && err.contains(hint), "{flags:?}: {err}");
    }
}

/// `promtool check metrics`, where it is installed (Debian: prometheus).
pub(crate) fn promtool(text: &str) {
    let started = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = started else { return loud::skipped("promtool is not installed") };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{}\n{text}", String::from_utf8_lossy(&out.stderr));
}

/// A collector that answers all with 200 for as long as `most` seconds come; the bodies that it got.
fn collector() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (send, bodies) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            loop {
                let mut length = 0;
                let mut first = String::new();
                loop {
                    let mut line = String::new();
                    if stream.read_line(&mut line).unwrap_or(0) == 0 {
                        break;
                    }
                    if let Some((_, n)) = line.split_once("Content-Length: ") {
                        length = n.trim().parse().unwrap();
                    }
                    if line == "\r\n" {
                        break;
                    }
                    if first.is_empty() {
                        first = line;
                    }
                }
                if first.is_empty() {
                    break;
                }
                assert_eq!(first, "POST /v1/metrics HTTP/1.1\r\n");
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
                let _ = send.send(String::from_utf8(body).unwrap());
            }
        }
    });
    (addr, bodies)
}

/// Reads each line of its input as a request of the encoding, with the types that OpenTelemetry itself publishes.
const PROTO: &str = "
import sys
try:
    from google.protobuf.json_format import Parse
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
except ImportError as e:
    print(e); sys.exit(77)
for line in sys.stdin:
    m = Parse(line, ExportMetricsServiceRequest())
    for metric in m.resource_metrics[0].scope_metrics[0].metrics:
        kind = metric.WhichOneof('data')
        points = getattr(metric, kind).data_points
        assert points and all(p.time_unix_nano > p.start_time_unix_nano > 1e18 for p in points), metric
        if kind == 'sum':
            assert metric.sum.is_monotonic and metric.sum.aggregation_temporality == 2
        print(metric.name, kind, sum(p.as_double for p in points))
";

#[test]
fn a_collector_gets_each_second_as_its_own_types_read_it() {
    let (addr, bodies) = collector();
    let out = Command::new(SOCKBENCH)
        .args(["load", "-c", "2", "--think", "10ms", "-d", "3s", "--mix", "/health", "-q", "--otlp", &format!("http://{addr}")])
        .output()
        .unwrap();
    let err = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success() && err.is_empty(), "{err}");
    let bodies: Vec<String> = bodies.try_iter().collect();
    let seconds: usize = bodies.iter().map(|b| b.matches("\"sockbench.elapsed\"").count()).sum();
    assert!((2..=3).contains(&seconds), "{seconds} of 3 seconds: the last one may end with the run");
    let python = std::env::var("SOCKBENCH_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut child = Command::new(&python).args(["-c", PROTO]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all((bodies.join("\n") + "\n").as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let shown = String::from_utf8(out.stdout).unwrap();
    if out.status.code() == Some(77) {
        return loud::skipped(format!("{python}: {shown}SOCKBENCH_TEST_PYTHON names one with opentelemetry-proto"));
    }
    assert!(out.status.success(), "{shown}");
    for row in ["sockbench.requests sum ", "sockbench.latency gauge ", "sockbench.users gauge 2.0"] {
        assert!(shown.contains(row), "{row}: {shown}");
    }
}

/// One that is away, one that never answers, and one that says no: counted, said once, and the run is as long as ever.
#[test]
fn a_collector_that_fails_is_counted_and_holds_nobody() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap()
    };
    for (addr, says) in [(silent.local_addr().unwrap(), "--otlp: "), (away, "were not delivered: connect: ")] {
        let clock = Clock::start();
        let out = Command::new(SOCKBENCH)
            .args([
                "load",
                "-c",
                "1",
                "--think",
                "10ms",
                "-d",
                "2s",
                "--mix",
                "/health",
                "-q",
                "--otlp",
                &format!("http://{addr}"),
            ])
            .output()
            .unwrap();
        let err = messages(&out);
        assert!(out.status.success() && err.contains(says) && err.lines().count() == 1, "{addr}: {err}");
        assert!(clock.now().since(Stamp::ZERO) < Duration::from_secs(15), "{addr}");
    }
}

/// What a terminal of `columns` gets; none where script(1) is missing.
fn on_a_terminal(columns: u32, environment: &str, flags: &str) -> Option<String> {
    let run = format!(
        "stty cols {columns} rows 24; {environment} exec {SOCKBENCH} load -c 2 --think 10ms -d 2s --mix /health --no-color {flags} >/dev/null"
    );
    let mut command = Command::new("script");
    command.args(["-qec", &run, "/dev/null"]).env_remove("CI").env_remove("NO_COLOR").env("TERM", "xterm").stdin(Stdio::null());
    let Ok(out) = command.output() else {
        loud::skipped("script(1) is not installed");
        return None;
    };
    assert!(out.status.success());
    Some(String::from_utf8(out.stdout).unwrap())
}

#[test]
fn a_terminal_gets_a_block_and_all_else_a_line_a_second() {
    for columns in [60, 80, 200] {
        let Some(shown) = on_a_terminal(columns, "", "") else { return };
        assert!(shown.contains("\x1b[K") && shown.contains("A\r"), "it is drawn over: {shown:?}");
        let plain = shown.split('\n').filter(|line| line.contains("\x1b[K")).map(|line| {
            let line = line.trim_end_matches('\r').replace("\x1b[K", "").replace("\x1b[J", "");
            line.rsplit('\r').next().unwrap().to_owned()
        });
        let lines: Vec<String> = plain.collect();
        assert!(lines.iter().all(|l| l.chars().count() < columns as usize), "{columns}: {lines:#?}");
        assert!(lines.iter().any(|l| l.contains("left")) && lines.iter().any(|l| l.contains("req/s")), "{lines:#?}");
        assert!(shown.trim_end().ends_with("\x1b[J"), "the block is taken away: {shown:?}");
    }
    for (environment, flags, lines) in [("TERM=dumb", "", 2), ("CI=1", "", 2), ("", "-q", 0)] {
        let Some(shown) = on_a_terminal(80, environment, flags) else { return };
        assert!(!shown.contains('\x1b'), "{environment}{flags}: {shown:?}");
        assert_eq!(shown.matches(" req/s").count(), lines, "{environment}{flags}: {shown:?}");
    }
}
