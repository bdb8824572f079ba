"""Products with many columns: panels of any width, over rows of csr and bits of any density."""

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.base.errors import SparsefmtError
from sparsefmt.kernels import product as kernels


def half_full(rows: int, cols: int, density: float = 0.5) -> np.ndarray:
    """Scattered float32, some rows of it empty and some full."""
    rng = np.random.default_rng(rows * cols)
    w = rng.standard_normal((rows, cols), np.float32) * (rng.random((rows, cols)) < density)
    w[::7] = 0
    w[3::7] = rng.standard_normal((len(w[3::7]), cols), np.float32)
    return w


def close(got: np.ndarray, w: np.ndarray, x: np.ndarray) -> None:
    """Within the bound of sums in float32."""
    want = w.astype(np.float64) @ x
    bound = 3 * (len(x) + 2) * np.finfo(np.float32).eps * (np.abs(w).astype(np.float64) @ np.abs(x))
    assert (np.abs(got - want) <= bound + 1e-30).all()


@pytest.mark.parametrize("fmt", ["csr", "csr/int8", "bitmask", "bitmask/int4:g32", "nm2:4", "nm2:4/int8", "dense/int8"])
@pytest.mark.parametrize(("rows", "cols"), [(1, 64), (37, 64), (40, 65), (300, 127), (19, 520)])
@pytest.mark.parametrize("k", [9, 16, 17, 33, 64, 100, 128, 129, 200])
def test_products_of_any_width_are_close(fmt: str, rows: int, cols: int, k: int) -> None:
    t = sf.encode(half_full(rows, cols), fmt, prune=fmt.startswith("nm"))
    x = np.random.default_rng(k).standard_normal((cols, k), np.float32)
    close(t @ x, t.to_dense(), x)


def csr_product(indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """By the kernel, whatever the estimate says."""
    out = np.full((len(indptr) - 1, x.shape[1]), np.nan, np.float32)
    none = np.empty((0, 0), np.float32)
    assert kernels.csr_matmul(indptr, indices, values, ("float32", 0, 0), none, none.astype(np.uint8), x, out) == 0
    return out


@pytest.mark.parametrize("cols", [64, 200])
def test_rows_of_csr_need_not_ascend(cols: int) -> None:
    w = half_full(50, cols)
    rng = np.random.default_rng(cols)
    columns = [rng.permutation(np.flatnonzero(row)).astype(np.int32) for row in w]
    indptr = np.cumsum([0, *map(len, columns)]).astype(np.int32)
    values = np.concatenate([row[found] for row, found in zip(w, columns, strict=True)])
    x = rng.standard_normal((cols, 40), np.float32)
    close(csr_product(indptr, np.concatenate(columns), values, x), w, x)


@pytest.mark.parametrize("bad", [-1, 200, 255, 2**31 - 1, -(2**31)])
def test_an_index_out_of_range_is_named(bad: int) -> None:
    t = sf.encode(half_full(30, 200), "csr")
    indptr, indices = np.asarray(t.structure.indptr, np.int32), np.array(t.structure.indices, np.int32)
    indices[indptr[11] - 1] = bad
    values = np.ones(len(indices), np.float32)
    with pytest.raises((SparsefmtError, ValueError, IndexError), match=str(bad)):
        csr_product(indptr, indices, values, np.ones((200, 24), np.float32))
