//! What values are read as: each dtype with the float it is computed in.

use half::f16;
use sparsefmt_kernels::{Groups, Kernels, NonTemporal, SixteenRows};

/// What values are computed in: float32 or float64.
pub trait Compute: Copy + Default + PartialOrd + Send + Sync + 'static {
    /// Not a number.
    const NAN: Self;
    /// From the bits of float16.
    fn from_f16(src: &[u16], dst: &mut [Self]);
    /// From float32.
    fn from_f32(src: &[f32], dst: &mut [Self]);
    /// From a small integer.
    fn from_i16(value: i16) -> Self;
    /// See [`Kernels::extremes_f32`].
    fn extremes(x: &[Self], group: usize, low: &mut [Self], high: &mut [Self]);
    /// See [`Kernels::quantize_f32`].
    fn quantize(x: &[Self], scale: &[Self], low: &[Self], span: Self, codes: &mut [u8]);
    /// See [`Kernels::dequantize_f32`].
    fn dequantize(codes: &[u8], zero_point: &[u8], scale: &[Self], limits: (Self, Self), out: &mut [Self]);
}

macro_rules! compute {
    ($t:ty, $from_f16:expr, $extremes:ident, $quantize:ident, $dequantize:ident) => {
        impl Compute for $t {
            const NAN: Self = Self::NAN;
            fn from_f16(src: &[u16], dst: &mut [Self]) {
                $from_f16(src, dst);
            }
            fn from_f32(src: &[f32], dst: &mut [Self]) {
                dst.iter_mut().zip(src).for_each(|(dst, &src)| *dst = src.into());
            }
            fn from_i16(value: i16) -> Self {
                value.into()
            }
            fn extremes(x: &[Self], group: usize, low: &mut [Self], high: &mut [Self]) {
                Kernels::active().$extremes(x, group, low, high);
            }
            fn quantize(x: &[Self], scale: &[Self], low: &[Self], span: Self, codes: &mut [u8]) {
                Kernels::active().$quantize(x, scale, low, span, codes);
            }
            fn dequantize(codes: &[u8], zero_point: &[u8], scale: &[Self], limits: (Self, Self), out: &mut [Self]) {
                Kernels::active().$dequantize(codes, zero_point, scale, limits, out);
            }
        }
    };
}

compute!(f32, |src, dst| Kernels::active().widen_f16(src, dst), extremes_f32, quantize_f32, dequantize_f32);
compute!(f64, each(|bits| f16::from_bits(bits).to_f64()), extremes_f64, quantize_f64, dequantize_f64);

/// A dtype: a type without values that says how items are read and written.
pub trait Number: 'static {
    /// The unsigned integer that carries an item.
    type Item: Copy + Send + Sync + 'static;
    /// What it is computed in.
    type Compute: Compute;
    /// The least and the largest finite value.
    const LIMITS: (Self::Compute, Self::Compute);
    /// Reads items; lengths are equal.
    fn widen(src: &[Self::Item], dst: &mut [Self::Compute]);
    /// Writes values within the limits, rounded to nearest, ties to even; lengths are equal.
    fn narrow(src: &[Self::Compute], dst: &mut [Self::Item]);
    /// Writes values of codes in groups, see [`Kernels::group_rows_f16`]; false: nothing does that for this dtype.
    fn group_rows(_to: &NonTemporal, _codes: &[u8], _groups: Groups<'_>, _out: &mut [Self::Item]) -> bool {
        false
    }
    /// Writes values of codes in words of sixteen rows, see [`Kernels::word_columns_f16`]; false: nothing does that.
    fn word_columns(_words: &[[u32; 16]], _at: &[i32], _groups: &[SixteenRows], _out: &mut [Self::Item]) -> bool {
        false
    }
}

/// The nearest integer, ties to even, in the lowest bits, of values below 2^22 by magnitude; 0 of NaN.
///
/// What is added makes the distance of neighbours 1; a call of the library for each value would take ten times as long.
#[inline(always)]
fn nearest(x: f32) -> u32 {
    const ONES: f32 = 12_582_912.0; // 1.5 * 2^23
    if x.is_nan() { 0 } else { (x + ONES).to_bits() }
}

macro_rules! integer {
    ($name:ident, $item:ty, $t:ty, $compute:ty, $limits:expr) => {
        integer!($name, $item, $t, $compute, $limits, |x| x.round_ties_even() as $t as $item);
    };
    ($name:ident, $item:ty, $t:ty, $compute:ty, $limits:expr, $nearest:expr) => {
        #[doc = concat!("The integers `", stringify!($t), "`.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl Number for $name {
            type Item = $item;
            type Compute = $compute;
            const LIMITS: ($compute, $compute) = $limits;
            fn widen(src: &[$item], dst: &mut [$compute]) {
                dst.iter_mut().zip(src).for_each(|(dst, &src)| *dst = src as $t as $compute);
            }
            fn narrow(src: &[$compute], dst: &mut [$item]) {
                let nearest: fn($compute) -> $item = $nearest;
                dst.iter_mut().zip(src).for_each(|(dst, &src)| *dst = nearest(src));
            }
        }
    };
}

integer!(Int8, u8, i8, f32, (-128.0, 127.0), |x| nearest(x) as u8);
integer!(Int16, u16, i16, f32, (-32768.0, 32767.0), |x| nearest(x) as u16);
integer!(Int32, u32, i32, f64, (-2_147_483_648.0, 2_147_483_647.0));
integer!(UInt8, u8, u8, f32, (0.0, 255.0), |x| nearest(x) as u8);
integer!(UInt16, u16, u16, f32, (0.0, 65535.0), |x| nearest(x) as u16);
integer!(UInt32, u32, u32, f64, (0.0, 4_294_967_295.0));
// The float just below 2^63 and 2^64.
integer!(Int64, u64, i64, f64, (-9_223_372_036_854_775_808.0, 9_223_372_036_854_774_784.0));
integer!(UInt64, u64, u64, f64, (0.0, 18_446_744_073_709_549_568.0));

macro_rules! float {
    ($name:ident, $doc:literal, $item:ty, $compute:ty, $largest:expr, $widen:expr, $narrow:expr $(, $groups:ident)?; $($more:item)*) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl Number for $name {
            type Item = $item;
            type Compute = $compute;
            const LIMITS: ($compute, $compute) = (-$largest, $largest);
            fn widen(src: &[$item], dst: &mut [$compute]) {
                $widen(src, dst);
            }
            fn narrow(src: &[$compute], dst: &mut [$item]) {
                $narrow(src, dst);
            }
            $(
                fn group_rows(to: &NonTemporal, codes: &[u8], groups: Groups<'_>, out: &mut [$item]) -> bool {
                    to.$groups(codes, groups, out)
                }
            )?
            $($more)*
        }
    };
}

/// Applies `f` to every item.
fn each<S: Copy, D>(f: impl Fn(S) -> D) -> impl Fn(&[S], &mut [D]) {
    move |src, dst| dst.iter_mut().zip(src).for_each(|(dst, &src)| *dst = f(src))
}

float!(
    Float16,
    "float16.",
    u16,
    f32,
    65504.0,
    |src, dst| Kernels::active().widen_f16(src, dst),
    |src, dst| Kernels::active().narrow_f16(src, dst),
    group_rows_f16;
    fn word_columns(words: &[[u32; 16]], at: &[i32], groups: &[SixteenRows], out: &mut [u16]) -> bool {
        Kernels::active().word_columns_f16(words, at, groups, out) == Some(true)
    }
);
float!(
    BFloat16,
    "bfloat16: the upper half of float32.",
    u16,
    f32,
    f32::from_bits(0x7F7F_0000),
    |src, dst| Kernels::active().widen_bf16(src, dst),
    |src, dst| Kernels::active().narrow_bf16(src, dst),
    group_rows_bf16;
    fn word_columns(words: &[[u32; 16]], at: &[i32], groups: &[SixteenRows], out: &mut [u16]) -> bool {
        Kernels::active().word_columns_bf16(words, at, groups, out) == Some(true)
    }
);
float!(
    Float8E4M3,
    "float8_e4m3fn: no infinity, one NaN of each sign.",
    u8,
    f32,
    448.0,
    each(|bits| eighth::<4>(bits, bits & 0x7F == 0x7F)),
    each(to_eighth::<4>);
);
float!(
    Float8E5M2,
    "float8_e5m2: the upper half of float16.",
    u8,
    f32,
    57344.0,
    each(|bits: u8| f16::from_bits(u16::from(bits) << 8).to_f32()),
    each(to_eighth::<5>);
);
float!(Float32, "float32.", u32, f32, f32::MAX, each(f32::from_bits), each(f32::to_bits), group_rows_f32;);
float!(Float64, "float64.", u64, f64, f64::MAX, each(f64::from_bits), each(f64::to_bits););

/// The exponent of the least normal value with `E` bits of exponent.
const fn least_exponent(exponent_bits: u32) -> i32 {
    2 - (1 << (exponent_bits - 1))
}

/// 2 to the power of a small number.
fn power(exponent: i32) -> f32 {
    f32::from_bits(((exponent + 127) as u32) << 23)
}

/// An 8-bit float with `E` bits of exponent, all of them finite except where `nan` says so.
fn eighth<const E: u32>(bits: u8, nan: bool) -> f32 {
    let mantissa_bits = 7 - E;
    let exponent = i32::from(bits & 0x7F) >> mantissa_bits;
    let mantissa = bits & ((1 << mantissa_bits) - 1);
    let unit = least_exponent(E) + exponent.max(1) - 1 - mantissa_bits as i32;
    let whole = f32::from(mantissa) + if exponent > 0 { power(mantissa_bits as i32) } else { 0.0 };
    let magnitude = if nan { f32::NAN } else { whole * power(unit) };
    if bits & 0x80 != 0 { -magnitude } else { magnitude }
}

/// The nearest 8-bit float with `E` bits of exponent of a finite value within its limits.
fn to_eighth<const E: u32>(x: f32) -> u8 {
    let mantissa_bits = 7 - E as i32;
    let (magnitude, sign) = (x.abs(), (x.to_bits() >> 24) as u8 & 0x80);
    let exponent = ((magnitude.to_bits() >> 23) as i32 - 127).max(least_exponent(E));
    // A whole number of units, at most 2^(mantissa_bits + 1); a carry moves on to the next exponent by itself.
    let units = (magnitude * power(mantissa_bits - exponent)).round_ties_even() as u8;
    sign | (((exponent - least_exponent(E)) as u8) << mantissa_bits).wrapping_add(units)
}
