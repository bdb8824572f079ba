"""Named arrays and attributes in HDF5 and Zarr, read with nothing but what the file itself holds.

Takes groups of h5py and of zarr; imports neither.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import CorruptFileError, DtypeError, FormatError


def is_hdf5(node: Any) -> bool:  # noqa: ANN401
    """Whether a group or dataset is h5py's."""
    return type(node).__module__.split(".")[0] == "h5py"


def keys(group: Any) -> Iterator[str]:  # noqa: ANN401
    """Names of what a group holds."""
    return iter(sorted(str(k) for k in group))


def child(group: Any, name: str) -> Any:  # noqa: ANN401
    """A group or dataset under its name.

    Raises:
        FormatError: there is none, or it is a link to another file.
    """
    if is_hdf5(group):
        link = group.get(name, getlink=True)
        if link is not None and type(link).__name__ == "ExternalLink":
            msg = f"{name!r} is a link to another file, {link.filename!r}, which is not followed"
            raise FormatError(msg)
    try:
        return group[name]
    except KeyError:
        if is_hdf5(group) and group.get(name, getlink=True) is not None:
            msg = f"{name!r} is a link that leads nowhere; delete it, or put back what it leads to"
            raise FormatError(msg) from None
        msg = f"{name!r} is missing; the group holds {', '.join(keys(group)) or 'nothing'}"
        raise FormatError(msg) from None


def is_array(node: Any) -> bool:  # noqa: ANN401
    """Whether it is a dataset, not a group."""
    return hasattr(node, "shape") and hasattr(node, "dtype")


def is_filled(node: Any) -> bool:  # noqa: ANN401
    """Whether a dataset has a shape: HDF5 knows empty ones that have none, as which anndata writes None."""
    return node.shape is not None


def is_group(node: Any) -> bool:  # noqa: ANN401
    """Whether it is a group: HDF5 files name types too, which hold nothing."""
    return hasattr(node, "keys")


def array(group: Any, name: str, lead: slice | None = None) -> Array:  # noqa: ANN401
    """A dataset of numbers as an ndarray; of rank 1 and more `lead` is the part of the first axis that is read.

    Raises:
        FormatError: it is missing, is a group, or keeps its data in other files.
        DtypeError: it holds no numbers.
        SizeError: it is larger than the limit.
        CorruptFileError: it cannot be decoded.
    """
    node = child(group, name)
    if not is_array(node):
        msg = f"{name!r} is a group, want an array"
        raise FormatError(msg)
    if is_hdf5(node) and (getattr(node, "is_virtual", False) or getattr(node, "external", None)):
        msg = f"{name!r} keeps its data in other files, which are not read"
        raise FormatError(msg)
    if not is_filled(node):
        msg = f"{name!r} is empty: a dataset without a shape"
        raise FormatError(msg)
    dtype = np.dtype(node.dtype)
    if dtype.kind not in "biufc":
        msg = f"{name!r}: want numbers, got {dtype}"
        raise DtypeError(msg)
    shape = tuple(node.shape)
    if lead is not None:
        shape = (len(range(shape[0])[lead]), *shape[1:])
    out = empty(shape, dtype, f"{name!r}")
    if not math.prod(shape):
        return out
    try:
        out[...] = node[()] if not shape else node[...] if lead is None else node[lead]
    except (OSError, RuntimeError, ValueError) as e:
        msg = f"{name!r} cannot be read: {e}"
        raise CorruptFileError(msg) from e
    return out


def attribute(group: Any, name: str) -> Any:  # noqa: ANN401
    """An attribute, texts as str; None where there is none."""
    found = group.attrs.get(name)
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else found
