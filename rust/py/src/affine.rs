//! Kernels of `sparsefmt.kernels.affine`.

use crate::arrays::{input, layout};
use crate::borrow::{In, Out, done};
use half::f16;
use half::slice::HalfFloatSliceExt;
use numpy::PyReadonlyArrayDyn;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sparsefmt::affine::{self, Grid, Number, Scale};

type Any<'a, 'py> = &'a Bound<'py, PyAny>;

/// Evaluates `$body` with the type `$k` set to the dtype called `$name`.
macro_rules! by_dtype {
    ($name:expr, $k:ident => $body:expr) => {
        by_dtype!(@ $name, $k => $body, "int8" Int8, "int16" Int16, "int32" Int32, "int64" Int64, "uint8" UInt8,
            "uint16" UInt16, "uint32" UInt32, "uint64" UInt64, "float16" Float16, "bfloat16" BFloat16,
            "float8_e4m3fn" Float8E4M3, "float8_e5m2" Float8E5M2, "float32" Float32, "float64" Float64)
    };
    (@ $name:expr, $k:ident => $body:expr, $($text:literal $kind:ident),*) => {
        match $name {
            $($text => {
                type $k = affine::$kind;
                $body
            })*
            other => Err(PyValueError::new_err(format!("dtype: affine codes do not hold {other}"))),
        }
    };
}

/// Borrowed scales.
enum Scales<'py> {
    Half(PyReadonlyArrayDyn<'py, f16>),
    Single(PyReadonlyArrayDyn<'py, f32>),
}

/// Borrowed scales and zero points.
struct Grids<'py> {
    scales: Scales<'py>,
    points: In<'py, u8>,
    shape: Vec<usize>,
}

impl<'py> Grids<'py> {
    fn new(scale: Any<'_, 'py>, zero_point: Any<'_, 'py>) -> PyResult<Self> {
        let (shape, size) = layout("scale", scale, 2)?;
        let scales = match size {
            2 => Scales::Half(input("scale", scale)?),
            _ => Scales::Single(input("scale", scale)?),
        };
        Ok(Self { scales, points: In::new("zero_point", zero_point, 2)?, shape })
    }

    fn grid(&self) -> PyResult<Grid<'_>> {
        let (py, scale) = match &self.scales {
            Scales::Half(a) => (a.py(), Scale::Half(a.as_slice()?.reinterpret_cast())),
            Scales::Single(a) => (a.py(), Scale::Single(a.as_slice()?)),
        };
        let points = self.points.items()?;
        let (rows, cols) = (self.shape[0], self.shape[1]);
        if !points.is_empty() && self.points.shape != self.shape {
            let (got, want) = (&self.points.shape, &self.shape);
            return Err(PyValueError::new_err(format!("zero_point: got shape {got:?}, want {want:?}")));
        }
        done(py, Grid::new(scale, (!points.is_empty()).then_some(points), rows, cols))
    }
}

/// Writes the least and the largest value of every group, and 0.
#[pyfunction]
pub fn affine_extremes(
    values: Any<'_, '_>,
    dtype: &str,
    group: usize,
    low: Any<'_, '_>,
    high: Any<'_, '_>,
) -> PyResult<()> {
    let py = values.py();
    by_dtype!(dtype, K => {
        let values = In::<<K as Number>::Item>::new("values", values, 2)?;
        let mut low = Out::<<K as Number>::Compute>::new("low", low, 2)?;
        let mut high = Out::<<K as Number>::Compute>::new("high", high, 2)?;
        let (values, low, high) = (values.matrix()?, low.matrix()?, high.matrix()?);
        done(py, py.detach(|| affine::extremes::<K>(values, group, low, high)))
    })
}

/// Writes the lifted codes of values.
#[pyfunction]
pub fn affine_quantize(
    values: Any<'_, '_>,
    dtype: &str,
    group: usize,
    scale: Any<'_, '_>,
    zero_point: Any<'_, '_>,
    bits: u32,
    codes: Any<'_, '_>,
) -> PyResult<()> {
    let py = values.py();
    let grids = Grids::new(scale, zero_point)?;
    let grid = grids.grid()?;
    let mut codes = Out::<u8>::new("codes", codes, 2)?;
    let codes = codes.matrix()?;
    by_dtype!(dtype, K => {
        let values = In::<<K as Number>::Item>::new("values", values, 2)?;
        let values = values.matrix()?;
        done(py, py.detach(|| affine::quantize::<K>(values, group, grid, bits, codes)))
    })
}

/// Writes the values of lifted codes.
#[pyfunction]
pub fn affine_dequantize(
    codes: Any<'_, '_>,
    group: usize,
    scale: Any<'_, '_>,
    zero_point: Any<'_, '_>,
    dtype: &str,
    out: Any<'_, '_>,
) -> PyResult<()> {
    let py = codes.py();
    let grids = Grids::new(scale, zero_point)?;
    let grid = grids.grid()?;
    let codes = In::<u8>::new("codes", codes, 2)?;
    let codes = codes.matrix()?;
    by_dtype!(dtype, K => {
        let mut out = Out::<<K as Number>::Item>::new("out", out, 2)?;
        let out = out.matrix()?;
        done(py, py.detach(|| affine::dequantize::<K>(codes, group, grid, out)))
    })
}
