//! Kernels of `sparsefmt.kernels.bsr`.

use crate::arrays::{by_index, by_width, index_size, input, layout, output};
use crate::borrow::{In, Out, done};
use numpy::{Element, PyReadonlyArrayDyn};
use pyo3::prelude::*;
use sparsefmt::bsr::{self, Block, Blocks};
use sparsefmt::{Csr, Index};

type Any<'a, 'py> = &'a Bound<'py, PyAny>;

/// The bytes per item of an array of blocks, and their shape.
fn block_layout(blocks: Any<'_, '_>) -> PyResult<(usize, Block)> {
    let (shape, size) = layout("blocks", blocks, 3)?;
    Ok((size, done(blocks.py(), Block::new(shape[1], shape[2]))?))
}

/// A view of borrowed offsets and block columns.
fn blocks_of<'a, I: Index + Element>(
    py: Python<'_>,
    indptr: &'a PyReadonlyArrayDyn<'_, I>,
    indices: &'a PyReadonlyArrayDyn<'_, I>,
    block: Block,
    shape: (usize, usize),
) -> PyResult<Blocks<'a, I>> {
    done(py, Blocks::new(indptr.as_slice()?, indices.as_slice()?, block, shape))
}

/// Counts the blocks of every block row that hold a nonzero item.
#[pyfunction]
pub fn bsr_block_counts(w: Any<'_, '_>, zero: u64, block: (usize, usize), counts: Any<'_, '_>) -> PyResult<()> {
    let (py, block) = (w.py(), done(w.py(), Block::new(block.0, block.1))?);
    by_width!(layout("w", w, 2)?.1, T => by_index!(index_size("counts", counts)?, I => {
        let (w, mut counts) = (In::<T>::new("w", w, 2)?, output::<I>("counts", counts)?);
        let (w, counts) = (w.matrix()?, counts.as_slice_mut()?);
        done(py, crate::exit::detached(py, || bsr::block_counts(w, zero, block, counts)))
    }))
}

/// Writes the block columns and the blocks that hold a nonzero item.
#[pyfunction]
pub fn dense_to_bsr(
    w: Any<'_, '_>,
    zero: u64,
    indptr: Any<'_, '_>,
    indices: Any<'_, '_>,
    blocks: Any<'_, '_>,
) -> PyResult<()> {
    let (py, (size, block)) = (w.py(), block_layout(blocks)?);
    by_width!(size, T => by_index!(index_size("indptr", indptr)?, I => {
        let (w, mut blocks) = (In::<T>::new("w", w, 2)?, Out::<T>::new("blocks", blocks, 3)?);
        let (indptr, mut indices) = (input::<I>("indptr", indptr)?, output::<I>("indices", indices)?);
        let (w, blocks, indptr, indices) = (w.matrix()?, blocks.items()?, indptr.as_slice()?, indices.as_slice_mut()?);
        done(py, crate::exit::detached(py, || bsr::from_dense(w, zero, block, indptr, indices, blocks)))
    }))
}

/// Writes offsets, and the block columns and the blocks that hold a nonzero item if there is room for all.
#[pyfunction]
pub fn dense_to_bsr_within(
    w: Any<'_, '_>,
    zero: u64,
    indptr: Any<'_, '_>,
    indices: Any<'_, '_>,
    blocks: Any<'_, '_>,
) -> PyResult<usize> {
    let (py, (size, block)) = (w.py(), block_layout(blocks)?);
    by_width!(size, T => by_index!(index_size("indptr", indptr)?, I => {
        let (w, mut blocks) = (In::<T>::new("w", w, 2)?, Out::<T>::new("blocks", blocks, 3)?);
        let (mut indptr, mut indices) = (output::<I>("indptr", indptr)?, output::<I>("indices", indices)?);
        let (w, blocks, indptr, indices) = (w.matrix()?, blocks.items()?, indptr.as_slice_mut()?, indices.as_slice_mut()?);
        done(py, crate::exit::detached(py, || bsr::from_dense_within(w, zero, block, indptr, indices, blocks)))
    }))
}

/// Zeroes `out` and puts every block in its place.
#[pyfunction]
pub fn bsr_to_dense(indptr: Any<'_, '_>, indices: Any<'_, '_>, blocks: Any<'_, '_>, out: Any<'_, '_>) -> PyResult<()> {
    let (py, (size, block)) = (out.py(), block_layout(blocks)?);
    by_width!(size, T => by_index!(index_size("indptr", indptr)?, I => {
        let (indptr, indices) = (input::<I>("indptr", indptr)?, input::<I>("indices", indices)?);
        let (blocks, mut out) = (In::<T>::new("blocks", blocks, 3)?, Out::<T>::new("out", out, 2)?);
        let bsr = blocks_of(py, &indptr, &indices, block, (out.shape[0], out.shape[1]))?;
        let (items, out) = (blocks.items()?, out.matrix()?);
        done(py, crate::exit::detached(py, || bsr::to_dense(bsr, items, out)))
    }))
}

/// Counts the nonzero (by bits) items inside the shape of every row.
#[pyfunction]
pub fn bsr_row_counts(
    indptr: Any<'_, '_>,
    indices: Any<'_, '_>,
    blocks: Any<'_, '_>,
    shape: (usize, usize),
    counts: Any<'_, '_>,
) -> PyResult<()> {
    let (py, (size, block)) = (counts.py(), block_layout(blocks)?);
    by_width!(size, T => by_index!(index_size("indptr", indptr)?, I => by_index!(index_size("counts", counts)?, J => {
        let (indptr, indices) = (input::<I>("indptr", indptr)?, input::<I>("indices", indices)?);
        let (blocks, mut counts) = (In::<T>::new("blocks", blocks, 3)?, output::<J>("counts", counts)?);
        let bsr = blocks_of(py, &indptr, &indices, block, shape)?;
        let (items, counts) = (blocks.items()?, counts.as_slice_mut()?);
        done(py, crate::exit::detached(py, || bsr::row_counts(bsr, items, counts)))
    })))
}

/// Writes the column and item of all that `bsr_row_counts` counts.
#[pyfunction]
pub fn bsr_to_csr(
    indptr: Any<'_, '_>,
    indices: Any<'_, '_>,
    blocks: Any<'_, '_>,
    cols: usize,
    out_indptr: Any<'_, '_>,
    out_indices: Any<'_, '_>,
    out_slots: Any<'_, '_>,
) -> PyResult<()> {
    let (py, (size, block)) = (blocks.py(), block_layout(blocks)?);
    by_width!(size, T => by_index!(index_size("indptr", indptr)?, I => {
        by_index!(index_size("out_indptr", out_indptr)?, J => {
            let (indptr, indices) = (input::<I>("indptr", indptr)?, input::<I>("indices", indices)?);
            let (blocks, mut out_slots) = (In::<T>::new("blocks", blocks, 3)?, Out::<T>::new("out_slots", out_slots, 1)?);
            let (out_indptr, mut out_indices) = (input::<J>("out_indptr", out_indptr)?, output::<J>("out_indices", out_indices)?);
            let rows = out_indptr.as_slice()?.len().saturating_sub(1);
            let bsr = blocks_of(py, &indptr, &indices, block, (rows, cols))?;
            let items = blocks.items()?;
            let (out_indptr, out_indices, out_slots) = (out_indptr.as_slice()?, out_indices.as_slice_mut()?, out_slots.items()?);
            done(py, crate::exit::detached(py, || bsr::to_csr(bsr, items, out_indptr, out_indices, out_slots)))
        })
    }))
}

/// Counts the blocks of every block row that hold a nonzero (by bits) slot of csr.
#[pyfunction]
pub fn csr_block_counts(
    indptr: Any<'_, '_>,
    indices: Any<'_, '_>,
    slots: Any<'_, '_>,
    block: (usize, usize),
    cols: usize,
    counts: Any<'_, '_>,
) -> PyResult<()> {
    let (py, block) = (slots.py(), done(slots.py(), Block::new(block.0, block.1))?);
    by_width!(layout("slots", slots, 1)?.1, T => by_index!(index_size("indptr", indptr)?, I => {
        by_index!(index_size("counts", counts)?, J => {
            let (indptr, indices) = (input::<I>("indptr", indptr)?, input::<I>("indices", indices)?);
            let (slots, mut counts) = (In::<T>::new("slots", slots, 1)?, output::<J>("counts", counts)?);
            let csr = done(py, Csr::of_cols(indptr.as_slice()?, indices.as_slice()?, cols))?;
            let (slots, counts) = (slots.items()?, counts.as_slice_mut()?);
            done(py, crate::exit::detached(py, || bsr::csr_block_counts(csr, slots, block, counts)))
        })
    }))
}

/// Writes the blocks that `csr_block_counts` counts.
#[pyfunction]
pub fn csr_to_bsr(
    indptr: Any<'_, '_>,
    indices: Any<'_, '_>,
    slots: Any<'_, '_>,
    cols: usize,
    out_indptr: Any<'_, '_>,
    out_indices: Any<'_, '_>,
    blocks: Any<'_, '_>,
) -> PyResult<()> {
    let (py, (size, block)) = (slots.py(), block_layout(blocks)?);
    by_width!(size, T => by_index!(index_size("indptr", indptr)?, I => {
        by_index!(index_size("out_indptr", out_indptr)?, J => {
            let (indptr, indices) = (input::<I>("indptr", indptr)?, input::<I>("indices", indices)?);
            let (slots, mut blocks) = (In::<T>::new("slots", slots, 1)?, Out::<T>::new("blocks", blocks, 3)?);
            let (out_indptr, mut out_indices) = (input::<J>("out_indptr", out_indptr)?, output::<J>("out_indices", out_indices)?);
            let csr = done(py, Csr::of_cols(indptr.as_slice()?, indices.as_slice()?, cols))?;
            let slots = slots.items()?;
            let (out_indptr, out_indices, blocks) = (out_indptr.as_slice()?, out_indices.as_slice_mut()?, blocks.items()?);
            done(py, crate::exit::detached(py, || bsr::from_csr(csr, slots, block, out_indptr, out_indices, blocks)))
        })
    }))
}
