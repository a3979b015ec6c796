//! Speed beside others over loopback: hands its arguments to scripts/speed.py, which says what it needs.
//!
//! `cargo bench --bench loopback -- --rounds 15 --seconds 3 --conns 10,100,1000,10000 --cores both --state speed.json`

use std::process::{Command, exit};

fn main() {
    // What cargo adds of its own.
    let args = std::env::args().skip(1).filter(|a| a != "--bench");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/speed.py");
    match Command::new("python3").arg(script).args(args).status() {
        Ok(status) => exit(status.code().unwrap_or(1)),
        Err(error) => panic!("python3 {script}: {error}"),
    }
}
