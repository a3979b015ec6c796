//! One line of a list of sockets, in the formats of all systems: `ss`, `netstat`, PowerShell, `lsof`, `/proc/net/tcp`,
//! `conntrack -L`, and counts of `uniq -c`.

use super::counts::whole;
use crate::model::explanation::Os;

/// What a line lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Row {
    /// connections from one local address to one destination
    Connection { local: String, peer: String, state: State, n: u64 },
    /// a listener: address, connections that wait for accept(), and how many may
    Listener { address: String, queue: Option<(u64, u64)> },
    /// connections in one state, without their addresses
    Total { state: State, n: u64 },
    /// a row of the list that counts for nothing
    Other,
    /// the head of a list: rows follow
    Head,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    TimeWait,
    Established,
    Opening,
    Closing,
    Listening,
    /// the list is of one state, which its rows do not name
    Unsaid,
    Other,
}

/// States: their words on all systems, without what joins them (`TIME_WAIT`, `TIME-WAIT`, `TimeWait`), and their numbers in
/// `/proc/net/tcp` (include/net/tcp_states.h).
const STATES: &[(State, &[&str], &[&str])] = &[
    (State::TimeWait, &["timewait", "wartend"], &["06"]),
    (State::Established, &["established", "estab", "hergestellt"], &["01"]),
    (State::Opening, &["synsent", "syngesendet"], &["02"]),
    (State::Closing, &["closewait", "finwait", "finwait1", "finwait2", "lastack", "closing"], &["04", "05", "08", "09", "0B"]),
    (State::Closing, &["schliessenwarten", "finwarten1", "finwarten2", "letztebest"], &[]),
    (State::Listening, &["listen", "listening", "abhören"], &["0A"]),
    (State::Other, &["synrecv", "synreceived", "synrcvd", "synempfangen", "closed", "unconn", "bound"], &["03", "07"]),
];

/// What a printable line lists, and whose system writes it so; `in_list`: rows of a list came before it.
pub(super) fn row(line: &str, in_list: bool) -> Option<(Row, Option<Os>)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if is_head(line) {
        return Some((Row::Head, None));
    }
    addressed(&words)
        .or_else(|| powershell(&words).map(|row| (row, Some(Os::Windows))))
        .or_else(|| lsof(&words).map(|row| (row, None)))
        .or_else(|| proc_net_tcp(&words).map(|row| (row, Some(Os::Linux))))
        .or_else(|| conntrack(&words).map(|row| (row, Some(Os::Linux))))
        .or_else(|| total(line, &words))
        .or_else(|| if in_list { stateless(&words).map(|row| (row, Some(Os::Linux))) } else { None })
        .or_else(|| queue(&words, in_list).map(|row| (row, Some(Os::Macos))))
}

/// Column heads of lists whose rows do not show by themselves what they are.
fn is_head(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    ["recv-q", "rem_address", "remoteaddress", "maxqlen"].iter().any(|w| lower.contains(w))
        || lower.contains("local address") && (lower.contains("state") || lower.trim_start().starts_with("proto "))
}

/// Two addresses and a state; a log line has other words too.
fn addressed(words: &[&str]) -> Option<(Row, Option<Os>)> {
    let (state_at, state) = words.iter().enumerate().find_map(|(n, w)| Some((n, state(w)?)))?;
    let named = is_protocol(words.first().copied().unwrap_or_default());
    let addresses: Vec<(usize, &str)> =
        words.iter().enumerate().filter(|(_, w)| is_address(w, named)).map(|(n, w)| (n, *w)).collect();
    let &[(first, local), (second, peer), ..] = addresses.as_slice() else { return None };
    let others = words.iter().enumerate().filter(|(n, w)| {
        ![state_at, first, second].contains(n)
            && *n < second.max(state_at)
            && !w.bytes().all(|b| b.is_ascii_digit())
            && !is_protocol(w)
    });
    if second != first + 1 || others.count() > 0 {
        return None;
    }
    let os = system(words, local);
    if state == State::Listening {
        let queue = |n: usize| words.get(state_at + n).and_then(|w| w.parse::<u64>().ok());
        return Some((Row::Listener { address: local.to_owned(), queue: queue(1).zip(queue(2)) }, os));
    }
    let row = match split(local) {
        Some((address, _)) if split(peer).is_some() || (named && !peer.ends_with('*')) => {
            Row::Connection { local: address.to_owned(), peer: peer.to_owned(), state, n: 1 }
        }
        _ => Row::Other,
    };
    Some((row, os))
}

/// `127.0.0.1  49152  127.0.0.1  5000  TimeWait  0` of Get-NetTCPConnection.
fn powershell(words: &[&str]) -> Option<Row> {
    let &[local, local_port, peer, peer_port, state_word, ..] = words else { return None };
    let is_host = |w: &str| w.contains(['.', ':']) && w.chars().all(|c| c.is_ascii_hexdigit() || ".:%".contains(c));
    let (_, port): (u16, u16) = (local_port.parse().ok()?, peer_port.parse().ok()?);
    if !is_host(local) || !is_host(peer) {
        return None;
    }
    Some(match state(state_word)? {
        State::Listening => Row::Listener { address: format!("{local}:{local_port}"), queue: None },
        State::Other => Row::Other,
        state => Row::Connection { local: local.to_owned(), peer: format!("{peer}:{port}"), state, n: 1 },
    })
}

/// `... TCP 10.0.0.2:40000->10.0.0.1:8080 (ESTABLISHED)`
fn lsof(words: &[&str]) -> Option<Row> {
    let at = words.iter().position(|w| *w == "TCP")?;
    let (local, peer) = words.get(at + 1)?.split_once("->")?;
    let state = state(words.get(at + 2)?.strip_prefix('(')?.strip_suffix(')')?)?;
    let (address, _) = local.rsplit_once(':')?;
    Some(Row::Connection { local: address.to_owned(), peer: peer.to_owned(), state, n: 1 })
}

/// `0: 0200000A:9C40 0100000A:1F90 06 ...`
fn proc_net_tcp(words: &[&str]) -> Option<Row> {
    let &[number, local, peer, st, queues, ..] = words else { return None };
    let is_hex = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_hexdigit());
    let pair = |w: &str| w.split_once(':').is_some_and(|(a, p)| is_hex(a) && a.len() >= 8 && is_hex(p));
    if !number.strip_suffix(':').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())) || !pair(local) || !pair(queues) {
        return None;
    }
    let state = STATES.iter().find(|(.., numbers)| numbers.contains(&st)).map(|(state, ..)| *state)?;
    let (address, _) = local.split_once(':')?;
    Some(match state {
        State::Listening | State::Other => Row::Other,
        _ => Row::Connection { local: address.to_owned(), peer: dotted(peer), state, n: 1 },
    })
}

/// An address of `/proc/net/tcp` as people write it; IPv6 stays as it is.
fn dotted(hex: &str) -> String {
    let Some((address, port)) = hex.split_once(':') else { return hex.to_owned() };
    match (u32::from_str_radix(address, 16), u16::from_str_radix(port, 16)) {
        (Ok(a), Ok(port)) if address.len() == 8 => {
            let [a, b, c, d] = a.to_le_bytes();
            format!("{a}.{b}.{c}.{d}:{port}")
        }
        _ => hex.to_owned(),
    }
}

/// `tcp 6 117 TIME_WAIT src=10.0.0.2 dst=10.0.0.1 sport=40000 dport=8080 src=... [ASSURED]`
fn conntrack(words: &[&str]) -> Option<Row> {
    let value = |key: &str| words.iter().find_map(|w| w.strip_prefix(key));
    let state = words.iter().find_map(|w| state(w))?;
    let (local, peer, port) = (value("src=")?, value("dst=")?, value("dport=")?);
    Some(Row::Connection { local: local.to_owned(), peer: format!("{peer}:{port}"), state, n: 1 })
}

/// `0 0 10.0.0.2:40000 10.0.0.1:80`: `ss` with a filter for one state leaves its column out.
fn stateless(words: &[&str]) -> Option<Row> {
    let &[receive, send, local, peer, ..] = words else { return None };
    let _: (u64, u64) = (receive.parse().ok()?, send.parse().ok()?);
    let (address, _) = split(local)?;
    split(peer)?;
    Some(Row::Connection { local: address.to_owned(), peer: peer.to_owned(), state: State::Unsaid, n: 1 })
}

/// `tcp4  128/0/128  *.8080` of `netstat -L`: connections that wait, half-open ones, and how many may wait.
fn queue(words: &[&str], in_list: bool) -> Option<Row> {
    let &[protocol, lengths, address] = words else { return None };
    let lengths: Vec<u64> = lengths.split('/').map(|n| n.parse().ok()).collect::<Option<_>>()?;
    let &[waiting, _, limit] = lengths.as_slice() else { return None };
    (in_list && is_protocol(protocol)).then(|| Row::Listener { address: address.to_owned(), queue: Some((waiting, limit)) })
}

/// `TCP: 28300 (estab 12, closed 28250, orphaned 0, timewait 28232)`, `TCP: inuse 12 orphan 0 tw 28232 alloc 30 mem 3`,
/// `28231 TIME_WAIT`, `TIME_WAIT 28231`, `28104 10.0.0.1:8080 TIME_WAIT`.
fn total(line: &str, words: &[&str]) -> Option<(Row, Option<Os>)> {
    let after = |key: &str| {
        words
            .iter()
            .position(|w| w.trim_start_matches('(') == key)
            .and_then(|n| whole(words.get(n + 1)?.trim_end_matches([',', ')'])))
    };
    if line.trim_start().to_ascii_lowercase().starts_with("tcp:")
        && let Some(n) = after("timewait").or_else(|| after("tw"))
    {
        return Some((Row::Total { state: State::TimeWait, n }, Some(Os::Linux)));
    }
    match *words {
        [a, b] => {
            let (state, n) = state(a).zip(whole(b)).or_else(|| state(b).zip(whole(a)))?;
            Some((Row::Total { state, n }, None))
        }
        [n, a, b] if is_address(a, false) || is_address(b, false) => {
            let (peer, state) = state(b).map(|s| (a, s)).or_else(|| state(a).map(|s| (b, s)))?;
            Some((Row::Connection { local: String::new(), peer: peer.to_owned(), state, n: whole(n)? }, None))
        }
        // `16104 TimeWait {MSFT_NetTCPConnection ...}` of Group-Object.
        [n, name, group, ..] if group.starts_with('{') => {
            Some((Row::Total { state: state(name)?, n: whole(n)? }, Some(Os::Windows)))
        }
        _ => None,
    }
}

fn state(word: &str) -> Option<State> {
    // Logs write such words too, but seldom as whole words in capitals, or as PowerShell does.
    let is_listed = word.chars().all(|c| c.is_uppercase() || matches!(c, '_' | '-') || c.is_ascii_digit())
        || [
            "TimeWait",
            "Established",
            "CloseWait",
            "FinWait1",
            "FinWait2",
            "SynSent",
            "SynReceived",
            "LastAck",
            "Closing",
            "Listen",
            "Bound",
        ]
        .contains(&word);
    let joined = word.to_lowercase().replace(['_', '-'], "");
    STATES.iter().find(|(_, words, _)| is_listed && words.contains(&&*joined)).map(|(state, ..)| *state)
}

fn is_protocol(word: &str) -> bool {
    ["tcp", "tcp4", "tcp6", "tcp46"].contains(&word.to_ascii_lowercase().as_str())
}

/// `10.0.0.1:80`, `[::1]:80`, `*:*`, `10.0.0.1.80` (BSD), `*.8080`; `host:http-alt` where a protocol stands before it.
fn is_address(word: &str, by_name: bool) -> bool {
    let is_named = || {
        word.rsplit_once([':', '.']).is_some_and(|(host, service)| {
            host.starts_with(|c: char| c.is_alphanumeric())
                && host.chars().all(|c| c.is_alphanumeric() || ".-_".contains(c))
                && !service.is_empty()
                && service.chars().all(|c| c.is_alphanumeric() || c == '-')
        })
    };
    split(word).is_some() || word.ends_with(":*") || word.ends_with(".*") || word == "*.*" || (by_name && is_named())
}

/// Address and port; none where the port is none.
fn split(word: &str) -> Option<(&str, u16)> {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | ':' | '[' | ']' | '*' | '%' | '-' | '_');
    let part = |(address, port): (&'_ str, &'_ str)| {
        let is_address = !address.is_empty() && address.chars().all(is_name) && address.contains(['.', ':', '*', '['])
            || address == "localhost";
        port.parse::<u16>().ok().filter(|_| is_address)
    };
    // `::1.49152` of BSD has its port behind a dot.
    let (by_colon, by_dot) = (word.rsplit_once(':'), word.rsplit_once('.'));
    by_colon.and_then(|w| Some((w.0, part(w)?))).or_else(|| by_dot.and_then(|w| Some((w.0, part(w)?))))
}

fn system(words: &[&str], local: &str) -> Option<Os> {
    if words.first() == Some(&"TCP") {
        Some(Os::Windows)
    } else if (local.matches('.').count() >= 4 && !local.contains(':'))
        || words.first().is_some_and(|w| ["tcp4", "tcp46"].contains(w))
    {
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
