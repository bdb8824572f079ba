//! Arguments of the dynamic programme of k-means, and its signatures.

/// What one more cluster is added to: costs and sums of the first `i` values, at `i` (equal lengths).
#[derive(Clone, Copy, Debug)]
pub struct Clusters<'a> {
    /// The least cost with the clusters so far.
    pub before: &'a [f64],
    /// Sums of weights.
    pub w: &'a [f64],
    /// Sums of weights times values.
    pub s: &'a [f64],
    /// Sums of weights times squared values.
    pub q: &'a [f64],
}

pub(crate) type KmeansLeaf = unsafe fn(&Clusters<'_>, usize, usize, usize, &mut [f64], &mut [u32]);
pub(crate) type KmeansPivot = unsafe fn(&Clusters<'_>, usize, usize, usize) -> (f64, usize);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) leaf: KmeansLeaf,
    pub(crate) pivot: KmeansPivot,
}
