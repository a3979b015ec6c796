//! One thing to do about a limit, on each system; and a limit as it was hit.

use std::net::IpAddr;

use super::catalogue::Way;
use super::catalogue::Way::{Command, No, Same};
use super::programs::Program;
use crate::model::address::Address;
use crate::model::explanation::{Exactly, FailedCall, KernelTable, Limit, Side};

/// A limit as hit: at which call, by whose socket, on the way to which address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) limit: Limit,
    pub(super) exactly: Option<Exactly>,
    pub(super) table: Option<KernelTable>,
    pub(super) call: FailedCall,
    pub(super) side: Option<Side>,
    pub(super) program: Option<Program>,
    pub(super) v4: V4,
    pub(super) network: Network,
}

/// The network that a failure was in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// the machine's, or one that is not known
    Machine,
    /// a private namespace, which has ended with the command; its settings are flags of the next one
    Private,
}

impl Network {
    /// The command as it is typed for the next run.
    pub(super) fn typed(self, way: Way) -> Option<String> {
        match (way, self) {
            (Way::Settings { values, .. }, Self::Private) => {
                let each = values.replace(" net.", " --sysctl net.");
                Some(format!("--sysctl {each}"))
            }
            _ => way.command().map(str::to_owned),
        }
    }
}

/// Whether the text shows an IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum V4 {
    /// a name, an IPv6 address, or none
    No,
    Loopback,
    Elsewhere,
}

impl Hit {
    pub(super) fn v4(address: Option<&Address>) -> V4 {
        match address.filter(|a| a.port.is_some()).and_then(Address::ip) {
            Some(IpAddr::V4(ip)) if ip.is_loopback() => V4::Loopback,
            Some(IpAddr::V4(_)) => V4::Elsewhere,
            Some(IpAddr::V6(_)) | None => V4::No,
        }
    }
}

/// One thing to do, on each system.
pub(super) struct Step {
    pub(super) action: &'static str,
    pub(super) linux: Way,
    pub(super) windows: Way,
    pub(super) macos: Way,
    pub(super) expected: &'static str,
    /// of no use from this on
    pub(super) useless: Option<V4>,
    /// its command needs the network that the failure was in
    pub(super) in_network: bool,
}

/// On no system, until it is said how.
pub(super) const fn step(action: &'static str) -> Step {
    Step { action, linux: No(""), windows: No(""), macos: No(""), expected: "", useless: None, in_network: false }
}

/// In words, on each system.
pub(super) const fn say(action: &'static str) -> Step {
    step(action).anywhere("")
}

/// It looks at the sockets of the network that the failure was in, or asks its target: of no use once that network has ended.
pub(super) const fn look(action: &'static str) -> Step {
    Step { in_network: true, ..step(action) }
}

impl Step {
    pub(super) const fn linux(self, command: &'static str) -> Self {
        Self { linux: Command(command), ..self }
    }

    pub(super) const fn settings(self, settings: Way) -> Self {
        Self { linux: settings, ..self }
    }

    pub(super) const fn windows(self, command: &'static str) -> Self {
        Self { windows: Command(command), ..self }
    }

    pub(super) const fn macos(self, command: &'static str) -> Self {
        Self { macos: Command(command), ..self }
    }

    /// On Linux, on Windows and on macOS.
    pub(super) const fn commands(self, linux: &'static str, windows: &'static str, macos: &'static str) -> Self {
        self.linux(linux).windows(windows).macos(macos)
    }

    /// The same command on each system.
    pub(super) const fn everywhere(self, command: &'static str) -> Self {
        self.commands(command, command, command)
    }

    /// Where each system keeps what programs said of themselves.
    pub(super) const fn log(self) -> Self {
        self.commands("journalctl --since -10min", "eventvwr", "log show --last 10m")
    }

    pub(super) const fn same_on_windows(self, how: &'static str) -> Self {
        Self { windows: Same(how), ..self }
    }

    pub(super) const fn same_on_macos(self, how: &'static str) -> Self {
        Self { macos: Same(how), ..self }
    }

    /// The command of Linux, and the same elsewhere.
    pub(super) const fn anywhere(self, command: &'static str) -> Self {
        self.linux(command).same_on_windows("").same_on_macos("")
    }

    pub(super) const fn expect(self, expected: &'static str) -> Self {
        Self { expected, ..self }
    }

    /// What it tries is known already where the text shows such an address.
    pub(super) const fn useless(self, from: V4) -> Self {
        Self { useless: Some(from), ..self }
    }

    /// Whether it is of use.
    pub(super) fn fits(&self, hit: Hit) -> bool {
        let is_there = !self.in_network || hit.network == Network::Machine;
        is_there && self.useless.is_none_or(|from| hit.v4 < from)
    }
}
