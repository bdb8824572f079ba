//! Block formats of GGUF of 256 values, with scales of groups that are integers themselves.

use super::gguf::half;

/// Eight scales and eight minima of 6 bits in 12 bytes.
#[inline(always)]
fn six_bit_pairs(packed: &[u8]) -> ([u8; 8], [u8; 8]) {
    let (mut scales, mut minima) = ([0; 8], [0; 8]);
    for i in 0..4 {
        let (a, b, c) = (packed[i], packed[4 + i], packed[8 + i]);
        scales[i] = a & 63;
        scales[4 + i] = c & 15 | a >> 2 & 48;
        minima[i] = b & 63;
        minima[4 + i] = c >> 4 | b >> 2 & 48;
    }
    (scales, minima)
}

/// Values of a run of codes: `scale * code - low`.
#[inline(always)]
fn less(codes: &[u8], scale: f32, low: f32, out: &mut [f32]) {
    for (out, &code) in out.iter_mut().zip(codes) {
        *out = scale * f32::from(code) - low;
    }
}

/// Values of a run of codes: `scale * (code - middle)`.
#[inline(always)]
fn centred(codes: &[u8], middle: f32, scale: f32, out: &mut [f32]) {
    for (out, &code) in out.iter_mut().zip(codes) {
        *out = scale * (f32::from(code) - middle);
    }
}

/// Codes of 2 bits of runs of 32 bytes: first all low ones of a run, then the next.
#[inline(always)]
fn two_bits(packed: &[u8]) -> [u8; 256] {
    let mut codes = [0; 256];
    for (run, packed) in packed.as_chunks::<32>().0.iter().take(2).enumerate() {
        for shift in 0..4 {
            for i in 0..32 {
                codes[128 * run + 32 * shift + i] = packed[i] >> (2 * shift) & 3;
            }
        }
    }
    codes
}

/// 2 bits: scales (16), codes (64), the scale of scales, that of minima.
#[inline(always)]
pub(crate) fn q2_k(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<84>().0.iter().zip(out.as_chunks_mut::<256>().0) {
        let (d, least, codes) = (half(block, 80), half(block, 82), two_bits(&block[16..80]));
        for (i, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let (scale, low) = (d * f32::from(block[i] & 15), least * f32::from(block[i] >> 4));
            less(&codes[16 * i..][..16], scale, low, out);
        }
    }
}

/// 3 bits: high bits (32), low ones (64), scales (12), the scale of scales.
#[inline(always)]
pub(crate) fn q3_k(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<110>().0.iter().zip(out.as_chunks_mut::<256>().0) {
        let (d, mut codes, packed) = (half(block, 108), two_bits(&block[32..96]), &block[96..108]);
        for (bit, codes) in codes.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            for i in 0..32 {
                codes[i] |= (block[i] >> bit & 1) << 2;
            }
        }
        for (i, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let four = packed[i % 8] >> (i / 8 * 4) & 15;
            let two = packed[8 + i % 4] >> (i / 4 * 2) & 3;
            let scale = f32::from(four | two << 4) - 32.0;
            centred(&codes[16 * i..][..16], 4.0, d * scale, out);
        }
    }
}

/// Groups of 32 values with minima, of the low nibbles of 32 bytes, then of the high ones.
#[inline(always)]
fn pairs(block: &[u8], codes: &[u8; 256], out: &mut [f32; 256]) {
    let (d, least) = (half(block, 0), half(block, 2));
    let (scales, minima) = six_bit_pairs(&block[4..16]);
    for (i, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        less(&codes[32 * i..][..32], d * f32::from(scales[i]), least * f32::from(minima[i]), out);
    }
}

#[inline(always)]
fn four_bits(packed: &[u8], run: usize) -> [u8; 256] {
    let mut codes = [0; 256];
    for (at, packed) in packed.chunks_exact(run).enumerate() {
        for i in 0..run {
            codes[2 * run * at + i] = packed[i] & 15;
            codes[2 * run * at + run + i] = packed[i] >> 4;
        }
    }
    codes
}

/// 4 bits: the scales of scales and minima, both (12), codes (128).
#[inline(always)]
pub(crate) fn q4_k(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<144>().0.iter().zip(out.as_chunks_mut::<256>().0) {
        pairs(block, &four_bits(&block[16..], 32), out);
    }
}

/// 5 bits: as [`q4_k`], with high bits (32) before the codes.
#[inline(always)]
pub(crate) fn q5_k(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<176>().0.iter().zip(out.as_chunks_mut::<256>().0) {
        let mut codes = four_bits(&block[48..], 32);
        for (bit, codes) in codes.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            for i in 0..32 {
                codes[i] |= (block[16 + i] >> bit & 1) << 4;
            }
        }
        pairs(block, &codes, out);
    }
}

/// 6 bits: low ones (128), high ones (64), signed scales (16), the scale of scales.
#[inline(always)]
pub(crate) fn q6_k(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<210>().0.iter().zip(out.as_chunks_mut::<256>().0) {
        let (d, mut codes, high) = (half(block, 208), four_bits(&block[..128], 64), two_bits(&block[128..192]));
        for i in 0..256 {
            codes[i] |= high[i] << 4;
        }
        for (i, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            centred(&codes[16 * i..][..16], 32.0, d * f32::from(block[192 + i] as i8), out);
        }
    }
}
