//! Blocks of GGUF files: their values, and the codes and scales of those that a codec holds.

use crate::{Error, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::{BlockKind, Kernels};

fn check(blocks: Matrix<'_, u8>, kind: BlockKind) -> Result<usize> {
    let (values, bytes) = kind.sizes();
    if blocks.cols() == bytes {
        Ok(values)
    } else {
        Err(Error::Length { name: "blocks", got: blocks.cols(), want: bytes })
    }
}

/// The values of blocks of the type that files number `kind`, a row each.
///
/// # Errors
/// The type is not known, or shapes do not fit it.
pub fn gguf_decode(blocks: Matrix<'_, u8>, kind: usize, mut out: MatrixMut<'_, f32>) -> Result<()> {
    let known = BlockKind::from_number(kind).ok_or(Error::Parameter { name: "kind", got: kind })?;
    out.check_shape("out", (blocks.rows(), check(blocks, known)?))?;
    let (cols, bytes) = (out.cols(), blocks.cols());
    let ranges = par::cut(blocks.rows(), 1, size_of_val(out.items_mut()));
    let outs = par::split_mut(out.items_mut(), ranges.iter().map(|range| range.len() * cols));
    par::map(ranges.into_iter().zip(outs).collect(), |(range, out)| {
        Kernels::active().gguf_f32(known, &blocks.items()[range.start * bytes..range.end * bytes], out);
    });
    Ok(())
}

/// The bits of a float16 scale: above 0, whether it was below, and whether it was zero; of zero it is 1.
fn sign_free(low: u8, high: u8) -> (u16, bool, bool) {
    let bits = u16::from_le_bytes([low, high]);
    let magnitude = bits & 0x7FFF;
    if magnitude == 0 { (0x3C00, false, true) } else { (magnitude, bits != magnitude && magnitude <= 0x7C00, false) }
}

/// The low nibbles of eight bytes, side by side.
fn nibbles(word: u64) -> u32 {
    let word = word & 0x0F0F_0F0F_0F0F_0F0F;
    let word = (word | word >> 4) & 0x00FF_00FF_00FF_00FF;
    let word = (word | word >> 8) & 0x0000_FFFF_0000_FFFF;
    (word | word >> 16) as u32
}

/// Codes of Q4_0, two a byte in the order of the values, scales above 0 (float16) and zero points: of a scale below 0
/// 15 - code with the zero point 7, of zero all at the zero point.
///
/// # Errors
/// Shapes do not fit.
pub fn gguf_q4_0_codes(
    blocks: Matrix<'_, u8>,
    codes: MatrixMut<'_, u8>,
    scale: &mut [u16],
    point: &mut [u8],
) -> Result<()> {
    check(blocks, BlockKind::Q4_0)?;
    codes.check_shape("codes", (blocks.rows(), 16))?;
    for (name, got) in [("scale", scale.len()), ("point", point.len())] {
        if got != blocks.rows() {
            return Err(Error::Length { name, got, want: blocks.rows() });
        }
    }
    let ranges = par::cut(blocks.rows(), 1, 2 * size_of_val(blocks.items()));
    let outs = codes.split(&ranges);
    let scales = par::split_mut(scale, ranges.iter().map(ExactSizeIterator::len));
    let points = par::split_mut(point, ranges.iter().map(ExactSizeIterator::len));
    let tasks = ranges.into_iter().zip(outs).zip(scales).zip(points).collect();
    par::map(tasks, |(((range, mut codes), scale), point)| {
        let blocks = blocks.items()[range.start * 18..range.end * 18].as_chunks::<18>().0;
        let rooms = codes.items_mut().as_chunks_mut::<16>().0;
        for (((block, codes), scale), point) in blocks.iter().zip(rooms).zip(scale).zip(point) {
            let (magnitude, negative, zero) = sign_free(block[0], block[1]);
            (*scale, *point) = (magnitude, if negative { 7 } else { 8 });
            let (keep, flip) = if zero { (0, 0x88) } else { (0xFF, if negative { 0xFF } else { 0 }) };
            let (keep, flip) = (u32::from_le_bytes([keep; 4]), u32::from_le_bytes([flip; 4]));
            let (low, high) = codes.split_at_mut(8);
            for ((eight, low), high) in
                block[2..].as_chunks::<8>().0.iter().zip(low.as_chunks_mut::<4>().0).zip(high.as_chunks_mut::<4>().0)
            {
                let word = u64::from_le_bytes(*eight);
                *low = (nibbles(word) & keep ^ flip).to_le_bytes();
                *high = (nibbles(word >> 4) & keep ^ flip).to_le_bytes();
            }
        }
    });
    Ok(())
}

/// Codes of Q8_0 and scales above 0 (float16): of a scale below 0 the negated codes, of zero zeros. False where a code
/// has no negative; codes and scales are unspecified then.
///
/// # Errors
/// Shapes do not fit.
pub fn gguf_q8_0_codes(blocks: Matrix<'_, u8>, codes: MatrixMut<'_, u8>, scale: &mut [u16]) -> Result<bool> {
    check(blocks, BlockKind::Q8_0)?;
    codes.check_shape("codes", (blocks.rows(), 32))?;
    if scale.len() != blocks.rows() {
        return Err(Error::Length { name: "scale", got: scale.len(), want: blocks.rows() });
    }
    let ranges = par::cut(blocks.rows(), 1, 2 * size_of_val(blocks.items()));
    let outs = codes.split(&ranges);
    let scales = par::split_mut(scale, ranges.iter().map(ExactSizeIterator::len));
    let done = par::map(ranges.into_iter().zip(outs).zip(scales).collect(), |((range, mut codes), scale)| {
        let blocks = blocks.items()[range.start * 34..range.end * 34].as_chunks::<34>().0;
        let mut held = true;
        for ((block, codes), scale) in blocks.iter().zip(codes.items_mut().as_chunks_mut::<32>().0).zip(scale) {
            let (magnitude, negative, zero) = sign_free(block[0], block[1]);
            *scale = magnitude;
            let Some(stored) = block[2..].first_chunk::<32>() else { continue };
            *codes = if zero { [0; 32] } else { *stored };
            if negative {
                held &= !stored.contains(&0x80);
                codes.iter_mut().for_each(|code| *code = code.wrapping_neg());
            }
        }
        held
    });
    Ok(done.into_iter().all(|held| held))
}
