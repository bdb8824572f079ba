//! Masks with fewer bits than they shall have: the portable loop with `popcnt`.

use crate::scalar;

/// See [`crate::Kernels::complete_words`].
#[target_feature(enable = "bmi1,bmi2,popcnt")]
pub(crate) fn complete_words(masks: &mut [u32], n: usize, m: usize) -> bool {
    scalar::rank32::complete_words(masks, n, m)
}
