//! Scales that follow from the largest magnitudes of groups.

use super::grid::Scale;
use super::number::{Float16, Number};
use crate::MatrixMut;
use half::f16;

/// Scales to be written, float16 (as bits) or float32, and the columns of the matrix that each is for.
#[derive(Debug)]
pub enum ScaleMut<'a> {
    /// The bits of float16.
    F16(MatrixMut<'a, u16>),
    /// float32.
    F32(MatrixMut<'a, f32>),
}

/// Turns spans (largest magnitudes) of groups into scales, and returns those, unless one is not finite or too small.
///
/// A scale is span / steps in its dtype, 1 where the span is 0, rounded up where it is subnormal and too small. One in
/// float16 that is subnormal is refused where half a step grows by more than 1/512 of the span: values must not vanish.
pub(crate) fn make_scales<'a>(
    span: &[f32],
    steps: f32,
    halves: Option<&'a mut [u16]>,
    singles: Option<&'a mut [f32]>,
) -> Option<Scale<'a>> {
    let short = |scale: f32, span: f32| f64::from(steps) * f64::from(scale) < f64::from(span);
    if let Some(halves) = halves {
        let mut quotients = [0.0; 64];
        for (span, halves) in span.chunks(64).zip(halves.chunks_mut(64)) {
            let quotients = &mut quotients[..span.len()];
            quotients.iter_mut().zip(span).for_each(|(q, span)| *q = span / steps);
            Float16::narrow(quotients, halves);
            // Most are normal numbers, and that is seen at a glance.
            if halves.iter().fold(true, |all, half| all & (0x0400..0x7C00).contains(half)) {
                continue;
            }
            Float16::widen(halves, quotients);
            for ((&span, half), &scale) in span.iter().zip(&mut *halves).zip(&*quotients) {
                if span == 0.0 {
                    *half = 0x3C00;
                } else if *half < 0x0400 {
                    *half += u16::from(short(scale, span));
                    let more = f64::from(steps) * f16::from_bits(*half).to_f64() - f64::from(span);
                    if 256.0 * more > f64::from(steps) * f64::from(span) {
                        return None;
                    }
                } else if *half >= 0x7C00 {
                    return None;
                }
            }
        }
        return Some(Scale::F16(halves));
    }
    let singles = singles?;
    for (&span, single) in span.iter().zip(&mut *singles) {
        let scale = span / steps;
        *single = match scale {
            _ if span == 0.0 => 1.0,
            _ if scale < f32::MIN_POSITIVE && short(scale, span) => scale.next_up(),
            _ if scale.is_finite() => scale,
            _ => return None,
        };
    }
    Some(Scale::F32(singles))
}
