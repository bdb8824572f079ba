//! The steps of the k-means fit on every instruction set equal a plain definition, bit for bit.

mod common;

use common::tables;
use sparsefmt_kernels::{Clusters, Kernels};

/// Numbers between 0 and 1, some of them equal.
fn numbers(len: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f64 / f64::from(1 << 24)
    };
    (0..len).map(|_| if next() < 0.3 { 0.5 } else { next() }).collect()
}

fn total(c: &Clusters<'_>, i: usize, j: usize) -> f64 {
    let (w, s, q) = (c.w[j] - c.w[i], c.s[j] - c.s[i], c.q[j] - c.q[i]);
    c.before[i] + (q - s * s / w.max(f64::MIN_POSITIVE)).max(0.0)
}

fn want(c: &Clusters<'_>, j: usize, first: usize, last: usize) -> (f64, usize) {
    (first..=last.min(j - 1)).fold((f64::INFINITY, 0), |best, i| {
        let got = total(c, i, j);
        if got < best.0 { (got, i) } else { best }
    })
}

#[test]
fn leaves_and_pivots_agree() {
    for len in (2..40).chain([100, 257]) {
        let [before, mut w, mut s, mut q] = [1, 2, 3, 4].map(|seed| numbers(len, seed * 1000 + len as u64));
        for sums in [&mut w, &mut s, &mut q] {
            sums.iter_mut().fold(0.0, |sum, term| {
                *term += sum;
                *term
            });
        }
        let clusters = Clusters { before: &before, w: &w, s: &s, q: &q };
        for first in [0, 1, len / 3, len - 2] {
            for last in [first, first + 7, first + 20, len - 1].map(|last| last.min(len - 1)) {
                for low in [first + 1, len / 2, len - 1].into_iter().filter(|low| (first + 1..len).contains(low)) {
                    for kernels in tables() {
                        let text = format!("{:?}, {len}, {first}..={last}, {low}", kernels.isa());
                        let got = kernels.kmeans_dp_pivot(&clusters, low, first, last);
                        assert_eq!(got, want(&clusters, low, first, last), "{text}");
                        let columns = (len - low).min(Kernels::KMEANS_DP_COLS);
                        let (mut after, mut choice) = (vec![0.0; columns], vec![9; columns]);
                        kernels.kmeans_dp_leaf(&clusters, low, first, last, &mut after, &mut choice);
                        for column in 0..columns {
                            let want = want(&clusters, low + column, first, last);
                            assert_eq!((after[column], choice[column] as usize), want, "{text} + {column}");
                        }
                    }
                }
            }
        }
    }
}
