//! The target's clock beside this machine's, by the Date fields of a few answers before the run.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::model::plan::Target;
use crate::model::start::{ClockOffset, OffsetBounds};
use crate::model::time;
use crate::sys::clock;
use crate::sys::signals::StopFlag;

/// Requests: each halves what is not known, and waits a second at most for the moment at which it does.
const REQUESTS: u32 = 8;
/// A connect, or an answer, takes no longer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Longest head that is read.
const HEAD_BYTES: usize = 64 * 1024;

/// Asks for the head of `path` up to eight times, until `deadline_s` (seconds since 1970) at the latest.
///
/// Errors: no answer had a Date; why.
pub fn measure(target: &Target, path: &str, deadline_s: f64, stop: &StopFlag) -> Result<ClockOffset, String> {
    let request = format!(
        "HEAD {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: sockbench/{}\r\n\r\n",
        target.authority,
        env!("CARGO_PKG_VERSION")
    );
    let mut bounds = OffsetBounds::default();
    let mut kept = None;
    let mut failed = None;
    for _ in 0..REQUESTS {
        let at = bounds.next(clock::wall_s());
        if at > deadline_s || stop.is_set() {
            break;
        }
        clock::sleep(Duration::try_from_secs_f64(at - clock::wall_s()).unwrap_or_default());
        match ask(target, &request, &mut kept) {
            Ok((sent, received, Some(date))) => bounds.narrow(sent, received, date),
            Ok((.., None)) => {
                failed = Some("its answers have no Date field".to_owned());
                break;
            }
            Err(e) => {
                failed = Some(e.to_string());
                break;
            }
        }
    }
    bounds.offset().ok_or_else(|| failed.unwrap_or_else(|| "the start was too near".to_owned()))
}

/// When the request was sent and the head of its answer was there, and the answer's Date.
fn ask(target: &Target, request: &str, kept: &mut Option<TcpStream>) -> io::Result<(f64, f64, Option<u64>)> {
    if let Some(stream) = kept.take()
        && let Ok(answer) = exchange(stream, request, kept)
    {
        return Ok(answer);
    }
    let stream = TcpStream::connect_timeout(&target.addr, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    exchange(stream, request, kept)
}

fn exchange(mut stream: TcpStream, request: &str, kept: &mut Option<TcpStream>) -> io::Result<(f64, f64, Option<u64>)> {
    let sent = clock::wall_s();
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    let started = clock::Clock::start();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > HEAD_BYTES || started.now().as_secs_f64() > PATIENCE.as_secs_f64() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => head.extend_from_slice(&piece[..n]),
        }
    }
    let received = clock::wall_s();
    // More than a head is no answer to HEAD: what follows on this connection would not be read right.
    *kept = head.ends_with(b"\r\n\r\n").then_some(stream);
    Ok((sent, received, date_of(&String::from_utf8_lossy(&head))))
}

/// Seconds since 1970 of the Date field.
fn date_of(head: &str) -> Option<u64> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = fields.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("date"))?;
    imf_seconds(value.trim())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
fn imf_seconds(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split(' ').collect();
    let [_, day, month, year, time, "GMT"] = words[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    time::unix_seconds(&format!("{year}-{month:02}-{day}T{time}Z")).map(|s| s as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_whatever_the_case_of_its_name() {
        let head = "HTTP/1.1 200 OK\r\nServer: x\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
        assert_eq!(date_of(head), Some(784_111_777));
        assert_eq!(date_of("HTTP/1.1 200 OK\r\nDate: yesterday\r\n\r\n"), None);
        assert_eq!(date_of("HTTP/1.1 200 OK\r\n\r\n"), None);
    }
}
