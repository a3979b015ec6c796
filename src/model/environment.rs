//! What a run was given beside its load: a private namespace with settings, flags of the own child server. Part of
//! the plan, so that a remedy's command repeats it.

use serde::{Deserialize, Serialize};

/// The namespace and the own server of one run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Environment {
    /// a private network namespace
    pub sandbox: bool,
    /// settings written inside, in order
    pub sysctls: Vec<(String, String)>,
    /// further addresses inside, `IP/LEN`
    pub addresses: Vec<String>,
    /// flags of the own child server, `name=value` or a bare name, without dashes
    pub server: Vec<String>,
}

impl Environment {
    /// The own server's flag `name`, where it was given; the last one counts.
    pub fn server_flag(&self, name: &str) -> Option<&str> {
        self.server.iter().rev().find_map(|f| f.split_once('=').filter(|(n, _)| *n == name).map(|(_, value)| value))
    }

    /// Gives the own server this flag instead of any of the same name.
    pub fn set_server_flag(&mut self, name: &str, value: impl std::fmt::Display) {
        self.server.retain(|f| f.split_once('=').map_or(f.as_str(), |(n, _)| n) != name);
        self.server.push(format!("{name}={value}"));
    }

    /// Writes this setting inside instead of any other value for the same key.
    pub fn set_sysctl(&mut self, key: &str, value: &str) {
        self.sysctls.retain(|(k, _)| k != key);
        self.sysctls.push((key.to_owned(), value.to_owned()));
    }

    /// Flags as words of a command line (`--cpu-workers 1`) to `name=value`.
    pub fn server_from_words(words: &[String]) -> Vec<String> {
        let mut flags: Vec<String> = Vec::new();
        for word in words {
            match (word.strip_prefix("--"), flags.last_mut()) {
                (Some(name), _) => flags.push(name.to_owned()),
                (None, Some(flag)) => *flag = format!("{flag}={word}"),
                (None, None) => flags.push(word.clone()),
            }
        }
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_flags_and_a_flag_is_replaced() {
        let words = ["--cpu-workers", "1", "--keepalive", "off"].map(str::to_owned);
        let mut around = Environment { server: Environment::server_from_words(&words), ..Environment::default() };
        assert_eq!(around.server, ["cpu-workers=1", "keepalive=off"]);
        around.set_server_flag("cpu-workers", 2);
        assert_eq!(around.server, ["keepalive=off", "cpu-workers=2"]);
        assert_eq!((around.server_flag("cpu-workers"), around.server_flag("queue")), (Some("2"), None));
    }
}
