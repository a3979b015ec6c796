//! The thread that hands the figures of each second to a collector of OpenTelemetry, by OTLP/HTTP. What is not delivered is
//! counted; nobody waits for a delivery but the end of the run, for a bounded time.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use super::course::{Course, Update};
use super::metrics::{Metric, Times};
use super::otlp;
use crate::http1::expect::Expect;
use crate::http1::response::{AnswerHeads, AtEof, Progress, ResponseReader, Start};
use crate::model::time::Stamp;
use crate::sys::clock::Clock;
use crate::sys::socket::connect_any;
use crate::sys::thread;

/// A connect, a write or the answer of a delivery takes no longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the end of a run waits for what is not delivered yet.
const LAST: Duration = Duration::from_secs(3);
/// Seconds in one delivery.
const BATCH: usize = 30;

/// What became of the seconds of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delivered {
    /// seconds that the collector took
    pub taken: u64,
    /// seconds that it did not
    pub lost: u64,
    /// why the first of these was lost
    pub why: Option<String>,
}

/// Deliveries to a collector.
#[derive(Debug)]
pub struct Collector {
    updates: Sender<Update>,
    delivered: Receiver<Delivered>,
}

impl Collector {
    /// Delivers to `path` of `authority` at one of `addrs`, from a thread of its own.
    ///
    /// Errors: the thread could not be made.
    pub fn start(addrs: Vec<SocketAddr>, authority: String, path: String) -> io::Result<Self> {
        let (updates, receive) = channel();
        let (done, delivered) = channel();
        let delivery =
            Delivery { addrs, authority, path, connection: None, course: Course::default(), so_far: Delivered::default() };
        thread::start("live-otlp", Box::new(move || drop(done.send(delivery.deliver(&receive)))))?;
        Ok(Self { updates, delivered })
    }

    /// Hands an update over. Never waits.
    pub fn send(&self, update: Update) {
        // A thread that has ended is reported by `finish`.
        let _ = self.updates.send(update);
    }

    /// What became of all seconds. Waits 3 s at most; none where that was too short.
    pub fn finish(self) -> Option<Delivered> {
        drop(self.updates);
        self.delivered.recv_timeout(LAST).ok()
    }
}

struct Delivery {
    addrs: Vec<SocketAddr>,
    authority: String,
    path: String,
    connection: Option<TcpStream>,
    course: Course,
    so_far: Delivered,
}

impl Delivery {
    fn deliver(mut self, updates: &Receiver<Update>) -> Delivered {
        let mut seconds: Vec<(Vec<Metric>, Times)> = Vec::new();
        while let Ok(update) = updates.recv() {
            self.take(update, &mut seconds);
            // All that has come meanwhile goes in one delivery.
            while seconds.len() < BATCH {
                match updates.try_recv() {
                    Ok(update) => self.take(update, &mut seconds),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            if seconds.is_empty() {
                continue;
            }
            let body = otlp::request(self.course.target(), &seconds).to_string();
            let count = seconds.len() as u64;
            seconds.clear();
            match self.post(&body) {
                Ok(()) => self.so_far.taken += count,
                Err(why) => {
                    self.connection = None;
                    self.so_far.lost += count;
                    self.so_far.why.get_or_insert(why);
                }
            }
        }
        self.so_far
    }

    fn take(&mut self, update: Update, seconds: &mut Vec<(Vec<Metric>, Times)>) {
        let is_second = matches!(update, Update::Second(_));
        self.course.on_update(update);
        if is_second {
            seconds.extend(self.course.figures());
        }
    }

    /// Errors: why the collector does not have it.
    fn post(&mut self, body: &str) -> Result<(), String> {
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nUser-Agent: sockbench/{}\r\nContent-Length: {}\r\n\r\n",
            self.path,
            self.authority,
            env!("CARGO_PKG_VERSION"),
            body.len()
        );
        let request = [head.as_bytes(), body.as_bytes()].concat();
        // A kept connection may have been closed meanwhile: a new one is tried once.
        if let Some(kept) = self.connection.take()
            && let Ok(done) = self.exchange(kept, &request)
        {
            return done;
        }
        let stream = connect_any(&self.addrs, PATIENCE).map_err(|e| format!("connect: {e}"))?;
        self.exchange(stream, &request).map_err(|e| e.to_string())?
    }

    /// Errors: the connection broke. Inside: the collector said no.
    fn exchange(&mut self, mut stream: TcpStream, request: &[u8]) -> io::Result<Result<(), String>> {
        stream.write_all(request)?;
        let mut reader = ResponseReader::new(Expect::default());
        let mut heads = AnswerHeads::default();
        reader.begin(Start::Fresh);
        let mut piece = [0; 4096];
        // One that drips its answer must not hold the seconds that follow.
        let (clock, until) = (Clock::start(), Stamp::from_duration(PATIENCE));
        loop {
            let left = until.since(clock.now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            stream.set_read_timeout(Some(left))?;
            let n = stream.read(&mut piece)?;
            if n == 0 {
                match reader.on_eof() {
                    AtEof::Complete => break,
                    AtEof::NothingCame | AtEof::Broken(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
                }
            }
            match reader.on_bytes(&piece[..n], &mut heads) {
                Ok(Progress::More) => {}
                Ok(Progress::Done { .. }) => break,
                Err(fault) => return Ok(Err(format!("no HTTP answer: {}", fault.message()))),
            }
        }
        let answer = reader.answer();
        if answer.keep {
            self.connection = Some(stream);
        }
        Ok(if (200..300).contains(&answer.status) { Ok(()) } else { Err(format!("status {}", answer.status)) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{begin, now};
    use super::*;

    #[test]
    fn a_delivery_that_fails_loses_each_second_in_it() {
        let (updates, receive) = channel();
        let seconds = BATCH as u64 + 3;
        updates.send(begin(None)).unwrap();
        (0..seconds).for_each(|second| updates.send(Update::Second(Box::new(now(second)))).unwrap());
        drop(updates);
        // Nowhere to deliver to.
        let (addrs, course, so_far) = (Vec::new(), Course::default(), Delivered::default());
        let delivery = Delivery { addrs, authority: "a".into(), path: "/".into(), connection: None, course, so_far };
        let delivered = delivery.deliver(&receive);
        assert_eq!((delivered.taken, delivered.lost), (0, seconds));
        assert!(delivered.why.is_some_and(|why| why.starts_with("connect: ")));
    }
}
