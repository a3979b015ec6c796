//! What live tests share: a plan towards an address, and a server that follows a script.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use sockbench::testing::load::{Ended, UsersNow, Watch};
use sockbench::testing::model::{Host, LoadPlan, MixEntry, RunResult, Sysctls, Target};
use sockbench::testing::stats::{Aggregate, Interval};
use sockbench::testing::sys::Clock;

/// A keep-alive plan of 4 users for 100 requests of `/`.
pub(crate) fn plan(addr: SocketAddr) -> LoadPlan {
    let mix = vec![MixEntry { path: "/".into(), weight: 1 }];
    let (duration, timeout) = (Duration::from_secs(20), Duration::from_secs(5));
    LoadPlan { users: 4, duration, requests: 100, timeout, observe: false, ..LoadPlan::new(Target::at(addr), mix) }
}

struct Silent;

impl Watch for Silent {
    fn on_ready(&mut self) -> Clock {
        Clock::start()
    }
    fn on_interval(&mut self, _: &Interval) {}
    fn on_turn(&mut self, _: Duration, _: UsersNow, _: &Aggregate) -> bool {
        false
    }
}

/// Runs the plan without watching ports or processes.
pub(crate) fn run(plan: &LoadPlan) -> (RunResult, Ended) {
    run_watched(plan, &mut Silent)
}

/// The same, with somebody who watches, and may steer.
pub(crate) fn run_watched(plan: &LoadPlan, watch: &mut dyn Watch) -> (RunResult, Ended) {
    let load = sockbench::testing::load::run(plan, watch).expect("workers start");
    let host = Host {
        name: None,
        kernel: String::new(),
        cpus: 1,
        memory_bytes: Some(1),
        nofile: Some(1),
        sysctls: Sysctls::default(),
        sysctls_at_end: None,
        congestion_control: None,
        boot_id: None,
        cpu_quota: None,
    };
    let mut result = RunResult::new(plan.clone(), "test".into(), String::new(), host);
    load.aggregate.fill(&mut result, load.duration, &load.users);
    result.totals.users_reached = load.users_reached;
    let t = &result.totals;
    assert_eq!(t.attempts, t.requests + t.local_failures + t.cut, "every sample ends exactly once");
    (result, load.ended)
}

/// A blocking server with a thread a connection; ends when dropped.
pub(crate) struct Scripted {
    pub(crate) addr: SocketAddr,
    /// answers that the script counted
    pub(crate) answers: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Scripted {
    /// Runs `script` for each connection.
    pub(crate) fn start(script: impl Fn(TcpStream, &AtomicU64) + Send + Sync + 'static) -> Self {
        let script = Arc::new(script);
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let addr = listener.local_addr().expect("bound");
        let (answers, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, ended) = (Arc::clone(&answers), Arc::clone(&stop));
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (count, script) = (Arc::clone(&count), Arc::clone(&script));
                std::thread::spawn(move || {
                    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
                    script(stream, &count);
                });
            }
        });
        Self { addr, answers, stop, accepting: Some(accepting) }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.addr);
        if let Some(t) = self.accepting.take() {
            let _ = t.join();
        }
    }
}

/// Reads one request head; false at end of file.
pub(crate) fn read_head(stream: &mut TcpStream) -> bool {
    let mut seen = Vec::new();
    let mut byte = [0u8; 1];
    while !seen.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => seen.push(byte[0]),
            _ => return false,
        }
    }
    true
}

/// Answers every request with 200 and keeps the connection.
pub(crate) fn keep_answering(mut stream: TcpStream, answers: &AtomicU64) {
    while read_head(&mut stream) {
        answers.fetch_add(1, Ordering::SeqCst);
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}
