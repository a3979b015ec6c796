//! What a run was given beside its load: a private namespace with settings, flags of its own child server. Part of the
//! plan, so that the command of a remedy repeats it.

use serde::{Deserialize, Serialize};

use super::server_flags::ServerFlags;

/// The namespace and the own server of one run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Environment {
    /// a private network namespace
    pub sandbox: bool,
    /// settings written inside, in order
    pub sysctls: Vec<(String, String)>,
    /// further addresses inside, `IP/LEN`
    pub addresses: Vec<String>,
    /// flags of its own child server
    pub server: ServerFlags,
}

impl Environment {
    /// Writes this setting inside instead of any other value for the same key.
    pub fn set_sysctl(&mut self, key: &str, value: &str) {
        self.sysctls.retain(|(k, _)| k != key);
        self.sysctls.push((key.to_owned(), value.to_owned()));
    }
}
