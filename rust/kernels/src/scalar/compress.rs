//! Items to the front and back to their columns, by a mask of bits.

use super::bit_positions::Word;

/// Calls `visit` with the place of each set bit among the first `len`, in ascending order; returns their number.
fn each(bits: &[u8], len: usize, mut visit: impl FnMut(usize)) -> usize {
    let (words, rest) = bits.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let mut count = 0;
    for (at, word) in words.iter().chain([&last]).enumerate() {
        let mut left = u64::from_le_bytes(*word) & first(len.saturating_sub(64 * at));
        while left != 0 {
            visit(at * 64 + left.trailing_zeros() as usize);
            left &= left - 1;
            count += 1;
        }
    }
    count
}

/// The lowest `n` bits, at most 64.
pub(crate) fn first(n: usize) -> u64 {
    if n < 64 { (1 << n) - 1 } else { u64::MAX }
}

/// Set bits in 64 columns that are faster one by one than byte by byte.
pub(crate) const FEW: usize = 8;

/// See [`crate::Kernels::compress_u16`].
pub(crate) fn compress<T: Copy>(src: &[T], bits: &[u8], dst: &mut [T]) -> usize {
    let (blocks, tail) = src.as_chunks::<64>();
    let (bits, tail_bits) = bits.split_at(8 * blocks.len());
    let mut written = 0;
    for (block, bytes) in blocks.iter().zip(bits.as_chunks::<8>().0) {
        let (room, word) = (dst.get_mut(written..).unwrap_or_default(), Word::new(*bytes));
        match room.first_chunk_mut() {
            Some(room) if word.count > FEW => word.gather(block, room),
            _ => _ = compress_each(block, bytes, room),
        }
        written += word.count;
    }
    written + compress_each(tail, tail_bits, dst.get_mut(written..).unwrap_or_default())
}

/// The same, item by item.
pub(crate) fn compress_each<T: Copy>(src: &[T], bits: &[u8], dst: &mut [T]) -> usize {
    let mut room = dst.iter_mut();
    each(bits, src.len(), |at| {
        if let Some(to) = room.next() {
            *to = src[at];
        }
    })
}

/// See [`crate::Kernels::expand_u16`].
pub(crate) fn expand<T: Copy + Default>(src: &[T], bits: &[u8], dst: &mut [T], _stream: bool) -> usize {
    let (blocks, tail) = dst.as_chunks_mut::<64>();
    let (bits, tail_bits) = bits.split_at(8 * blocks.len());
    let mut read = 0;
    for (block, bytes) in blocks.iter_mut().zip(bits.as_chunks::<8>().0) {
        let (left, word) = (src.get(read..).unwrap_or_default(), Word::new(*bytes));
        match left.first_chunk() {
            Some(items) if word.count > FEW => word.scatter(items, block),
            _ => _ = expand_each(left, bytes, block),
        }
        read += word.count;
    }
    read + expand_each(src.get(read..).unwrap_or_default(), tail_bits, tail)
}

/// The same, item by item.
pub(crate) fn expand_each<T: Copy + Default>(src: &[T], bits: &[u8], dst: &mut [T]) -> usize {
    let mut items = src.iter();
    dst.fill(T::default());
    each(bits, dst.len(), |at| {
        if let Some(&item) = items.next() {
            dst[at] = item;
        }
    })
}

/// See [`crate::Kernels::positions_i32`].
pub(crate) fn positions_i32(bits: &[u8], first: i32, dst: &mut [i32]) -> usize {
    let mut room = dst.iter_mut();
    each(bits, 8 * bits.len(), |at| {
        if let Some(to) = room.next() {
            *to = first.wrapping_add(at as i32);
        }
    })
}

/// See [`crate::Kernels::positions_i64`].
pub(crate) fn positions_i64(bits: &[u8], first: i64, dst: &mut [i64]) -> usize {
    let mut room = dst.iter_mut();
    each(bits, 8 * bits.len(), |at| {
        if let Some(to) = room.next() {
            *to = first.wrapping_add(at as i64);
        }
    })
}

/// See [`crate::Kernels::count_bits`].
#[inline]
pub(crate) fn count_bits(bits: &[u8]) -> usize {
    let (words, rest) = bits.as_chunks::<8>();
    let in_words: usize = words.iter().map(|word| u64::from_le_bytes(*word).count_ones() as usize).sum();
    in_words + rest.iter().map(|byte| byte.count_ones() as usize).sum::<usize>()
}

/// See [`crate::Kernels::drain_u16`].
pub(crate) fn drain<T: Copy + Default>(buffer: &mut [T], dst: &mut [T]) {
    dst.copy_from_slice(buffer);
    buffer.fill(T::default());
}

/// See [`crate::Kernels::scatter_u32`].
pub(crate) fn place<T: Copy + Default>(indices: &[i32], src: &[T], dst: &mut [T], _stream: bool) -> bool {
    dst.fill(T::default());
    let mut next = 0;
    for (&index, &item) in indices.iter().zip(src) {
        let Some(to) = usize::try_from(index).ok().filter(|&at| at >= next).and_then(|at| dst.get_mut(at)) else {
            return false;
        };
        *to = item;
        next = index as usize + 1;
    }
    true
}
