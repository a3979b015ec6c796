//! Pasted lists of sockets (`ss -tan`, `netstat -an` of Linux, macOS and Windows) and their totals: how many ports are in
//! use to one destination, in which states.

use std::collections::HashMap;

use super::counts::whole;
use crate::model::explanation::Os;

/// Destinations that are distinguished; a server's list has one per client, and these never come near a pool.
const DESTINATIONS_MAX: usize = 100_000;

/// States by the words of all systems, as columns of [`Use`].
const STATES: &[(&str, State)] = &[
    ("time_wait", State::TimeWait),
    ("time-wait", State::TimeWait),
    ("timewait", State::TimeWait),
    ("wartend", State::TimeWait),
    ("established", State::Established),
    ("estab", State::Established),
    ("hergestellt", State::Established),
    ("syn_sent", State::Opening),
    ("syn-sent", State::Opening),
    ("close_wait", State::Closing),
    ("close-wait", State::Closing),
    ("schliessen_warten", State::Closing),
    ("fin_wait", State::Closing),
    ("fin_wait1", State::Closing),
    ("fin_wait2", State::Closing),
    ("fin_wait_1", State::Closing),
    ("fin_wait_2", State::Closing),
    ("fin-wait-1", State::Closing),
    ("fin-wait-2", State::Closing),
    ("last_ack", State::Closing),
    ("last-ack", State::Closing),
    ("closing", State::Closing),
    ("listen", State::Listening),
    ("listening", State::Listening),
    ("abhören", State::Listening),
    ("syn_recv", State::Other),
    ("syn-recv", State::Other),
    ("syn_received", State::Other),
    ("syn_rcvd", State::Other),
    ("closed", State::Other),
    ("unconn", State::Other),
    ("bound", State::Other),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    TimeWait,
    Established,
    Opening,
    Closing,
    Listening,
    Other,
}

/// Ports in use from one local address to one destination.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) time_wait: u64,
    pub(super) established: u64,
    pub(super) opening: u64,
    pub(super) closing: u64,
}

impl Use {
    pub(super) const fn ports(&self) -> u64 {
        self.time_wait.saturating_add(self.established).saturating_add(self.opening).saturating_add(self.closing)
    }

    const fn add(&mut self, state: State, n: u64) {
        let column = match state {
            State::TimeWait => &mut self.time_wait,
            State::Established => &mut self.established,
            State::Opening => &mut self.opening,
            State::Closing => &mut self.closing,
            State::Listening | State::Other => return,
        };
        *column = column.saturating_add(n);
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
    rows: u64,
    os: Option<Os>,
    sample: String,
}

/// The tightest part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tightest {
    /// the destination; none where the list gives totals only
    pub(super) destination: Option<String>,
    pub(super) used: Use,
    pub(super) rows: u64,
    /// the system whose list it is, where its columns show it
    pub(super) os: Option<Os>,
    pub(super) sample: String,
}

impl Sockets {
    /// Takes a printable line; whether it was part of a list.
    pub(super) fn take(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split_whitespace().collect();
        let taken = self.row(&words) || self.total(line, &words);
        if taken && self.sample.is_empty() {
            line.trim().clone_into(&mut self.sample);
        }
        taken
    }

    fn row(&mut self, words: &[&str]) -> bool {
        // Two addresses and a state; a log line has other words too.
        let Some((state_at, state)) = words.iter().enumerate().find_map(|(n, w)| Some((n, state(w)?))) else { return false };
        let addresses: Vec<(usize, &str)> =
            words.iter().enumerate().filter(|(_, w)| is_address(w)).map(|(n, w)| (n, *w)).collect();
        let &[(first, local), (second, peer), ..] = addresses.as_slice() else { return false };
        let others = words.iter().enumerate().filter(|(n, w)| {
            ![state_at, first, second].contains(n)
                && *n < second.max(state_at)
                && !w.bytes().all(|b| b.is_ascii_digit())
                && !is_protocol(w)
        });
        if second != first + 1 || others.count() > 0 {
            return false;
        }
        self.rows = self.rows.saturating_add(1);
        self.os = self.os.or_else(|| system(words, local));
        if state == State::Listening {
            self.listener(words, state_at, local);
            return true;
        }
        let (Some((address, _)), Some(_)) = (split(local), split(peer)) else { return true };
        let key = (address.to_owned(), peer.to_owned());
        if self.by_pair.len() < DESTINATIONS_MAX || self.by_pair.contains_key(&key) {
            self.by_pair.entry(key).or_default().add(state, 1);
        }
        true
    }

    /// `LISTEN 129 128 *:8080 *:*` of ss: the queue of connections that wait for accept(), and its limit.
    fn listener(&mut self, words: &[&str], state_at: usize, local: &str) {
        let queue = |n: usize| words.get(state_at + n).and_then(|w| w.parse::<u64>().ok());
        if let (Some(waiting), Some(limit)) = (queue(1), queue(2))
            && limit > 0
            && waiting > limit
            && self.overflowing.len() < 100
        {
            self.overflowing.push((local.to_owned(), waiting, limit));
        }
    }

    /// `TCP: 28300 (estab 12, closed 28250, orphaned 0, timewait 28232)`, `TCP: inuse 12 orphan 0 tw 28232 alloc 30 mem 3`,
    /// `28231 TIME_WAIT`, `TIME_WAIT 28231`.
    fn total(&mut self, line: &str, words: &[&str]) -> bool {
        let after = |key: &str| {
            words
                .iter()
                .position(|w| w.trim_start_matches('(') == key)
                .and_then(|n| whole(words.get(n + 1)?.trim_end_matches([',', ')'])))
        };
        let lower = line.trim_start().to_ascii_lowercase();
        let mut add = |state, n| {
            self.totals.add(state, n);
            self.rows = self.rows.saturating_add(n);
        };
        if lower.starts_with("tcp:")
            && let Some(n) = after("timewait").or_else(|| after("tw"))
        {
            add(State::TimeWait, n);
            self.os = Some(Os::Linux);
            return true;
        }
        let &[a, b] = words else { return false };
        let Some((state, n)) = state(a).zip(whole(b)).or_else(|| state(b).zip(whole(a))) else { return false };
        add(state, n);
        true
    }

    /// Nothing was listed.
    pub(super) const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Listeners whose queue is over its limit: how many, and the first of them.
    pub(super) fn overflowing(&self) -> Option<(u64, &(String, u64, u64))> {
        self.overflowing.first().map(|first| (self.overflowing.len() as u64, first))
    }

    /// The destination that uses most ports; of totals alone, all of them.
    pub(super) fn tightest(&self) -> Option<Tightest> {
        let most = self.by_pair.iter().max_by(|a, b| a.1.ports().cmp(&b.1.ports()).then_with(|| b.0.cmp(a.0)));
        let of = |destination, used| Tightest { destination, used, rows: self.rows, os: self.os, sample: self.sample.clone() };
        match most {
            Some(((_, peer), used)) => Some(of(Some(peer.clone()), *used)),
            None if self.totals.ports() > 0 => Some(of(None, self.totals)),
            None => None,
        }
    }
}

fn state(word: &str) -> Option<State> {
    // Logs write such words too, but seldom as whole words in capitals.
    let is_listed = word.chars().all(|c| c.is_uppercase() || matches!(c, '_' | '-') || c.is_ascii_digit());
    let lower = word.to_lowercase();
    STATES.iter().find(|(name, _)| is_listed && *name == lower).map(|(_, state)| *state)
}

fn is_protocol(word: &str) -> bool {
    ["tcp", "tcp4", "tcp6", "tcp46"].contains(&word.to_ascii_lowercase().as_str())
}

/// `10.0.0.1:80`, `[::1]:80`, `*:*`, `10.0.0.1.80` (BSD), `*.8080`.
fn is_address(word: &str) -> bool {
    split(word).is_some() || word.ends_with(":*") || word.ends_with(".*") || word == "*.*"
}

/// Address and port; none where the port is none.
fn split(word: &str) -> Option<(&str, u16)> {
    let (address, port) = word.rsplit_once(':').or_else(|| word.rsplit_once('.'))?;
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | ':' | '[' | ']' | '*' | '%' | '-' | '_');
    let is_address =
        !address.is_empty() && address.chars().all(is_name) && address.contains(['.', ':', '*', '[']) || address == "localhost";
    if is_address { Some((address, port.parse().ok()?)) } else { None }
}

fn system(words: &[&str], local: &str) -> Option<Os> {
    if words.first() == Some(&"TCP") {
        Some(Os::Windows)
    } else if local.matches('.').count() >= 4 && !local.contains(':') {
        Some(Os::Macos)
    } else if words.iter().any(|w| w.contains('-') && state(w).is_some())
        || words.first() == Some(&"ESTAB")
        || words.first() == Some(&"tcp")
    {
        Some(Os::Linux)
    } else {
        None
    }
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
            assert_eq!((t.used.time_wait, t.used.established, t.os), (1, 1, Some(os)), "{text}");
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
            assert_eq!((t.used.time_wait, t.destination), (28232, None), "{text}");
        }
    }

    #[test]
    fn a_full_listen_queue_is_seen_and_log_lines_are_not_rows() {
        assert_eq!(listed("LISTEN 129 128 0.0.0.0:8080 0.0.0.0:*").overflowing().unwrap().1.1, 129);
        assert!(listed("LISTEN 0 128 0.0.0.0:8080 0.0.0.0:*").overflowing().is_none());
        for line in ["LISTEN on 10.0.0.1:80 for 10.0.0.2:90", "10.0.0.1:80 10.0.0.2:90 is ESTABLISHED", "TIME_WAIT is 60 seconds"]
        {
            assert!(listed(line).is_empty(), "{line}");
        }
    }
}
