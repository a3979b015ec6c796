//! Commands with the address that a text shows, or in a form that needs none.

use crate::model::address::Address;

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

/// `text` with `address` in the places of HOST, PORT, ADDRESS and NAME.
pub fn filled(text: &str, address: Option<&Address>) -> String {
    let port = address.and_then(|a| a.port.as_ref());
    let mut out = text.to_owned();
    match port {
        Some(port) => out = out.replace("PORT", &port.to_string()),
        None => {
            for (with, without) in WITHOUT {
                out = out.replace(with, without);
            }
        }
    }
    // An address that stands for all of them is none to connect to.
    match address.filter(|a| !a.is_any()) {
        Some(at) => out.replace("HOST", &at.url_host()).replace("NAME", &at.url_host()).replace("ADDRESS", &at.host),
        None if port.is_some() => out.replace("HOST", "localhost"),
        None => out,
    }
}

#[cfg(test)]
mod tests {
    use crate::model::address::Address;

    #[test]
    fn a_known_address_is_filled_in_and_an_unknown_one_is_left_out() {
        let filled = |text: &str, address: Option<&str>| super::filled(text, address.map(Address::from).as_ref());
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
