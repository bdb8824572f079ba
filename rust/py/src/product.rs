//! Kernels of `sparsefmt.kernels.product`.

use crate::arrays::{by_index, index_size, input, layout};
use crate::borrow::{In, Out, done};
use half::f16;
use half::slice::HalfFloatSliceExt;
use numpy::PyReadonlyArrayDyn;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use sparsefmt::affine::Scale;
use sparsefmt::bsr::{Block, Blocks};
use sparsefmt::nm::{NmRows, Pattern};
use sparsefmt::product::{self, Coding, Values};
use sparsefmt::{BitRows, Csr, Matrix, MatrixMut, Result};

type Any<'a, 'py> = &'a Bound<'py, PyAny>;

/// A dtype, bits per code and columns per scale; see `sparsefmt.kernels.product`.
type How = (String, usize, usize);

/// Borrowed items of slots.
enum Items<'py> {
    Bytes(PyReadonlyArrayDyn<'py, u8>),
    Shorts(PyReadonlyArrayDyn<'py, u16>),
    Singles(PyReadonlyArrayDyn<'py, f32>),
}

/// Borrowed scales or tables.
enum Grid<'py> {
    F16(PyReadonlyArrayDyn<'py, f16>),
    F32(PyReadonlyArrayDyn<'py, f32>),
}

/// Borrowed slots and what belongs to them.
struct Stored<'py> {
    items: Items<'py>,
    shape: Vec<usize>,
    grid: Grid<'py>,
    grid_shape: (usize, usize),
    points: In<'py, u8>,
    how: How,
}

impl<'py> Stored<'py> {
    fn new(slots: Any<'_, 'py>, how: How, scale: Any<'_, 'py>, zero_point: Any<'_, 'py>) -> PyResult<Self> {
        let rank = slots.getattr("ndim")?.extract::<usize>()?;
        let (shape, size) = layout("slots", slots, rank)?;
        let items = match size {
            1 => Items::Bytes(input("slots", slots)?),
            2 => Items::Shorts(input("slots", slots)?),
            _ => Items::Singles(input("slots", slots)?),
        };
        let (grid_shape, size) = layout("scale", scale, 2)?;
        let grid_shape = (grid_shape[0], grid_shape[1]);
        let grid = if size == 2 { Grid::F16(input("scale", scale)?) } else { Grid::F32(input("scale", scale)?) };
        Ok(Self { items, shape, grid, grid_shape, points: In::new("zero_point", zero_point, 2)?, how })
    }

    /// Columns of the array of slots, in slots.
    fn stride(&self) -> usize {
        let (_, bits, _) = self.how;
        let stride = self.shape.last().copied().unwrap_or(0);
        stride.saturating_mul(8).checked_div(bits).unwrap_or(stride)
    }

    fn values(&self, py: Python<'_>) -> PyResult<Values<'_>> {
        let (dtype, bits, group) = &self.how;
        let unknown = || PyTypeError::new_err(format!("slots: no product takes {dtype} in {bits} bits"));
        if *bits == 0 {
            return match &self.items {
                Items::Bytes(items) => Values::bytes(items.as_slice()?, dtype).ok_or_else(unknown),
                Items::Shorts(items) => Values::shorts(items.as_slice()?, dtype).ok_or_else(unknown),
                Items::Singles(items) => Ok(Values::singles(items.as_slice()?)),
            };
        }
        let Items::Bytes(stream) = &self.items else { return Err(unknown()) };
        let coding = match (&self.grid, *group) {
            (Grid::F32(table), 0) => Coding::Book(table.as_slice()?),
            (grid, _) => {
                let scale = match grid {
                    Grid::F16(scale) => Scale::F16(scale.as_slice()?.reinterpret_cast()),
                    Grid::F32(scale) => Scale::F32(scale.as_slice()?),
                };
                let points = self.points.items()?;
                let zero_point = (!points.is_empty()).then_some(points);
                Coding::Affine { scale, zero_point, shape: self.grid_shape, group: *group }
            }
        };
        let values = done(py, Values::coded(stream.as_slice()?, *bits, coding))?;
        Ok(if dtype == "integers" { values.in_integers() } else { values })
    }
}

/// Borrows `x` and `out`, and calls `work` detached if all of `x` is finite; returns 1 if not.
fn product(
    x: Any<'_, '_>,
    out: Any<'_, '_>,
    work: impl FnOnce(Matrix<'_, f32>, MatrixMut<'_, f32>) -> Result<()> + Send,
) -> PyResult<usize> {
    let py = x.py();
    let (x, mut out) = (In::<f32>::new("x", x, 2)?, Out::<f32>::new("out", out, 2)?);
    let (x, out) = (x.matrix()?, out.matrix()?);
    let done_all = crate::exit::detached(py, || {
        if !product::all_finite(x.items()) {
            return Ok(false);
        }
        work(x, out).map(|()| true)
    });
    Ok(usize::from(!done(py, done_all)?))
}

/// Multiplies N:M.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn nm_matmul(
    codes: Any<'_, '_>,
    n: usize,
    m: usize,
    slots: Any<'_, '_>,
    how: How,
    scale: Any<'_, '_>,
    zero_point: Any<'_, '_>,
    x: Any<'_, '_>,
    out: Any<'_, '_>,
) -> PyResult<usize> {
    let py = x.py();
    let pattern = done(py, Pattern::new(n, m))?;
    let (codes, stored) = (In::<u8>::new("codes", codes, 2)?, Stored::new(slots, how, scale, zero_point)?);
    let (codes, values) = (codes.matrix()?, stored.values(py)?);
    // A stream without rows holds the slots of all rows side by side.
    let stride = if stored.shape.len() > 1 { stored.stride() } else { x_groups(x, m)?.saturating_mul(n) };
    product(x, out, |x, out| {
        let rows = NmRows::new(codes, pattern, (codes.rows(), x.rows()))?;
        product::nm_matmul(rows, (&values, stride), x, out)
    })
}

/// Groups of as many columns as `x` has rows.
fn x_groups(x: Any<'_, '_>, m: usize) -> PyResult<usize> {
    Ok(layout("x", x, 2)?.0[0].div_ceil(m))
}

/// Multiplies a bit per element.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn bits_matmul(
    bits: Any<'_, '_>,
    row_offsets: Any<'_, '_>,
    slots: Any<'_, '_>,
    how: How,
    scale: Any<'_, '_>,
    zero_point: Any<'_, '_>,
    x: Any<'_, '_>,
    out: Any<'_, '_>,
) -> PyResult<usize> {
    let py = x.py();
    let (bits, stored) = (In::<u8>::new("bits", bits, 2)?, Stored::new(slots, how, scale, zero_point)?);
    let (bits, values) = (bits.matrix()?, stored.values(py)?);
    by_index!(index_size("row_offsets", row_offsets)?, I => {
        let row_offsets = In::<I>::new("row_offsets", row_offsets, 1)?;
        let row_offsets = row_offsets.items()?;
        product(x, out, |x, out| product::bits_matmul(BitRows::new(bits, row_offsets, x.rows())?, &values, x, out))
    })
}

/// Multiplies where every element is stored.
#[pyfunction]
pub fn dense_matmul(
    slots: Any<'_, '_>,
    how: How,
    scale: Any<'_, '_>,
    zero_point: Any<'_, '_>,
    x: Any<'_, '_>,
    out: Any<'_, '_>,
) -> PyResult<usize> {
    let stored = Stored::new(slots, how, scale, zero_point)?;
    let values = stored.values(x.py())?;
    product(x, out, |x, out| product::dense_matmul(&values, x, out))
}

/// Multiplies compressed rows.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn csr_matmul(
    indptr: Any<'_, '_>,
    indices: Any<'_, '_>,
    slots: Any<'_, '_>,
    how: How,
    scale: Any<'_, '_>,
    zero_point: Any<'_, '_>,
    x: Any<'_, '_>,
    out: Any<'_, '_>,
) -> PyResult<usize> {
    let stored = Stored::new(slots, how, scale, zero_point)?;
    let values = stored.values(x.py())?;
    by_index!(index_size("indptr", indptr)?, I => {
        let (indptr, indices) = (In::<I>::new("indptr", indptr, 1)?, In::<I>::new("indices", indices, 1)?);
        let (indptr, indices) = (indptr.items()?, indices.items()?);
        product(x, out, |x, out| product::csr_matmul(Csr::of_cols(indptr, indices, x.rows())?, &values, x, out))
    })
}

/// Multiplies blocks.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn bsr_matmul(
    indptr: Any<'_, '_>,
    indices: Any<'_, '_>,
    block: (usize, usize),
    slots: Any<'_, '_>,
    how: How,
    scale: Any<'_, '_>,
    zero_point: Any<'_, '_>,
    x: Any<'_, '_>,
    out: Any<'_, '_>,
) -> PyResult<usize> {
    let py = x.py();
    let block = done(py, Block::new(block.0, block.1))?;
    let stored = Stored::new(slots, how, scale, zero_point)?;
    let values = stored.values(py)?;
    by_index!(index_size("indptr", indptr)?, I => {
        let (indptr, indices) = (In::<I>::new("indptr", indptr, 1)?, In::<I>::new("indices", indices, 1)?);
        let (indptr, indices) = (indptr.items()?, indices.items()?);
        product(x, out, |x, out| {
            let blocks = Blocks::new(indptr, indices, block, (out.rows(), x.rows()))?;
            product::bsr_matmul(blocks, &values, x, out)
        })
    })
}

/// Multiplies 2:4 of bfloat16 by bfloat16; returns 2 where this CPU has no instruction for it.
#[pyfunction]
pub fn nm24_bf16_matmul(codes: Any<'_, '_>, slots: Any<'_, '_>, x: Any<'_, '_>, out: Any<'_, '_>) -> PyResult<usize> {
    let py = x.py();
    if !product::nm24_bf16_is_fast() {
        return Ok(2);
    }
    let (codes, slots, x) =
        (In::<u8>::new("codes", codes, 2)?, In::<u16>::new("slots", slots, 2)?, In::<u16>::new("x", x, 2)?);
    let mut out = Out::<f32>::new("out", out, 2)?;
    let (codes, slots, x, out) = (codes.matrix()?, slots.matrix()?, x.matrix()?, out.matrix()?);
    let finite = crate::exit::detached(py, || product::nm24_bf16_matmul(codes, slots, x, out));
    Ok(usize::from(!done(py, finite)?))
}
