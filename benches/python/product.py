"""The cases of products: packed weights times vectors and batches, against NumPy's dense product and SciPy's.

The peers are `w @ x` by NumPy in float32, of the same dense matrix and in the same run, and where SciPy has the format
its product of the same sparse matrix. T copies the dense bytes in float32.
"""

from collections.abc import Callable

import ml_dtypes
import numpy as np
import scipy.sparse
from cases import in_blocks, normal, scattered
from harness import Array, Case, Run, Trial, register

import sparsefmt as sf

GEMV = {"14336x8192": (14336, 8192)}
SQUARE = {"4096x4096": (4096, 4096)}
Weights = Callable[[int, int], Array]


def right(cols: int, k: int) -> Array:
    """The right factor: a vector for k = 1."""
    x = np.random.default_rng(k).standard_normal((cols, k), np.float32)
    return x[:, 0].copy() if k == 1 else x


def product(
    fmt: str, weights: Weights, k: int, *, compute: str | None = None, brain: bool = False, scipy_too: bool = False
) -> Callable[..., Trial]:
    """Multiplies by k columns; `brain`: of bfloat16, as the weights are."""

    def make(rows: int, cols: int) -> Trial:
        w = weights(rows, cols)
        t = sf.encode(w.astype(ml_dtypes.bfloat16) if brain else w, fmt, prune=fmt.startswith("nm"))
        x = right(cols, k)
        ours = x.astype(ml_dtypes.bfloat16) if brain else x
        wide = w.astype(np.float32)
        peers: dict[str, Run] = {"NumPy": lambda: wide @ x}
        if scipy_too:
            m = scipy.sparse.csr_array(w)
            m = m.tobsr((16, 16)) if fmt.startswith("bsr") else m
            peers["SciPy"] = lambda: m @ x
        moves = t.nbytes + ours.nbytes + rows * k * 4
        return Trial(rows * cols * 4, lambda: sf.matmul(t, ours, compute=compute), peers=peers, moves=moves)

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


def case(
    name: str, made: Callable[..., Trial], sizes: dict[str, tuple[int, int]], bar: float, goal: float, **scipy: float
) -> None:
    """Registers a case that is judged against NumPy's dense product, and against SciPy's if `bar` and `goal` say so."""
    bars, goals = {"NumPy": bar}, {"NumPy": goal}
    if scipy:
        bars["SciPy"], goals["SciPy"] = scipy["scipy_bar"], scipy.get("scipy_goal", float("inf"))
    register(Case(name, made, sizes, peer_bars=bars, peer_goals=goals))


for _fmt, _bar, _goal in (
    ("nm2:4", 2.0, 2.5),
    ("nm2:4@64", 2.0, 2.5),
    ("nm2:4/int8:g128", 2.8, 3.5),
    ("nm2:4/int4:g128", 3.0, 4.5),
):
    case(f"gemv {_fmt} f16", product(_fmt, halves, 1), GEMV, _bar, _goal)
case('gemv nm2:4/int4:g128 compute="int8"', product("nm2:4/int4:g128", halves, 1, compute="int8"), GEMV, 4.0, 6.0)
case("gemv bitmask f16 50%", product("bitmask", half_full, 1), GEMV, 1.7, 2.0)
case("gemv csr f32 10%", product("csr", of_density(0.1), 1, scipy_too=True), GEMV, 4.0, 6.0, scipy_bar=1.5)
for _k, _bar, _goal in ((8, 1.5, 2.0), (64, 1.2, 1.4), (256, 1.0, 1.15)):
    case(f"{_k} columns, nm2:4 f16", product("nm2:4", halves, _k), SQUARE, _bar, _goal)
case("64 columns, nm2:4 bf16 x bf16", product("nm2:4", normal, 64, brain=True), SQUARE, 3.0, 6.0)
for _density, _bar, _goal in ((0.1, 3.0, 5.5), (0.01, 20.0, 50.0)):
    _made = product("csr", of_density(_density), 64, scipy_too=True)
    case(f"64 columns, csr f32 {_density:.0%}", _made, SQUARE, _bar, _goal, scipy_bar=5.0, scipy_goal=8.0)
_made = product("bsr16x16", tenth_of_blocks, 64, scipy_too=True)
case("64 columns, bsr16x16 f32 10%", _made, SQUARE, 5.0, 8.0, scipy_bar=8.0)
# Never slower than 1.3 times the dense product: so at least 0.77 times as fast.
for _k in (1, 8, 64):
    case(f"{_k} columns, csr f32 50%", product("csr", of_density(0.5), _k), SQUARE, 1 / 1.3, 1.0)
