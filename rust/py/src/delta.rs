//! Kernels of `sparsefmt.kernels.delta`.

use crate::arrays::{by_index, detached, index_size, layout};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use sparsefmt::Summed;

/// Evaluates `$body` with the type `$t` set to the unsigned integer of `$size` bytes.
macro_rules! by_integer {
    ($size:expr, $t:ident => $body:expr) => {
        match $size {
            1 => {
                type $t = u8;
                $body
            }
            2 => {
                type $t = u16;
                $body
            }
            4 => {
                type $t = u32;
                $body
            }
            8 => {
                type $t = u64;
                $body
            }
            size => Err(PyTypeError::new_err(format!("want 1, 2, 4 or 8 bytes per item, got {size}"))),
        }
    };
}
pub(crate) use by_integer;

/// Writes the step of every item; gives the number of those that are not 0.
#[pyfunction]
pub fn delta_steps(
    old: &Bound<'_, PyAny>,
    new: &Bound<'_, PyAny>,
    floats: usize,
    steps: &Bound<'_, PyAny>,
) -> PyResult<usize> {
    by_integer!(layout("old", old, 1)?.1, T => detached!(
        old.py(), read: [old: T, new: T], write: [steps: T],
        sparsefmt::delta_steps(old, new, floats != 0, steps)
    ))
}

/// Writes the steps that are not 0 and the gaps between them, if there is room for all; gives how many there are.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "those of its definition")]
pub fn delta_gaps(
    old: &Bound<'_, PyAny>,
    new: &Bound<'_, PyAny>,
    floats: usize,
    cols: usize,
    byte_offsets: &Bound<'_, PyAny>,
    row_offsets: &Bound<'_, PyAny>,
    sums: &Bound<'_, PyAny>,
    gaps: &Bound<'_, PyAny>,
    steps: &Bound<'_, PyAny>,
) -> PyResult<(usize, usize)> {
    by_integer!(layout("steps", steps, 1)?.1, T => by_index!(index_size("row_offsets", row_offsets)?, I => detached!(
        old.py(),
        read: [old: u8, new: u8],
        write: [byte_offsets: I, row_offsets: I, sums: u64, gaps: u8, steps: T],
        sparsefmt::delta_gaps((old, new), floats != 0, cols, (byte_offsets, row_offsets), sums, gaps, steps)
    )))
}

/// Moves every item by its step.
#[pyfunction]
pub fn add_steps(steps: &Bound<'_, PyAny>, floats: usize, values: &Bound<'_, PyAny>) -> PyResult<()> {
    by_integer!(layout("values", values, 1)?.1, T => detached!(
        values.py(), read: [steps: T], write: [values: T],
        sparsefmt::add_steps(steps, floats != 0, values)
    ))
}

/// Moves the items that the gaps name by their steps.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "those of its definition")]
pub fn add_gaps(
    base: &Bound<'_, PyAny>,
    gaps: &Bound<'_, PyAny>,
    byte_offsets: &Bound<'_, PyAny>,
    row_offsets: &Bound<'_, PyAny>,
    steps: &Bound<'_, PyAny>,
    floats: usize,
    cols: usize,
    wanted: usize,
    sums: &Bound<'_, PyAny>,
    values: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let wanted = [Summed::Nothing, Summed::Moved, Summed::All].get(wanted).copied().unwrap_or(Summed::All);
    by_integer!(layout("steps", steps, 1)?.1, T => by_index!(index_size("row_offsets", row_offsets)?, I => detached!(
        values.py(),
        read: [base: u8, gaps: u8, byte_offsets: I, row_offsets: I, steps: T],
        write: [sums: u64, values: u8],
        sparsefmt::add_gaps(
            base, gaps, (byte_offsets, row_offsets), steps, floats != 0, cols, wanted, sums, values
        )
    )))
}
