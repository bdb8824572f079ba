"""Tensors of random content to try things on."""

import math
from typing import Any

import numpy as np

from sparsefmt.api.encode import encode
from sparsefmt.base.alloc import zeros
from sparsefmt.base.coerce import checked_shape
from sparsefmt.base.dtypes import dtype_of
from sparsefmt.base.errors import FormatError
from sparsefmt.encoding.format_text import parse
from sparsefmt.tensor.sparse import SparseTensor


def random(
    shape: tuple[int, ...],
    fmt: str = "csr",
    *,
    density: float = 0.1,
    dtype: Any = "float64",  # noqa: ANN401
    seed: int = 0,
) -> SparseTensor:
    """A tensor of random content, the same for the same arguments on every machine.

    Args:
        shape: of the tensor.
        fmt: a format text. nm keeps the largest of every group.
        density: the share of elements that are not zero, 0..1; exactly `round(density * size)` are.
        dtype: floats: standard normal; integers: their whole range but 0; bool: True.
        seed: of the Philox generator.

    Returns:
        A packed tensor.

    Raises:
        FormatError: an unknown format, a shape that is none, a density outside 0..1.
        DtypeError: a dtype that no format holds.

    >>> random((4, 8), "nm2:4", density=0.5).shape
    (4, 8)
    """
    shape = checked_shape(shape)
    kind = dtype_of(dtype)
    if not 0 <= density <= 1:
        msg = f"density = {density!r}; want a number in 0..1"
        raise FormatError(msg)
    size = math.prod(shape)
    flat = zeros(size, kind, "the random array")
    rng = np.random.Generator(np.random.Philox(seed))
    at = rng.choice(size, round(density * size), replace=False, shuffle=False)
    if kind.kind == "b":
        flat[at] = True
    elif kind.kind in "iu":
        low, high = np.iinfo(kind).min, np.iinfo(kind).max
        drawn = rng.integers(low, high, len(at), kind.type)
        flat[at] = drawn + (drawn >= 0 if low else 1)  # 0 is left out
    elif kind.kind == "c":
        flat[at] = rng.standard_normal(len(at)) + 1j * rng.standard_normal(len(at))
    else:
        flat[at] = rng.standard_normal(len(at)).astype(kind)
    return encode(flat.reshape(shape), fmt, prune=parse(fmt).structure.prunes)
