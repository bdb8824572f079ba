"""Dask: sizes and serialisation of packed tensors, registered when Dask itself is imported.

Dask calls `register` through the entry point `dask.sizeof`. Nothing of it is imported from here. Tokens come from
`SparseTensor.__dask_tokenize__`, which Dask asks for.
"""

import sys
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.tensor.rebuild import exported
from sparsefmt.tensor.sparse import SparseTensor, unpickled

OBJECTS = 1024
"""Bytes of the Python objects of a tensor, about."""

_registered: set[str] = set()


def size(t: SparseTensor) -> int:
    """Bytes that a tensor takes."""
    serialisation()
    return t.nbytes + OBJECTS


def flat(a: Array) -> Array:
    """An array as bytes, of dtypes too that Dask does not know."""
    return np.ascontiguousarray(a).reshape(-1).view(np.uint8)


def serialized(t: SparseTensor) -> tuple[dict[str, Any], list[memoryview]]:
    """A header, and the bytes of all arrays as they lie: nothing is copied."""
    if t.device != "cpu":
        t = t.to("cpu")
    header: dict[str, Any] = {"shape": t.shape, "dtype": t.dtype.name, "parts": []}
    frames: list[memoryview] = []
    for part in (t.structure, t.values):
        kind, arrays, params = exported(part)
        described = [(name, a.dtype.str, a.shape, dtype) for name, (a, dtype) in arrays.items()]
        header["parts"].append((kind, described, params))
        frames += [flat(a).data for a, _ in arrays.values()]
    return header, frames


def deserialized(header: dict[str, Any], frames: list[Any]) -> SparseTensor:
    """The tensor, checked; its arrays are views of the frames.

    Raises:
        FormatError: the parts contradict each other.
    """
    left = iter(frames)
    parts: list[Any] = []
    for kind, described, params in header["parts"]:
        arrays = {
            name: (np.frombuffer(next(left), np.dtype(text)).reshape(shape), dtype)
            for name, text, shape, dtype in described
        }
        parts.append((kind, arrays, params))
    return unpickled(parts[0], parts[1], tuple(header["shape"]), header["dtype"])


def serialisation() -> None:
    """Registers with `distributed`, once it is imported; until then tensors pickle, out of band too."""
    module = sys.modules.get("distributed.protocol.serialize")
    if "distributed" not in _registered and module is not None and hasattr(module, "dask_deserialize"):
        _registered.add("distributed")
        module.dask_serialize.register(SparseTensor)(serialized)
        module.dask_deserialize.register(SparseTensor)(deserialized)


def register(sizeof: Any) -> None:  # noqa: ANN401
    """Tells Dask about packed tensors.

    Args:
        sizeof: `dask.sizeof.sizeof`.
    """
    sizeof.register(SparseTensor)(size)
    serialisation()


if "dask.sizeof" in sys.modules and hasattr(sys.modules["dask.sizeof"], "sizeof"):  # Dask was imported before
    register(sys.modules["dask.sizeof"].sizeof)
