//! Random numbers from counters: Philox4x32 with 10 rounds (Salmon et al. 2011).
//!
//! Sixteen counters go through the rounds side by side, so that the compiler puts them into vectors.

use crate::par;

const ROUNDS: usize = 10;
const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
/// Counters at once.
const SIDE: usize = 16;
/// Words of that many counters.
pub(crate) const RUN: usize = 4 * SIDE;

/// The words of the elements `4 * first` and on.
fn run(seed: u64, stream: u64, first: u64) -> [u32; RUN] {
    let at: [u64; SIDE] = std::array::from_fn(|i| first.wrapping_add(i as u64));
    let mut a = at.map(|at| at as u32);
    let mut b = at.map(|at| (at >> 32) as u32);
    let mut c = [stream as u32; SIDE];
    let mut d = [(stream >> 32) as u32; SIDE];
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
    let mut words = [0; RUN];
    for (i, four) in words.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        *four = [a[i], b[i], c[i], d[i]];
    }
    words
}

/// Writes the words of the elements from `start` on, by the caller.
pub(crate) fn fill(seed: u64, stream: u64, start: u64, out: &mut [u32]) {
    let skip = (start % 4) as usize;
    let mut counter = start / 4;
    let (head, rest) = out.split_at_mut(if skip == 0 { 0 } else { (RUN - skip).min(out.len()) });
    if !head.is_empty() {
        head.copy_from_slice(&run(seed, stream, counter)[skip..][..head.len()]);
        counter = counter.wrapping_add(SIDE as u64);
    }
    for chunk in rest.chunks_mut(RUN) {
        chunk.copy_from_slice(&run(seed, stream, counter)[..chunk.len()]);
        counter = counter.wrapping_add(SIDE as u64);
    }
}

/// Writes the words of the elements from `start` on.
pub fn philox_words(seed: u64, stream: u64, start: u64, out: &mut [u32]) {
    let ranges = par::cut(out.len(), RUN, out.len() * 8);
    let outs = par::split_mut(out, ranges.iter().map(ExactSizeIterator::len));
    par::map(ranges.into_iter().zip(outs).collect(), |(range, out)| {
        fill(seed, stream, start + range.start as u64, out)
    });
}
