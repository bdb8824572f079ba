//! The part of the table for random numbers from counters.

use crate::args::philox::{RUN, Table};
use crate::scalar;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table = Table { words: scalar::philox::words, apart: None };

impl Kernels {
    /// Words that [`Kernels::philox_words`] makes side by side: cuts at multiples of it cost nothing.
    pub const PHILOX_RUN: usize = RUN;

    /// Writes the words of the elements from `start` on: Philox4x32 with 10 rounds, element `i` getting lane `i % 4` of
    /// the counter (i / 4, stream) under the key `seed`.
    pub fn philox_words(&self, seed: u64, stream: u64, start: u64, out: &mut [u32]) {
        let (skip, mut counter) = ((start % 4) as usize, start / 4);
        let (head, rest) = out.split_at_mut(if skip == 0 { 0 } else { (RUN - skip).min(out.len()) });
        let mut room = [[0; RUN]];
        if !head.is_empty() {
            // SAFETY: `for_isa` hands out a table only when the CPU has its features.
            unsafe { (self.philox.words)(seed, stream, counter, &mut room) };
            head.copy_from_slice(&room[0][skip..][..head.len()]);
            counter = counter.wrapping_add(RUN as u64 / 4);
        }
        let (runs, tail) = rest.as_chunks_mut::<RUN>();
        // SAFETY: as above.
        unsafe { (self.philox.words)(seed, stream, counter, runs) };
        if !tail.is_empty() {
            let last = counter.wrapping_add(RUN as u64 / 4 * runs.len() as u64);
            // SAFETY: as above.
            unsafe { (self.philox.words)(seed, stream, last, &mut room) };
            tail.copy_from_slice(&room[0][..tail.len()]);
        }
    }

    /// The same; of every sixteen words the second and the third four are swapped, as [`Kernels::merge_voted`] takes them.
    ///
    /// # Panics
    /// `out` is not a multiple of sixteen words.
    pub fn philox_words_apart(&self, seed: u64, stream: u64, start: u64, out: &mut [u32]) {
        let (blocks, []) = out.as_chunks_mut::<16>() else { panic!("{} words", out.len()) };
        match (self.philox.apart, blocks.as_flattened_mut().as_chunks_mut::<RUN>()) {
            // SAFETY: `for_isa` hands out a table only when the CPU has its features.
            (Some(apart), (runs, [])) if start.is_multiple_of(4) => unsafe { apart(seed, stream, start / 4, runs) },
            _ => {
                self.philox_words(seed, stream, start, blocks.as_flattened_mut());
                blocks.iter_mut().for_each(scalar::philox::swap);
            }
        }
    }
}
