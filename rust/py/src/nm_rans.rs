//! Kernels of `sparsefmt.kernels.nm_rans`.

use crate::arrays::{input, output};
use crate::borrow::{In, Out, done};
use pyo3::prelude::*;
use sparsefmt::nm::Pattern;
use sparsefmt::nm_rans::{self, Layout, Streams, Tables};

type Any<'a, 'py> = &'a Bound<'py, PyAny>;

/// Adds up decisions.
#[pyfunction]
pub fn nm_rans_count(codes: Any<'_, '_>, n: usize, m: usize, groups: usize, counts: Any<'_, '_>) -> PyResult<()> {
    let py = codes.py();
    let pattern = done(py, Pattern::new(n, m))?;
    let (codes, mut counts) = (In::<u8>::new("codes", codes, 2)?, Out::<u64>::new("counts", counts, 3)?);
    let contexts = counts.shape[1];
    let codes = codes.matrix()?;
    let counts = counts.items()?;
    let mut sums: Vec<i64> = counts.iter().map(|&count| count as i64).collect();
    done(py, crate::exit::detached(py, || nm_rans::count(codes, pattern, groups, contexts, &mut sums)))?;
    counts.iter_mut().zip(sums).for_each(|(count, sum)| *count = sum as u64);
    Ok(())
}

/// Writes the streams of blocks; gives the bytes of all.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arrays of the structure, and how they are laid out")]
pub fn nm_rans_pack(
    codes: Any<'_, '_>,
    n: usize,
    m: usize,
    groups: usize,
    height: usize,
    classes: Any<'_, '_>,
    tables: Any<'_, '_>,
    lengths: Any<'_, '_>,
    out: Any<'_, '_>,
) -> PyResult<usize> {
    let py = codes.py();
    let layout = Layout { pattern: done(py, Pattern::new(n, m))?, groups, height };
    let (codes, tables) = (In::<u8>::new("codes", codes, 2)?, In::<u8>::new("tables", tables, 2)?);
    let classes = input::<u8>("classes", classes)?;
    let (mut lengths, mut out) = (output::<i64>("lengths", lengths)?, output::<u8>("out", out)?);
    let (codes, tables) = (codes.matrix()?, Tables { classes: classes.as_slice()?, tables: tables.matrix()? });
    let (lengths, out) = (lengths.as_slice_mut()?, out.as_slice_mut()?);
    done(py, crate::exit::detached(py, || nm_rans::pack(codes, layout, tables, lengths, out)))
}

/// Writes codes from streams; gives 0, or 1 + the first damaged block.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arrays of the structure, and how they are laid out")]
pub fn nm_rans_unpack(
    stream: Any<'_, '_>,
    offsets: Any<'_, '_>,
    n: usize,
    m: usize,
    groups: usize,
    height: usize,
    classes: Any<'_, '_>,
    tables: Any<'_, '_>,
    codes: Any<'_, '_>,
) -> PyResult<usize> {
    let py = codes.py();
    let layout = Layout { pattern: done(py, Pattern::new(n, m))?, groups, height };
    let (stream, offsets) = (input::<u8>("stream", stream)?, input::<i64>("offsets", offsets)?);
    let (classes, tables) = (input::<u8>("classes", classes)?, In::<u8>::new("tables", tables, 2)?);
    let mut codes = Out::<u8>::new("codes", codes, 2)?;
    let streams = Streams { bytes: stream.as_slice()?, offsets: offsets.as_slice()? };
    let tables = Tables { classes: classes.as_slice()?, tables: tables.matrix()? };
    let codes = codes.matrix()?;
    let found = done(py, crate::exit::detached(py, || nm_rans::unpack(streams, layout, tables, codes)))?;
    Ok(found.map_or(0, |block| block + 1))
}

/// Whether streams hold what they should; gives 0, or 1 + the first damaged block.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arrays of the structure, and how they are laid out")]
pub fn nm_rans_check(
    stream: Any<'_, '_>,
    offsets: Any<'_, '_>,
    rows: usize,
    n: usize,
    m: usize,
    groups: usize,
    height: usize,
    classes: Any<'_, '_>,
    tables: Any<'_, '_>,
) -> PyResult<usize> {
    let py = stream.py();
    let layout = Layout { pattern: done(py, Pattern::new(n, m))?, groups, height };
    let (stream, offsets) = (input::<u8>("stream", stream)?, input::<i64>("offsets", offsets)?);
    let (classes, tables) = (input::<u8>("classes", classes)?, In::<u8>::new("tables", tables, 2)?);
    let streams = Streams { bytes: stream.as_slice()?, offsets: offsets.as_slice()? };
    let tables = Tables { classes: classes.as_slice()?, tables: tables.matrix()? };
    let found = done(py, crate::exit::detached(py, || nm_rans::check(streams, rows, layout, tables)))?;
    Ok(found.map_or(0, |block| block + 1))
}
