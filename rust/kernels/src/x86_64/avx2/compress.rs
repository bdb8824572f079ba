//! Set bits.

use crate::scalar;

/// See [`crate::Kernels::count_bits`]. The portable loop, with the instruction that counts.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub(crate) fn count_bits(bits: &[u8]) -> usize {
    scalar::compress::count_bits(bits)
}
