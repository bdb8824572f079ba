//! The n largest of every group, by counting for each item how many rivals beat it.

use crate::args::topk::{Key, Order};

/// Groups that are worked on side by side: plain arrays, of which the compiler makes registers.
const LANES: usize = 16;

/// See [`crate::Kernels::topk_bits_u16`].
#[inline(always)]
pub(crate) fn topk_bits<T: Key>(items: &[T], order: Order<T>, (n, m): (usize, usize), bits: &mut [u8]) {
    let mut writer = BitWriter::new(bits);
    let blocks = items.chunks_exact(m * LANES);
    let rest = blocks.remainder();
    for block in blocks {
        let masks = match m {
            4 => side_by_side::<T, 4>(block, order, n, m),
            8 => side_by_side::<T, 8>(block, order, n, m),
            16 => side_by_side::<T, 16>(block, order, n, m),
            _ => side_by_side::<T, 32>(block, order, n, m),
        };
        masks.into_iter().for_each(|mask| writer.put(u64::from(mask), m));
    }
    each(rest, order, (n, m), &mut writer);
    writer.finish();
}

/// The masks of the n largest of `LANES` groups of `m`, at most `M`. Each pair of places is compared once: the lower
/// place wins where its key is as large.
#[inline(always)]
fn side_by_side<T: Key, const M: usize>(block: &[T], order: Order<T>, n: usize, m: usize) -> [u32; LANES] {
    let m = if M < 32 { M } else { m.min(M) };
    let mut row = [[T::default(); M]; LANES];
    let all = row.as_flattened_mut();
    all[..m * LANES].iter_mut().zip(block).for_each(|(key, &item)| *key = item.key(order));
    let mut keys = [[T::default(); LANES]; M];
    for (place, keys) in keys[..m].iter_mut().enumerate() {
        for (lane, key) in keys.iter_mut().enumerate() {
            *key = all[lane * m + place];
        }
    }
    // A place is beaten by all behind it, but for those that lose against it.
    let mut beaten: [_; M] = std::array::from_fn(|place| [T::from((m.max(place + 1) - 1 - place) as u8); LANES]);
    for second in 1..m {
        let (before, behind) = beaten.split_at_mut(second);
        for first in 0..second {
            T::compare(&keys[first], &keys[second], &mut before[first], &mut behind[0]);
        }
    }
    let (mut masks, n) = ([0; LANES], T::from(n.min(m) as u8));
    for (place, beaten) in beaten[..m].iter().enumerate() {
        for (mask, &beaten) in masks.iter_mut().zip(beaten) {
            *mask |= u32::from(beaten < n) << place;
        }
    }
    masks
}

/// The same for the groups that are left, the last one perhaps shorter.
fn each<T: Key>(items: &[T], order: Order<T>, (n, m): (usize, usize), writer: &mut BitWriter<'_>) {
    let mut keys = [T::default(); 32];
    for group in items.chunks(m) {
        for (key, &item) in keys.iter_mut().zip(group) {
            *key = item.key(order);
        }
        writer.put(u64::from(top(&keys[..group.len()], n)), group.len());
    }
}

/// The mask of the n largest of up to 32 keys; equal ones: the lower position.
#[inline]
fn top<T: Ord + Copy>(keys: &[T], n: usize) -> u32 {
    let mut mask = 0;
    for (i, key) in keys.iter().enumerate() {
        let before: u32 = keys[..i].iter().map(|rival| u32::from(rival >= key)).sum();
        let behind: u32 = keys[i + 1..].iter().map(|rival| u32::from(rival > key)).sum();
        mask |= u32::from(before + behind < n as u32) << i;
    }
    mask
}

/// Puts fields of up to 64 bits one behind the other, LSB first.
pub(crate) struct BitWriter<'a> {
    out: &'a mut [u8],
    at: usize,
    word: u128,
    fill: usize,
}

impl<'a> BitWriter<'a> {
    pub(crate) fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0, word: 0, fill: 0 }
    }

    /// Appends the low `width` bits of `value`, whose other bits are zero.
    #[inline]
    pub(crate) fn put(&mut self, value: u64, width: usize) {
        self.word |= u128::from(value) << self.fill;
        self.fill += width;
        if self.fill >= 64 {
            if let Some(room) = self.out.get_mut(self.at..).and_then(|out| out.first_chunk_mut()) {
                *room = (self.word as u64).to_le_bytes();
            }
            self.at += 8;
            self.word >>= 64;
            self.fill -= 64;
        }
    }

    /// Writes what is left, and zeros behind it.
    pub(crate) fn finish(self) {
        let rest = self.out.get_mut(self.at..).unwrap_or_default();
        let (head, tail) = rest.split_at_mut(self.fill.div_ceil(8).min(rest.len()));
        head.copy_from_slice(&self.word.to_le_bytes()[..head.len()]);
        tail.fill(0);
    }
}
