//! Random numbers from counters: Philox4x32 with 10 rounds (Salmon et al. 2011).

use crate::args::philox::{MULTIPLIERS, ROUNDS, RUN, WEYL};

const SIDE: usize = RUN / 4;

/// See [`crate::Kernels::philox_words`].
///
/// Counters go through the rounds side by side, so that the compiler puts them into vectors.
pub(crate) fn words(seed: u64, stream: u64, first: u64, out: &mut [[u32; RUN]]) {
    for (run, out) in out.iter_mut().enumerate() {
        let at: [u64; SIDE] = std::array::from_fn(|i| first.wrapping_add((run * SIDE + i) as u64));
        let (mut a, mut b) = (at.map(|at| at as u32), at.map(|at| (at >> 32) as u32));
        let (mut c, mut d) = ([stream as u32; SIDE], [(stream >> 32) as u32; SIDE]);
        let (mut k0, mut k1) = (seed as u32, (seed >> 32) as u32);
        for _ in 0..ROUNDS {
            for i in 0..SIDE {
                let left = u64::from(a[i]) * MULTIPLIERS[0];
                let right = u64::from(c[i]) * MULTIPLIERS[1];
                a[i] = (right >> 32) as u32 ^ b[i] ^ k0;
                b[i] = right as u32;
                c[i] = (left >> 32) as u32 ^ d[i] ^ k1;
                d[i] = left as u32;
            }
            k0 = k0.wrapping_add(WEYL[0]);
            k1 = k1.wrapping_add(WEYL[1]);
        }
        for (i, four) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            *four = [a[i], b[i], c[i], d[i]];
        }
    }
}

/// Swaps the second and the third four of sixteen words.
pub(crate) fn swap(words: &mut [u32; 16]) {
    let (front, back) = words.split_at_mut(8);
    front[4..].swap_with_slice(&mut back[..4]);
}
