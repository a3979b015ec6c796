//! One end of a ZMTP 3.0 connection: a DEALER with a name (identity), without security (NULL). Bytes in, messages out; bytes
//! to write come out as well.
//!
//! ```text
//!   Greeting ── 64 bytes of the peer ──► Handshake ── its READY ──► Open ── messages, PING ──► Open
//! ```
//!
//! Source: rfc.zeromq.org/spec/23 (ZMTP 3.0) and 37 (3.1, for PING). Not here: the socket, reconnecting, several peers,
//! messages of several frames, which Locust's master does not send. An end that broke the rules is done with: the caller
//! closes the connection.

/// Longest frame that is taken: a `spawn` message has a few kilobytes.
pub const FRAME_BYTES: usize = 4 << 20;
/// Longest name of a socket (ZMTP 3.0, Identity).
const IDENTITY_BYTES: usize = 255;
const GREETING_BYTES: usize = 64;
/// Longest context of a PING (ZMTP 3.1).
const CONTEXT_BYTES: usize = 16;
/// Bytes of a foreign greeting or a foreign word that an error shows.
const SHOWN_BYTES: usize = 24;

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// What the peer did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// both ends are ready: messages may be sent
    Open,
    /// a whole message
    Message(Vec<u8>),
}

/// Why the connection is of no use. Each is one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// the greeting is not ZMTP's
    #[error("the peer does not speak ZMTP: it began with {0:?}")]
    Foreign(String),
    /// older than 3.0
    #[error("the peer speaks ZMTP {0}, older than 3.0")]
    Old(u8),
    /// it wants encryption or a password
    #[error("the peer asks for the security mechanism {0:?}; only NULL is known here")]
    Mechanism(String),
    /// it is no ROUTER
    #[error("the peer's socket is a {0:?}, not a ROUTER")]
    SocketType(String),
    /// it refused this end
    #[error("the peer refused the connection: {0:?}")]
    Refused(String),
    /// a frame beyond [`FRAME_BYTES`]
    #[error("a frame of {0} bytes, more than {FRAME_BYTES}")]
    TooLong(u64),
    /// flags, a command or an order of frames that ZMTP does not know
    #[error("not ZMTP: {0}")]
    Broken(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting,
    Handshake,
    Open,
}

/// See the module.
#[derive(Debug)]
pub struct Dealer {
    state: State,
    identity: Vec<u8>,
    /// came, and is not a whole greeting or frame yet
    unread: Vec<u8>,
    /// is to be written
    out: Vec<u8>,
}

impl Dealer {
    /// Begins a connection. `identity` has 1 to 255 bytes, the first of them not 0.
    pub fn new(identity: &str) -> Self {
        debug_assert!((1..=IDENTITY_BYTES).contains(&identity.len()) && !identity.starts_with('\0'), "a name of a socket");
        let mut greeting = [0; GREETING_BYTES];
        greeting[..10].copy_from_slice(&[0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F]);
        greeting[10] = 3;
        greeting[12..16].copy_from_slice(b"NULL");
        Self { state: State::Greeting, identity: identity.into(), unread: Vec::new(), out: greeting.to_vec() }
    }

    /// Both ends are ready.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Bytes to write now.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Sends a message of one frame. The connection must be open.
    pub fn send(&mut self, message: &[u8]) {
        debug_assert_eq!(self.state, State::Open, "both ends must be ready first");
        self.put_frame(0, message);
    }

    /// Takes what came, in any pieces. Errors: the peer broke the rules, or is not the one that was looked for.
    pub fn on_bytes(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Fault> {
        self.unread.extend_from_slice(bytes);
        let mut events = Vec::new();
        let mut at = 0;
        while let Some(used) = self.step(at, &mut events)? {
            at += used;
        }
        self.unread.drain(..at);
        Ok(events)
    }

    /// Takes one greeting or frame from `unread[at..]`; none: more bytes are needed.
    fn step(&mut self, at: usize, events: &mut Vec<Event>) -> Result<Option<usize>, Fault> {
        let unread = &self.unread[at..];
        if self.state == State::Greeting {
            check_greeting(unread)?;
            if unread.len() < GREETING_BYTES {
                return Ok(None);
            }
            let ready = self.ready_body();
            self.put_frame(COMMAND, &ready);
            self.state = State::Handshake;
            return Ok(Some(GREETING_BYTES));
        }
        let Some((flags, head, size)) = frame_head(unread)? else { return Ok(None) };
        let Some(body) = unread.get(head..head + size) else { return Ok(None) };
        let body = body.to_vec();
        match (flags & COMMAND != 0, self.state) {
            (true, State::Handshake) => {
                check_ready(&body)?;
                self.state = State::Open;
                events.push(Event::Open);
            }
            (true, _) => self.on_command(&body)?,
            (false, State::Open) => events.push(Event::Message(body)),
            (false, _) => return Err(Fault::Broken("a message before READY")),
        }
        Ok(Some(head + size))
    }

    fn on_command(&mut self, body: &[u8]) -> Result<(), Fault> {
        let (name, rest) = command(body)?;
        match name {
            b"PING" if rest.len() < 2 || rest.len() > 2 + CONTEXT_BYTES => return Err(Fault::Broken("a PING of a wrong length")),
            b"PING" => {
                let pong = [&[4], &b"PONG"[..], &rest[2..]].concat();
                self.put_frame(COMMAND, &pong);
            }
            b"ERROR" => return Err(refusal(rest)),
            // PONG, and what later versions may say.
            _ => {}
        }
        Ok(())
    }

    fn ready_body(&self) -> Vec<u8> {
        let mut body = vec![5];
        body.extend_from_slice(b"READY");
        for (name, value) in [("Socket-Type", &b"DEALER"[..]), ("Identity", &self.identity)] {
            body.push(name.len() as u8);
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(&(value.len() as u32).to_be_bytes());
            body.extend_from_slice(value);
        }
        body
    }

    fn put_frame(&mut self, flags: u8, body: &[u8]) {
        if let Ok(size) = u8::try_from(body.len()) {
            self.out.extend_from_slice(&[flags, size]);
        } else {
            self.out.push(flags | LONG);
            self.out.extend_from_slice(&(body.len() as u64).to_be_bytes());
        }
        self.out.extend_from_slice(body);
    }
}

/// Checks as much of a greeting as is there: a peer that speaks something else is known by its first byte.
fn check_greeting(bytes: &[u8]) -> Result<(), Fault> {
    let is = |at: usize, wanted: u8| bytes.get(at).is_none_or(|b| *b == wanted);
    if !is(0, 0xFF) || !is(9, 0x7F) {
        return Err(Fault::Foreign(shown(bytes)));
    }
    if let Some(major) = bytes.get(10).filter(|major| **major < 3) {
        return Err(Fault::Old(*major));
    }
    match bytes.get(12..32) {
        Some(mechanism) if &mechanism[..5] != b"NULL\0" => {
            let end = mechanism.iter().position(|b| *b == 0).unwrap_or(mechanism.len());
            Err(Fault::Mechanism(shown(&mechanism[..end])))
        }
        _ => Ok(()),
    }
}

/// Flags, bytes of the head, and bytes of the body of the frame that begins here; none: more bytes are needed.
fn frame_head(bytes: &[u8]) -> Result<Option<(u8, usize, usize)>, Fault> {
    let Some(flags) = bytes.first().copied() else { return Ok(None) };
    if flags & !(MORE | LONG | COMMAND) != 0 {
        return Err(Fault::Broken("unknown flags of a frame"));
    }
    if flags & MORE != 0 {
        return Err(Fault::Broken("a message of several frames"));
    }
    let (head, size) = if flags & LONG == 0 {
        let Some(size) = bytes.get(1) else { return Ok(None) };
        (2, u64::from(*size))
    } else {
        let Some(size) = bytes.get(1..9).and_then(|b| b.try_into().ok()) else { return Ok(None) };
        (9, u64::from_be_bytes(size))
    };
    match usize::try_from(size) {
        Ok(fits) if fits <= FRAME_BYTES => Ok(Some((flags, head, fits))),
        _ => Err(Fault::TooLong(size)),
    }
}

/// A command's name and what follows it.
fn command(body: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let named = body.split_first().filter(|(len, rest)| usize::from(**len) <= rest.len());
    named.map(|(len, rest)| rest.split_at(usize::from(*len))).ok_or(Fault::Broken("a command without its name"))
}

/// The peer's answer to READY must be a READY of a socket that a DEALER may talk to.
fn check_ready(body: &[u8]) -> Result<(), Fault> {
    let (name, mut rest) = command(body)?;
    match name {
        b"READY" => {}
        b"ERROR" => return Err(refusal(rest)),
        _ => return Err(Fault::Broken("another command before READY")),
    }
    let broken = Fault::Broken("a property of READY that is cut off");
    while !rest.is_empty() {
        let (name, after) = command(rest).map_err(|_| broken.clone())?;
        let size = after.get(..4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
        let size = size.and_then(|s| usize::try_from(s).ok()).ok_or_else(|| broken.clone())?;
        let value = after.get(4..).and_then(|b| b.get(..size)).ok_or_else(|| broken.clone())?;
        if name.eq_ignore_ascii_case(b"Socket-Type") && value != b"ROUTER" {
            return Err(Fault::SocketType(shown(value)));
        }
        rest = &after[4 + size..];
    }
    Ok(())
}

/// The reason in an ERROR command.
fn refusal(rest: &[u8]) -> Fault {
    Fault::Refused(shown(rest.get(1..).unwrap_or_default()))
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES)]).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What libzmq 4.3 sends as a ROUTER: greeting and READY.
    fn router() -> Vec<u8> {
        let mut bytes = vec![0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 1];
        bytes.extend_from_slice(b"NULL");
        bytes.resize(GREETING_BYTES, 0);
        bytes.extend_from_slice(b"\x04\x29\x05READY\x0bSocket-Type\0\0\0\x06ROUTER\x08Identity\0\0\0\0");
        bytes
    }

    /// A frame with these flags.
    fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
        let mut dealer = Dealer::new("x");
        dealer.take_output();
        dealer.put_frame(flags, body);
        dealer.take_output()
    }

    #[test]
    fn a_whole_exchange() {
        let mut d = Dealer::new("host_1");
        let greeting = d.take_output();
        assert_eq!((greeting.len(), greeting[0], greeting[9], greeting[10]), (64, 0xFF, 0x7F, 3));
        assert_eq!(d.on_bytes(&router()), Ok(vec![Event::Open]));
        assert_eq!(d.take_output(), b"\x04\x2f\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x06host_1");
        d.send(b"hello");
        d.send(&[7; 300]);
        let out = d.take_output();
        assert_eq!(out[..7], *b"\0\x05hello");
        assert_eq!(out[7..16], [LONG, 0, 0, 0, 0, 0, 0, 1, 44]);
        assert_eq!(d.on_bytes(b"\0\x02ok"), Ok(vec![Event::Message(b"ok".to_vec())]));
        assert_eq!(d.on_bytes(b"\x04\x0a\x04PING\0\x05abc"), Ok(vec![]));
        assert_eq!(d.take_output(), b"\x04\x08\x04PONGabc");
    }

    #[test]
    fn peers_that_are_something_else_are_named_in_one_line() {
        let socket = |kind: &str| {
            [&router()[..64], &frame(COMMAND, &[b"\x05READY\x0bSocket-Type\0\0\0\x03", kind.as_bytes()].concat())].concat()
        };
        let with = |at: usize, bytes: &[u8]| {
            let mut all = router();
            all[at..at + bytes.len()].copy_from_slice(bytes);
            all
        };
        let behind = |more: &[u8]| [&router(), more].concat();
        for (bytes, says) in [
            (b"HTTP/1.1 400 Bad Request\r\n".to_vec(), "does not speak ZMTP: it began with \"HTTP/1.1 400"),
            (with(10, &[1]), "ZMTP 1, older"),
            (with(12, b"CURVE"), "\"CURVE\""),
            (socket("PUB"), "a \"PUB\", not a ROUTER"),
            ([&router()[..64], b"\x04\x09\x05ERROR\x02no"].concat(), "refused the connection: \"no\""),
            ([&router()[..64], b"\0\x01x"].concat(), "a message before READY"),
            ([&router()[..64], b"\x04\x05\x04PING"].concat(), "another command before READY"),
            ([&router()[..64], b"\x04\x0a\x05READY\x0bSoc"].concat(), "cut off"),
            (behind(b"\x08\x01x"), "unknown flags"),
            (behind(b"\x01\x01x"), "several frames"),
            (behind(&[2, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), "18446744073709551615 bytes"),
            (behind(b"\x04\x00"), "without its name"),
            (behind(b"\x04\x06\x04PINGx"), "wrong length"),
        ] {
            let fault = Dealer::new("x").on_bytes(&bytes).expect_err(says).to_string();
            assert!(fault.contains(says) && !fault.contains('\n'), "{fault}");
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_its_bytes_come() {
        let mut d = Dealer::new("x");
        d.on_bytes(&router()).expect("a router");
        let head = |size: u64| [&[LONG][..], &size.to_be_bytes()].concat();
        assert_eq!(d.on_bytes(&head(FRAME_BYTES as u64)), Ok(vec![]));
        let mut d = Dealer::new("x");
        d.on_bytes(&router()).expect("a router");
        assert_eq!(d.on_bytes(&head(FRAME_BYTES as u64 + 1)), Err(Fault::TooLong(FRAME_BYTES as u64 + 1)));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(sizes in prop::collection::vec(0_usize..600, 0..6), cut in 1_usize..90) {
            let mut all = router();
            for (n, size) in sizes.iter().enumerate() {
                all.extend(frame(0, &vec![n as u8; *size]));
                all.extend(frame(COMMAND, b"\x04PING\0\0c"));
            }
            let mut whole = Dealer::new("x");
            let events = whole.on_bytes(&all).expect("sound");
            prop_assert_eq!(events.len(), sizes.len() + 1);
            let mut split = Dealer::new("x");
            let mut seen = Vec::new();
            for piece in all.chunks(cut) {
                seen.extend(split.on_bytes(piece).expect("sound"));
            }
            prop_assert_eq!(seen, events);
            prop_assert_eq!(split.take_output(), whole.take_output());
            prop_assert!(split.unread.is_empty());
        }

        #[test]
        fn any_bytes_end_in_one_line_and_bounded_memory(noise in prop::collection::vec(any::<u8>(), 0..400), keep in 0_usize..110, cut in 1_usize..50) {
            let mut all = router();
            all.truncate(keep);
            all.extend(noise);
            let mut d = Dealer::new("x");
            for piece in all.chunks(cut) {
                match d.on_bytes(piece) {
                    Ok(_) => prop_assert!(d.unread.len() <= FRAME_BYTES + 9 + cut),
                    Err(fault) => {
                        prop_assert!(!fault.to_string().contains('\n'));
                        break;
                    }
                }
            }
        }
    }
}
