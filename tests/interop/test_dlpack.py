"""Arrays over DLPack: every dtype, shared, alive as long as somebody looks at them."""

import gc
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from contract import same
from sparsefmt.base.dtypes import DTYPES
from sparsefmt.interop import dlpack

NAMES = [name for name in DTYPES if name not in ("bool",)]


def some(name: str) -> np.ndarray[Any, Any]:
    return np.arange(24).astype(np.float32).astype(DTYPES[name]).reshape(2, 3, 4)


@pytest.mark.parametrize("name", NAMES)
def test_every_dtype_there_and_back(name: str) -> None:
    a = some(name)
    for view in (a, a[:, ::2], a.transpose(2, 0, 1), a[::-1, :, 1:], a[:, :0], a.reshape(-1)[5:6].reshape(())):
        back = sf.interop.from_dlpack(sf.interop.to_dlpack(view))
        same(back, view)
        assert back.size == 0 or np.shares_memory(back, a)
    assert back.flags.writeable


def test_parts_of_packed_tensors() -> None:
    t = sf.encode(some("bfloat16").reshape(6, 4), "csr")
    for a in (*t.structure.arrays().values(), *t.values.arrays().values()):
        back = sf.interop.from_dlpack(sf.interop.to_dlpack(a))
        same(back, a)
        assert not back.flags.writeable
        assert np.shares_memory(back, a)


def test_numpy_takes_what_it_knows_and_we_take_numpys() -> None:
    a = some("float32")
    assert np.shares_memory(np.from_dlpack(sf.interop.to_dlpack(a)), a)
    same(sf.interop.from_dlpack(a), a)
    a.flags.writeable = False
    same(np.from_dlpack(sf.interop.to_dlpack(a)), a)
    with pytest.raises(BufferError, match="may not be written to"):
        sf.interop.to_dlpack(a).__dlpack__(copy=False)


def test_memory_lives_as_long_as_it_is_seen() -> None:
    gc.collect()
    before = len(dlpack._lent)
    back = sf.interop.from_dlpack(sf.interop.to_dlpack(some("float8_e4m3fn")))
    assert len(dlpack._lent) == before + 1
    part = back[1, 1:]
    del back
    gc.collect()
    same(part, some("float8_e4m3fn")[1, 1:])
    del part
    gc.collect()
    assert len(dlpack._lent) == before
    sf.interop.to_dlpack(some("int8")).__dlpack__()  # a capsule that nobody takes
    gc.collect()
    assert len(dlpack._lent) == before


def test_what_is_refused() -> None:
    with pytest.raises(sf.FormatError, match="want an object with __dlpack__, got list"):
        sf.interop.from_dlpack([1])
    with pytest.raises(sf.DtypeError, match="not supported"):
        sf.interop.to_dlpack(np.array(["a"]))
    with pytest.raises(BufferError, match="on the CPU"):
        sf.interop.to_dlpack(some("int8")).__dlpack__(dl_device=(2, 0))
