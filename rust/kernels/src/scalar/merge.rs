//! Rows merged into one: a bit of the result is set where it is set in any of them.

use std::ops::BitOrAssign;

/// See [`crate::Kernels::merge_u16`]. Row by row, because memory is fastest read in order.
#[inline(always)]
pub(crate) fn merge<T: Copy + Default + BitOrAssign>(rows: &[T], stride: usize, any: &mut [T]) {
    let mut rows = rows.chunks(stride);
    match rows.next() {
        Some(first) => any.copy_from_slice(&first[..any.len()]),
        None => any.fill(T::default()),
    }
    for row in rows {
        for (any, &item) in any.iter_mut().zip(row) {
            *any |= item;
        }
    }
}
