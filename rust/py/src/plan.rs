//! The plan of a product, and what was done; see `sparsefmt.kernels.plan`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sparsefmt::product::{self, Kind, Stored, Task};

/// Name of a way, bytes, operations, bytes of working space, products of parts.
type Planned = (&'static str, usize, usize, usize, usize);

/// The way of a product: its name, bytes, operations, working space and products of parts; none where no kernel takes it.
///
/// `kind` is (name, a, b): a and b are n and m, or rows and columns of a block. `how` is as in
/// `sparsefmt.kernels.product`; `scale_bytes` are those of a scale.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "what a product depends on")]
pub fn product_plan(
    kind: (&str, usize, usize),
    shape: (usize, usize),
    slots: usize,
    how: (&str, usize, usize),
    scale_bytes: usize,
    k: usize,
    x_dtype: &str,
    nbytes: usize,
) -> PyResult<Option<Planned>> {
    let kind = match kind {
        ("nm", n, m) => Kind::Masked { two_of_four: (n, m) == (2, 4) },
        ("bitmask" | "dense", ..) => Kind::Masked { two_of_four: false },
        ("csr", ..) => Kind::Csr,
        ("bsr", r, c) => Kind::Bsr(r, c),
        (other, ..) => return Err(PyValueError::new_err(format!("kind: no kernel multiplies {other}"))),
    };
    let stored = match how {
        (dtype, 0, _) => number(dtype),
        (_, 4, 1..) if scale_bytes == 2 => Stored::Parts(2),
        _ => Stored::Parts(3),
    };
    let (integers, x) = (how.0 == "integers", number(x_dtype));
    let found = product::planned(&Task { kind, shape, slots, stored, integers, k, x, nbytes });
    Ok(found.map(|plan| (plan.way.name(), plan.bytes, plan.operations, plan.room, plan.products)))
}

/// How numbers of that dtype are stored.
fn number(dtype: &str) -> Stored {
    match dtype {
        "float32" => Stored::F32,
        "bfloat16" => Stored::Bf16,
        "float16" | "int16" | "uint16" => Stored::Parts(2),
        "bool" | "int8" | "uint8" | "float8_e4m3fn" | "float8_e5m2" => Stored::Parts(1),
        _ => Stored::Parts(3),
    }
}

/// How many products went each way since the process began.
#[pyfunction]
pub fn product_ways_taken() -> Vec<(&'static str, u64)> {
    product::taken()
}
