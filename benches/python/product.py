"""The cases of products: packed weights times vectors and batches, against NumPy's dense product and SciPy's.

The peer of a case is `w @ x` by NumPy in float32, of the same dense matrix and in the same run; the cases whose name
ends with "(SciPy)" have SciPy's product of the same sparse matrix as their peer. T copies the dense bytes in float32.
"""

from collections.abc import Callable

import ml_dtypes
import numpy as np
import scipy.sparse
from cases import in_blocks, normal, scattered
from harness import Array, Case, Trial, register

import sparsefmt as sf

GEMV = {"14336x8192": (14336, 8192)}
SQUARE = {"4096x4096": (4096, 4096)}
Weights = Callable[[int, int], Array]


def right(cols: int, k: int) -> Array:
    """The right factor: a vector for k = 1."""
    x = np.random.default_rng(k).standard_normal((cols, k), np.float32)
    return x[:, 0].copy() if k == 1 else x


def product(
    fmt: str, weights: Weights, k: int, *, compute: str | None = None, brain: bool = False, peer: str = "NumPy"
) -> Callable[..., Trial]:
    """Multiplies by k columns; `brain`: of bfloat16, as the weights are."""

    def make(rows: int, cols: int) -> Trial:
        w = weights(rows, cols)
        t = sf.encode(w.astype(ml_dtypes.bfloat16) if brain else w, fmt, prune=fmt.startswith("nm"))
        x = right(cols, k)
        ours = x.astype(ml_dtypes.bfloat16) if brain else x
        if peer == "SciPy":
            m = scipy.sparse.csr_array(w)
            m = m.tobsr((16, 16)) if fmt.startswith("bsr") else m
            against: Callable[[], object] = lambda: m @ x  # noqa: E731
        else:
            wide = w.astype(np.float32)
            against = lambda: wide @ x  # noqa: E731
        del w
        return Trial(rows * cols * 4, fresh=lambda: sf.matmul(t, ours, compute=compute), peer=against)

    return make


def halves(rows: int, cols: int) -> Array:
    """Dense weights in float16."""
    return normal(rows, cols, np.float16)


def half_full(rows: int, cols: int) -> Array:
    """The same with half of them zero."""
    return scattered(rows, cols, 0.5, np.float16)


def of_density(density: float) -> Weights:
    """Scattered float32."""
    return lambda rows, cols: scattered(rows, cols, density)


def tenth_of_blocks(rows: int, cols: int) -> Array:
    """A tenth of the blocks of 16x16."""
    return in_blocks(rows, cols, 16, 0.1)


for _fmt, _weights, _bar in (
    ("nm2:4", halves, 2.0),
    ("nm2:4@64", halves, 2.0),
    ("nm2:4/int8:g128", halves, 2.8),
    ("nm2:4/int4:g128", halves, 3.0),
    ("bitmask", half_full, 1.7),
    ("csr", of_density(0.1), 4.0),
):
    _what = {"bitmask": "bitmask f16 50%", "csr": "csr f32 10%"}.get(_fmt, f"{_fmt} f16")
    register(Case(f"gemv {_what}", product(_fmt, _weights, 1), GEMV, bar_peer=_bar, peer="NumPy"))
register(
    Case(
        'gemv nm2:4/int4:g128 compute="int8"',
        product("nm2:4/int4:g128", halves, 1, compute="int8"),
        GEMV,
        bar_peer=4.0,
        peer="NumPy",
    )
)
register(Case("gemv csr f32 10% (SciPy)", product("csr", of_density(0.1), 1, peer="SciPy"), GEMV, bar_peer=1.5))

for _k, _bar in ((8, 1.5), (64, 1.2), (256, 1.0)):
    register(Case(f"{_k} columns, nm2:4 f16", product("nm2:4", halves, _k), SQUARE, bar_peer=_bar, peer="NumPy"))
register(
    Case("64 columns, nm2:4 bf16 x bf16", product("nm2:4", normal, 64, brain=True), SQUARE, bar_peer=3.0, peer="NumPy")
)
for _density, _bar in ((0.1, 3.0), (0.01, 20.0)):
    _name = f"64 columns, csr f32 {_density:.0%}"
    register(Case(_name, product("csr", of_density(_density), 64), SQUARE, bar_peer=_bar, peer="NumPy"))
    register(Case(f"{_name} (SciPy)", product("csr", of_density(_density), 64, peer="SciPy"), SQUARE, bar_peer=5.0))
register(
    Case("64 columns, bsr16x16 f32 10%", product("bsr16x16", tenth_of_blocks, 64), SQUARE, bar_peer=5.0, peer="NumPy")
)
register(
    Case(
        "64 columns, bsr16x16 f32 10% (SciPy)",
        product("bsr16x16", tenth_of_blocks, 64, peer="SciPy"),
        SQUARE,
        bar_peer=8.0,
    )
)
for _k in (1, 8, 64):
    register(Case(f"{_k} columns, csr f32 50%", product("csr", of_density(0.5), _k), SQUARE, peer="NumPy"))
