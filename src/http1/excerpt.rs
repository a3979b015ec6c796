//! A few received bytes, kept for a report in case the answer fails. Fixed in size: no answer makes it grow.

/// Most bytes kept: what an excerpt of 80 characters can show.
const BYTES: usize = 80;

/// The first bytes of an answer, or the line of it that is wrong.
#[derive(Debug, Clone, Copy)]
pub struct Excerpt {
    bytes: [u8; BYTES],
    len: u8,
}

impl Default for Excerpt {
    fn default() -> Self {
        Self { bytes: [0; BYTES], len: 0 }
    }
}

impl Excerpt {
    /// What is kept.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Appends as much of `more` as there is room for.
    pub(super) fn extend(&mut self, more: &[u8]) {
        let at = usize::from(self.len);
        let n = more.len().min(BYTES - at);
        self.bytes[at..at + n].copy_from_slice(&more[..n]);
        self.len += n as u8;
    }

    /// Keeps the beginning of `bytes` in place of what is there.
    pub(super) fn set(&mut self, bytes: &[u8]) {
        self.clear();
        self.extend(bytes);
    }
}
