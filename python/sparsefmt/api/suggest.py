"""Which format to take: the sizes of all of them for an array; and tensors of random content to try things on."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsefmt.api.encode import encode
from sparsefmt.base.alloc import zeros
from sparsefmt.base.coerce import as_array, checked_shape
from sparsefmt.base.dtypes import dtype_named, native
from sparsefmt.base.errors import CodecError, DtypeError, FormatError, PatternError, SizeError
from sparsefmt.encoding.format_text import parse
from sparsefmt.structures.registry import STRUCTURES
from sparsefmt.tensor.sparse import SparseTensor

_MORE = ("bsr4x4", "bsr16x16", "nm1:4", "nm2:4", "nm4:8")
_CODED = ("int8:g128", "int4:g128", "kmeans16")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The size of an array in one format."""

    format: str
    nbytes: int
    bits_per_weight: float
    exact: bool
    """Whether it decodes to the array by value."""
    note: str
    """Why it cannot be had, where it cannot; empty otherwise."""

    def __str__(self) -> str:
        size = self.note or f"{self.nbytes:,} bytes, {self.bits_per_weight:.2f} bits per weight"
        return f"{self.format}: {size}{'' if self.exact or self.note else ', lossy'}"


def suggest(w: object, *, lossy: bool = True) -> list[Suggestion]:
    """The sizes of an array in all formats, the smallest exact one first, then what is lossy, then what fails.

    Args:
        w: an array of rank 1 or more. It is packed once per structure.
        lossy: quantized and clustered ones too.

    Returns:
        One entry per format; those that do not hold `w` come last, with the reason.

    Raises:
        DtypeError: a dtype that no format holds.

    >>> print(suggest(np.eye(64), lossy=False)[0].format)
    coo
    """
    a = as_array(w)
    names = dict.fromkeys([*(s.example for s in STRUCTURES.values()), *_MORE])
    found = []
    for fmt in [*names, *(f"{s}/{c}" for s in names if lossy for c in _CODED)]:
        try:
            t = encode(a, fmt)
        except (PatternError, CodecError, DtypeError, SizeError) as e:
            found.append(Suggestion(fmt, 0, 0.0, False, str(e)))
            continue
        found.append(Suggestion(t.format, t.nbytes, t.bits_per_weight, "/" not in fmt, ""))
    return sorted(found, key=lambda s: (bool(s.note), not s.exact, s.nbytes))


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
    kind = dtype_named(dtype) if isinstance(dtype, str) else native(np.dtype(dtype))
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
