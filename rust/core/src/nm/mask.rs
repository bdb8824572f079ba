//! Codes of 2:4 of masks with a bit per column.

use crate::{Matrix, MatrixMut, Result, par};

/// Codes of nm2:4 by bytes of which each nibble names the positions of a group.
pub(crate) struct Pairs([u8; 256]);

impl Pairs {
    /// `nibbles`: by code. A byte with one that is not among them has 0xFF.
    pub(crate) const fn new(nibbles: [u8; 6]) -> Self {
        let mut codes = [0xFF; 16];
        let mut code = 0;
        while code < 6 {
            codes[nibbles[code] as usize] = code as u8;
            code += 1;
        }
        let (mut pairs, mut byte) = ([0xFF; 256], 0);
        while byte < 256 {
            let (low, high) = (codes[byte & 15], codes[byte >> 4]);
            if low < 8 && high < 8 {
                pairs[byte] = low | high << 3;
            }
            byte += 1;
        }
        Self(pairs)
    }

    /// The codes of at most four bytes, 6 bits each; sets bits of `bad` where a byte has none.
    #[inline(always)]
    pub(crate) fn word(&self, bytes: &[u8], bad: &mut u8) -> u32 {
        bytes.iter().enumerate().fold(0, |word, (i, &byte)| {
            let six = self.0[usize::from(byte)];
            *bad |= six & 0xC0;
            word | u32::from(six) << (6 * i)
        })
    }
}

/// Nibbles are masks.
static MASKS: Pairs = Pairs::new([0b0011, 0b0101, 0b0110, 0b1001, 0b1010, 0b1100]);

/// The codes of nm2:4 of `bits` (rows, ceil(cols / 8)), low bit first, `cols` in fours. False where four columns have
/// not two bits, or a bit is set beyond the last column; the codes are unspecified then.
///
/// # Errors
/// Shapes do not fit.
pub fn nm24_from_mask(bits: Matrix<'_, u8>, cols: usize, codes: MatrixMut<'_, u8>) -> Result<bool> {
    let groups = cols.div_ceil(4);
    bits.check_shape("bits", (bits.rows(), groups.div_ceil(2)))?;
    codes.check_shape("codes", (bits.rows(), (groups * 3).div_ceil(8)))?;
    let (whole, odd) = (groups / 8, groups % 2);
    let ranges = par::cut(bits.rows(), 1, 2 * size_of_val(bits.items()));
    let outs = codes.split(&ranges);
    let done = par::map(ranges.into_iter().zip(outs).collect(), |(range, mut codes)| {
        let mut bad = 0;
        for row in range.clone() {
            let (fours, rest) = bits.row(row).split_at(4 * whole);
            let (threes, tail) = codes.row_mut(row - range.start).split_at_mut(3 * whole);
            for (four, three) in fours.as_chunks::<4>().0.iter().zip(threes.as_chunks_mut::<3>().0) {
                three.copy_from_slice(&MASKS.word(four, &mut bad).to_le_bytes()[..3]);
            }
            let mut last = [0; 4];
            last[..rest.len()].copy_from_slice(rest);
            if odd == 1 {
                // The other half of the last byte has no columns; its code is that of padding.
                let half = &mut last[rest.len() - 1];
                *half = if *half > 15 { 0 } else { *half | 0x30 };
            }
            let left = MASKS.word(&last[..rest.len()], &mut bad).to_le_bytes();
            tail.copy_from_slice(&left[..tail.len()]);
        }
        bad == 0
    });
    Ok(done.into_iter().all(|good| good))
}
