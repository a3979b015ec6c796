//! Scripted targets: blocking, a thread for each connection, until the process ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::ledger;
use crate::rig::LISTEN;

/// What a peer does with one connection.
pub(crate) type Script = fn(TcpStream);

/// Listens at [`LISTEN`] and plays `script` for each connection.
pub(crate) fn peer(script: Script) {
    let listener = TcpListener::bind(LISTEN).unwrap();
    std::thread::spawn(move || accept(&listener, script));
}

/// The same with a backlog of one, accepting only after `pause`; never, when there is none.
pub(crate) fn slow_to_accept(pause: Option<Duration>, script: Script) {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&LISTEN.parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.listen(1).unwrap();
    let listener = TcpListener::from(socket);
    std::thread::spawn(move || {
        std::thread::sleep(pause.unwrap_or(Duration::from_secs(60)));
        accept(&listener, script);
    });
}

fn accept(listener: &TcpListener, script: Script) {
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || {
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            ledger::on_accept();
            script(stream);
        });
    }
}

/// Reads one request head; false at the end of the stream.
pub(crate) fn read_head(stream: &mut TcpStream) -> bool {
    let (mut seen, mut chunk) = (Vec::new(), [0u8; 1024]);
    while !seen.ends_with(b"\r\n\r\n") {
        match stream.read(&mut chunk) {
            Ok(n) if n > 0 => seen.extend_from_slice(&chunk[..n]),
            _ => return false,
        }
    }
    ledger::on_request();
    true
}

/// Writes an answer; false when the connection is gone.
pub(crate) fn answer(stream: &mut TcpStream, text: &str) -> bool {
    let written = stream.write_all(text.as_bytes()).is_ok();
    if written {
        ledger::on_answer();
    }
    written
}

/// Writes a part of an answer; false when the connection is gone.
pub(crate) fn answer_part(stream: &mut TcpStream, text: &str) -> bool {
    stream.write_all(text.as_bytes()).is_ok()
}

/// 200 with a body of two bytes.
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Ends the connection with an RST.
pub(crate) fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// Answers everything at once.
pub(crate) fn good(mut stream: TcpStream) {
    while read_head(&mut stream) && answer(&mut stream, OK) {}
}
