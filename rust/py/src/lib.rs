//! The Python extension `sparsefmt._native`: borrow arrays, detach from the interpreter, translate errors.
//!
//! Every function has the name and the arguments of its NumPy definition in `sparsefmt.kernels`.

mod arrays;
mod codebook;
mod csr;
mod settings;
mod stream;

use pyo3::prelude::*;

/// Functions that replace the NumPy definitions of the same name.
#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use super::codebook::{assign, decode_lut, histogram16, kmeans_fit, lookup};
    #[pymodule_export]
    use super::csr::{count_nonzero, dense_row_counts, dense_to_csr};
    #[pymodule_export]
    use super::settings::{cpu_features, num_threads, set_num_threads};
    #[pymodule_export]
    use super::stream::{pack_stream, stream_padding, unpack_stream};
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        sparsefmt::Isa::from_env().map(drop).map_err(|e| pyo3::exceptions::PyImportError::new_err(e.to_string()))
    }
}
