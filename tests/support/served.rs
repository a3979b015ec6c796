//! A `sockbench server` process for tests that know it only by its command line and its sockets.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::until::{PATIENCE, read_by_peer, until};

pub struct Served {
    child: Child,
    pub addr: SocketAddr,
    pub lines: Vec<String>,
    stderr: Receiver<String>,
}

impl Served {
    /// Starts it on a free port with few, quick workers, and `flags` added.
    pub fn start(flags: &[&str]) -> Self {
        Self::start_under(&[], flags)
    }

    /// The same as the last words of another command.
    pub fn start_under(before: &[&str], flags: &[&str]) -> Self {
        let mut words: Vec<&str> = before.to_vec();
        words.extend([env!("CARGO_BIN_EXE_sockbench"), "server", "--listen", "127.0.0.1:0", "--cpu-iterations", "1000"]);
        words.extend(flags);
        let mut command = Command::new(words[0]);
        let mut child = command.args(&words[1..]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let (to_us, stderr) = channel();
        let err = child.stderr.take().expect("piped");
        std::thread::spawn(move || BufReader::new(err).lines().map_while(Result::ok).for_each(|l| drop(to_us.send(l))));
        let admin = flags.contains(&"--admin");
        let mut out = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut lines = Vec::new();
        loop {
            let line = out.next().expect("a line before the end").expect("text");
            let last = if admin { line.starts_with("admin on ") } else { true };
            lines.push(line);
            if last {
                break;
            }
        }
        let addr = lines[0].strip_prefix("listening on http://").expect("its first line").parse().expect("an address");
        Self { child, addr, lines, stderr }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn connect(&self) -> Peer {
        Peer::connect(self.addr)
    }

    /// Where its counters are (`--admin`).
    pub fn admin(&self) -> SocketAddr {
        self.lines[1].strip_prefix("admin on http://").expect("its second line").parse().expect("an address")
    }

    /// One of its counters, by name and labels.
    pub fn counter(&self, name: &str) -> u64 {
        let page = Peer::connect(self.admin()).get("/metrics").answer().body;
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in {page}")).trim().parse().expect("a number")
    }

    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().expect("kill").success());
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("it ends", || {
            status = self.child.try_wait().expect("waitpid");
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// Waits until stderr has said `words`.
    pub fn said(&self, words: &str) {
        while !self.stderr.recv_timeout(PATIENCE).expect("it says it").contains(words) {}
    }

    /// Everything stderr says until the end.
    pub fn last_words(&self) -> String {
        std::iter::from_fn(|| self.stderr.recv_timeout(PATIENCE).ok()).map(|l| l + "\n").collect()
    }

    pub fn rss_bytes(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.pid())).expect("it lives");
        statm.split(' ').nth(1).expect("resident").parse::<u64>().expect("a number") * 4096
    }

    /// User and system time, in ticks of 10 ms.
    pub fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("it lives");
        let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
        fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One client connection, blocking, with a deadline on every read.
pub struct Peer {
    pub stream: TcpStream,
    unread: Vec<u8>,
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Got {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Got {
    pub fn closes(&self) -> bool {
        self.head.to_ascii_lowercase().contains("\r\nconnection: close\r\n")
    }
}

impl Peer {
    pub fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("nodelay");
        Self { stream, unread: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).expect("it takes bytes");
        self
    }

    pub fn get(&mut self, target: &str) -> &mut Self {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))
    }

    /// Waits until the server has read all that was sent.
    pub fn is_read(&mut self) -> &mut Self {
        read_by_peer(&self.stream);
        self
    }

    pub fn half_close(&mut self) -> &mut Self {
        self.stream.shutdown(Shutdown::Write).expect("shutdown");
        self
    }

    /// The next answer, to a request that was not HEAD.
    pub fn answer(&mut self) -> Got {
        self.answer_to("GET")
    }

    pub fn answer_to(&mut self, method: &str) -> Got {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.read_more() > 0, "the end came before an answer: {}", self.unread.escape_ascii());
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).expect("text");
        let status = head[9..12].parse().expect("a status");
        let length = head
            .to_ascii_lowercase()
            .split("content-length: ")
            .nth(1)
            .map_or(0, |l| l.split("\r\n").next().expect("a line").parse().expect("a number"));
        let length = if method == "HEAD" || status < 200 { 0 } else { length };
        while self.unread.len() < length {
            assert!(self.read_more() > 0, "the end came inside a body");
        }
        let body = String::from_utf8(self.unread.drain(..length).collect()).expect("text");
        Got { status, head, body }
    }

    /// Whether the connection ends here, without a further byte and without a reset.
    pub fn is_at_end(&mut self) -> bool {
        assert!(self.unread.is_empty(), "not asked for: {}", self.unread.escape_ascii());
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(n) => n == 0,
            Err(e) if e.kind() == ErrorKind::ConnectionReset => false,
            Err(e) => panic!("no end: {e}"),
        }
    }

    /// Whether nothing at all comes for `this_long`.
    pub fn is_silent(&mut self, this_long: Duration) -> bool {
        self.stream.set_read_timeout(Some(this_long)).expect("a timeout");
        let silent =
            matches!(self.stream.peek(&mut [0]), Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        silent
    }

    /// Closes with a reset.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("linger");
    }

    fn read_more(&mut self) -> usize {
        let mut buffer = [0; 16 * 1024];
        let n = self.stream.read(&mut buffer).expect("a read within the deadline");
        self.unread.extend_from_slice(&buffer[..n]);
        n
    }
}
