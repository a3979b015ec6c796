//! One row of a rehearsal, inside its private namespace: a sockbench server, the row's connections, and a count of the
//! TIME_WAIT on either side afterwards.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::accident::Setting;
use super::judge::Inside;
use super::rows::{self, Shape, Size, Spec};
use crate::load::run::UsersNow;
use crate::model::plan::{LoadPlan, MixEntry, Target, Think};
use crate::model::rehearsal::Sides;
use crate::observe::{Baseline, LivePorts, socket_count};
use crate::stats::interval::{Interval, SecondSummary};
use crate::study::measured::{self, Watch};
use crate::study::own_server::OwnServer;
use crate::sys::clock;

/// The server's port; outside every pool of a rehearsal.
const PORT: u16 = 8080;
/// Users of a burst.
const USERS: u32 = 10;
/// Wait of a burst's user between two requests: a refused one tries again this soon.
const HURRY: Duration = Duration::from_millis(2);
/// Beyond the hold time, before ports are taken to be free.
const SLACK: Duration = Duration::from_millis(150);

/// Runs `spec` in this process's namespace. Errors: no server, no client.
pub fn run(spec: &Spec, size: Size) -> io::Result<Inside> {
    let destinations = if let Shape::Destinations(n) = spec.shape { n } else { 1 };
    let listen: Vec<SocketAddr> = rows::addresses(destinations).into_iter().map(|ip| (ip, PORT).into()).collect();
    let server = server(&listen)?;
    let mut runs = Vec::new();
    for (i, step) in steps(spec, size, &listen).into_iter().enumerate() {
        if i > 0
            && let Shape::BurstsWithWaits(_) = spec.shape
        {
            clock::sleep(rows::SHORT_HOLD + SLACK);
        }
        runs.push(measured::measure(&step, Baseline::of(&step), Some(server.pid()), "rehearse", &mut Silent)?.result);
    }
    let mut time_wait = Sides { client: Some(0), server: Some(0) };
    for dest in &listen {
        let seen = socket_count::towards(*dest);
        let seen = seen.known();
        time_wait.client = time_wait.client.zip(seen).map(|(n, c)| n + c.states.time_wait);
        time_wait.server = time_wait.server.zip(seen.and_then(|c| c.time_wait_target_side)).map(|(n, c)| n + c);
    }
    // The row needs nothing more from the server; the namespace ends with this process.
    let _ = server.stop();
    Ok(Inside { runs, time_wait })
}

/// The accident: a constant rate of short connections, with enough users that a pause delays nobody.
///
/// Errors: no server, no client.
pub fn accident(setting: &Setting) -> io::Result<Inside> {
    let server = server(&[([127, 0, 0, 1], PORT).into()])?;
    let plan = LoadPlan {
        users: (setting.rate * 2.0).ceil() as u32 + 10,
        duration: setting.duration,
        think: Think::default(),
        rate: setting.rate,
        ..short(server.addr())
    };
    let run = measured::measure(&plan, Baseline::of(&plan), Some(server.pid()), "rehearse", &mut Silent)?.result;
    let _ = server.stop();
    Ok(Inside { runs: vec![run], time_wait: Sides::default() })
}

fn server(listen: &[SocketAddr]) -> io::Result<OwnServer> {
    let flags = ["--io-workers", "1", "--cpu-workers", "1", "--cpu-iterations", "1"].map(String::from);
    OwnServer::start_at(listen, &flags).map_err(io::Error::other)
}

/// The load plans of a row.
fn steps(spec: &Spec, size: Size, listen: &[SocketAddr]) -> Vec<LoadPlan> {
    let pool = size.ports.min(size.asked);
    let burst = |addr: SocketAddr, requests: u64| {
        let mut plan = short(addr);
        plan.requests = requests;
        (spec.client)(&mut plan, size);
        plan
    };
    let first = listen[0];
    match spec.shape {
        Shape::Burst => vec![burst(first, spec.asked)],
        Shape::Paced(rate) => {
            let mut plan = burst(first, 0);
            plan.think = Think::default();
            plan.rate = f64::from(rate);
            plan.duration = Duration::from_secs_f64(spec.asked as f64 / plan.rate);
            vec![plan]
        }
        Shape::BurstsWithWaits(n) => (0..n).map(|_| burst(first, u64::from(pool))).collect(),
        Shape::Namespaces(_) => vec![burst(first, u64::from(pool))],
        Shape::Destinations(n) => {
            let share = |i: u64| spec.asked * (i + 1) / u64::from(n) - spec.asked * i / u64::from(n);
            listen.iter().zip(0..).map(|(addr, i)| burst(*addr, share(i))).collect()
        }
        Shape::LateReuseAddr => {
            let early = burst(first, u64::from(pool));
            let mut late = burst(first, spec.asked - u64::from(pool));
            late.reuse_addr = true;
            vec![early, late]
        }
    }
}

/// Short connections to `/health` that the client closes first, by a few users in a hurry.
fn short(addr: SocketAddr) -> LoadPlan {
    LoadPlan {
        users: USERS,
        duration: Duration::from_secs(30),
        think: Think::uniform(HURRY, HURRY),
        keepalive: false,
        ..LoadPlan::new(Target::own(addr), vec![MixEntry { path: "/health".into(), weight: 1 }])
    }
}

/// A watch that watches nothing.
#[derive(Debug)]
struct Silent;

impl Watch for Silent {
    fn on_interval(&mut self, _: &Interval) {}
    fn on_second(&mut self, _: &SecondSummary, _: UsersNow, _: Option<&LivePorts>) {}
    fn is_stopped(&mut self) -> bool {
        false
    }
}
