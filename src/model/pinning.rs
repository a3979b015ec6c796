//! Which cores the threads of event loops run on.

/// `--pin`: whether each event loop has a core of its own.
///
/// With it, loop i of a server and thread i of a client run on the same core i of those allowed, and the server accepts
/// a connection on the core whose thread opened it: over loopback, with as many loops as threads, since Linux 6.2 (socket(7)
/// SO_INCOMING_CPU).
#[apply(lowercase)]
#[derive(Default, strum::EnumString)]
pub enum Pinning {
    /// the kernel chooses, and changes its mind
    #[default]
    Off,
    /// one core each, in order; beyond the last core from the first again
    Auto,
}

words!(Pinning);

impl Pinning {
    /// The core of event loop `index` among those `allowed`; none where the kernel is to choose.
    pub fn core(self, index: usize, allowed: &[usize]) -> Option<usize> {
        match self {
            Self::Off => None,
            Self::Auto => allowed.get(index.checked_rem(allowed.len())?).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_take_the_allowed_cores_in_turn() {
        let cores = |n| (0..n).map(|i| Pinning::Auto.core(i, &[2, 5])).collect::<Vec<_>>();
        assert_eq!(cores(3), [Some(2), Some(5), Some(2)]);
        assert_eq!(Pinning::Off.core(0, &[2, 5]), None);
        assert_eq!(Pinning::Auto.core(0, &[]), None, "the machine does not say");
    }
}
