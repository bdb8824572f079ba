//! Two rows of 2:4 and the column that they are multiplied with, cut into steps of 128 columns: 32 groups, 12 bytes of
//! codes and 64 values each.

use crate::args::nm24_gemv::Nm24Row;
#[cfg(target_arch = "x86_64")]
use crate::prefetch::prefetch_ahead;

/// Columns of a step.
pub(crate) const COLS: usize = 128;

/// Bytes of codes of a step.
pub(crate) const CODES: usize = 12;

/// What stands behind each other in two rows and `x`: as many steps as are there in all of them.
#[derive(Clone, Copy)]
pub(crate) struct Steps<'a, T, X, const N: usize> {
    pub(crate) codes: [&'a [[u8; CODES]]; 2],
    pub(crate) values: [&'a [[T; N]]; 2],
    pub(crate) scale: [&'a [[f32; 2]]; 2],
    pub(crate) x: &'a [[X; COLS]],
}

impl<'a, T, X, const N: usize> Steps<'a, T, X, N> {
    pub(crate) fn new(rows: &[Nm24Row<'a, T>; 2], x: &'a [X]) -> Self {
        let [a, b] = rows;
        Self {
            codes: [a, b].map(|row| row.codes.as_chunks().0),
            values: [a, b].map(|row| row.values.as_chunks().0),
            scale: [a, b].map(|row| row.scale.as_chunks().0),
            x: x.as_chunks().0,
        }
        .first(usize::MAX)
    }

    /// The first steps, at most so many. There may be no scales at all.
    pub(crate) fn first(self, most: usize) -> Self {
        let Self { codes: [a, b], values: [c, d], x, scale } = self;
        let most = [a.len(), b.len(), c.len(), d.len(), x.len()].into_iter().fold(most, usize::min);
        let scaled = if scale[0].is_empty() { most } else { most.min(scale[0].len()).min(scale[1].len()) };
        Self {
            codes: [&a[..scaled], &b[..scaled]],
            values: [&c[..scaled], &d[..scaled]],
            scale: scale.map(|scale| &scale[..scaled.min(scale.len())]),
            x: &x[..scaled],
        }
    }
}

/// Room for a step that is not whole.
pub(crate) struct Room<T, X, const N: usize> {
    codes: [[u8; CODES]; 2],
    values: [[T; N]; 2],
    scale: [[f32; 2]; 2],
    x: [X; COLS],
}

impl<T: Copy + Default, X: Copy + Default, const N: usize> Room<T, X, N> {
    /// Step number `at`, zeros behind the end.
    #[cold]
    #[inline(never)]
    pub(crate) fn new(rows: &[Nm24Row<'_, T>; 2], x: &[X], at: usize) -> Self {
        /// Copies what there is.
        fn copy<T: Copy>(to: &mut [T], from: &[T], first: usize, end: usize) {
            let from = from.get(first..end.min(from.len())).unwrap_or_default();
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
        let values = [[T::default(); N]; 2];
        let mut room = Self { codes: [[0; CODES]; 2], values, scale: [[0.0; 2]; 2], x: [X::default(); COLS] };
        let groups = x.len().div_ceil(4);
        for (i, row) in rows.iter().enumerate() {
            copy(&mut room.codes[i], row.codes, CODES * at, (3 * groups).div_ceil(8));
            copy(&mut room.values[i], row.values, N * at, groups * N / (COLS / 4));
            copy(&mut room.scale[i], row.scale, 2 * at, row.scale.len());
        }
        copy(&mut room.x, x, COLS * at, x.len());
        room
    }

    pub(crate) fn steps(&self) -> Steps<'_, T, X, N> {
        Steps {
            codes: self.codes.each_ref().map(std::slice::from_ref),
            values: self.values.each_ref().map(std::slice::from_ref),
            scale: self.scale.each_ref().map(std::slice::from_ref),
            x: std::slice::from_ref(&self.x),
        }
    }
}

/// From the items of one row to those of the next but one, which come up when both rows are done.
#[cfg(target_arch = "x86_64")]
pub(crate) fn to_next<T>([a, b]: [&[T]; 2]) -> usize {
    (b.as_ptr() as usize).wrapping_sub(a.as_ptr() as usize).wrapping_mul(2) / size_of::<T>()
}

/// Asks for the lines of items that come up later.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn ahead<T, const N: usize>(items: &[T; N], far: usize) {
    for part in items.chunks((64 / size_of::<T>()).min(N)) {
        prefetch_ahead(part, far);
    }
}
