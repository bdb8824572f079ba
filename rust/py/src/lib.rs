//! The Python extension `sparsefmt._native`: borrow arrays, detach from the interpreter, translate errors.
//!
//! Every function has the name and the arguments of its NumPy definition in `sparsefmt.kernels`.

mod arrays;
mod bitmask;
mod check;
mod coo;
mod csc;
mod csr;
mod settings;

use pyo3::prelude::*;

/// Functions that replace the NumPy definitions of the same name.
#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use super::bitmask::{bits_gather, bits_to_dense, bits_to_indices, csr_to_bits, dense_to_bits};
    #[pymodule_export]
    use super::check::{bits_check, coo_check, csr_check};
    #[pymodule_export]
    use super::coo::{compress_rows, coo_order, coo_to_dense, expand_indptr};
    #[pymodule_export]
    use super::csc::{count_indices, csc_to_dense, csr_transpose, dense_col_counts, dense_to_csc};
    #[pymodule_export]
    use super::csr::{count_nonzero, csr_to_dense, dense_row_counts, dense_to_csr};
    #[pymodule_export]
    use super::settings::{cpu_features, num_threads, set_num_threads};
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        sparsefmt::Isa::from_env().map(drop).map_err(|e| pyo3::exceptions::PyImportError::new_err(e.to_string()))
    }
}
