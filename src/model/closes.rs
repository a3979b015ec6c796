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

adds_up!(Closes: client, server, reset, announced_by_target, idle_fin, idle_reset);
