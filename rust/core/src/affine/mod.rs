//! Affine codes: code = round(x / scale) + zero point, x = (code - zero point) * scale.
//!
//! Codes are lifted, i.e. without the zero point and modulo 256. Work is done on runs of 512 items that are
//! widened to float32 or float64 in the first-level cache, so that only widening and narrowing know the dtype.

pub(crate) mod extremes;
pub(crate) mod grid;
pub(crate) mod groups;
pub(crate) mod number;
pub(crate) mod quantize;
pub(crate) mod runs;
pub(crate) mod scales;

pub use extremes::extremes;
pub use grid::{Grid, Scale};
pub use groups::Grouped;
pub use number::{
    BFloat16, Compute, Float8E4M3, Float8E5M2, Float16, Float32, Float64, Int8, Int16, Int32, Int64, Number, UInt8,
    UInt16, UInt32, UInt64,
};
pub use quantize::{dequantize, quantize};
pub use scales::ScaleMut;
