//! Random numbers from counters: Philox4x32 with 10 rounds (Salmon et al. 2011).

use crate::par;
use sparsefmt_kernels::Kernels;

/// Writes the words of the elements from `start` on.
pub fn philox_words(seed: u64, stream: u64, start: u64, out: &mut [u32]) {
    let ranges = par::cut(out.len(), Kernels::PHILOX_RUN, out.len() * 8);
    let outs = par::split_mut(out, ranges.iter().map(ExactSizeIterator::len));
    par::map(ranges.into_iter().zip(outs).collect(), |(range, out)| {
        Kernels::active().philox_words(seed, stream, start.wrapping_add(range.start as u64), out);
    });
}
