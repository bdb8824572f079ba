//! Arguments of quantizing float16 and bfloat16, and their signatures.

pub(crate) type Magnitudes = unsafe fn(&[u16], usize, &mut [u16]);
pub(crate) type Quantize = unsafe fn(&[u16], usize, &[u16], f32, &mut [u8]);
pub(crate) type Dequantize = unsafe fn(&[u8], usize, &[f32], &mut [u16]);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) magnitudes_u16: Magnitudes,
    pub(crate) quantize_f16: Quantize,
    pub(crate) quantize_bf16: Quantize,
    pub(crate) dequantize_f16: Dequantize,
    pub(crate) dequantize_bf16: Dequantize,
    pub(crate) nibbles_to_f16: Dequantize,
    pub(crate) nibbles_to_bf16: Dequantize,
}
