"""What HDF5 and Zarr hold, without the containers: groups with attributes and arrays, right and wrong."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import sparsefmt as sf
from mutations.archives import CSR, W, binsparse
from mutations.numbers import Rng, arrays_changed, hostile, json_changed
from sparsefmt.checkpoint.entry import Entry
from sparsefmt.checkpoint.readers import hierarchical
from sparsefmt.checkpoint.readers.base import as_said


class Group(dict[str, Any]):
    """A group as h5py and zarr have it: a mapping with attributes."""

    def __init__(self, members: Mapping[str, Any], attrs: Mapping[str, object]) -> None:
        super().__init__(members)
        self.attrs = dict(attrs)


def tree(rng: Rng | None = None) -> Group:
    """A Binsparse matrix, an anndata matrix and a plain array; with `rng`, one of the three has something wrong."""
    descriptor, arrays = binsparse()
    parts = CSR.structure.arrays() | {"data": W[W != 0]}
    attrs: dict[str, object] = {"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": np.array(W.shape)}
    plain: Any = W
    kind = -1 if rng is None else int(rng.integers(8))
    if rng is not None and kind in (0, 1):
        descriptor = json_changed(descriptor, rng)  # type: ignore[assignment]
    elif rng is not None and kind in (2, 3):
        arrays = arrays_changed(arrays, rng)
    elif rng is not None and kind in (4, 5):
        parts = arrays_changed(parts, rng)
    elif rng is not None and kind == 6:
        key = list(attrs)[rng.integers(len(attrs))]
        values = (np.array([hostile(rng), 3], object), "csc_matrix", 2.5, b"\xff\xfe", np.arange(3), None, [[5, 7]])
        attrs[key] = values[rng.integers(len(values))]
        if rng.integers(4) == 0:
            del attrs[key]
    elif rng is not None:
        plain = arrays_changed({"plain": W}, rng).get("plain", Group({}, {}))
    held = {"w": Group(arrays, {"binsparse": json.dumps(descriptor)}), "X": Group(parts, attrs), "plain": plain}
    return Group(held, {})


def read(root: Group) -> int:
    """Reads every matrix as the reader of files does; gives their number."""
    with hierarchical._decoding():
        found = [(name, hierarchical._described(node), get) for name, node, get in hierarchical._found(root, "", 0)]
    for name, (shape, dtype, nbytes, fmt), get in found:
        with hierarchical._decoding():
            value = as_said(get(), Entry(shape, dtype, nbytes, fmt, name))
        dense = value.to_dense() if isinstance(value, sf.SparseTensor) else np.asarray(value)
        assert (dense.shape, dense.dtype.name) == (shape, dtype)
        assert not isinstance(value, sf.SparseTensor) or value.format == fmt
    return len(found)


def change(rng: Rng) -> Callable[[], int]:
    """A wrong tree, to be read."""
    root = tree(rng)
    return lambda: read(root)
