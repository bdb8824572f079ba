//! Symmetric codes of items that stand in groups of one scale each: what passes over N:M do with the slots of a row.

use super::extremes::scan_groups;
use super::grid::Scale;
use super::number::{BFloat16, Float16, Float32, Number};
use super::runs::RUN;
use sparsefmt_kernels::Kernels;

/// Dtypes that whole passes are made for.
pub trait Grouped: Number<Compute = f32> {
    /// The largest magnitude of every group; no finite number where one of its items is none.
    fn spans(items: &[Self::Item], group: usize, spans: &mut [f32]);

    /// Codes within -most..=most with float16 scales (their bits), see `Kernels::quantize_f16`.
    fn quantize_f16_scales(items: &[Self::Item], group: usize, scale: &[u16], most: f32, codes: &mut [u8]);

    /// Values of codes, see `Kernels::dequantize_f16`.
    fn dequantize(codes: &[u8], group: usize, scale: &[f32], out: &mut [Self::Item]);

    /// Values of codes of 4 bits; several groups have an even number of items.
    fn dequantize_nibbles(bytes: &[u8], group: usize, scale: &[f32], out: &mut [Self::Item]);
}

macro_rules! halves {
    ($kind:ty, $quantize:ident, $dequantize:ident, $nibbles:ident) => {
        impl Grouped for $kind {
            fn spans(items: &[u16], group: usize, spans: &mut [f32]) {
                let mut most = [0; 64];
                for (items, spans) in items.chunks(group.saturating_mul(64)).zip(spans.chunks_mut(64)) {
                    let most = &mut most[..spans.len()];
                    Kernels::active().magnitudes_u16(items, group, most);
                    Self::widen(most, spans);
                }
            }
            fn quantize_f16_scales(items: &[u16], group: usize, scale: &[u16], most: f32, codes: &mut [u8]) {
                Kernels::active().$quantize(items, group, scale, most, codes);
            }
            fn dequantize(codes: &[u8], group: usize, scale: &[f32], out: &mut [u16]) {
                Kernels::active().$dequantize(codes, group, scale, out);
            }
            fn dequantize_nibbles(bytes: &[u8], group: usize, scale: &[f32], out: &mut [u16]) {
                Kernels::active().$nibbles(bytes, group, scale, out);
            }
        }
    };
}

halves!(Float16, quantize_f16, dequantize_f16, nibbles_to_f16);
halves!(BFloat16, quantize_bf16, dequantize_bf16, nibbles_to_bf16);

impl Grouped for Float32 {
    fn spans(items: &[u32], group: usize, spans: &mut [f32]) {
        let mut low = [0.0; RUN];
        for (items, spans) in items.chunks(group.saturating_mul(RUN)).zip(spans.chunks_mut(RUN)) {
            let low = &mut low[..spans.len()];
            scan_groups::<Self>(items, group, low, spans);
            spans.iter_mut().zip(low).for_each(|(high, low)| *high = if -*low > *high { -*low } else { *high });
        }
    }

    fn quantize_f16_scales(items: &[u32], group: usize, scale: &[u16], most: f32, codes: &mut [u8]) {
        let mut wide = [0.0; RUN];
        let groups = group.saturating_mul(RUN);
        for ((items, scale), codes) in items.chunks(groups).zip(scale.chunks(RUN)).zip(codes.chunks_mut(groups)) {
            let wide = &mut wide[..scale.len()];
            Kernels::active().widen_f16(scale, wide);
            quantize_f32_scales::<Self>(items, group, wide, most, codes);
        }
    }

    fn dequantize(codes: &[u8], group: usize, scale: &[f32], out: &mut [u32]) {
        let mut x = [0.0; RUN];
        for ((codes, &scale), out) in codes.chunks(group).zip(scale).zip(out.chunks_mut(group)) {
            for (codes, out) in codes.chunks(RUN).zip(out.chunks_mut(RUN)) {
                let x = &mut x[..codes.len()];
                if is_small(scale) {
                    Kernels::active().run_bytes_f32(codes, (128, 128.0, scale), x);
                } else {
                    single(codes, scale, x);
                }
                Self::narrow(x, out);
            }
        }
    }

    fn dequantize_nibbles(bytes: &[u8], group: usize, scale: &[f32], out: &mut [u32]) {
        let (mut codes, mut x, mut at) = ([0; RUN], [0.0; RUN], 0);
        for (&scale, out) in scale.iter().zip(out.chunks_mut(group)) {
            for out in out.chunks_mut(RUN) {
                let (x, bytes) = (&mut x[..out.len()], &bytes[at..at + out.len().div_ceil(2)]);
                if is_small(scale) {
                    Kernels::active().run_nibbles_f32(bytes, (8, 8.0, scale), x);
                } else {
                    let codes = &mut codes[..out.len()];
                    Kernels::active().unpack_nibbles(bytes, codes);
                    single(codes, scale, x);
                }
                Self::narrow(x, out);
                at += bytes.len();
            }
        }
    }
}

/// Whether no code of a byte has a product beyond float32.
pub(crate) fn is_small(scale: f32) -> bool {
    scale.abs() < f32::MAX / 512.0
}

/// Products of signed codes, which are those with a zero point in the middle, within the finite values.
fn single(codes: &[u8], scale: f32, x: &mut [f32]) {
    let (points, factors, len) = ([128; RUN], [scale; RUN], codes.len());
    Kernels::active().dequantize_f32(codes, &points[..len], &factors[..len], Float32::LIMITS, x);
}

/// Codes within -most..=most with float32 scales.
fn quantize_f32_scales<K: Grouped>(items: &[K::Item], group: usize, scale: &[f32], most: f32, codes: &mut [u8]) {
    let (mut x, low) = ([0.0; RUN], [-most; RUN]);
    for ((items, &scale), codes) in items.chunks(group).zip(scale).zip(codes.chunks_mut(group)) {
        let scale = [scale; RUN];
        for (items, codes) in items.chunks(RUN).zip(codes.chunks_mut(RUN)) {
            let (x, len) = (&mut x[..items.len()], items.len());
            K::widen(items, x);
            Kernels::active().quantize_f32(x, &scale[..len], &low[..len], 2.0 * most, codes);
        }
    }
}

/// Codes within -most..=most.
pub(crate) fn quantize<K: Grouped>(items: &[K::Item], group: usize, scale: Scale<'_>, most: f32, codes: &mut [u8]) {
    match scale {
        Scale::F16(scale) => K::quantize_f16_scales(items, group, scale, most, codes),
        Scale::F32(scale) => quantize_f32_scales::<K>(items, group, scale, most, codes),
    }
}

/// Values of the slots `first..` of a row whose codes of 4 or 8 bits are `stored`; `first` is even. `scale` are those
/// of the row, for `group` slots each; `bytes` is room for codes.
pub(crate) fn decode<K: Grouped>(
    (stored, bits): (&[u8], usize),
    (group, scale): (usize, &[f32]),
    first: usize,
    out: &mut [K::Item],
    bytes: &mut Vec<u8>,
) {
    let end = first + out.len();
    let nibbles = bits == 4 && (group.is_multiple_of(2) || scale.len() == 1);
    let mut codes = &stored[first.min(stored.len())..];
    if bits == 4 && !nibbles {
        bytes.resize(out.len(), 0);
        Kernels::active().unpack_nibbles(&stored[first / 2..end.div_ceil(2)], bytes);
        codes = bytes;
    }
    let mut at = first;
    while at < end {
        // To the end of the group that it starts in, then all others.
        let stop = if at.is_multiple_of(group) { end } else { end.min(at.next_multiple_of(group)) };
        let scale = &scale[at / group..(stop - 1) / group + 1];
        let out = &mut out[at - first..stop - first];
        if nibbles {
            K::dequantize_nibbles(&stored[at / 2..stop.div_ceil(2)], group, scale, out);
        } else {
            K::dequantize(&codes[at - first..stop - first], group, scale, out);
        }
        at = stop;
    }
}
