//! A set of small numbers that is emptied in ascending order, in time that grows with what is in it.

const LEVELS: usize = 4;

/// A bit per number, and above it a bit per word that is not empty, three times over.
pub(super) struct Set {
    levels: [Vec<u64>; LEVELS],
}

impl Set {
    /// Numbers below this fit into any set; the bits then take 512 KiB.
    pub(super) const MOST: usize = 1 << 22;

    /// An empty set for numbers below `bound`, at most [`Self::MOST`].
    pub(super) fn new(bound: usize) -> Self {
        let words = |level: u32| vec![0; bound.min(Self::MOST).div_ceil(64usize.pow(level + 1))];
        Self { levels: [words(0), words(1), words(2), words(3)] }
    }

    /// Adds a number below the bound.
    pub(super) fn insert(&mut self, number: usize) {
        let mut at = number;
        for words in &mut self.levels {
            let word = &mut words[at / 64];
            let first = *word == 0;
            *word |= 1 << (at % 64);
            if !first {
                return;
            }
            at /= 64;
        }
    }

    /// Empties the set and calls `take` with every number, ascending.
    pub(super) fn drain(&mut self, mut take: impl FnMut(usize)) {
        for word in 0..self.levels[LEVELS - 1].len() {
            self.drain_word(LEVELS - 1, word, &mut take);
        }
    }

    fn drain_word(&mut self, level: usize, at: usize, take: &mut impl FnMut(usize)) {
        let mut word = std::mem::take(&mut self.levels[level][at]);
        while word != 0 {
            let below = at * 64 + word.trailing_zeros() as usize;
            word &= word - 1;
            if level == 0 {
                take(below);
            } else {
                self.drain_word(level - 1, below, take);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_gives_back_what_was_put_in(rounds in prop::collection::vec(prop::collection::vec(0usize..300_000, 0..50), 1..4)) {
            let mut set = Set::new(300_000);
            for numbers in rounds {
                numbers.iter().for_each(|&number| set.insert(number));
                let mut got = Vec::new();
                set.drain(|number| got.push(number));
                prop_assert_eq!(got, numbers.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>());
            }
        }
    }
}
