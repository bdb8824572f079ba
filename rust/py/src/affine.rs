//! Kernels of `sparsefmt.kernels.affine`.

use crate::arrays::{input, layout, output};
use crate::borrow::{In, Out, done};
use half::f16;
use half::slice::HalfFloatSliceExt;
use numpy::{PyReadonlyArrayDyn, PyReadwriteArrayDyn};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sparsefmt::MatrixMut;
use sparsefmt::affine::{self, Grid, Number, Scale, ScaleMut};

pub(crate) type Any<'a, 'py> = &'a Bound<'py, PyAny>;

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
                type $k = sparsefmt::affine::$kind;
                $body
            })*
            other => Err(PyValueError::new_err(format!("dtype: affine codes do not hold {other}"))),
        }
    };
}

pub(crate) use by_dtype;

/// The same for those that whole passes over N:M are compiled for.
macro_rules! by_single {
    ($name:expr, $k:ident => $body:expr) => {
        $crate::affine::by_dtype!(@ $name, $k => $body, "float16" Float16, "bfloat16" BFloat16, "float32" Float32)
    };
}

pub(crate) use by_single;

/// Borrowed scales.
enum Scales<'py> {
    F16(PyReadonlyArrayDyn<'py, f16>),
    F32(PyReadonlyArrayDyn<'py, f32>),
}

/// Borrowed scales that are written.
pub(crate) enum GridsMut<'py> {
    F16(PyReadwriteArrayDyn<'py, f16>, Vec<usize>),
    F32(PyReadwriteArrayDyn<'py, f32>, Vec<usize>),
}

impl<'py> GridsMut<'py> {
    pub(crate) fn new(scale: Any<'_, 'py>) -> PyResult<Self> {
        Ok(match layout("scale", scale, 2)? {
            (shape, 2) => Self::F16(output("scale", scale)?, shape),
            (shape, _) => Self::F32(output("scale", scale)?, shape),
        })
    }

    pub(crate) fn grid(&mut self) -> PyResult<ScaleMut<'_>> {
        Ok(match self {
            Self::F16(a, shape) => {
                let (py, items) = (a.py(), a.as_slice_mut()?.reinterpret_cast_mut());
                ScaleMut::F16(done(py, MatrixMut::new("scale", items, shape[0], shape[1]))?)
            }
            Self::F32(a, shape) => {
                let (py, items) = (a.py(), a.as_slice_mut()?);
                ScaleMut::F32(done(py, MatrixMut::new("scale", items, shape[0], shape[1]))?)
            }
        })
    }
}

/// Borrowed scales and zero points.
pub(crate) struct Grids<'py> {
    scales: Scales<'py>,
    points: Option<In<'py, u8>>,
    shape: Vec<usize>,
}

impl<'py> Grids<'py> {
    pub(crate) fn new(scale: Any<'_, 'py>, zero_point: Option<Any<'_, 'py>>) -> PyResult<Self> {
        let (shape, size) = layout("scale", scale, 2)?;
        let scales = match size {
            2 => Scales::F16(input("scale", scale)?),
            _ => Scales::F32(input("scale", scale)?),
        };
        let points = zero_point.map(|points| In::new("zero_point", points, 2)).transpose()?;
        Ok(Self { scales, points, shape })
    }

    pub(crate) fn grid(&self) -> PyResult<Grid<'_>> {
        let (py, scale) = match &self.scales {
            Scales::F16(a) => (a.py(), Scale::F16(a.as_slice()?.reinterpret_cast())),
            Scales::F32(a) => (a.py(), Scale::F32(a.as_slice()?)),
        };
        // No items: none.
        let points = self.points.as_ref().filter(|points| points.shape.iter().product::<usize>() > 0);
        if let Some(points) = points.filter(|points| points.shape != self.shape) {
            let (got, want) = (&points.shape, &self.shape);
            return Err(PyValueError::new_err(format!("zero_point: got shape {got:?}, want {want:?}")));
        }
        done(py, Grid::new(scale, points.map(In::items).transpose()?, self.shape[0], self.shape[1]))
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
        done(py, crate::exit::detached(py, || affine::extremes::<K>(values, group, low, high)))
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
    let grids = Grids::new(scale, Some(zero_point))?;
    let grid = grids.grid()?;
    let mut codes = Out::<u8>::new("codes", codes, 2)?;
    let codes = codes.matrix()?;
    by_dtype!(dtype, K => {
        let values = In::<<K as Number>::Item>::new("values", values, 2)?;
        let values = values.matrix()?;
        done(py, crate::exit::detached(py, || affine::quantize::<K>(values, group, grid, bits, codes)))
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
    let grids = Grids::new(scale, Some(zero_point))?;
    let grid = grids.grid()?;
    let codes = In::<u8>::new("codes", codes, 2)?;
    let codes = codes.matrix()?;
    by_dtype!(dtype, K => {
        let mut out = Out::<<K as Number>::Item>::new("out", out, 2)?;
        let out = out.matrix()?;
        done(py, crate::exit::detached(py, || affine::dequantize::<K>(codes, group, grid, out)))
    })
}
