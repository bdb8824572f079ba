//! The n largest of every group, by counting for each item how many rivals beat it.

use crate::top::{Key, Order};

/// See [`crate::Kernels::top_bits_u16`].
pub(crate) fn top_bits<T: Key>(items: &[T], order: Order<T>, (n, m): (usize, usize), bits: &mut [u8]) {
    let mut writer = BitWriter::new(bits);
    let mut keys = [T::default(); 32];
    for group in items.chunks(m) {
        for (key, &item) in keys.iter_mut().zip(group) {
            *key = item.key(order);
        }
        writer.put(u64::from(top(&keys[..group.len()], n)), group.len());
    }
    writer.finish();
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
