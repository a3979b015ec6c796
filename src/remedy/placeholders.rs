//! Commands with the address that a text shows, or in a form that needs none.

/// What stands for an address in commands and sentences, and what they are where the text shows none. The longer first.
const WITHOUT: &[(&str, &str)] = &[
    (" 'sport = :PORT'", ""),
    ("lsof -nP -iTCP:PORT ", "lsof -nP -iTCP "),
    ("netstat -ano | findstr :PORT", "netstat -ano | findstr LISTENING"),
    ("netstat -an -p tcp | grep PORT", "netstat -an -p tcp | grep LISTEN"),
    ("netstat -an | grep PORT", "netstat -an | grep LISTEN"),
    ("http://HOST:PORT/", "URL"),
    ("http://localhost:PORT/", "URL"),
    ("http://ADDRESS:PORT/", "URL"),
];

/// `text` with `address` (`10.0.0.1:8080`, `[::1]:80`, `:3000`, or a name) in the places of HOST, PORT, ADDRESS and NAME.
pub fn filled(text: &str, address: Option<&str>) -> String {
    let (host, port) = address.map_or((None, None), parts);
    let mut out = text.to_owned();
    match port {
        Some(port) => out = out.replace("PORT", port),
        None => {
            for (with, without) in WITHOUT {
                out = out.replace(with, without);
            }
        }
    }
    // An address that stands for all of them is none to connect to.
    let host = host.filter(|h| !matches!(*h, "" | "0.0.0.0" | "[::]"));
    match host {
        Some(host) => out.replace("HOST", host).replace("NAME", host).replace("ADDRESS", host.trim_matches(['[', ']'])),
        None if port.is_some() => out.replace("HOST", "localhost"),
        None => out,
    }
}

fn parts(address: &str) -> (Option<&str>, Option<&str>) {
    match address.rsplit_once(':') {
        Some((host, port)) => (Some(host), Some(port)),
        None => (Some(address), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_address_is_filled_in_and_an_unknown_one_is_left_out() {
        assert_eq!(filled("ss -ltnp 'sport = :PORT'", Some(":3000")), "ss -ltnp 'sport = :3000'");
        assert_eq!(filled("ss -ltnp 'sport = :PORT'", None), "ss -ltnp");
        assert_eq!(filled("curl -v http://HOST:PORT/", Some("10.0.0.1:80")), "curl -v http://10.0.0.1:80/");
        assert_eq!(filled("curl -v http://HOST:PORT/", Some("[::1]:80")), "curl -v http://[::1]:80/");
        assert_eq!(filled("curl -v http://HOST:PORT/", Some("0.0.0.0:80")), "curl -v http://localhost:80/");
        assert_eq!(filled("curl -v http://HOST:PORT/", None), "curl -v URL");
        assert_eq!(filled("getent hosts NAME", Some("api.internal")), "getent hosts api.internal");
        assert_eq!(filled("ip route get ADDRESS", Some("[2001:db8::1]:443")), "ip route get 2001:db8::1");
    }
}
