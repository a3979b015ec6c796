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
/// Shorter waits are none: the start is too near.
const LEAST: Duration = Duration::from_millis(1);
/// Longest head that is read.
const HEAD_BYTES: usize = 64 * 1024;

/// Asks for the head of `path` up to eight times, and is done by `deadline_s` (seconds since 1970): a target that does not answer
/// delays nobody.
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
        match ask(target, &request, deadline_s, &mut kept) {
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

/// How long what begins at `now_s` may take. Errors: the deadline is too near for anything.
fn patience(now_s: f64, deadline_s: f64) -> io::Result<Duration> {
    let left = Duration::try_from_secs_f64(deadline_s - now_s).unwrap_or_default();
    if left < LEAST { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left.min(PATIENCE)) }
}

/// When the request was sent and the head of its answer was there, and the answer's Date.
fn ask(target: &Target, request: &str, deadline_s: f64, kept: &mut Option<TcpStream>) -> io::Result<(f64, f64, Option<u64>)> {
    if let Some(stream) = kept.take()
        && let Ok(answer) = exchange(stream, request, deadline_s, kept)
    {
        return Ok(answer);
    }
    let stream = TcpStream::connect_timeout(&target.addr, patience(clock::wall_s(), deadline_s)?)?;
    stream.set_nodelay(true)?;
    exchange(stream, request, deadline_s, kept)
}

fn exchange(
    mut stream: TcpStream,
    request: &str,
    deadline_s: f64,
    kept: &mut Option<TcpStream>,
) -> io::Result<(f64, f64, Option<u64>)> {
    let sent = clock::wall_s();
    let until_s = deadline_s.min(sent + PATIENCE.as_secs_f64());
    stream.set_write_timeout(Some(patience(sent, until_s)?))?;
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > HEAD_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        stream.set_read_timeout(Some(patience(clock::wall_s(), until_s)?))?;
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
    fn nothing_is_waited_for_beyond_the_deadline() {
        let ms = |now, deadline| patience(now, deadline).ok().map(|left| left.as_millis());
        assert_eq!(ms(100.0, 100.25), Some(250));
        assert_eq!(ms(100.0, 1000.0), Some(1000), "and no longer than a second for anything");
        for deadline in [100.0, 99.0, 100.000_5, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(ms(100.0, deadline), None, "{deadline}");
        }
    }

    #[test]
    fn a_target_that_is_silent_gives_up_the_clock_and_no_more() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::at(silent.local_addr().unwrap());
        let stop = StopFlag::default();
        // It answers, but later than the deadline, and sooner than a client gives up that knows none.
        let late = std::thread::spawn(move || {
            let mut stream = silent.accept().unwrap().0;
            stream.set_read_timeout(Some(PATIENCE * 9 / 10)).unwrap();
            let mut request = Vec::new();
            let has_left = stream.read_to_end(&mut request).is_ok();
            if !has_left {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
            }
            has_left
        });
        assert!(measure(&target, "/", clock::wall_s() + 0.1, &stop).is_err());
        assert!(late.join().unwrap(), "the client leaves first");
        assert_eq!(measure(&target, "/", clock::wall_s() - 1.0, &stop), Err("the start was too near".to_owned()));
    }

    #[test]
    fn a_date_is_read_whatever_the_case_of_its_name() {
        let head = "HTTP/1.1 200 OK\r\nServer: x\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
        assert_eq!(date_of(head), Some(784_111_777));
        assert_eq!(date_of("HTTP/1.1 200 OK\r\nDate: yesterday\r\n\r\n"), None);
        assert_eq!(date_of("HTTP/1.1 200 OK\r\n\r\n"), None);
    }
}
