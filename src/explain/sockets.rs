//! Pasted lists of sockets and their totals: how many ports are in use to one destination, in which states.

use std::collections::HashMap;

use super::socket_rows::{Row, State, row};
use crate::model::explanation::Os;
use crate::model::figures::count;

/// Destinations that are distinguished; a server's list has one per client, and these never come near a pool.
const DESTINATIONS_MAX: usize = 100_000;

/// What reports call the states of a port in use; a list that names no state is of ports in use too.
const IN_USE: [&str; 5] = ["TIME_WAIT", "established", "opening", "closing", "listed"];

/// Ports in use from one local address to one destination, by state as [`IN_USE`] has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Use([u64; IN_USE.len()]);

impl Use {
    pub(super) fn ports(&self) -> u64 {
        self.0.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    const fn add(&mut self, state: State, n: u64) {
        let at = match state {
            State::TimeWait => 0,
            State::Established => 1,
            State::Opening => 2,
            State::Closing => 3,
            State::Unsaid => 4,
            State::Listening | State::Other => return,
        };
        self.0[at] = self.0[at].saturating_add(n);
    }

    /// `28,231 TIME_WAIT, 12 established`
    pub(super) fn in_words(&self) -> String {
        let states = IN_USE.iter().zip(self.0).filter(|(_, n)| *n > 0);
        states.map(|(name, n)| format!("{} {name}", count(n))).collect::<Vec<_>>().join(", ")
    }
}

/// What a text lists.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// rows by local address and destination
    by_pair: HashMap<(String, String), Use>,
    /// totals by state, without a destination (`ss -s`, `uniq -c` over states)
    totals: Use,
    /// listeners whose queue is longer than its limit: address, waiting, limit
    overflowing: Vec<(String, u64, u64)>,
    /// it has a row of a list
    pub(super) is_listed: bool,
    os: Option<Os>,
    sample: String,
    /// the last line was the head of a list, or a row below it
    pub(super) in_list: bool,
}

/// The tightest part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tightest {
    /// the destination; none where the list gives totals only
    pub(super) destination: Option<String>,
    pub(super) used: Use,
    /// the system whose list it is, where its columns show it
    pub(super) os: Option<Os>,
    pub(super) sample: String,
}

impl Sockets {
    /// Takes a printable line; whether it was part of a list.
    pub(super) fn take(&mut self, line: &str) -> bool {
        let read = row(line, self.in_list);
        if !line.trim().is_empty() {
            self.in_list = matches!(read, Some((Row::Head, _))) || self.in_list && (read.is_some() || is_rule(line));
        }
        let Some((row, os)) = read else { return false };
        if row == Row::Head {
            return false;
        }
        self.is_listed |= !matches!(row, Row::Connection { n: 0, .. } | Row::Total { n: 0, .. });
        self.os = self.os.or(os);
        if self.sample.is_empty() {
            line.trim().clone_into(&mut self.sample);
        }
        match row {
            Row::Connection { local, peer, state, n } => {
                let key = (local, peer);
                if self.by_pair.len() < DESTINATIONS_MAX || self.by_pair.contains_key(&key) {
                    self.by_pair.entry(key).or_default().add(state, n);
                }
            }
            Row::Total { state, n } => self.totals.add(state, n),
            Row::Listener { address, queue } => self.listener(address, queue),
            Row::Other | Row::Head => {}
        }
        true
    }

    /// ss counts the limit itself as room for one more; `netstat -L` shows a queue at its limit as full.
    fn listener(&mut self, address: String, queue: Option<(u64, u64)>) {
        let is_full =
            |(waiting, limit): (u64, u64)| limit > 0 && (waiting > limit || self.os == Some(Os::Macos) && waiting == limit);
        if let Some((waiting, limit)) = queue.filter(|q| is_full(*q))
            && self.overflowing.len() < 100
        {
            self.overflowing.push((address, waiting, limit));
        }
    }

    /// Listeners whose queue is over its limit: how many, and the first of them.
    pub(super) fn overflowing(&self) -> Option<(u64, &(String, u64, u64))> {
        self.overflowing.first().map(|first| (self.overflowing.len() as u64, first))
    }

    /// The destination that uses most ports; of totals alone, all of them.
    pub(super) fn tightest(&self) -> Option<Tightest> {
        let most = self.by_pair.iter().max_by(|a, b| a.1.ports().cmp(&b.1.ports()).then_with(|| b.0.cmp(a.0)));
        let of = |destination, used| Tightest { destination, used, os: self.os, sample: self.sample.clone() };
        match most {
            Some(((_, peer), used)) => Some(of(Some(peer.clone()), *used)),
            None if self.totals.ports() > 0 => Some(of(None, self.totals)),
            None => None,
        }
    }
}

/// A line between the head of a list and its rows.
fn is_rule(line: &str) -> bool {
    line.chars().all(|c| "-= ".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Sockets {
        let mut s = Sockets::default();
        for line in text.lines() {
            s.take(line);
        }
        s
    }

    #[test]
    fn lists_of_every_system_are_counted_by_destination() {
        for (text, os) in [
            (
                "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process\nTIME-WAIT 0 0 10.0.0.2:40000 10.0.0.1:80\nESTAB 0 0 10.0.0.2:40001 10.0.0.1:80 users:((\"wrk\",pid=1,fd=3))\n",
                Os::Linux,
            ),
            ("tcp 0 0 10.0.0.2:40000 10.0.0.1:80 TIME_WAIT\ntcp 0 0 10.0.0.2:40001 10.0.0.1:80 ESTABLISHED 12/wrk\n", Os::Linux),
            ("tcp4 0 0 10.0.0.2.40000 10.0.0.1.80 TIME_WAIT\ntcp4 0 0 10.0.0.2.40001 10.0.0.1.80 ESTABLISHED\n", Os::Macos),
            (
                "  TCP    10.0.0.2:40000    10.0.0.1:80    TIME_WAIT    0\n  TCP  10.0.0.2:40001  10.0.0.1:80  ESTABLISHED 4711\n",
                Os::Windows,
            ),
            ("  TCP    10.0.0.2:40000    10.0.0.1:80    WARTEND\n  TCP  10.0.0.2:40001  10.0.0.1:80  HERGESTELLT\n", Os::Windows),
        ] {
            let t = listed(text).tightest().unwrap();
            assert_eq!((t.used.in_words().as_str(), t.os), ("1 TIME_WAIT, 1 established", Some(os)), "{text}");
            assert!(t.destination.unwrap().starts_with("10.0.0.1"), "{text}");
        }
    }

    #[test]
    fn totals_without_a_destination_are_counted() {
        for text in [
            "TCP:   28300 (estab 12, closed 28250, orphaned 0, timewait 28232)",
            "TCP: inuse 12 orphan 0 tw 28232 alloc 30 mem 3",
            "  28232 TIME_WAIT\n     12 LISTEN",
            "TIME_WAIT 28232",
        ] {
            let t = listed(text).tightest().unwrap();
            assert_eq!((t.used.0[0], t.destination), (28232, None), "{text}");
        }
    }

    #[test]
    fn a_full_listen_queue_is_seen_and_log_lines_are_not_rows() {
        assert_eq!(listed("LISTEN 129 128 0.0.0.0:8080 0.0.0.0:*").overflowing().unwrap().1.1, 129);
        assert!(listed("LISTEN 0 128 0.0.0.0:8080 0.0.0.0:*").overflowing().is_none());
        for line in ["LISTEN on 10.0.0.1:80 for 10.0.0.2:90", "10.0.0.1:80 10.0.0.2:90 is ESTABLISHED", "TIME_WAIT is 60 seconds"]
        {
            assert!(!listed(line).is_listed, "{line}");
        }
    }
}
