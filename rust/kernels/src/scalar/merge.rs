//! Rows merged into one: a bit of the result is set where it is set in any of them.

use std::ops::BitOrAssign;

/// See [`crate::Kernels::merge_u16`].
#[inline]
pub(crate) fn merge<T: Copy + Default + BitOrAssign>(rows: &[T], stride: usize, any: &mut [T]) {
    any.fill(T::default());
    for row in rows.chunks(stride) {
        for (any, &item) in any.iter_mut().zip(row) {
            *any |= item;
        }
    }
}
