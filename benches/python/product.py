"""The cases of products: packed weights times vectors and batches, against NumPy's dense product and SciPy's.

NumPy multiplies the same dense matrix in float32, SciPy the same sparse one, in the same run; all but SciPy, which
cannot, write into arrays that were written before. T copies the dense bytes in float32.
"""

from collections.abc import Callable

import ml_dtypes
import numpy as np
import scipy.sparse
from harness import Array, Case, Run, Trial, register

import sparsefmt as sf
from cases import in_blocks, normal, scattered

GEMV = {"14336x8192": (14336, 8192)}
SQUARE = {"4096x4096": (4096, 4096)}
Weights = Callable[[int, int], Array]


def right(cols: int, k: int) -> Array:
    """The right factor: a vector for k = 1."""
    x = np.random.default_rng(k).standard_normal((cols, k), np.float32)
    return x[:, 0].copy() if k == 1 else x


def product(
    fmt: str, weights: Weights, k: int, *, compute: str | None = None, brain: bool = False
) -> Callable[..., Trial]:
    """Multiplies by k columns; `brain`: of bfloat16, as the weights are."""

    def make(rows: int, cols: int) -> Trial:
        w = weights(rows, cols)
        t = sf.encode(w.astype(ml_dtypes.bfloat16) if brain else w, fmt, prune=fmt.startswith("nm"))
        x = right(cols, k)
        ours = x.astype(ml_dtypes.bfloat16) if brain else x
        wide = w.astype(np.float32)
        out, theirs = sf.matmul(t, ours), wide @ x
        peers: dict[str, Run] = {"NumPy": lambda: np.matmul(wide, x, out=theirs)}
        if fmt.startswith(("csr", "bsr")):
            m = scipy.sparse.csr_array(w)
            m = m.tobsr((16, 16)) if fmt.startswith("bsr") else m
            peers["SciPy"] = lambda: m @ x
        return Trial(
            rows * cols * 4,
            warm=lambda: sf.matmul(t, ours, out=out, compute=compute),
            warm_peers=peers,
            moves=t.nbytes + x.nbytes + out.nbytes,
            writes=out.nbytes,
        )

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


for _fmt, _weights, _bars, _goals in (
    ("nm2:4", halves, {"NumPy": 2.0}, {"NumPy": 2.5}),
    ("nm2:4@64", halves, {"NumPy": 2.0}, {"NumPy": 2.5}),
    ("nm2:4/int8:g128", halves, {"NumPy": 2.8}, {"NumPy": 3.5}),
    ("nm2:4/int4:g128", halves, {"NumPy": 3.0}, {"NumPy": 4.5}),
    ("bitmask", half_full, {"NumPy": 1.7}, {"NumPy": 2.0}),
    ("csr", of_density(0.1), {"NumPy": 4.0, "SciPy": 1.5}, {"NumPy": 6.0}),
):
    _what = {"bitmask": "bitmask f16 50%", "csr": "csr f32 10%"}.get(_fmt, f"{_fmt} f16")
    register(Case(f"gemv {_what}", product(_fmt, _weights, 1), GEMV, peer_bars=_bars, peer_goals=_goals))
_make = product("nm2:4/int4:g128", halves, 1, compute="int8")
register(Case("gemv nm2:4/int4:g128 in int8", _make, GEMV, peer_bars={"NumPy": 4.0}, peer_goals={"NumPy": 6.0}))

_TILES = sf.cpu_features()["isa"] == "amx"
_MANY = ((64, 1.7, 2.2), (256, 1.8, 2.4)) if _TILES else ((64, 1.2, 1.4), (256, 1.0, 1.15))
for _k, _bar, _goal in ((8, 1.5, 2.0), *_MANY):
    _make = product("nm2:4", halves, _k)
    register(Case(f"{_k} columns, nm2:4 f16", _make, SQUARE, peer_bars={"NumPy": _bar}, peer_goals={"NumPy": _goal}))
_make = product("nm2:4", normal, 64, brain=True)
register(Case("64 columns, nm2:4 bf16 x bf16", _make, SQUARE, peer_bars={"NumPy": 3.0}, peer_goals={"NumPy": 6.0}))
for _density, _bars, _goals in (
    (0.1, {"NumPy": 3.0, "SciPy": 5.0}, {"NumPy": 5.5, "SciPy": 8.0}),
    (0.01, {"NumPy": 20.0, "SciPy": 5.0}, {"NumPy": 50.0, "SciPy": 8.0}),
):
    _make = product("csr", of_density(_density), 64)
    register(Case(f"64 columns, csr f32 {_density:.0%}", _make, SQUARE, peer_bars=_bars, peer_goals=_goals))
_bars = {"NumPy": 5.0, "SciPy": 8.0}
_make = product("bsr16x16", tenth_of_blocks, 64)
register(Case("64 columns, bsr16x16 f32 10%", _make, SQUARE, peer_bars=_bars, peer_goals={"NumPy": 8.0}))
for _k in (1, 8, 64):  # where half of it is zero, never slower than 1.3 times the dense product
    _make = product("csr", of_density(0.5), _k)
    register(Case(f"{_k} columns, csr f32 50%", _make, SQUARE, peer_bars={"NumPy": 0.77}))
