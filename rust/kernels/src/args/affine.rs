//! Arguments of kernels of affine codes, and their signatures.

pub(crate) type Extremes = unsafe fn(&[f32], usize, &mut [f32], &mut [f32]);
pub(crate) type Quantize = unsafe fn(&[f32], &[f32], &[f32], f32, &mut [u8]);
pub(crate) type Dequantize = unsafe fn(&[u8], &[u8], &[f32], (f32, f32), &mut [f32]);
pub(crate) type Move<S, D> = unsafe fn(&[S], &mut [D]);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) extremes: Extremes,
    pub(crate) quantize: Quantize,
    pub(crate) dequantize: Dequantize,
    pub(crate) widen_f16: Move<u16, f32>,
    pub(crate) narrow_f16: Move<f32, u16>,
    pub(crate) widen_bf16: Move<u16, f32>,
    pub(crate) narrow_bf16: Move<f32, u16>,
    pub(crate) pack_nibbles: Move<u8, u8>,
    pub(crate) unpack_nibbles: Move<u8, u8>,
}
