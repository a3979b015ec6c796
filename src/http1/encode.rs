//! Answers, built once: what is appended per request is one copy of ready bytes. Their Date is patched in place,
//! 29 bytes each, when the second changes.
//!
//! ```
//! use sockbench::testing::http1::{Answers, Link};
//! let mut answers = Answers::new();
//! answers.set_date(784_111_777);
//! let mut out = Vec::new();
//! answers.health(&mut out, Link::Keep, false);
//! let text = String::from_utf8(out).unwrap();
//! assert!(text.contains("\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
//! assert!(text.ends_with("\r\n\r\n{\"status\": \"healthy\"}"));
//! ```

use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use super::status::Status;

/// Body of `/health`: 21 bytes.
pub const HEALTH_BODY: &[u8; 21] = b"{\"status\": \"healthy\"}";
/// Body of `/io`: 24 bytes.
pub const IO_BODY: &[u8; 24] = b"{\"status\": \"io is done\"}";
/// Bytes of the body of `/cpu`, which carries the result of the loop.
pub const CPU_BODY_BYTES: usize = 33;
/// Interim answer to `Expect: 100-continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// Bytes of an IMF-fixdate.
const DATE_BYTES: usize = 29;
/// The last second of the year 9999: a longer year does not fit.
const LAST_UNIX_S: u64 = 253_402_300_799;

/// What an answer says of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Link {
    /// it stays, as HTTP/1.1 has it by default
    Keep,
    /// it stays, said to an HTTP/1.0 client that asked
    KeepOld,
    /// it ends
    Close,
}

impl Link {
    const ALL: [Self; 3] = [Self::Keep, Self::KeepOld, Self::Close];

    const fn field(self) -> &'static str {
        match self {
            Self::Keep => "",
            Self::KeepOld => "Connection: keep-alive\r\n",
            Self::Close => "Connection: close\r\n",
        }
    }
}

/// How long a job waited and worked, in microseconds: `Server-Timing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// in the queue
    pub queue_us: u64,
    /// at work
    pub work_us: u64,
}

/// What a job gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobBody {
    /// `/io`
    Io,
    /// `/cpu`, with the loop's result
    Cpu(u64),
}

#[derive(Debug)]
struct Template {
    bytes: Vec<u8>,
    head: usize,
    date_at: usize,
}

impl Template {
    /// `more` are further fields, each with its CRLF. Without a body the head is left open for further fields.
    fn new(status: Status, link: Link, more: &str, body: Option<&[u8]>) -> Self {
        let mut bytes = format!("HTTP/1.1 {}\r\nDate: ", status.text()).into_bytes();
        let date_at = bytes.len();
        bytes.extend_from_slice(&imf_fixdate(0));
        bytes.extend_from_slice(b"\r\nContent-Type: application/json\r\n");
        bytes.extend_from_slice(link.field().as_bytes());
        bytes.extend_from_slice(more.as_bytes());
        if let Some(body) = body {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        }
        let head = bytes.len();
        bytes.extend_from_slice(body.unwrap_or_default());
        Self { bytes, head, date_at }
    }

    fn append(&self, out: &mut Vec<u8>, head_only: bool) {
        out.extend_from_slice(if head_only { &self.bytes[..self.head] } else { &self.bytes });
    }
}

/// All answers of one reactor.
#[derive(Debug)]
pub struct Answers {
    health: [Template; 3],
    job: [Template; 3],
    errors: Vec<[Template; 3]>,
    date: u64,
}

impl Default for Answers {
    fn default() -> Self {
        Self::new()
    }
}

impl Answers {
    /// All answers, dated at the beginning of Unix time: [`Answers::set_date`] comes before the first use.
    pub fn new() -> Self {
        let error = |status: &Status| {
            let status = *status;
            let more = match status {
                Status::MethodNotAllowed => "Allow: GET, HEAD\r\n",
                Status::Unavailable => "Retry-After: 1\r\n",
                _ => "",
            };
            let body = format!("{{\"error\": \"{}\"}}", &status.text()[4..]);
            Link::ALL.map(|l| Template::new(status, l, more, Some(body.as_bytes())))
        };
        Self {
            health: Link::ALL.map(|l| Template::new(Status::Ok, l, "", Some(HEALTH_BODY))),
            job: Link::ALL.map(|l| Template::new(Status::Ok, l, "", None)),
            errors: Status::ALL.iter().map(error).collect(),
            date: 0,
        }
    }

    /// Sets the Date of all answers, in seconds of Unix time. Cheap when it has not changed.
    pub fn set_date(&mut self, unix_s: u64) {
        if unix_s == self.date {
            return;
        }
        self.date = unix_s;
        let text = imf_fixdate(unix_s);
        for t in self.health.iter_mut().chain(&mut self.job).chain(self.errors.iter_mut().flatten()) {
            t.bytes[t.date_at..t.date_at + DATE_BYTES].copy_from_slice(&text);
        }
    }

    /// Appends the answer to `/health`.
    pub fn health(&self, out: &mut Vec<u8>, link: Link, head_only: bool) {
        self.health[link as usize].append(out, head_only);
    }

    /// Appends an answer that is no 200.
    pub fn error(&self, out: &mut Vec<u8>, status: Status, link: Link, head_only: bool) {
        self.errors[status as usize][link as usize].append(out, head_only);
    }

    /// Appends the answer to a job's request.
    pub fn job(&self, out: &mut Vec<u8>, body: JobBody, timing: Timing, link: Link, head_only: bool) {
        self.job[link as usize].append(out, true);
        let Timing { queue_us: q, work_us: w } = timing;
        let length = if body == JobBody::Io { IO_BODY.len() } else { CPU_BODY_BYTES };
        // Writing to a Vec cannot fail.
        let _ = write!(
            out,
            "Server-Timing: queue;dur={}.{:03}, work;dur={}.{:03}\r\nContent-Length: {length}\r\n\r\n",
            q / 1000,
            q % 1000,
            w / 1000,
            w % 1000
        );
        match body {
            _ if head_only => {}
            JobBody::Io => out.extend_from_slice(IO_BODY),
            JobBody::Cpu(result) => {
                let _ = write!(out, "{{\"cpu_state\": \"{result:016x}\"}}");
            }
        }
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7); after the year 9999 its last second.
fn imf_fixdate(unix_s: u64) -> [u8; DATE_BYTES] {
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(unix_s.min(LAST_UNIX_S)));
    text.as_bytes().try_into().expect("an IMF-fixdate has 29 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(s: u64) -> String {
        String::from_utf8(imf_fixdate(s).to_vec()).unwrap()
    }

    #[test]
    fn dates() {
        assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(date(951_868_800), "Wed, 01 Mar 2000 00:00:00 GMT", "the years of the arithmetic begin here");
        assert_eq!(date(1_709_251_199), "Thu, 29 Feb 2024 23:59:59 GMT");
        assert_eq!(date(1_798_761_599), "Thu, 31 Dec 2026 23:59:59 GMT");
    }

    #[test]
    fn every_answer_is_one_our_own_client_reads() {
        use crate::http1::expect::Expect;
        use crate::http1::response::{AnswerHeads, Progress, ResponseReader, Start};
        let mut a = Answers::new();
        a.set_date(1_700_000_000);
        for link in Link::ALL {
            for head_only in [false, true] {
                let mut texts: Vec<(u16, Vec<u8>)> = Vec::new();
                let mut add = |status: Status, write: &dyn Fn(&mut Vec<u8>)| {
                    let mut out = Vec::new();
                    write(&mut out);
                    texts.push((status.code().parse().unwrap(), out));
                };
                add(Status::Ok, &|o| a.health(o, link, head_only));
                let timing = Timing { queue_us: 12, work_us: 30_001 };
                add(Status::Ok, &|o| a.job(o, JobBody::Io, timing, link, head_only));
                add(Status::Ok, &|o| a.job(o, JobBody::Cpu(7), timing, link, head_only));
                for s in Status::ALL.iter().copied() {
                    add(s, &|o| a.error(o, s, link, head_only));
                }
                for (status, text) in texts {
                    let mut r = ResponseReader::new(Expect { head_only, ..Expect::default() });
                    r.begin(Start::Fresh);
                    assert_eq!(
                        r.on_bytes(&text, &mut AnswerHeads::default()),
                        Ok(Progress::Done { surplus: None }),
                        "{}",
                        text.escape_ascii()
                    );
                    assert_eq!((r.answer().status, r.answer().keep), (status, link != Link::Close));
                    assert!(text.windows(8).any(|w| w == b", 14 Nov"));
                }
            }
        }
    }

    #[test]
    fn timing_in_milliseconds_and_bodies_to_the_byte() {
        let a = Answers::new();
        let mut out = Vec::new();
        a.job(&mut out, JobBody::Cpu(0xabc), Timing { queue_us: 5, work_us: 30_012 }, Link::Keep, false);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("\r\nServer-Timing: queue;dur=0.005, work;dur=30.012\r\nContent-Length: 33\r\n\r\n"), "{text}");
        assert_eq!(text.split("\r\n\r\n").nth(1).unwrap(), "{\"cpu_state\": \"0000000000000abc\"}");
    }
}
