//! Sorting networks over arrays of registers, lane by lane, for any width of registers and items.

/// Defines `sort_halves`, which sorts each half of 4, 8, 16 or 32 registers, largest first, and `nth`, which finds the
/// n-th largest of both halves.
macro_rules! networks {
    ($vector:ty, $features:literal, $max:ident, $min:ident, $least:expr, $most:expr) => {
        /// Exchanges items so that the first of each pair of registers has the larger ones.
        #[inline]
        #[target_feature(enable = $features)]
        fn exchange<const N: usize>(v: &mut [$vector], pairs: [(usize, usize); N]) {
            for (i, j) in pairs {
                let (a, b) = (v[i], v[j]);
                v[i] = $max(a, b);
                v[j] = $min(a, b);
            }
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn sort_4(v: &mut [$vector]) {
            exchange(v, [(0, 1), (2, 3), (0, 2), (1, 3), (1, 2)]);
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn sort_8(v: &mut [$vector]) {
            let (a, b) = v.split_at_mut(4);
            sort_4(a);
            sort_4(b);
            exchange(v, [(0, 4), (1, 5), (2, 6), (3, 7), (2, 4), (3, 5), (1, 2), (3, 4), (5, 6)]);
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn sort_16(v: &mut [$vector]) {
            let (a, b) = v.split_at_mut(8);
            sort_8(a);
            sort_8(b);
            exchange(v, [(0, 8), (1, 9), (2, 10), (3, 11), (4, 12), (5, 13), (6, 14), (7, 15)]);
            exchange(v, [(4, 8), (5, 9), (6, 10), (7, 11), (2, 4), (3, 5), (6, 8), (7, 9), (10, 12), (11, 13)]);
            exchange(v, [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14)]);
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn sort_halves<const M: usize>(v: &mut [$vector; M]) {
            let (a, b) = v.split_at_mut(M / 2);
            for half in [a, b] {
                match M {
                    4 => exchange(half, [(0, 1)]),
                    8 => sort_4(half),
                    16 => sort_8(half),
                    _ => sort_16(half),
                }
            }
        }

        /// The n-th largest of two sorted halves: of the ways to take n from both, the best has the largest least.
        #[inline]
        #[target_feature(enable = $features)]
        fn nth<const M: usize>(v: &[$vector; M], n: usize) -> $vector {
            let (a, b) = v.split_at(M / 2);
            let mut best = $least;
            for i in n.saturating_sub(M / 2)..=n.min(M / 2) {
                let least = match (i.checked_sub(1), (n - i).checked_sub(1)) {
                    (Some(i), Some(j)) => $min(a[i], b[j]),
                    (Some(i), None) => a[i],
                    (None, Some(j)) => b[j],
                    (None, None) => $most,
                };
                best = $max(best, least);
            }
            best
        }
    };
}

pub(crate) use networks;
