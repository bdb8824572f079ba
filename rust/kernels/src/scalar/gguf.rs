//! Block formats of GGUF of 32 values: every product is rounded, as the format's own code does.
//!
//! Written so that the compiler vectorises them for whatever instruction set they are inlined into.

use super::affine::wide;

/// The float16 at a byte of a block.
#[inline(always)]
pub(super) fn half(block: &[u8], at: usize) -> f32 {
    wide(u16::from_le_bytes([block[at], block[at + 1]]))
}

/// Codes of 4 bits: the low ones of 16 bytes, then the high ones; each with a bit of `high` above.
#[inline(always)]
fn nibbles(bytes: &[u8; 16], high: u32) -> [u8; 32] {
    let mut codes = [0; 32];
    for i in 0..16 {
        codes[i] = bytes[i] & 15 | ((high >> i & 1) as u8) << 4;
        codes[16 + i] = bytes[i] >> 4 | ((high >> (16 + i) & 1) as u8) << 4;
    }
    codes
}

/// `(code - middle) * scale`.
#[inline(always)]
fn centred(codes: &[u8; 32], middle: f32, scale: f32, out: &mut [f32; 32]) {
    for i in 0..32 {
        out[i] = (f32::from(codes[i]) - middle) * scale;
    }
}

/// `code * scale + low`.
#[inline(always)]
fn above(codes: &[u8; 32], low: f32, scale: f32, out: &mut [f32; 32]) {
    for i in 0..32 {
        out[i] = f32::from(codes[i]) * scale + low;
    }
}

macro_rules! blocks {
    ($name:ident, $bytes:literal, $codes_at:literal, $high_at:expr, |$block:ident, $codes:ident, $out:ident| $work:expr) => {
        #[doc = concat!("Blocks of ", stringify!($bytes), " bytes.")]
        #[inline(always)]
        pub(crate) fn $name(blocks: &[u8], out: &mut [f32]) {
            for ($block, $out) in blocks.as_chunks::<$bytes>().0.iter().zip(out.as_chunks_mut::<32>().0) {
                let Some(bytes) = $block[$codes_at..].first_chunk::<16>() else { continue };
                let high: Option<usize> = $high_at;
                let word = high.and_then(|at| $block[at..].first_chunk()).map_or(0, |b| u32::from_le_bytes(*b));
                let $codes = nibbles(bytes, word);
                $work;
            }
        }
    };
}

blocks!(q4_0, 18, 2, None, |block, codes, out| centred(&codes, 8.0, half(block, 0), out));
blocks!(q4_1, 20, 4, None, |block, codes, out| above(&codes, half(block, 2), half(block, 0), out));
blocks!(q5_0, 22, 6, Some(2), |block, codes, out| centred(&codes, 16.0, half(block, 0), out));
blocks!(q5_1, 24, 8, Some(4), |block, codes, out| above(&codes, half(block, 2), half(block, 0), out));

/// Blocks of 34 bytes: a scale and 32 signed codes.
#[inline(always)]
pub(crate) fn q8_0(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<34>().0.iter().zip(out.as_chunks_mut::<32>().0) {
        let scale = half(block, 0);
        for (out, &code) in out.iter_mut().zip(&block[2..]) {
            *out = f32::from(code as i8) * scale;
        }
    }
}
