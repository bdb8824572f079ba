//! Streams: codes of 1 to 8 bits, side by side, least significant bit first, the last byte padded by zeros.
//!
//! Eight codes of `B` bits are `B` bytes. They are moved together in one word: neighbours are pushed together pair by
//! pair, then pairs of pairs, then halves.

use crate::{Error, Result, par};
use sparsefmt_kernels::Kernels;

/// Selects the low `bits` of every lane of `lane` bits.
const fn low_bits(bits: usize, lane: usize) -> u64 {
    let mut mask = 0;
    let mut at = 0;
    while at < 64 {
        mask |= (u64::MAX >> (64 - bits)) << at;
        at += lane;
    }
    mask
}

/// Eight codes, a byte each, to `B` bytes.
#[inline(always)]
fn narrow<const B: usize>(codes: [u8; 8]) -> [u8; B] {
    let gap = 8 - B;
    let word = u64::from_le_bytes(codes);
    let word = (word & const { low_bits(B, 16) }) | ((word >> gap) & const { low_bits(B, 16) << B });
    let word =
        (word & const { low_bits(2 * B, 32) }) | ((word >> (2 * gap)) & const { low_bits(2 * B, 32) << (2 * B) });
    let low = const { low_bits(4 * B, 64) };
    let word = if B < 8 { (word & low) | ((word >> (4 * gap)) & (low << (4 * B))) } else { word };
    std::array::from_fn(|i| word.to_le_bytes()[i])
}

/// The inverse of [`narrow`].
#[inline(always)]
fn widen<const B: usize>(bytes: &[u8; B]) -> [u8; 8] {
    let gap = 8 - B;
    let mut word = [0; 8];
    word[..B].copy_from_slice(bytes);
    let mut word = u64::from_le_bytes(word);
    if B < 8 {
        word = (word & const { low_bits(4 * B, 64) }) | ((word << (4 * gap)) & (const { low_bits(4 * B, 64) } << 32));
        word = (word & const { low_bits(2 * B, 32) }) | ((word << (2 * gap)) & (const { low_bits(2 * B, 32) } << 16));
        word = (word & const { low_bits(B, 16) }) | ((word << gap) & (const { low_bits(B, 16) } << 8));
    }
    word.to_le_bytes()
}

fn pack<const B: usize>(codes: &[u8], stream: &mut [u8]) {
    let (blocks, tail) = codes.as_chunks::<8>();
    let (outs, rest) = stream.as_chunks_mut::<B>();
    let mut outs = outs.iter_mut();
    for (block, out) in blocks.iter().zip(&mut outs) {
        *out = narrow::<B>(*block);
    }
    if !tail.is_empty() {
        let mut block = [0; 8];
        block[..tail.len()].copy_from_slice(tail);
        // As many bytes as the tail has bits for: a whole item of `outs`, or what is behind them.
        let out = outs.next().map_or(rest, |out| &mut out[..]);
        out.iter_mut().zip(narrow::<B>(block)).for_each(|(out, byte)| *out = byte);
    }
}

fn unpack<const B: usize>(stream: &[u8], codes: &mut [u8]) {
    let (outs, tail) = codes.as_chunks_mut::<8>();
    let (blocks, _) = stream.as_chunks::<B>();
    for (block, out) in blocks.iter().zip(&mut *outs) {
        *out = widen(block);
    }
    let mut block = [0; B];
    let rest = &stream[(outs.len() * B).min(stream.len())..];
    block.iter_mut().zip(rest).for_each(|(byte, &rest)| *byte = rest);
    let last = widen(&block);
    tail.copy_from_slice(&last[..tail.len()]);
}

/// Evaluates `$f::<B>` with B = `$bits`, which is 1 to 8.
macro_rules! by_bits {
    ($bits:expr, $f:ident) => {
        match $bits {
            1 => $f::<1>,
            2 => $f::<2>,
            3 => $f::<3>,
            4 => $f::<4>,
            5 => $f::<5>,
            6 => $f::<6>,
            7 => $f::<7>,
            _ => $f::<8>,
        }
    };
}

/// Packs codes into as many bytes as they take.
pub(crate) fn packer(bits: usize) -> fn(&[u8], &mut [u8]) {
    match bits {
        4 => |codes, out| Kernels::active().pack_nibbles(codes, out),
        8 => |codes, out| out.copy_from_slice(codes),
        _ => by_bits!(bits, pack),
    }
}

/// The bytes that `count` codes take.
fn bytes(bits: usize, count: usize) -> Result<usize> {
    if !(1..=8).contains(&bits) {
        return Err(Error::Parameter { name: "bits", got: bits });
    }
    Ok(count / 8 * bits + (count % 8 * bits).div_ceil(8))
}

pub(crate) fn check(stream: &[u8], bits: usize, count: usize) -> Result<()> {
    let want = bytes(bits, count)?;
    if stream.len() == want { Ok(()) } else { Err(Error::Length { name: "stream", got: stream.len(), want }) }
}

/// Writes the low `bits` of every code into `stream`.
///
/// # Errors
/// `bits` is not 1 to 8; `stream` has not just the bytes that this takes.
pub fn pack_stream(codes: &[u8], bits: usize, stream: &mut [u8]) -> Result<()> {
    check(stream, bits, codes.len())?;
    let ranges = par::cut(codes.len(), 512, codes.len() * 2);
    let outs = par::split_mut(stream, ranges.iter().map(|range| (range.len() * bits).div_ceil(8)));
    let pack = packer(bits);
    par::map(ranges.into_iter().zip(outs).collect(), |(range, out)| pack(&codes[range], out));
    Ok(())
}

/// The inverse of [`pack_stream`]; padding is not looked at.
///
/// # Errors
/// As [`pack_stream`].
pub fn unpack_stream(stream: &[u8], bits: usize, codes: &mut [u8]) -> Result<()> {
    check(stream, bits, codes.len())?;
    let ranges = par::cut(codes.len(), 512, codes.len() * 2);
    let outs = par::split_mut(codes, ranges.iter().map(ExactSizeIterator::len));
    let unpack = match bits {
        4 => |bytes: &[u8], codes: &mut [u8]| {
            Kernels::active().unpack_nibbles(&bytes[..codes.len().div_ceil(2)], codes);
            codes.iter_mut().for_each(|code| *code &= 15);
        },
        _ => by_bits!(bits, unpack),
    };
    par::map(ranges.into_iter().zip(outs).collect(), |(range, out)| {
        unpack(&stream[range.start / 8 * bits..], out);
    });
    Ok(())
}

/// The inverse of [`pack_stream`] for a few codes of 1 to 8 bits, by the caller.
pub(crate) fn unpack_here(stream: &[u8], bits: usize, codes: &mut [u8]) {
    by_bits!(bits, unpack)(stream, codes);
}

/// Whether a bit behind the last of `count` codes is set.
///
/// # Errors
/// As [`pack_stream`].
pub fn stream_padding(stream: &[u8], bits: usize, count: usize) -> Result<bool> {
    check(stream, bits, count)?;
    let used = count % 8 * bits % 8;
    Ok(used != 0 && stream.last().is_some_and(|last| last >> used != 0))
}
