//! Addresses that a command's own words name: `http://HOST:PORT/`, `--host=HOST:PORT`, `HOST:PORT`.

use crate::model::address::Address;

/// Host and port of every address in `words`, each once. Port 80 or 443 where a URL has none.
pub fn named_addresses(words: &[String]) -> Vec<(String, u16)> {
    let mut found = Vec::new();
    for word in words.iter().flat_map(|w| w.split([' ', '\t', '\n', '\'', '"', ',', ';', '='])) {
        let address = of_url(word).or_else(|| of_pair(word));
        if let Some(address) = address
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

fn of_url(word: &str) -> Option<(String, u16)> {
    let (scheme, rest) = word.split_once("://")?;
    let default = match scheme.rsplit(|c: char| !c.is_ascii_alphabetic()).next()? {
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit('@').next()?;
    of_pair(authority).or_else(|| {
        let host = authority.trim_matches(['[', ']']);
        (!host.is_empty() && !host.contains(['$', '{'])).then(|| (host.to_owned(), default))
    })
}

fn of_pair(word: &str) -> Option<(String, u16)> {
    let address = Address::from(word);
    let port = address.port_number().filter(|port| *port > 0)?;
    let is_v6 = word.starts_with('[') && address.ip().is_some_and(|ip| ip.is_ipv6());
    let host = address.host;
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
    // `app:8080` may be anything; a bare word before a port is a host only where it looks like one.
    let is_host = host == "localhost" || host.contains('.') || is_v6;
    (is_host && host.chars().all(plain) && !host.starts_with('.')).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_load_tools_take_them() {
        let of = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            named_addresses(&words).into_iter().map(|(h, p)| format!("{h} {p}")).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(of("wrk -c 10 http://127.0.0.1:8080/x"), "127.0.0.1 8080");
        assert_eq!(of("locust --host=http://app.test --users 10"), "app.test 80");
        assert_eq!(of("ab -n 9 https://[::1]:8443/ https://a.b/"), "::1 8443, a.b 443");
        assert_eq!(of("tool 10.0.0.1:99 localhost:81 0:5 12:30:15 x.lua"), "10.0.0.1 99, localhost 81");
        assert_eq!(of("sh -c 'hey http://u:p@10.0.0.2/'"), "10.0.0.2 80");
        assert_eq!(of("locust http://$HOST/ --tags a:b"), "");
    }
}
