//! Marlin-24: 2:4 weights in the order in which a GPU kernel loads them, put into rows of outputs.
//!
//! Tiles hold 16 kept inputs of 16 outputs; four tiles, of 64 outputs, are one run of the stream. In a run, a number
//! counts, from the highest part down, the lane of a warp (32) and the column in it (4), then half of eight columns (2)
//! and one of the inputs 0, 1, 8, 9 behind twice the lane modulo 4.

use crate::nm::Pairs;
use crate::{Error, Matrix, MatrixMut, Result, par};

/// Outputs whose codes are one run of the stream, and kept inputs of a tile.
const OUTPUTS: usize = 64;
const KEPT: usize = 16;

/// Tiles along the inputs that are worked on at once: a cache line of codes of 4 bits.
const TILES: usize = 8;

/// Nibbles are positions of two slots in four columns, i0 | i1 << 2.
static POSITIONS: Pairs = Pairs::new([0x4, 0x8, 0x9, 0xC, 0xD, 0xE]);

/// A row of outputs: the codes of some tiles, in words of 8 bytes.
type Rows = [[u64; 2 * TILES]; OUTPUTS];

/// The low nibbles of the bytes of a word, then the high ones, with the lowest bit of their sign turned over: a byte has
/// the codes of two neighbouring inputs. Bytes 0 and 1 are of one output, 2 and 3 of that four below.
#[inline(always)]
fn neighbours(word: u32) -> u32 {
    let spread = |half: u32| {
        let bytes = (half | half << 8) & 0x00FF_00FF;
        (bytes | bytes << 4) & 0x0F0F_0F0F
    };
    let word = word ^ 0x8888_8888;
    spread(word & 0xFFFF) | spread(word >> 16) << 4
}

/// Words of a tile of codes of 4 bits.
const WORDS: usize = OUTPUTS * KEPT / 8;

/// Codes of 4 bits of one tile of all 64 outputs: 8 bytes each. Four lanes hold the pairs of inputs of an output, and
/// four columns go side by side through every step.
fn four(words: &[u32], tile: usize, rows: &mut Rows) {
    let mut all = [0; WORDS];
    all.iter_mut().zip(words).for_each(|(all, &word)| *all = neighbours(word));
    for (i, sixteen) in all.as_chunks::<16>().0.iter().enumerate() {
        let mut parts = [[0; 4]; 4];
        for column in 0..4 {
            let [a, b, c, d] = [0, 4, 8, 12].map(|lane| sixteen[lane + column]);
            let (even, odd) = (0x00FF_00FF, 0xFF00_FF00);
            let (first, second) = (a & even | (b & even) << 8, c & even | (d & even) << 8);
            let (third, fourth) = ((a & odd) >> 8 | b & odd, (c & odd) >> 8 | d & odd);
            parts[0][column] = first & 0xFFFF | second << 16;
            parts[1][column] = third & 0xFFFF | fourth << 16;
            parts[2][column] = first >> 16 | second & 0xFFFF_0000;
            parts[3][column] = third >> 16 | fourth & 0xFFFF_0000;
        }
        let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        for column in 0..4 {
            rows[8 * i + column][tile] = join(parts[0][column], parts[1][column]);
            rows[8 * i + column + 4][tile] = join(parts[2][column], parts[3][column]);
        }
    }
}

/// The same for codes of 8 bits: 16 bytes each; a word has two neighbouring inputs in bytes 0 and 2, two in 1 and 3.
fn eight(words: &[u32], tile: usize, rows: &mut Rows) {
    for (i, all) in words.as_chunks::<32>().0.iter().enumerate().take(OUTPUTS / 8) {
        for output in 0..8 {
            let (mut front, mut back) = (0, 0);
            for lane in 0..4 {
                let word = all[8 * lane + output % 4 * 2 + output / 4] ^ 0x8080_8080;
                front |= u64::from(word & 0xFF | word >> 8 & 0xFF00) << (16 * lane);
                back |= u64::from(word >> 8 & 0xFF | word >> 16 & 0xFF00) << (16 * lane);
            }
            rows[8 * i + output][2 * tile..2 * tile + 2].copy_from_slice(&[front, back]);
        }
    }
}

/// Codes of `bits` 4 or 8, two's complement, of words (inputs / 32, outputs * bits / 2) in rows of outputs, of
/// `inputs / 2` codes.
///
/// # Errors
/// Other bits, outputs that are no multiple of 64, shapes that do not fit.
pub fn marlin24_codes(words: Matrix<'_, u32>, bits: usize, out: MatrixMut<'_, u8>) -> Result<()> {
    if bits != 4 && bits != 8 {
        return Err(Error::Parameter { name: "bits", got: bits });
    }
    let (outputs, tiles, bytes) = (out.rows(), words.rows(), KEPT * bits / 8);
    if !outputs.is_multiple_of(OUTPUTS) {
        return Err(Error::Parameter { name: "outputs", got: outputs });
    }
    words.check_shape("words", (tiles, outputs * bits / 2))?;
    out.check_shape("out", (outputs, tiles.saturating_mul(bytes)))?;
    let run = OUTPUTS * bits / 2;
    let ranges = par::cut(outputs / OUTPUTS, 1, 2 * size_of_val(words.items()));
    let rows: Vec<_> = ranges.iter().map(|range| range.start * OUTPUTS..range.end * OUTPUTS).collect();
    let outs = out.split(&rows);
    par::map(ranges.into_iter().zip(outs).collect(), |(range, mut out)| {
        let mut room = [[0; 2 * TILES]; OUTPUTS];
        for block in range.clone() {
            for first in (0..tiles).step_by(TILES) {
                let count = TILES.min(tiles - first);
                for tile in 0..count {
                    let words = &words.row(first + tile)[block * run..(block + 1) * run];
                    if bits == 4 { four(words, tile, &mut room) } else { eight(words, tile, &mut room) }
                }
                for (i, row) in room.iter().enumerate() {
                    let to = out.row_mut((block - range.start) * OUTPUTS + i);
                    let to = to[first * bytes..(first + count) * bytes].as_chunks_mut::<8>().0;
                    to.iter_mut().zip(row).for_each(|(to, word)| *to = word.to_le_bytes());
                }
            }
        }
    });
    Ok(())
}

/// Where the unit of a row of 64 stands among 128, of the even column of units; that of the odd one is two behind.
fn unit_place(row: usize) -> usize {
    row / 2 % 2 * 64 + row / 8 * 8 + row % 2 * 4 + row / 4 % 2
}

/// The codes of nm2:4 of positions: units of 16 bits, four groups each, by the number of their place: the pair of
/// columns of units, output / 64, bit 1 of the output, its bits 5, 4, 3, bit 0, the parity of the column, bit 2 of the
/// output. `codes` has a row of 3 bytes for every 32 inputs for each output. False where a nibble names no two
/// positions; the codes are unspecified then.
///
/// # Errors
/// Outputs that are no multiple of 64, inputs no multiple of 32, another number of units.
pub fn marlin24_meta(units: &[u16], codes: MatrixMut<'_, u8>) -> Result<bool> {
    let (outputs, pairs) = (codes.rows(), codes.cols() / 3);
    if !outputs.is_multiple_of(OUTPUTS) {
        return Err(Error::Parameter { name: "outputs", got: outputs });
    }
    codes.check_shape("codes", (outputs, 3 * pairs))?;
    let want = outputs.saturating_mul(2 * pairs);
    if units.len() != want {
        return Err(Error::Length { name: "meta", got: units.len(), want });
    }
    let blocks = outputs / OUTPUTS;
    let ranges = par::cut(blocks, 1, 2 * size_of_val(units));
    let rows: Vec<_> = ranges.iter().map(|range| range.start * OUTPUTS..range.end * OUTPUTS).collect();
    let outs = codes.split(&rows);
    let done = par::map(ranges.into_iter().zip(outs).collect(), |(range, mut codes)| {
        let mut bad = 0;
        for block in range.clone() {
            for first in (0..pairs).step_by(16) {
                for row in 0..OUTPUTS {
                    let to = codes.row_mut((block - range.start) * OUTPUTS + row);
                    let to = to[3 * first..].as_chunks_mut::<3>().0.iter_mut().take(16);
                    for (pair, to) in to.enumerate() {
                        let at = ((first + pair) * blocks + block) * 2 * OUTPUTS + unit_place(row);
                        let bytes = [units[at].to_le_bytes(), units[at + 2].to_le_bytes()];
                        let word = POSITIONS.word(bytes.as_flattened(), &mut bad);
                        to.copy_from_slice(&word.to_le_bytes()[..3]);
                    }
                }
            }
        }
        bad == 0
    });
    Ok(done.into_iter().all(|good| good))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_taken_once() {
        let mut places: Vec<_> = (0..OUTPUTS).flat_map(|row| [unit_place(row), unit_place(row) + 2]).collect();
        places.sort_unstable();
        assert!(places.into_iter().eq(0..2 * OUTPUTS));
    }
}
