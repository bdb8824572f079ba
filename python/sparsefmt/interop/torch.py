"""Tensors of torch, dense and sparse, in and out; torch is imported only where a tensor of it is made."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np

from sparsefmt.api.encode import encode
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import BackendError, FormatError
from sparsefmt.base.foreign import is_torch, torch_array
from sparsefmt.interop.layouts24 import from_cutlass24
from sparsefmt.interop.scipy import from_scipy_parts
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csc, Csr
from sparsefmt.tensor.layout import along_last
from sparsefmt.tensor.sparse import SparseTensor, as_tensor

_CHECKED = {"check_invariants": True}
"""What is borrowed may have changed since it was checked, and torch reads beyond its arrays where indices say so."""

_VIEWED = {"bfloat16": np.int16, "float8_e4m3fn": np.uint8, "float8_e5m2": np.uint8}


def from_torch(x: Any, fmt: str | None = None) -> SparseTensor | Array:  # noqa: ANN401
    """Takes a tensor of torch: detached, brought to the CPU, and shared where it can be.

    Args:
        x: dense of any dtype that has a name here (bfloat16 and float8 too), or sparse: coo (made canonical,
            duplicates summed), csr, csc or bsr of rank 2, coo of any rank; a SparseSemiStructuredTensor with `packed`
            and `meta`, as CUTLASS's kernels have them, becomes nm2:4. The way back: `sf.interop.to_cutlass24`.
        fmt: a format text; default: the layout of x, and for a dense one no format: a NumPy array.

    Returns:
        A packed tensor, or for a dense x without `fmt` an array; both share the memory of x where they can.

    Raises:
        TypeError: no tensor of torch, or of a layout that has no counterpart (bsc, jagged, mkldnn, what cuSPARSELt
            packed, batches, dense dimensions of hybrids); the message names the way out.
        DtypeError: a dtype that no format holds.
        FormatError: indices that contradict each other.
    """
    if not is_torch(x):
        msg = f"x: want a tensor of torch, got {type(x).__name__}"
        raise TypeError(msg)
    torch: Any = sys.modules["torch"]
    if x.layout is torch.strided and hasattr(x, "packed"):
        made = _semi_structured(x)
        return made if fmt is None else made.convert(fmt)
    if x.layout is torch.strided:
        a = torch_array(x, "x")
        return a if fmt is None else encode(a, fmt)
    made = from_scipy_parts(_as_scipy(x.detach().cpu(), torch))
    return made if fmt is None else made.convert(fmt)


def _semi_structured(x: Any) -> SparseTensor:  # noqa: ANN401
    """The nm2:4 tensor of a SparseSemiStructuredTensor as CUTLASS's kernels hold it."""
    packed, meta = (getattr(x, name, None) for name in ("packed", "meta"))
    if packed is None or meta is None:
        msg = f"x is a {type(x).__name__} of torch without packed and meta; use x.to_dense(), sparsefmt.encode(...)"
        raise TypeError(msg)
    return from_cutlass24(torch_array(packed, "packed"), torch_array(meta, "meta"))


def _as_scipy(x: Any, torch: Any) -> SimpleNamespace:  # noqa: ANN401
    """The arrays of a sparse tensor under SciPy's names."""
    layout, shape = str(x.layout).removeprefix("torch."), tuple(int(n) for n in x.shape)
    if layout not in ("sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr"):
        msg = f"x is a torch tensor of layout {x.layout}, which we lack; use x.to_dense() or x.to_sparse()"
        raise TypeError(msg)
    if layout == "sparse_coo":
        if x.dense_dim():
            msg = f"x is a hybrid of torch with {x.dense_dim()} dense dimensions; use x.to_dense(), or x.to_sparse()"
            raise TypeError(msg)
        x = x.coalesce()
        coords = tuple(torch_array(x.indices(), "indices"))
        return SimpleNamespace(format="coo", shape=shape, coords=coords, data=torch_array(x.values(), "values"))
    if len(shape) != 2:
        msg = f"x is a batch of torch, shape {shape}; take one matrix of it, or use x.to_dense()"
        raise TypeError(msg)
    columns = layout == "sparse_csc"
    indptr = x.ccol_indices() if columns else x.crow_indices()
    indices = x.row_indices() if columns else x.col_indices()
    return SimpleNamespace(
        format=layout.removeprefix("sparse_"),
        shape=shape,
        indptr=torch_array(indptr, "indptr"),
        indices=torch_array(indices, "indices"),
        data=torch_array(x.values(), "values"),
    )


def to_torch(t: object, *, dense: bool = False) -> Any:  # noqa: ANN401
    """Makes a tensor of torch.

    Args:
        t: an array, or a packed tensor. coo, csr, csc and bsr (whole blocks) of rank 2, and coo of any rank, keep
            their layout, their values decoded; other structures come dense.
        dense: everything comes dense.

    Returns:
        A tensor on the CPU of the same dtype, bfloat16 and float8 included. Writable arrays are shared, those of packed
        tensors (which are read-only) are copied.

    Raises:
        BackendError: torch is not installed.
        TypeError: t is neither an array nor a packed tensor.
    """
    try:
        import torch  # optional, and slow to import
    except ImportError as e:
        msg = "torch is not installed: pip install torch"
        raise BackendError(msg) from e
    if isinstance(t, np.ndarray):
        return _tensor(t, torch)
    held = along_last(as_tensor(t))
    s = held.structure
    if dense or held.ndim != 2 or not isinstance(s, Coo | Csr | Csc | Bsr) or _is_ragged(s):
        if isinstance(s, Coo) and not dense and held.ndim != 2:
            coords = np.unravel_index(s.row, held.shape[:-1]) if held.ndim > 1 else ()
            at = _tensor(np.stack([*coords, s.col]).astype(np.int64), torch)
            return torch.sparse_coo_tensor(at, _values(held, torch), held.shape, is_coalesced=True, **_CHECKED)
        return _tensor(held.to_dense(), torch)
    if isinstance(s, Coo):
        at = _tensor(np.stack([s.row, s.col]).astype(np.int64), torch)
        return torch.sparse_coo_tensor(at, _values(held, torch), held.shape, is_coalesced=True, **_CHECKED)
    make = {"csr": torch.sparse_csr_tensor, "csc": torch.sparse_csc_tensor, "bsr": torch.sparse_bsr_tensor}[s.kind]
    return make(_tensor(s.indptr, torch), _tensor(s.indices, torch), _values(held, torch), held.shape, **_CHECKED)


def _is_ragged(s: Coo | Csr | Csc | Bsr) -> bool:
    return isinstance(s, Bsr) and any(n % b for n, b in zip(s.shape, s.block, strict=True))


def _values(t: SparseTensor, torch: Any) -> Any:  # noqa: ANN401
    return _tensor(t.values.decode(t.structure), torch)


def _tensor(a: Array, torch: Any) -> Any:  # noqa: ANN401
    """A dense tensor of an array, sharing it if it may be written to."""
    name = a.dtype.name
    if not a.dtype.isnative:
        a = a.astype(a.dtype.newbyteorder("="))
    if not a.flags.writeable or any(n < 0 for n in a.strides):
        a = a.copy()
    if name in _VIEWED:
        return torch.from_numpy(a.view(_VIEWED[name])).view(getattr(torch, name))
    try:
        return torch.from_numpy(a)
    except TypeError as e:
        msg = f"torch has no dtype for {a.dtype}: {e}"
        raise FormatError(msg) from None
