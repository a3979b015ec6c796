//! A bare epoll server on 127.0.0.1: one fixed answer for each read, whatever was read.
//!
//! usage: floor_server PORT [-m ka|sclose|cclose]
//!   sclose  every answer ends its connection, which this server closes
//!   cclose  every answer ends its connection, which the client closes

use std::error::Error;
use std::os::fd::OwnedFd;

use rustix::net::{SocketFlags, accept_with, bind, listen, sockopt};
use sockbench_peers::{Poll, events, loopback, of, receive, send, socket};

const LISTENER: u64 = u64::MAX;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let port = args.first().ok_or("usage: floor_server PORT [-m ka|sclose|cclose]")?.parse()?;
    let mode = args.get(2).map_or("ka", String::as_str);
    let closes = mode == "sclose";
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{}Content-Length: 64\r\n\r\n{}",
        if mode == "ka" { "" } else { "Connection: close\r\n" },
        "x".repeat(64)
    );
    let listener = socket(true)?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    bind(&listener, &loopback(port))?;
    listen(&listener, 65535)?;
    let poll = Poll::new()?;
    poll.add(&listener, LISTENER, false)?;
    let mut open: Vec<Option<OwnedFd>> = Vec::new();
    let mut vacant: Vec<usize> = Vec::new();
    let (mut buffer, mut events) = (vec![0; 65536], events());
    loop {
        poll.wait(None, &mut events);
        for event in &events {
            let (token, _) = of(event);
            if token == LISTENER {
                for _ in 0..64 {
                    let Ok(fd) = accept_with(&listener, SocketFlags::NONBLOCK) else { break };
                    let slot = vacant.pop().unwrap_or_else(|| {
                        open.push(None);
                        open.len() - 1
                    });
                    poll.add(&fd, slot as u64, false)?;
                    open[slot] = Some(fd);
                }
                continue;
            }
            let slot = token as usize;
            let Some(fd) = &open[slot] else { continue };
            let goes_on = match receive(fd, &mut buffer) {
                Ok(0) => false,
                Ok(_) => send(fd, answer.as_bytes()).is_ok() && !closes,
                Err(e) => e == rustix::io::Errno::AGAIN,
            };
            if !goes_on {
                open[slot] = None;
                vacant.push(slot);
            }
        }
    }
}
