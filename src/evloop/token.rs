//! The token of a slot: which one, and whose turn in it. A slot is used again and again, an event or a completion may be
//! late; its generation says which of the slot's connections it is for.

/// Counts the connections of a slot or of a loop; 31 bits, then it begins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Generation(u32);

impl Generation {
    /// The one after.
    #[must_use]
    pub const fn next(self) -> Self {
        Self((self.0 + 1) & (u32::MAX >> 1))
    }
}

/// A slot of a loop's table and a generation of it, in the bits of a poll's token. The upper half of all tokens is the
/// loop's: its waker, timer and listeners.
///
/// ```
/// use sockbench::testing::evloop::{Generation, SlotToken};
/// let token = SlotToken { slot: 7, generation: Generation::default().next() };
/// assert_eq!(SlotToken::of_bits(token.bits()), Some(token));
/// assert_eq!(SlotToken::of_bits(usize::MAX), None, "one of the loop's tokens");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotToken {
    /// place in the table
    pub slot: u32,
    /// whose
    pub generation: Generation,
}

const _: () = assert!(usize::BITS == 64, "slot and generation share a token");

impl SlotToken {
    /// The slot below, the generation above it.
    pub const fn bits(self) -> usize {
        (self.generation.0 as usize) << 32 | self.slot as usize
    }

    /// None for the loop's tokens.
    pub const fn of_bits(bits: usize) -> Option<Self> {
        let generation = (bits >> 32) as u32;
        if generation > u32::MAX >> 1 {
            return None;
        }
        Some(Self { slot: bits as u32, generation: Generation(generation) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_and_generation_comes_back_and_none_is_a_token_of_the_loop() {
        let last = Generation(u32::MAX >> 1);
        assert_eq!(last.next(), Generation::default());
        for slot in [0, 1, u32::MAX] {
            for generation in [Generation::default(), Generation(1), last] {
                let token = SlotToken { slot, generation };
                assert_eq!(SlotToken::of_bits(token.bits()), Some(token));
            }
        }
        assert_eq!(SlotToken::of_bits(SlotToken { slot: u32::MAX, generation: last }.bits() + 1), None);
    }
}
