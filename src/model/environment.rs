//! The environment of a run: a private namespace with settings, and the flags of sockbench's own server. Part of the
//! plan, so that the command of a remedy repeats it.

use super::server_flags::ServerFlags;

/// The namespace of one run, and the flags of its own server.
#[apply(record)]
#[derive(Default)]
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
