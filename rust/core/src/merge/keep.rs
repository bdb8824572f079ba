//! Which elements of a task vector stay: bands of magnitudes, drawn numbers, masks from outside.

use super::TILE;
use sparsefmt_kernels::Kernels;

/// The bits of a magnitude.
const MAGNITUDE: u32 = 0x7FFF_FFFF;
/// The magnitude of every NaN, one behind infinity.
const NAN: u32 = 0x7F80_0001;
/// A band that keeps everything.
const OPEN: [i64; 4] = [-1, 0, 1 << 32, 0];

/// What decides on the elements of one model.
#[derive(Clone, Copy, Debug)]
pub struct Keep<'a> {
    /// (low, low cut, high, high cut): kept is what is above the first two and not above the others.
    pub band: [i64; 4],
    /// An element whose drawn word is below this is dropped; 0 draws none.
    pub dropped: u64,
    /// The stream of words.
    pub stream: u64,
    /// A byte for each element, 0 drops it; empty: none.
    pub mask: &'a [u8],
}

/// The least magnitude minus 1 that is above `(key, cut)` for elements before or behind the cut.
fn edge(key: i64, before: bool) -> i32 {
    key.saturating_sub(i64::from(before)).clamp(-1, i64::from(i32::MAX)) as i32
}

/// The magnitude as an integer, in the same order.
#[inline(always)]
pub(super) fn magnitude(x: f32) -> u32 {
    (x.to_bits() & MAGNITUDE).min(NAN)
}

impl Keep<'_> {
    /// Whether everything stays.
    pub(super) fn all(&self) -> bool {
        self.band == OPEN && self.dropped == 0 && self.mask.is_empty()
    }

    /// The number below which a drawn word drops its element, where any are drawn.
    pub(super) fn drawn(&self) -> Option<u32> {
        u32::try_from(self.dropped).ok().filter(|&below| below > 0)
    }

    /// Bounds of magnitudes that hold for so many elements from position `first` on; `None` where a cut lies among them.
    pub(super) fn bounds(&self, first: i64, length: usize) -> Option<(i32, i32)> {
        if self.dropped > u64::from(u32::MAX) {
            return Some((i32::MAX, i32::MAX)); // no word is as large
        }
        let [low, low_cut, high, high_cut] = self.band;
        let before = |cut: i64| {
            let last = first.saturating_add(length as i64 - 1);
            (first < cut) == (last < cut)
        };
        if self.band == OPEN {
            return Some((-1, i32::MAX));
        }
        (before(low_cut) && before(high_cut)).then(|| (edge(low, first < low_cut), edge(high, first < high_cut)))
    }

    /// Puts zeros of the same sign where an element is dropped. `at` is the position of the first in the stretch (and
    /// in the mask), `start` that of the stretch in the tensor.
    pub(super) fn apply(&self, delta: &mut [f32], seed: u64, start: u64, at: usize) {
        let kernels = Kernels::active();
        let first = (start as i64).wrapping_add(at as i64);
        if self.band != OPEN {
            let [low, low_cut, high, high_cut] = self.band;
            let length = delta.len() as i64;
            let mut borders = [
                0,
                low_cut.saturating_sub(first).clamp(0, length),
                high_cut.saturating_sub(first).clamp(0, length),
                length,
            ];
            borders.sort_unstable();
            for pair in borders.windows(2) {
                let (from, to) = (pair[0], pair[1]);
                let bounds =
                    (edge(low, first.wrapping_add(from) < low_cut), edge(high, first.wrapping_add(from) < high_cut));
                kernels.merge_band(&mut delta[from as usize..to as usize], bounds.0, bounds.1);
            }
        }
        match u32::try_from(self.dropped) {
            Ok(0) => {}
            Ok(below) => {
                let mut words = [0; TILE];
                let words = &mut words[..delta.len()];
                kernels.philox_words(seed, self.stream, first as u64, words);
                kernels.merge_drop(delta, words, below);
            }
            Err(_) => kernels.merge_band(delta, i32::MAX, i32::MAX), // no word is as large
        }
        if !self.mask.is_empty() {
            for (x, &mask) in delta.iter_mut().zip(&self.mask[at..]) {
                let keep = u32::from(mask != 0).wrapping_neg();
                *x = f32::from_bits(x.to_bits() & (keep | !MAGNITUDE));
            }
        }
    }
}
