//! Masks with fewer bits than they shall have.

/// The places among the last n of m.
pub(crate) fn last(n: usize, m: usize) -> u32 {
    ((1u64 << m) - (1u64 << (m - n))) as u32
}

/// See [`crate::Kernels::complete_words`].
#[inline]
pub(crate) fn complete_words(masks: &mut [u32], n: usize, m: usize) -> bool {
    let mut over = false;
    for mask in masks {
        let bits = mask.count_ones() as usize;
        over |= bits > n;
        let mut free = last(n, m) & !*mask;
        for _ in bits..n {
            *mask |= free & free.wrapping_neg();
            free &= free.wrapping_sub(1);
        }
    }
    over
}
