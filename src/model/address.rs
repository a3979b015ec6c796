//! An address as a text or a list of sockets shows it: a host, a port, or both.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// `10.0.0.1:8080`, `[::1]:80`, `:3000`, `api.internal`: read from a text once, and written as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Address {
    /// a name or an IP address without brackets; empty where only a port is known
    pub host: String,
    /// none of a name that was only looked up
    pub port: Option<Port>,
}

/// A port as lists of sockets show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// its number
    Number(u16),
    /// the name of a service: `http-alt`
    Service(String),
}

impl Address {
    /// The host, where it is an IP address.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The host as URLs have it: an IPv6 address in brackets.
    pub fn url_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }

    /// It stands for every address of a machine: there is none to connect to.
    pub fn is_any(&self) -> bool {
        matches!(self.host.as_str(), "" | "*") || self.ip().is_some_and(|ip| ip.is_unspecified())
    }

    /// On this machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.ip().is_some_and(|ip| ip.is_loopback())
    }

    /// The port, where it is a number.
    pub fn port_number(&self) -> Option<u16> {
        match self.port {
            Some(Port::Number(n)) => Some(n),
            Some(Port::Service(_)) | None => None,
        }
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Self {
        let bare = |host: &str| host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host).to_owned();
        match text.rsplit_once(':') {
            // After the last colon comes the port, as Node.js and netstat write `::1:3000`.
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse().map_or_else(|_| Port::Service(port.to_owned()), Port::Number);
                Self { host: bare(host), port: Some(port) }
            }
            _ => Self { host: bare(text), port: None },
        }
    }
}

impl From<String> for Address {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<SocketAddr> for Address {
    fn from(at: SocketAddr) -> Self {
        Self::from(at.to_string())
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url_host())?;
        self.port.as_ref().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Service(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_was_read() {
        for (text, host, port) in [
            ("10.0.0.1:8080", "10.0.0.1", Some(8080)),
            ("[::1]:80", "::1", Some(80)),
            ("[fe80::1%eth0]:80", "fe80::1%eth0", Some(80)),
            (":3000", "", Some(3000)),
            ("*:80", "*", Some(80)),
            ("*:http-alt", "*", None),
            ("api.internal", "api.internal", None),
            ("localhost:81", "localhost", Some(81)),
        ] {
            let address = Address::from(text);
            assert_eq!((address.host.as_str(), address.port_number()), (host, port), "{text}");
            assert_eq!(address.to_string(), text);
            let json = serde_json::to_value(&address).unwrap();
            assert_eq!(json, text);
            assert_eq!(serde_json::from_value::<Address>(json).unwrap(), address);
        }
        assert_eq!(Address::from("::1:3000"), Address::from("[::1]:3000"));
        assert_eq!(Address::from("[::1]"), Address { host: "::1".into(), port: None });
    }

    #[test]
    fn which_machine_an_address_means() {
        for (text, is_any, is_loopback) in [
            ("0.0.0.0:80", true, false),
            ("[::]:80", true, false),
            (":80", true, false),
            ("*:80", true, false),
            ("127.0.0.5:80", false, true),
            ("[::1]:80", false, true),
            ("localhost:80", false, true),
            ("10.0.0.1:80", false, false),
            ("app:80", false, false),
        ] {
            let address = Address::from(text);
            assert_eq!((address.is_any(), address.is_loopback()), (is_any, is_loopback), "{text}");
        }
    }
}
