//! The part of the table for the dynamic programme of k-means.

use crate::args::kmeans_dp::{Clusters, Table};
use crate::scalar;
use crate::tables::kernels::Kernels;
#[cfg(target_arch = "x86_64")]
use crate::x86_64::{avx2, avx512};

pub(crate) const SCALAR: Table = Table { leaf: scalar::kmeans_dp::leaf, pivot: scalar::kmeans_dp::pivot };

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX2: Table = Table { leaf: avx2::kmeans_dp::leaf, pivot: avx2::kmeans_dp::pivot };

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX512: Table = Table { leaf: avx512::kmeans_dp::leaf, pivot: avx512::kmeans_dp::pivot };

impl Kernels {
    /// The columns that [`Kernels::kmeans_dp_leaf`] takes at most.
    pub const KMEANS_DP_COLS: usize = scalar::kmeans_dp::LANES;

    /// For each column `j` from `low` on, one per item of `after`: the least over `i` in `first..=last`, `i < j`, of
    /// `before[i] + max(0, (q[j] - q[i]) - (s[j] - s[i])^2 / (w[j] - w[i]))` into `after`, and the lowest such `i`
    /// into `choice`.
    ///
    /// # Panics
    /// The arrays of `clusters` differ in length or end before the last column; there are no columns, or more than
    /// [`Kernels::KMEANS_DP_COLS`]; `choice` has another length than `after`.
    pub fn kmeans_dp_leaf(
        &self,
        clusters: &Clusters<'_>,
        low: usize,
        first: usize,
        last: usize,
        after: &mut [f64],
        choice: &mut [u32],
    ) {
        let len = clusters.before.len();
        assert!([clusters.w, clusters.s, clusters.q].iter().all(|a| a.len() == len), "lengths of sums");
        assert!(after.len().wrapping_sub(1) < Self::KMEANS_DP_COLS && choice.len() == after.len(), "columns");
        assert!(low < len && after.len() <= len - low && last < len, "columns {low}.. of {len}");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        unsafe { (self.kmeans_dp.leaf)(clusters, low, first, last, after, choice) }
    }

    /// The same for the one column `j`.
    ///
    /// # Panics
    /// The arrays of `clusters` differ in length; `first <= last < len` or `first < j < len` does not hold.
    #[must_use]
    pub fn kmeans_dp_pivot(&self, clusters: &Clusters<'_>, j: usize, first: usize, last: usize) -> (f64, usize) {
        let len = clusters.before.len();
        assert!([clusters.w, clusters.s, clusters.q].iter().all(|a| a.len() == len), "lengths of sums");
        assert!(j < len && last < len && first <= last && first < j, "column {j}, {first}..={last} of {len}");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        unsafe { (self.kmeans_dp.pivot)(clusters, j, first, last) }
    }
}
