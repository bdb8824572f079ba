"""Pruning of numbers whose squares overflow or vanish, and of arrays that fill the memory."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

import sparsefmt as sf


@pytest.mark.parametrize("s", [1e160, 1e-200, 1e308, 5e-324, 1.0])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_the_heavier_block_is_kept(s: float, dtype: str) -> None:
    w = np.ones((2, 4), dtype) * s
    w[:, 2:] *= 1.5 if s == 1e308 else 3
    assert (sf.prune.block(w, (2, 2), 0.5)[:, 2:] == w[:, 2:]).all()
    assert (sf.prune.block(w[:, ::-1], (2, 2), 0.5)[:, :2] == w[:, 2:]).all()


def test_blocks_of_any_exponent_in_one_array() -> None:
    weights = np.array([0.0, 5e-324, 1e-300, 3e-300, 1e-170, 1.0, 1e150, 1e200, 3e200, 1.7e308, np.inf])
    w = np.random.default_rng(0).permutation(weights)[None, :]
    for kept in range(1, len(weights)):
        got = sf.prune.block(w, (1, 1), Fraction(kept, len(weights)))
        assert np.sort(got[got != 0]).tolist() == [x for x in weights[-kept:].tolist() if x]


def exact(w: np.ndarray, r: int, c: int) -> list[Fraction]:
    parts = [w[i : i + r, j : j + c] for i in range(0, w.shape[0], r) for j in range(0, w.shape[1], c)]
    return [sum((Fraction(float(x)) ** 2 for x in part.ravel()), Fraction(0)) for part in parts]


@pytest.mark.parametrize("block", [(1, 1), (2, 3), (4, 4), (5, 2), (100, 1), (1, 100), (2**31 - 1, 2**31 - 1)])
def test_ranks_of_blocks_are_those_of_exact_sums(block: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    w = rng.integers(-4, 5, (17, 23)) * 2.0 ** rng.integers(-600, 600, (17, 23))
    sums = exact(w, *block)
    for kept in {len(sums) // 3, len(sums) // 2} - {0}:
        got = sf.prune.block(w, block, Fraction(kept, len(sums)))
        order = sorted(range(len(sums)), key=lambda i: (-sums[i], i))[:kept]
        alone = exact(got, *block)
        assert [i for i, s in enumerate(alone) if s] == sorted(i for i in order if sums[i])


def test_blocks_larger_than_a_part() -> None:
    w = np.ones((3000, 2000), np.int8)
    w[1500:] = 2
    got = sf.prune.block(w, (1500, 2000), 0.5)
    assert not got[:1500].any()
    assert (got[1500:] == 2).all()
    wide = np.ones((1, 3_000_000), np.int8)
    wide[0, 2_000_000:] = 3
    assert np.flatnonzero(sf.prune.block(wide, (1, 1_000_000), 1 / 3))[0] == 2_000_000


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "float16", "float32", "float64", "int64", "complex64"])
@pytest.mark.parametrize("scope", ["tensor", "row"])
def test_magnitude_is_exact_across_parts(dtype: str, scope: str) -> None:
    rng = np.random.default_rng(2)
    with np.errstate(all="ignore"):
        w = (rng.standard_normal((3, 200_001)) * 50).astype(dtype)
    got = sf.prune.magnitude(w, 0.3, scope)  # type: ignore[arg-type]
    size = np.abs(w.astype(np.complex128 if dtype[0] == "c" else np.float64))
    rows = size if scope == "row" else size.reshape(1, -1)
    want = np.zeros(rows.shape, bool)
    count = int(Fraction(3, 10) * rows.shape[1])
    order = np.argsort(-rows, axis=1, kind="stable")[:, :count]
    np.put_along_axis(want, order, True, axis=1)
    assert np.array_equal(got, np.where(want.reshape(w.shape), w, np.zeros(1, w.dtype)))
    for other in (w[::-1][::-1], np.asfortranarray(w), w.astype(w.dtype.newbyteorder(">"))):
        assert np.array_equal(sf.prune.magnitude(other, 0.3, scope), got)  # type: ignore[arg-type]


def test_magnitude_of_int8_takes_little_memory() -> None:
    code = """if True:
        import resource, numpy as np, sparsefmt as sf
        w = np.random.default_rng(0).integers(-128, 128, (1000, 200_000), np.int8)
        sf.prune.magnitude(w[:2, :70000], 0.5)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        sf.prune.magnitude(w, 0.5)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / w.nbytes)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) <= 1.5 + 64 / 200


def test_magnitude_beyond_the_limit_is_a_size_error() -> None:
    w = np.broadcast_to(np.int8(1), (1 << 20, 1 << 20))
    for call in (sf.prune.magnitude, sf.prune.nm):
        with pytest.raises(sf.SizeError):
            call(w, 1)
    with pytest.raises(sf.SizeError):
        sf.prune.block(w, (1, 1), 0.5)
