//! P source ports towards a destination, each in use for T after its connection: P/T connections a second.
//!
//! Not here: what decides T and what a rate comes to over time (`diagnose::ports`).

use std::time::Duration;

use super::plan::PortMode;

/// Linux keeps a closed connection's port this long (TCP_TIMEWAIT_LEN; no setting changes it).
pub const LINUX_HOLD_S: f64 = 60.0;
/// tcp_tw_reuse_delay's default, and the fixed value of kernels before 6.14.
pub const REUSE_DELAY_DEFAULT_MS: u32 = 1000;

/// Source ports towards one destination, and how long each stays in use after its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// P: source ports
    pub pool: u32,
    /// T: zero when a port is free at once
    pub hold: Duration,
    /// most sockets that TIME_WAIT keeps in this namespace (tcp_max_tw_buckets): further ones are dropped, and their ports
    /// are free at once
    pub time_wait_max: u32,
}

impl Budget {
    /// A budget; `hold_s` below zero or not finite counts as zero.
    pub fn new(pool: u32, hold_s: f64) -> Self {
        Self { pool, hold: Duration::try_from_secs_f64(hold_s).unwrap_or(Duration::ZERO), time_wait_max: u32::MAX }
    }

    /// The same where TIME_WAIT keeps at most so many sockets; `None`: as many as there are.
    #[must_use]
    pub fn capped_at(self, time_wait_max: Option<u64>) -> Self {
        let cap = time_wait_max.map_or(u32::MAX, |n| u32::try_from(n).unwrap_or(u32::MAX));
        Self { time_wait_max: cap, ..self }
    }

    /// TIME_WAIT keeps fewer sockets than the pool has ports: it cannot use the pool up. The price is that late packets of
    /// a dropped connection can reach the next one with the same ports.
    pub const fn is_capped(&self) -> bool {
        self.time_wait_max < self.pool
    }

    /// P/T, connections a second that can be sustained; infinite where a port is free at once, or TIME_WAIT is capped below
    /// the pool.
    pub fn ceiling_cps(&self) -> f64 {
        if self.is_capped() { f64::INFINITY } else { self.by_law() }
    }

    fn by_law(&self) -> f64 {
        let hold = self.hold.as_secs_f64();
        if hold > 0.0 { f64::from(self.pool) / hold } else { f64::INFINITY }
    }

    /// (P/2)/T: above it more than half of the pool is in use, and the kernel searches longer for a free port.
    pub fn search_cps(&self) -> f64 {
        if self.time_wait_max < self.pool / 2 { f64::INFINITY } else { self.by_law() / 2.0 }
    }

    /// P/T; none when no port stays in use.
    pub fn limit_cps(&self) -> Option<f64> {
        Some(self.ceiling_cps()).filter(|c| c.is_finite())
    }

    /// [`Self::search_cps`]; none when no port stays in use, where the kernel does not search (ring), or not by parity
    /// (IP_LOCAL_PORT_RANGE).
    pub fn search_limit_cps(&self, mode: PortMode) -> Option<f64> {
        match mode {
            PortMode::Ring | PortMode::Range => None,
            PortMode::Auto | PortMode::NoPort | PortMode::Bind => Some(self.search_cps()).filter(|c| c.is_finite()),
        }
    }

    /// Ports in use at a steady `rate`: r T, not capped by the pool, but by what TIME_WAIT keeps.
    pub fn held_at(&self, rate: f64) -> f64 {
        (rate * self.hold.as_secs_f64()).min(f64::from(self.time_wait_max))
    }
}
