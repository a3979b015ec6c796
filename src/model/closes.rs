//! Who ended the connections of a run. Re-exported by [`result`](super::result), whose document it is part of.

/// Who ended the connections.
#[apply(record)]
#[derive(Copy, Default)]
#[allow(missing_docs, reason = "contract keys")]
pub struct Closes {
    pub client: u64,
    pub server: u64,
    pub reset: u64,
    /// additive: answers that announced `Connection: close` (or were HTTP/1.0 without keep-alive)
    pub announced_by_target: u64,
    /// additive: kept connections that the target ended between two requests, by FIN; part of `server`
    #[serde(default)]
    pub idle_fin: u64,
    /// additive: the same by RST; part of `reset`
    #[serde(default)]
    pub idle_reset: u64,
}

impl std::ops::AddAssign for Closes {
    fn add_assign(&mut self, other: Self) {
        self.client = self.client.saturating_add(other.client);
        self.server = self.server.saturating_add(other.server);
        self.reset = self.reset.saturating_add(other.reset);
        self.announced_by_target = self.announced_by_target.saturating_add(other.announced_by_target);
        self.idle_fin = self.idle_fin.saturating_add(other.idle_fin);
        self.idle_reset = self.idle_reset.saturating_add(other.idle_reset);
    }
}
