"""The search for the fastest algorithm of cuSPARSELt."""

from sparsefmt.base.dtypes import Dtype, dtype_of
from sparsefmt.cuda.blas import empty_like
from sparsefmt.cuda.device import DeviceArray, on
from sparsefmt.cuda.engines import forced
from sparsefmt.cuda.products import as_matrix, by_rows, columns, operands
from sparsefmt.cuda.sparse24 import CuSparseLt
from sparsefmt.product.dtypes import result_dtypes
from sparsefmt.tensor.sparse import SparseTensor


def search(t: SparseTensor, x: DeviceArray, *, dtype: str | Dtype | None = None) -> None:
    """Runs all algorithms of cuSPARSELt for `t @ x` once and keeps the fastest for products of this shape and kind.

    The result is kept in memory only, for this version of the library and this GPU.

    Args:
        t: an nm2:4 tensor on a GPU.
        x: an array on the same GPU; only its shape, dtype and order matter.
        dtype: of the result, as in `matmul`.

    Raises:
        BackendError: cuSPARSELt cannot multiply these.
    """
    a = operands(t, x)
    with on(a):
        matrix, flat = as_matrix(t), columns(a)
        result = result_dtypes(t.dtype, a.dtype, matrix.structure.shape[1])[0] if dtype is None else dtype_of(dtype)
        engine = forced(CuSparseLt.name, matrix, flat, result)
        assert isinstance(engine, CuSparseLt)
        out = empty_like((matrix.structure.shape[0], flat.shape[1]), result, "C" if by_rows(flat) else "F")
        engine.multiply(matrix, flat, out, None, search=True)
