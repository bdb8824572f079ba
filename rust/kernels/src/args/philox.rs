//! Signatures of kernels of random numbers from counters, and their constants.

/// Rounds of Philox4x32.
pub(crate) const ROUNDS: usize = 10;
/// What the first and the third word of a counter are multiplied by.
pub(crate) const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// What the key grows by from round to round.
pub(crate) const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
/// Words of the counters that go through the rounds side by side.
pub(crate) const RUN: usize = 64;

/// The words of the counters from a first one on: seed, stream, first counter.
pub(crate) type Words = unsafe fn(u64, u64, u64, &mut [[u32; RUN]]);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) words: Words,
    /// Of every sixteen words the second and the third four swapped; `None`: swapped afterwards.
    pub(crate) apart: Option<Words>,
}
