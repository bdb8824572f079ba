"""Hypothesis strategies: arrays as bit patterns, in any memory layout, and the formats that hold them."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import strategies as st

from contract import Array, is_zero, matrix, nm_of

INTEGERS = [np.dtype(t) for t in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")]
FLOATS = [np.dtype(t) for t in ("f2", ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, "f4", "f8")]
COMPLEX = [np.dtype("c8"), np.dtype("c16")]
REAL = INTEGERS + FLOATS
DTYPES = REAL + COMPLEX

FORMATS = [
    "dense", "coo", "csr", "csc", "gap", "bitmask", "bitmask@64", "bsr1x1", "bsr2x3", "bsr4x4", "bsr16x16", "bsr1x40",
    "nm1:1", "nm1:4", "nm2:4", "nm2:4@64", "nm4:8", "nm3:5", "nm5:16@64", "nm16:32", "nm1:32", "nm31:32",
    "nm2:4@radix", "nm4:16@radix",
]  # fmt: skip

dtypes = st.sampled_from(DTYPES)
zeros = st.sampled_from(["value", "bits"])
formats = st.sampled_from(FORMATS)

DIMS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 63, 64, 65, 100, 129]


@st.composite
def shapes(draw: st.DrawFn, ranks: tuple[int, int] = (1, 4), size: int = 1200) -> tuple[int, ...]:
    """Shapes with at most `size` elements, empty axes and lone rows and columns often."""
    shape: list[int] = []
    room = size
    for _ in range(draw(st.integers(*ranks))):
        n = draw(st.sampled_from([d for d in DIMS if d <= room]))
        shape.append(n)
        room = room // max(n, 1)
    return tuple(draw(st.permutations(shape)))


def special(dtype: np.dtype[Any]) -> Array:
    """Bit patterns that are easily lost: -0.0, infinities, NaN with payload, subnormals, the extreme integers."""
    size = dtype.itemsize
    if dtype.kind == "c":
        part = special(np.dtype(f"f{size // 2}"))
        signs = np.array([[-0.0, 0.0], [0.0, -0.0], [-0.0, -0.0]], part.dtype)
        return np.concatenate([np.stack([part, part[::-1]], axis=-1), signs]).view(dtype).reshape(-1)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return np.array([info.min, info.max, info.max - 1, 1], dtype)
    top = 1 << (8 * size - 1)
    infinity = {1: 0x7C, 2: 0x7F80 if dtype.name == "bfloat16" else 0x7C00, 4: 0x7F8 << 20, 8: 0x7FF << 52}[size]
    bits = [top, 1, top | 1, infinity, infinity | top, infinity | 1, top | infinity | 3, 2 * top - 1, top - 1]
    return np.array(bits, f"u{size}").view(dtype)


def make(dtype: np.dtype[Any], shape: tuple[int, ...], density: float, seed: int) -> Array:
    """An array of random bits, special values and zeros."""
    rng = np.random.default_rng(seed)
    if dtype.kind == "b":
        return rng.random(shape) < density
    size = int(np.prod(shape, dtype=np.int64))
    w = np.frombuffer(rng.bytes(size * dtype.itemsize), dtype).copy().reshape(shape)
    values = special(dtype)
    odd = rng.random(shape) < 0.3
    w[odd] = values[rng.integers(0, len(values), int(odd.sum()))]
    w[rng.random(shape) >= density] = 0
    return w


def fit(w: Array, fmt: str, zero: str, seed: int = 0) -> Array:
    """`w` with values zeroed at random until an nm format holds it."""
    nm = nm_of(fmt)
    if not nm or not w.size:
        return w
    n, m = nm
    a = np.array(matrix(w))
    rows, cols = a.shape
    groups = -(-cols // m)
    key = np.full((rows, groups * m), 2.0)
    key[:, :cols] = np.random.default_rng(seed).random(a.shape) + is_zero(a, zero)
    order = np.argsort(np.argsort(key.reshape(rows, groups, m), axis=-1), axis=-1).reshape(rows, -1)[:, :cols]
    a[order >= n] = 0
    return a.reshape(w.shape)


@st.composite
def arrays(
    draw: st.DrawFn,
    dtype: st.SearchStrategy[np.dtype[Any]] = dtypes,
    shape: st.SearchStrategy[tuple[int, ...]] | None = None,
) -> Array:
    """Arrays of any dtype and rank."""
    density = draw(st.sampled_from([0.0, 0.03, 0.3, 0.6, 1.0]))
    return make(draw(dtype), draw(shapes() if shape is None else shape), density, draw(st.integers(0, 2**32 - 1)))


def unaligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array that starts one byte behind a multiple of its item."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    return np.zeros(size + 65, np.uint8)[1 : 1 + size].view(dtype).reshape(shape)


def spread(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Every third item along each axis, backwards."""
    return np.zeros([3 * n + 2 for n in shape], dtype)[tuple(slice(1, 3 * n + 1, 3) for n in shape)][
        tuple(slice(None, None, -1) for _ in shape)
    ]


def swapped(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """In the byte order of other machines, where the dtype has one."""
    return np.zeros(shape, dtype if dtype.kind == "V" else dtype.newbyteorder("S"))


def inner(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """The inside of a larger array."""
    return np.zeros([n + 2 for n in shape], dtype)[tuple(slice(1, n + 1) for n in shape)]


LAYOUTS: dict[str, Callable[[tuple[int, ...], np.dtype[Any]], Array]] = {
    "c": lambda shape, dtype: np.zeros(shape, dtype),
    "fortran": lambda shape, dtype: np.zeros(shape, dtype, order="F"),
    "spread": spread,
    "swapped": swapped,
    "unaligned": unaligned,
    "inner": inner,
    "axes": lambda shape, dtype: np.moveaxis(np.zeros((*shape[1:], shape[0]), dtype), -1, 0),
}


def laid_out(w: Array, layout: str) -> Array:
    """The same values in another memory layout."""
    a = LAYOUTS[layout](w.shape, w.dtype)
    a[...] = w if a.dtype == w.dtype else w.byteswap().view(a.dtype)
    return a
