//! Small integers in 32-bit words, as checkpoints of quantised models hold them.

use crate::caches::copied_past_from;
use crate::{Error, Item, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::Kernels;
use std::ops::Range;

/// Columns of words that are turned together: four cache lines, because every row is on a page of its own.
const WIDE: usize = 64;

/// Rows that are turned together.
const TALL: usize = 64;

/// `out[c, r] = words[r, c]`.
///
/// # Errors
/// `out` has not the shape of the transpose.
pub fn words_turn(words: Matrix<'_, u32>, out: MatrixMut<'_, u32>) -> Result<()> {
    let (rows, cols) = (words.rows(), words.cols());
    out.check_shape("out", (cols, rows))?;
    let stream = size_of_val(words.items()) >= copied_past_from();
    let ranges = par::cut(cols, WIDE, 2 * size_of_val(words.items()));
    let outs = out.split(&ranges);
    par::map(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, u32>)| {
        let (mut tile, mut made) = ([[0; WIDE]; TALL], [0; TALL]);
        Kernels::nontemporal(stream, |streamed| {
            for left in range.clone().step_by(WIDE) {
                let width = WIDE.min(range.end - left);
                for top in (0..rows).step_by(TALL) {
                    let tall = TALL.min(rows - top);
                    for (i, tile) in tile[..tall].iter_mut().enumerate() {
                        tile[..width].copy_from_slice(&words.row(top + i)[left..left + width]);
                    }
                    for c in 0..width {
                        let to = &mut out.row_mut(left - range.start + c)[top..top + tall];
                        if stream {
                            made.iter_mut().zip(&tile).for_each(|(made, tile)| *made = tile[c]);
                            u32::drain(streamed, &mut made[..tall], to);
                        } else {
                            to.iter_mut().zip(&tile).for_each(|(to, tile)| *to = tile[c]);
                        }
                    }
                }
            }
        });
    });
    Ok(())
}

/// The first codes of each row of `words`, low bits first: `32 / bits` a word, or, where they lie `across` words, one
/// stream of bits; fills `out`.
///
/// # Errors
/// `bits` is not 1 to 8, the rows differ, or a row of words holds fewer codes.
pub fn words_unpack(words: Matrix<'_, u32>, bits: usize, across: bool, out: MatrixMut<'_, u8>) -> Result<()> {
    if !(1..=8).contains(&bits) {
        return Err(Error::Parameter { name: "bits", got: bits });
    }
    let (per, mask, count) = (32 / bits, ((1u32 << bits) - 1) as u8, out.cols());
    let need = if across { count.saturating_mul(bits).div_ceil(32) } else { count.div_ceil(per) };
    out.check_shape("out", (words.rows(), count))?;
    if words.cols() < need {
        return Err(Error::Length { name: "words", got: words.cols(), want: need });
    }
    let ranges = par::cut(words.rows(), 1, words.rows().saturating_mul(count));
    let outs = out.split(&ranges);
    par::map(ranges.into_iter().zip(outs).collect(), |(range, mut out)| {
        for row in range.clone() {
            let (words, out) = (words.row(row), out.row_mut(row - range.start));
            if across {
                for (i, out) in out.iter_mut().enumerate() {
                    let next = words.get(i * bits / 32 + 1).map_or(0, |&word| u64::from(word));
                    let both = u64::from(words[i * bits / 32]) | next << 32;
                    *out = (both >> (i * bits % 32)) as u8 & mask;
                }
            } else {
                for (&word, out) in words.iter().zip(out.chunks_mut(per)) {
                    out.iter_mut().enumerate().for_each(|(i, out)| *out = (word >> (bits * i)) as u8 & mask);
                }
            }
        }
    });
    Ok(())
}

/// Where output `i` of eight stands in a word of AWQ, low nibble first.
const AWQ_ORDER: [usize; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

/// Inputs of a tile, whose codes of an output fill a cache line, and words along the outputs.
const INPUTS: usize = 128;
const WORDS: usize = 32;

/// Swaps `shift` bits where `mask` is set of `a` with those above of `b`, in all columns.
#[inline(always)]
fn swap(words: &mut [[u32; WORDS]; 8], (a, b): (usize, usize), mask: u32, shift: u32) {
    let (upper, lower) = words.split_at_mut(b);
    for (first, second) in upper[a].iter_mut().zip(&mut lower[0]) {
        let moved = (*first >> shift ^ *second) & mask;
        *second ^= moved;
        *first ^= moved << shift;
    }
}

/// Transposes eight rows of eight nibbles, in all columns.
#[inline(always)]
fn turn_nibbles(words: &mut [[u32; WORDS]; 8]) {
    for i in 0..4 {
        swap(words, (i, i + 4), 0xFFFF, 16);
    }
    for i in [0, 1, 4, 5] {
        swap(words, (i, i + 2), 0x00FF_00FF, 8);
    }
    for i in [0, 2, 4, 6] {
        swap(words, (i, i + 1), 0x0F0F_0F0F, 4);
    }
}

/// The codes of AWQ's words (inputs, outputs / 8) in rows of outputs: (outputs, ceil(inputs / 2)) bytes, two codes a
/// byte, the first one low.
///
/// # Errors
/// `out` has another shape.
pub fn awq_turn(words: Matrix<'_, u32>, out: MatrixMut<'_, u8>) -> Result<()> {
    let (inputs, across) = (words.rows(), words.cols());
    let bytes = inputs.div_ceil(2);
    out.check_shape("out", (across.saturating_mul(8), bytes))?;
    let ranges = par::cut(across, WORDS, 2 * size_of_val(words.items()));
    let rows: Vec<_> = ranges.iter().map(|range| range.start * 8..range.end * 8).collect();
    let outs = out.split(&rows);
    par::map(ranges.into_iter().zip(outs).collect(), |(range, mut out)| {
        // By output: eight inputs a word.
        let mut turned = [[0u32; INPUTS / 8]; 8 * WORDS];
        for left in range.clone().step_by(WORDS) {
            let width = WORDS.min(range.end - left);
            for top in (0..inputs).step_by(INPUTS) {
                let tall = INPUTS.min(inputs - top);
                for group in 0..INPUTS / 8 {
                    let mut eight = [[0; WORDS]; 8];
                    for (i, row) in eight.iter_mut().enumerate().take(tall.saturating_sub(8 * group)) {
                        let from = &words.row(top + 8 * group + i)[left..left + width];
                        match from.first_chunk::<WORDS>() {
                            Some(from) => *row = *from,
                            None => row[..width].copy_from_slice(from),
                        }
                    }
                    turn_nibbles(&mut eight);
                    for (output, place) in AWQ_ORDER.into_iter().enumerate() {
                        for (word, &item) in eight[place].iter().enumerate() {
                            let row = &mut turned[8 * word + output];
                            row[group] = item;
                        }
                    }
                }
                let (from, to) = (top / 2, (top + tall).div_ceil(2));
                for (i, turned) in turned[..8 * width].iter().enumerate() {
                    let room = &mut out.row_mut((left - range.start) * 8 + i)[from..to];
                    let (whole, rest) = room.as_chunks_mut::<4>();
                    if let Some(&last) = turned.get(whole.len()) {
                        rest.iter_mut().zip(last.to_le_bytes()).for_each(|(to, from)| *to = from);
                    }
                    whole.iter_mut().zip(turned).for_each(|(to, from)| *to = from.to_le_bytes());
                }
            }
        }
    });
    Ok(())
}

/// `out[i] = bytes[i] ^ bits`.
///
/// # Errors
/// `out` has another length.
pub fn bytes_flip(bytes: &[u8], bits: u8, out: &mut [u8]) -> Result<()> {
    if out.len() != bytes.len() {
        return Err(Error::Length { name: "out", got: out.len(), want: bytes.len() });
    }
    let ranges = par::cut(out.len(), 64, 2 * bytes.len());
    let outs = par::split_mut(out, ranges.iter().map(ExactSizeIterator::len));
    par::map(ranges.into_iter().zip(outs).collect(), |(range, out): (Range<usize>, &mut [u8])| {
        out.iter_mut().zip(&bytes[range]).for_each(|(out, byte)| *out = byte ^ bits);
    });
    Ok(())
}
