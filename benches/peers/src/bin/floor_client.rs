//! A bare epoll client of 127.0.0.1. The length of an answer is learned from the first one; nothing is parsed after that.
//!
//! usage: floor_client PORT -c CONNECTIONS -d SECONDS [-e|-n] [-q RATE [-t]]
//!   -e  a connection for each request, which the server closes
//!   -n  the same, which this client closes
//!   -q  an open loop of so many requests a second over kept connections: what is due is sent when the loop comes by, up to
//!       a millisecond late; latencies are from the time at which a request was due
//!   -t  with a timerfd, which wakes it up for each request; prints how late they were sent, whatever they waited for

use std::collections::VecDeque;
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::connect;
use sockbench_peers::{Histogram, Poll, events, loopback, now, of, receive, send, set, socket, timer};

/// The token of the timer.
const TIMER: u64 = u64::MAX;

struct Client {
    poll: Poll,
    port: u16,
    request: Vec<u8>,
    short: bool,
}

#[derive(Default)]
struct Connection {
    fd: Option<OwnedFd>,
    got: usize,
    /// its request waits until it can be written to
    unsent: bool,
    /// when its request was due
    due: f64,
}

impl Client {
    /// Opens connection `slot`; with one for each request, the request goes out with it.
    fn dial(&self, slot: usize) -> rustix::io::Result<Connection> {
        let fd = socket(!self.short)?;
        match connect(&fd, &loopback(self.port)) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(e) => return Err(e),
        }
        let unsent = self.short && send(&fd, &self.request).is_err();
        self.poll.add(&fd, slot as u64, unsent)?;
        Ok(Connection { fd: Some(fd), unsent, ..Connection::default() })
    }
}

/// Bytes of an answer, by one exchange that blocks.
fn learn_length(port: u16, request: &[u8]) -> Result<usize, Box<dyn Error>> {
    let mut stream = TcpStream::connect(loopback(port))?;
    stream.write_all(request)?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let n = stream.read(&mut chunk)?;
        answer.extend_from_slice(&chunk[..n]);
        let text = String::from_utf8_lossy(&answer).to_lowercase();
        if let (Some(head), Some((_, after))) = (text.find("\r\n\r\n"), text.split_once("content-length:")) {
            let body: usize = after.lines().next().unwrap_or_default().trim().parse()?;
            if answer.len() >= head + 4 + body {
                return Ok(head + 4 + body);
            }
        }
        if n == 0 {
            return Err("the answer has no Content-Length".into());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "as the C program does: connections stand before the clock starts")]
fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |flag: &str| args.iter().position(|a| a == flag).and_then(|at| args.get(at + 1));
    let port: u16 = args.first().ok_or("usage: floor_client PORT -c CONNECTIONS -d SECONDS [-e|-n] [-q RATE [-t]]")?.parse()?;
    let count: usize = value("-c").map_or(Ok(100), |v| v.parse())?;
    let seconds: f64 = value("-d").map_or(Ok(5.0), |v| v.parse())?;
    let rate: f64 = value("-q").map_or(Ok(0.0), |v| v.parse())?;
    let has = |flag: &str| args.iter().any(|a| a == flag);
    let closes = has("-n");
    let short = closes || has("-e");
    let timer = if has("-t") { Some(timer()?) } else { None };
    let request = format!("GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").into_bytes();
    let whole = learn_length(port, &request)?;

    let client = Client { poll: Poll::new()?, port, request, short };
    let mut all = (0..count).map(|slot| client.dial(slot)).collect::<Result<Vec<_>, _>>()?;
    if !short {
        std::thread::sleep(Duration::from_millis(200));
    }
    if let Some(timer) = &timer {
        client.poll.add(timer, TIMER, false)?;
    }
    let began = now();
    let (end, mut due, mut timer_at, mut done, mut turns) = (began + seconds, began, began, 0_u64, 0_u32);
    let (mut free, mut waiting): (Vec<usize>, VecDeque<f64>) = (Vec::new(), VecDeque::new());
    if rate > 0.0 {
        free = (0..count).collect();
    } else if !short {
        for connection in &all {
            send(connection.fd.as_ref().ok_or("not open")?, &client.request)?;
        }
    }
    let (mut buffer, mut events) = (vec![0; 65536], events());
    let (mut latency, mut lateness) = (Histogram::default(), Histogram::default());
    loop {
        if rate > 0.0 {
            let t = now();
            // What was due is answered; for so long.
            if t >= end && (waiting.is_empty() && free.len() == count || t > end + 5.0) {
                break;
            }
            while due <= t && due < end {
                waiting.push_back(due);
                due += 1.0 / rate;
            }
            while !waiting.is_empty() {
                let Some(slot) = free.pop() else { break };
                all[slot].due = waiting.pop_front().unwrap_or(t);
                if timer.is_some() {
                    lateness.record(now() - all[slot].due);
                }
                send(all[slot].fd.as_ref().ok_or("not open")?, &client.request)?;
            }
        } else {
            if turns.is_multiple_of(16) && now() >= end {
                break;
            }
            turns += 1;
        }
        if let Some(timer) = timer.as_ref().filter(|_| due > timer_at) {
            // Setting it again clears its readiness.
            set(timer, due - now())?;
            timer_at = due;
        }
        client.poll.wait(Some(if rate > 0.0 && timer.is_none() { 1 } else { 10 }), &mut events);
        for event in &events {
            let (token, writable) = of(event);
            if token == TIMER {
                continue;
            }
            let slot = token as usize;
            let connection = &mut all[slot];
            let Some(fd) = &connection.fd else { continue };
            if connection.unsent && writable {
                send(fd, &client.request)?;
                client.poll.reads_only(fd, token)?;
                connection.unsent = false;
                continue;
            }
            match receive(fd, &mut buffer) {
                Err(Errno::AGAIN) => {}
                Ok(n) if n > 0 => {
                    connection.got += n;
                    if connection.got < whole || short && !closes {
                        continue;
                    }
                    connection.got = 0;
                    done += 1;
                    if closes {
                        connection.fd = None;
                        all[slot] = client.dial(slot)?;
                    } else if rate > 0.0 {
                        latency.record(now() - connection.due);
                        free.push(slot);
                    } else {
                        send(fd, &client.request)?;
                    }
                }
                // The server's FIN.
                Ok(_) if short && connection.got == whole => {
                    done += 1;
                    connection.fd = None;
                    all[slot] = client.dial(slot)?;
                }
                Ok(_) => return Err("the server closed a connection".into()),
                Err(e) => return Err(e.into()),
            }
        }
    }
    let took = now() - began;
    print!("done={done} rps={:.0}", done as f64 / took);
    if rate > 0.0 {
        print!(" lat_ms");
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            print!(" {name}={:.3}", latency.quantile_us(share) as f64 / 1e3);
        }
    }
    if timer.is_some() {
        print!(" late_us p50={} p99={}", lateness.quantile_us(0.5), lateness.quantile_us(0.99));
    }
    println!();
    Ok(())
}
