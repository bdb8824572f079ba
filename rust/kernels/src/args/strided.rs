//! Matrices of float32 with gaps.

/// A matrix of float32 with gaps: rows start `stride` items apart, and `width` of each, from `first` on, count.
#[derive(Clone, Copy, Debug)]
pub struct Strided<'a> {
    /// The items.
    pub items: &'a [f32],
    /// Rows.
    pub rows: usize,
    /// From one row to the next.
    pub stride: usize,
    /// The first column.
    pub first: usize,
    /// Columns, at most 64.
    pub width: usize,
}

impl Strided<'_> {
    /// Whether all rows lie in the items.
    pub(crate) fn is_inside(&self) -> bool {
        let last = self.rows.checked_sub(1).map_or(Some(0), |last| last.checked_mul(self.stride));
        let end = last.and_then(|last| last.checked_add(self.first)).and_then(|at| at.checked_add(self.width));
        self.width <= 64 && (self.rows == 0 || end.is_some_and(|end| end <= self.items.len()))
    }
}
