//! Kernels of `sparsefmt.kernels.nm`.

use crate::arrays::{by_index, by_number, by_width, index_size, input, layout, output};
use crate::borrow::{In, Out, done};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sparsefmt::Csr;
use sparsefmt::nm::{self, Finding, NmRows, Order, Overfull, Pattern, Places, Ranked};

type Any<'a, 'py> = &'a Bound<'py, PyAny>;
pub type Report = (usize, usize, usize, usize);

pub fn report(overfull: Option<Overfull>) -> Report {
    overfull.map_or((0, 0, 0, 0), |o| (o.groups, o.row, o.group, o.nonzeros))
}

pub fn pattern(py: Python<'_>, n: usize, m: usize) -> PyResult<Pattern> {
    done(py, Pattern::new(n, m))
}

/// A view of borrowed codes.
fn nm_of<'a>(py: Python<'_>, codes: &'a In<'_, u8>, pattern: Pattern, shape: (usize, usize)) -> PyResult<NmRows<'a>> {
    done(py, NmRows::new(codes.matrix()?, pattern, shape))
}

/// The bytes per item of a matrix.
pub fn size(name: &str, any: Any<'_, '_>) -> PyResult<usize> {
    Ok(layout(name, any, 2)?.1)
}

/// The error for items that are no numbers.
pub(crate) fn unranked<R>(size: usize) -> PyResult<R> {
    Err(PyValueError::new_err(format!("w: items of {size} bytes cannot be ranked")))
}

pub(crate) fn order<T: Ranked>(name: &str) -> PyResult<Order<T>> {
    let error = || PyValueError::new_err(format!("order: no dtype {name} of {} bytes can be ranked", size_of::<T>()));
    T::order(name).ok_or_else(error)
}

/// Packs the nonzero items of `w`.
#[pyfunction]
pub fn nm_encode(
    w: Any<'_, '_>,
    zero: u64,
    n: usize,
    m: usize,
    codes: Any<'_, '_>,
    slots: Any<'_, '_>,
) -> PyResult<Report> {
    let (py, pattern) = (w.py(), pattern(w.py(), n, m)?);
    by_width!(size("w", w)?, T => {
        let w = In::<T>::new("w", w, 2)?;
        let (mut codes, mut slots) = (Out::<u8>::new("codes", codes, 2)?, Out::<T>::new("slots", slots, 2)?);
        let (w, codes, slots) = (w.matrix()?, codes.matrix()?, slots.matrix()?);
        done(py, crate::exit::detached(py, || nm::encode(w, zero, pattern, codes, slots))).map(report)
    })
}

/// Writes 1 where the key is among the n largest of its group, else 0.
#[pyfunction]
pub fn nm_select(keys: Any<'_, '_>, n: usize, m: usize, keep: Any<'_, '_>) -> PyResult<()> {
    let (py, pattern) = (keys.py(), pattern(keys.py(), n, m)?);
    let (keys, mut keep) = (In::<u64>::new("keys", keys, 2)?, Out::<u8>::new("keep", keep, 2)?);
    let (keys, keep) = (keys.matrix()?, keep.matrix()?);
    done(py, crate::exit::detached(py, || nm::select(keys, pattern, keep)))
}

/// Copies `w`, with zero where the magnitude is not among the n largest of its group.
#[pyfunction]
pub fn nm_prune(w: Any<'_, '_>, order: &str, n: usize, m: usize, out: Any<'_, '_>) -> PyResult<()> {
    let (py, pattern) = (w.py(), pattern(w.py(), n, m)?);
    by_number!(size("w", w)?, T => {
        let (order, w, mut out) = (self::order::<T>(order)?, In::<T>::new("w", w, 2)?, Out::<T>::new("out", out, 2)?);
        let (w, out) = (w.matrix()?, out.matrix()?);
        done(py, crate::exit::detached(py, || nm::prune(w, order, pattern, out)))
    }, size => unranked(size))
}

/// Packs the n items of largest magnitude of every group, less those that are zero.
#[pyfunction]
pub fn nm_prune_encode(
    w: Any<'_, '_>,
    zero: u64,
    order: &str,
    n: usize,
    m: usize,
    codes: Any<'_, '_>,
    slots: Any<'_, '_>,
) -> PyResult<()> {
    let (py, pattern) = (w.py(), pattern(w.py(), n, m)?);
    by_number!(size("w", w)?, T => {
        let (order, w) = (self::order::<T>(order)?, In::<T>::new("w", w, 2)?);
        let (mut codes, mut slots) = (Out::<u8>::new("codes", codes, 2)?, Out::<T>::new("slots", slots, 2)?);
        let (w, codes, slots) = (w.matrix()?, codes.matrix()?, slots.matrix()?);
        done(py, crate::exit::detached(py, || nm::prune_encode(w, zero, order, pattern, codes, slots)))
    }, size => unranked(size))
}

/// Zeroes `out` and puts every slot in its place.
#[pyfunction]
pub fn nm_decode(codes: Any<'_, '_>, slots: Any<'_, '_>, n: usize, m: usize, out: Any<'_, '_>) -> PyResult<()> {
    let (py, pattern) = (codes.py(), pattern(codes.py(), n, m)?);
    by_width!(size("slots", slots)?, T => {
        let (codes, slots) = (In::<u8>::new("codes", codes, 2)?, In::<T>::new("slots", slots, 2)?);
        let mut out = Out::<T>::new("out", out, 2)?;
        let nm = nm_of(py, &codes, pattern, (out.shape[0], out.shape[1]))?;
        let (slots, out) = (slots.matrix()?, out.matrix()?);
        done(py, crate::exit::detached(py, || nm::decode(nm, slots, out)))
    })
}

/// Packs some groups of `w`, and leaves all others.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn nm_update(
    w: Any<'_, '_>,
    keep: Any<'_, '_>,
    zero: u64,
    n: usize,
    m: usize,
    row: Any<'_, '_>,
    group: Any<'_, '_>,
    codes: Any<'_, '_>,
    slots: Any<'_, '_>,
) -> PyResult<Report> {
    let (py, pattern) = (w.py(), pattern(w.py(), n, m)?);
    by_width!(size("w", w)?, T => {
        let (w, keep) = (In::<T>::new("w", w, 2)?, In::<u8>::new("keep", keep, 2)?);
        let (row, group) = (input::<i64>("row", row)?, input::<i64>("group", group)?);
        let (mut codes, mut slots) = (Out::<u8>::new("codes", codes, 2)?, Out::<T>::new("slots", slots, 2)?);
        let (w, keep, at) = (w.matrix()?, keep.matrix()?, done(py, Places::new(row.as_slice()?, group.as_slice()?))?);
        let (codes, slots) = (codes.matrix()?, slots.matrix()?);
        done(py, crate::exit::detached(py, || nm::update(w, keep, zero, pattern, at, codes, slots))).map(report)
    })
}

/// Tells what is wrong first.
#[pyfunction]
pub fn nm_check(codes: Any<'_, '_>, slots: Any<'_, '_>, n: usize, m: usize, cols: usize) -> PyResult<Report> {
    let (py, pattern) = (codes.py(), pattern(codes.py(), n, m)?);
    by_width!(size("slots", slots)?, T => {
        let (codes, slots) = (In::<u8>::new("codes", codes, 2)?, In::<T>::new("slots", slots, 2)?);
        let (nm, slots) = (nm_of(py, &codes, pattern, (codes.shape[0], cols))?, slots.matrix()?);
        Ok(match done(py, crate::exit::detached(py, || nm::check(nm, slots)))? {
            None => (0, 0, 0, 0),
            Some(Finding::Code { row, group, code }) => (1, row, group, code as usize),
            Some(Finding::Padding { row }) => (2, row, 0, 0),
            Some(Finding::Beyond { row, slot }) => (3, row, slot, 0),
        })
    })
}

/// Counts the slots of every row that are nonzero (by bits) and inside the shape.
#[pyfunction]
pub fn nm_row_counts(
    codes: Any<'_, '_>,
    slots: Any<'_, '_>,
    n: usize,
    m: usize,
    cols: usize,
    counts: Any<'_, '_>,
) -> PyResult<()> {
    let (py, pattern) = (codes.py(), pattern(codes.py(), n, m)?);
    by_width!(size("slots", slots)?, T => by_index!(index_size("counts", counts)?, I => {
        let (codes, slots) = (In::<u8>::new("codes", codes, 2)?, In::<T>::new("slots", slots, 2)?);
        let mut counts = output::<I>("counts", counts)?;
        let nm = nm_of(py, &codes, pattern, (codes.shape[0], cols))?;
        let (slots, counts) = (slots.matrix()?, counts.as_slice_mut()?);
        done(py, crate::exit::detached(py, || nm::row_counts(nm, slots, counts)))
    }))
}

/// Writes the column and item of every slot that `nm_row_counts` counts.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn nm_to_csr(
    codes: Any<'_, '_>,
    slots: Any<'_, '_>,
    n: usize,
    m: usize,
    cols: usize,
    indptr: Any<'_, '_>,
    indices: Any<'_, '_>,
    out_slots: Any<'_, '_>,
) -> PyResult<()> {
    let (py, pattern) = (codes.py(), pattern(codes.py(), n, m)?);
    by_width!(size("slots", slots)?, T => by_index!(index_size("indptr", indptr)?, I => {
        let (codes, slots) = (In::<u8>::new("codes", codes, 2)?, In::<T>::new("slots", slots, 2)?);
        let (indptr, mut indices) = (input::<I>("indptr", indptr)?, output::<I>("indices", indices)?);
        let mut out_slots = Out::<T>::new("out_slots", out_slots, 1)?;
        let nm = nm_of(py, &codes, pattern, (codes.shape[0], cols))?;
        let (slots, out_slots) = (slots.matrix()?, out_slots.items()?);
        let (indptr, indices) = (indptr.as_slice()?, indices.as_slice_mut()?);
        done(py, crate::exit::detached(py, || nm::to_csr(nm, slots, indptr, indices, out_slots)))
    }))
}

/// Packs the nonzero (by bits) slots of csr.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn csr_to_nm(
    indptr: Any<'_, '_>,
    indices: Any<'_, '_>,
    slots: Any<'_, '_>,
    n: usize,
    m: usize,
    cols: usize,
    codes: Any<'_, '_>,
    out_slots: Any<'_, '_>,
) -> PyResult<Report> {
    let (py, pattern) = (codes.py(), pattern(codes.py(), n, m)?);
    by_width!(layout("slots", slots, 1)?.1, T => by_index!(index_size("indptr", indptr)?, I => {
        let (indptr, indices) = (input::<I>("indptr", indptr)?, input::<I>("indices", indices)?);
        let slots = In::<T>::new("slots", slots, 1)?;
        let (mut codes, mut out_slots) = (Out::<u8>::new("codes", codes, 2)?, Out::<T>::new("out_slots", out_slots, 2)?);
        let csr = done(py, Csr::of_cols(indptr.as_slice()?, indices.as_slice()?, cols))?;
        let (slots, codes, out_slots) = (slots.items()?, codes.matrix()?, out_slots.matrix()?);
        done(py, crate::exit::detached(py, || nm::from_csr(csr, slots, pattern, codes, out_slots))).map(report)
    }))
}

/// Codes of 2:4 of a mask; gives 1 where four columns have not two bits.
#[pyfunction]
pub fn nm24_from_mask(bits: &Bound<'_, PyAny>, cols: usize, codes: &Bound<'_, PyAny>) -> PyResult<usize> {
    let (py, bits, mut codes) = (bits.py(), In::<u8>::new("bits", bits, 2)?, Out::<u8>::new("codes", codes, 2)?);
    let (bits, codes) = (bits.matrix()?, codes.matrix()?);
    Ok(usize::from(!done(py, crate::exit::detached(py, || sparsefmt::nm::nm24_from_mask(bits, cols, codes)))?))
}
