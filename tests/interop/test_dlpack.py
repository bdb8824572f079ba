"""Arrays over DLPack: every dtype, shared, alive as long as somebody looks at them."""

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from contract import same
from sparsefmt.base.dtypes import DTYPES

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
    a = some("float8_e4m3fn")
    alive = weakref.ref(a.base)
    back = sf.interop.from_dlpack(sf.interop.to_dlpack(a))
    part = back[1, 1:]
    del a, back
    gc.collect()
    same(part, some("float8_e4m3fn")[1, 1:])
    assert alive() is not None
    del part
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("name", ["int8", "bfloat16", "float8_e5m2"])
def test_a_capsule_that_nobody_takes_lets_go(name: str) -> None:
    a = some(name)
    alive = weakref.ref(a.base)
    sf.interop.to_dlpack(a).__dlpack__()
    del a
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_a_consumer_that_refuses_raises_its_own_error(name: str) -> None:
    """The capsule dies while that error is on its way."""
    a = some(name)
    alive = weakref.ref(a.base)
    with pytest.raises(RuntimeError, match="Unsupported dtype in DLTensor"):
        np.from_dlpack(sf.interop.to_dlpack(a))  # type: ignore[arg-type]
    del a
    gc.collect()
    assert alive() is None


class Asking:
    """Hands on what was lent as one version of DLPack, as a copy."""

    def __init__(self, lent: Any, version: tuple[int, int] | None) -> None:  # noqa: ANN401
        self.lent, self.version = lent, version

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(self, *, max_version: object = None) -> object:
        return self.lent.__dlpack__(max_version=self.version, copy=True)


@pytest.mark.parametrize("version", [None, (1, 0)])
@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_a_copy_is_one(name: str, version: tuple[int, int] | None) -> None:
    a = some(name)
    back = sf.interop.from_dlpack(Asking(sf.interop.to_dlpack(a), version))
    same(back, a)
    assert not np.shares_memory(back, a)


def test_what_is_refused() -> None:
    with pytest.raises(sf.FormatError, match="want an object with __dlpack__, got list"):
        sf.interop.from_dlpack([1])
    with pytest.raises(sf.DtypeError, match="not supported"):
        sf.interop.to_dlpack(np.array(["a"]))
    for wrong in ([1], np.ma.masked_array([1]), sf.encode(np.eye(2), "csr")):
        with pytest.raises(TypeError, match="want an array of NumPy, got"):
            sf.interop.to_dlpack(wrong)
    with pytest.raises(BufferError, match="on the CPU"):
        sf.interop.to_dlpack(some("int8")).__dlpack__(dl_device=(2, 0))
