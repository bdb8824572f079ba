//! One more cluster in one-dimensional k-means: where the last cluster of the first `j` values best begins.
//!
//! Lanes are plain arrays, so that the compiler makes registers of them: the functions are inlined into one function
//! per instruction set, which differ in speed only. No operation is fused, every minimum takes the lowest place.

use crate::args::kmeans_dp::Clusters;

/// Columns that [`leaf`] solves at once: one register of 64 bytes.
pub(crate) const LANES: usize = 8;

/// What the first `i` values cost, plus the interval from `i` to `j`, for arrays of `i` or `j`.
#[inline(always)]
fn total(before: f64, (wi, si, qi): (f64, f64, f64), (wj, sj, qj): (f64, f64, f64)) -> f64 {
    let (w, s, q) = (wj - wi, sj - si, qj - qi);
    let w = if w > f64::MIN_POSITIVE { w } else { f64::MIN_POSITIVE };
    let cost = q - s * s / w;
    before + if cost > 0.0 { cost } else { 0.0 }
}

#[inline(always)]
fn lanes(a: &[f64], low: usize) -> [f64; LANES] {
    match a[low..].first_chunk() {
        Some(full) => *full,
        None => std::array::from_fn(|lane| a.get(low + lane).copied().unwrap_or(0.0)),
    }
}

/// See [`crate::Kernels::kmeans_dp_leaf`].
#[inline(always)]
pub(crate) fn leaf(
    clusters: &Clusters<'_>,
    low: usize,
    first: usize,
    last: usize,
    after: &mut [f64],
    choice: &mut [u32],
) {
    let &Clusters { before, w, s, q } = clusters;
    let (wj, sj, qj) = (lanes(w, low), lanes(s, low), lanes(q, low));
    let (mut best, mut place) = ([f64::INFINITY; LANES], [0i64; LANES]);
    let end = (last + 1).min(low + after.len() - 1).min(before.len());
    for i in first..end {
        let here = (w[i], s[i], q[i]);
        for lane in 0..LANES {
            let got = total(before[i], here, (wj[lane], sj[lane], qj[lane]));
            let better = (got < best[lane]) & (i < low + lane);
            best[lane] = if better { got } else { best[lane] };
            place[lane] = if better { i as i64 } else { place[lane] };
        }
    }
    for ((after, choice), (best, place)) in after.iter_mut().zip(choice).zip(best.into_iter().zip(place)) {
        *after = best;
        *choice = place as u32;
    }
}

/// See [`crate::Kernels::kmeans_dp_pivot`].
#[inline(always)]
pub(crate) fn pivot(clusters: &Clusters<'_>, j: usize, first: usize, last: usize) -> (f64, usize) {
    let &Clusters { before, w, s, q } = clusters;
    let there = (w[j], s[j], q[j]);
    let range = first..(last + 1).min(j);
    let [(before, odd), (w, w_odd), (s, s_odd), (q, q_odd)] =
        [before, w, s, q].map(|a| a[range.clone()].as_chunks::<LANES>());
    let (mut best, mut place) = ([f64::INFINITY; LANES], [0i64; LANES]);
    for (at, (((before, w), s), q)) in before.iter().zip(w).zip(s).zip(q).enumerate() {
        for lane in 0..LANES {
            let got = total(before[lane], (w[lane], s[lane], q[lane]), there);
            let better = got < best[lane];
            best[lane] = if better { got } else { best[lane] };
            place[lane] = if better { (at * LANES) as i64 } else { place[lane] };
        }
    }
    let (mut least, mut lowest) = (f64::INFINITY, 0);
    for (lane, (&best, &place)) in best.iter().zip(&place).enumerate() {
        let place = place as usize + lane;
        if best < least || (best == least && place < lowest) {
            (least, lowest) = (best, place);
        }
    }
    for (at, (((&before, &w), &s), &q)) in odd.iter().zip(w_odd).zip(s_odd).zip(q_odd).enumerate() {
        let got = total(before, (w, s, q), there);
        if got < least {
            (least, lowest) = (got, range.len() - odd.len() + at);
        }
    }
    (least, first + lowest)
}
