//! One more cluster in one-dimensional k-means: the portable lanes, compiled for wider registers.

use crate::args::kmeans_dp::Clusters;
use crate::scalar;

/// See [`crate::Kernels::kmeans_dp_leaf`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(crate) fn leaf(
    clusters: &Clusters<'_>,
    low: usize,
    first: usize,
    last: usize,
    after: &mut [f64],
    choice: &mut [u32],
) {
    scalar::kmeans_dp::leaf(clusters, low, first, last, after, choice);
}

/// See [`crate::Kernels::kmeans_dp_pivot`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(crate) fn pivot(clusters: &Clusters<'_>, j: usize, first: usize, last: usize) -> (f64, usize) {
    scalar::kmeans_dp::pivot(clusters, j, first, last)
}
