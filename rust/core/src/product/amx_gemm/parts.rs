//! How many parts the numbers of both factors have, and which numbers may be multiplied by parts.

use super::super::values::{Slots, Values};
use crate::affine::Scale;
use sparsefmt_kernels::Extent;

/// What values of `w` must be, as bits of float32, so that no product or sum of parts is subnormal or overflows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limits {
    least: u32,
    /// Less than this.
    most: u32,
}

impl Limits {
    /// Whether all of these are zero or within the limits.
    pub(super) fn allow(self, found: Extent) -> bool {
        found.least().is_none_or(|least| least >= self.least) && found.most < self.most
    }
}

/// The parts of both factors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Parts {
    pub(super) left: usize,
    pub(super) right: usize,
    /// None where nothing can go wrong, or no one looks.
    pub(super) limits: Option<Limits>,
}

/// Parts of the values of slots, at most.
fn left_parts(values: &Values<'_>) -> usize {
    match values.slots {
        Slots::Bf16(_) | Slots::Bytes(..) => 1,
        Slots::F16(_) | Slots::Shorts(..) => 2,
        // 4 bits times the 11 of float16.
        Slots::Codes(_, 4) if values.scales.is_some_and(|scales| matches!(scales.scale(), Scale::F16(_))) => 2,
        Slots::F32(_) | Slots::Codes(..) | Slots::Stream(..) | Slots::Book(..) => 3,
    }
}

impl Parts {
    /// For `x` of float32, of that extent; none if it is beyond what parts can hold. Bits behind the last one that is
    /// set in any number make no part.
    pub(super) fn new(values: &Values<'_>, x: Extent, cols: usize) -> Option<Self> {
        let exponent = |bits: u32| (bits >> 23) as i32 - 127;
        let unused = (x.bits.trailing_zeros() as i32).min(23);
        // All of `x` is a multiple of 2^`last`, and less than 2^`above`.
        let last = x.least().map_or(0, |least| exponent(least) - 23 + unused);
        let above = if x.most == 0 { -126 } else { exponent(x.most) + 1 };
        // The last bit of a value is that many places behind its first one; float16 ends at 2^-24.
        let least = match values.slots {
            Slots::F16(_) if last < -126 + 24 => return None,
            Slots::F16(_) => -126,
            Slots::Bf16(_) => (-126 + 7 - last).max(-126),
            _ => (-126 + 23 - last).max(-126 + 23),
        };
        // Room for the sum of all, and for parts that are a little larger than their numbers.
        let most = 127 - above - cols.max(2).next_power_of_two().ilog2() as i32 - 1;
        if x.least().is_some_and(|least| least < 1 << 23) || last < -126 || x.most >= 0x7F7F_8000 {
            return None;
        }
        if least > 127 || most <= least {
            return None;
        }
        let power = |exponent: i32| ((exponent.clamp(-126, 127) + 127) as u32) << 23;
        let limits = Limits { least: power(least), most: power(most).min(0x7F7F_8000) };
        let right = if unused >= 16 { 1 } else { 3 - usize::from(unused >= 8) };
        Some(Self { left: left_parts(values), right, limits: Some(limits) })
    }
}
