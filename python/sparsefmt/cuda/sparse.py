"""The engine for csr: cuSPARSE, through CuPy."""

import importlib

from sparsefmt.base.dtypes import Dtype
from sparsefmt.cuda import blas, codecs
from sparsefmt.cuda.device import DeviceArray, assign
from sparsefmt.cuda.machine import machine
from sparsefmt.cuda.prepared import prepared
from sparsefmt.product.dtypes import result_dtypes
from sparsefmt.structures.csr import Csr
from sparsefmt.tensor.sparse import SparseTensor


class CuSparse:
    """Slot by slot, in float32 or float64; the values are decoded once and kept with the tensor."""

    name = "cusparse"

    def refuses(self, t: SparseTensor, x: DeviceArray, dtype: Dtype) -> str | None:
        """Takes csr with indices of 32 bits and real floats."""
        if not isinstance(t.structure, Csr):
            return f"it takes csr, not {t.structure.kind}"
        if t.structure.indptr.dtype.itemsize != 4:
            return "it takes indices of 32 bits"
        if result_dtypes(t.dtype, x.dtype)[1].name not in ("float32", "float64"):
            return f"it multiplies real floats, not {t.dtype} and {x.dtype}"
        if 0 in t.structure.shape or not x.shape[1] or not t.structure.slots:
            return "there is nothing to multiply"
        return None

    def estimate(self, t: SparseTensor, x: DeviceArray, dtype: Dtype) -> float:
        """Every slot is read once, and gathers a row of x, mostly from the cache."""
        here, k = machine(), x.shape[1]
        wide = result_dtypes(t.dtype, x.dtype)[1].itemsize
        moved = t.structure.slots * (wide + 4) + x.nbytes + t.structure.shape[0] * k * dtype.itemsize
        return float((moved + 0.25 * t.structure.slots * k * wide) / (0.5 * here.bandwidth)) + 6 * here.launch

    def multiply(self, t: SparseTensor, x: DeviceArray, out: DeviceArray, bias: DeviceArray | None) -> DeviceArray:
        """See `Engine.multiply`."""
        compute = result_dtypes(t.dtype, x.dtype)[1]
        matrix = prepared(t, ("cusparse", compute.name), lambda: self._matrix(t, compute))
        product = matrix @ blas.widened(x, x.dtype, compute)
        if product.dtype == out.dtype:
            assign(out, product)
        else:
            blas.narrowed(blas.fitted(product, out.shape, "C" if out.flags.c_contiguous else "F"), out)
        blas.epilogue(out, bias, None)
        return out

    @staticmethod
    def _matrix(t: SparseTensor, compute: Dtype) -> DeviceArray:
        s = t.structure
        assert isinstance(s, Csr)
        values = blas.widened(codecs.decode(s, t.values, 0, s.shape[0]), t.dtype, compute)
        return importlib.import_module("cupyx.scipy.sparse").csr_matrix((values, s.indices, s.indptr), s.shape)
