"""Dask: sizes of packed tensors, registered when Dask itself is imported.

Dask calls `register` through the entry point `dask.sizeof`. Nothing of it is imported from here. Tokens come from
`SparseTensor.__dask_tokenize__`, which Dask asks for. Between processes tensors travel as pickles of protocol 5, whose
arrays are frames of their own that nobody copies; so both ends need no registration, in whatever order they import.
"""

from typing import Any

from sparsefmt.tensor.sparse import SparseTensor

OBJECTS = 1024
"""Bytes of the Python objects of a tensor, about."""


def size(t: SparseTensor) -> int:
    """Bytes that a tensor takes."""
    return t.nbytes + OBJECTS


def register(sizeof: Any) -> None:  # noqa: ANN401
    """Tells Dask about packed tensors.

    Args:
        sizeof: `dask.sizeof.sizeof`.
    """
    sizeof.register(SparseTensor)(size)
