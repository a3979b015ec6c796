//! A relay between a worker and its master that cuts one report on its way, and the connection with it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// A report as msgpack begins it: an array of three, and the string `stats`.
const REPORT: &[u8] = b"\x93\xa5stats";

pub(crate) struct Relay {
    pub(crate) port: u16,
    has_cut: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    accepts: Option<JoinHandle<()>>,
}

impl Relay {
    /// To a master on this host. The first report does not arrive.
    pub(crate) fn start(master: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let [has_cut, over] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let (cut, end) = (Arc::clone(&has_cut), Arc::clone(&over));
        let accepts = thread::spawn(move || {
            let mut passing = Vec::new();
            while let Ok((worker, _)) = listener.accept() {
                if end.load(Ordering::SeqCst) {
                    break;
                }
                // A master that is not there is none through a relay either.
                let Ok(master) = TcpStream::connect(("127.0.0.1", master)) else { continue };
                for (from, to, cut) in [(&worker, &master, Some(Arc::clone(&cut))), (&master, &worker, None)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    passing.push(thread::spawn(move || pass(from, to, cut.as_deref())));
                }
            }
            for thread in passing {
                thread.join().unwrap();
            }
        });
        Self { port, has_cut, over, accepts: Some(accepts) }
    }

    /// Whether a report was cut.
    pub(crate) fn has_cut(&self) -> bool {
        self.has_cut.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    /// Connections end when worker or master do.
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(accepts) = self.accepts.take() {
            let _ = accepts.join();
        }
    }
}

/// Until one end closes. Where `cut` is given and was not done, bytes that hold a report are dropped, and the connection ends.
fn pass(mut from: TcpStream, mut to: TcpStream, cut: Option<&AtomicBool>) {
    let mut room = vec![0; 64 * 1024];
    while let Ok(n) = from.read(&mut room) {
        let bytes = &room[..n];
        let is_report = bytes.windows(REPORT.len()).any(|at| at == REPORT);
        if n == 0 || (is_report && cut.is_some_and(|cut| !cut.swap(true, Ordering::SeqCst))) || to.write_all(bytes).is_err() {
            break;
        }
    }
    for end in [&from, &to] {
        let _ = end.shutdown(Shutdown::Both);
    }
}
