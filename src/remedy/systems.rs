//! Source ports of the three systems as they are installed, and as wide and as short as they can be made.
//!
//! Linux: measured. Windows and macOS: documentation, not measured.

use crate::model::budget::{Budget, LINUX_HOLD_S};
use crate::model::explanation::Os;

/// What one system gives a client.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct System {
    /// P by default
    pub pool: u32,
    /// T by default, seconds
    pub hold_s: f64,
    /// P of the range that [`super::catalogue::Name::WiderRange`] sets
    pub wide_pool: u32,
    /// T that [`super::catalogue::Name::TwReuse`] sets, seconds
    pub short_hold_s: f64,
    /// where P and T come from
    pub source: &'static str,
}

impl System {
    /// By its kind.
    pub const fn of(os: Os) -> Self {
        match os {
            Os::Linux => Self {
                pool: 28_232,
                hold_s: LINUX_HOLD_S,
                wide_pool: 64_512,
                short_hold_s: 1.0,
                source: "Linux: ip_local_port_range 32768-60999, TIME_WAIT 60 s",
            },
            Os::Windows => Self {
                pool: 16_384,
                hold_s: 120.0,
                wide_pool: 55_535,
                short_hold_s: 30.0,
                source: "Windows: dynamic ports 49152-65535, TIME_WAIT about 120 s; documentation, not measured",
            },
            Os::Macos => Self {
                pool: 16_384,
                hold_s: 30.0,
                wide_pool: 55_536,
                short_hold_s: 2.0,
                source: "macOS: ports 49152-65535, TIME_WAIT 2 x MSL of 15 s; documentation, not measured",
            },
        }
    }

    /// P and T by default.
    pub fn budget(self) -> Budget {
        Budget::new(self.pool, self.hold_s)
    }
}
