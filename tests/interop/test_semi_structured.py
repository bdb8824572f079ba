"""Parts of torch.sparse.SparseSemiStructuredTensor, in and out, on the CPU; skipped where torch is not installed."""

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf
from contract import same

torch = pytest.importorskip("torch")
layouts = pytest.importorskip("torch.sparse._semi_structured_conversions")
kinds = pytest.importorskip("torch.sparse.semi_structured")
pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of SparseSemiStructuredTensor")


def pruned(dtype: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    return sf.prune.nm(rng.integers(1, 100, (64, 128)).astype(np.dtype(getattr(ml_dtypes, dtype, dtype))))


def semi_structured(shape: tuple[int, ...], packed: object, meta: object) -> object:
    """The tensor as the constructor of torch takes parts."""
    return kinds.SparseSemiStructuredTensorCUTLASS(torch.Size(shape), packed, meta, None, None, None)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int8"])
def test_of_torch(dtype: str) -> None:
    w = pruned(dtype)
    packed, meta = layouts.sparse_semi_structured_from_dense_cutlass(sf.to_torch(w))
    t = sf.from_torch(semi_structured(w.shape, packed, meta))
    assert isinstance(t, sf.SparseTensor)
    assert (t.format, t.shape, t.dtype) == ("nm2:4", w.shape, w.dtype)
    same(t.to_dense(), w)
    same(sf.from_torch(semi_structured(w.shape, packed, meta), "csr").to_dense(), w)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int8"])
def test_to_torch(dtype: str) -> None:
    w = pruned(dtype)
    packed, meta = (sf.to_torch(np.asarray(a)) for a in sf.interop.to_cutlass24(sf.encode(w, "nm2:4")))
    theirs = layouts.sparse_semi_structured_from_dense_cutlass(sf.to_torch(w))
    assert torch.equal(packed, theirs[0])
    assert torch.equal(meta, theirs[1])
    same(sf.from_torch(layouts.sparse_semi_structured_to_dense_cutlass(packed, meta)), w)
    assert sf.equal(sf.from_torch(semi_structured(w.shape, packed, meta)), sf.encode(w, "nm2:4"))


def test_parts_that_are_missing_or_broken() -> None:
    w = pruned("float16")
    packed, meta = layouts.sparse_semi_structured_from_dense_cutlass(sf.to_torch(w))
    with pytest.raises(TypeError, match=r"x\.to_dense\(\)"):
        sf.from_torch(semi_structured(w.shape, packed, None))
    with pytest.raises(sf.FormatError, match="meta: want"):
        sf.from_torch(semi_structured(w.shape, packed, meta[:32]))
    with pytest.raises(sf.FormatError, match="nibble"):
        sf.from_torch(semi_structured(w.shape, packed, torch.zeros_like(meta)))
