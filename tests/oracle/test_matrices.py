"""Real matrices through every format and back, against SciPy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

import sparsefmt as sf
from contract import Array, same
from data_files import MATRICES
from sparsefmt.kernels.registry import NATIVE
from support.registered import FORMATS

REFUSED_BY_SCIPY = {"mangled1.mtx", "mangled8.mtx", "west0067_jumbled.mtx", "matrix_fp32.mtx"}
FILES = sorted(p for p in MATRICES.rglob("*.*") if p.name.endswith((".mtx", ".mtx.gz", ".npz")))
FILES = [p for p in FILES if p.parent.name != "fmm_invalid" and p.name not in REFUSED_BY_SCIPY]


def read(path: Path) -> Any:  # noqa: ANN401
    if path.suffix == ".npz":
        return sp.load_npz(path)
    m = scipy.io.mmread(path, spmatrix=False)
    return m if sp.issparse(m) else sp.coo_array(m)


def test_all_files_are_there() -> None:
    assert len(FILES) >= 34
    assert {p.name for p in MATRICES.joinpath("lagraph").iterdir()} >= REFUSED_BY_SCIPY


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_real_matrix_through_every_format_and_back(path: Path) -> None:
    m = read(path)
    csr = sp.csr_array(m)
    csr.sum_duplicates()
    t = sf.from_scipy(m)
    assert t.shape == m.shape
    assert t.dtype == m.dtype
    assert t.slots == csr.nnz
    assert t.nnz == csr.count_nonzero()
    source = t.convert("csr")
    check_csr(source, csr)
    small = m.shape[0] * m.shape[1] <= 1_100_000
    dense = csr.toarray() if small else None
    for fmt in FORMATS:
        if fmt.endswith("@rans") and not NATIVE and m.shape[0] * m.shape[1] > 10_000:
            continue  # its definitions go position by position
        if (fmt.startswith("nm") and m.dtype.kind == "c") or (fmt[:2] in ("nm", "de") and not small):
            continue
        if fmt.startswith("nm"):
            n, k = (int(x) for x in fmt.partition("@")[0][2:].split(":"))
            if not fits(csr, n, k):
                with pytest.raises(sf.PatternError):
                    source.convert(fmt)
                continue
        got = source.convert(fmt)
        if dense is not None:
            same(got.to_dense(), dense)
            assert sf.equal(sf.encode(dense, fmt), got) or t.slots != t.nnz
        back = got.convert("csr")
        assert sf.equal(back, source) or t.slots != t.nnz
        assert sf.equal(sf.convert(got.convert("coo"), "csc"), source.convert("csc")) or t.slots != t.nnz
        x = np.linspace(-1, 1, m.shape[1])
        assert np.allclose(got @ x, csr @ x, rtol=1e-9, atol=1e-9 * max(abs(csr).max() if csr.nnz else 0, 1))


def check_csr(t: sf.SparseTensor, csr: Any) -> None:  # noqa: ANN401
    ours: dict[str, Array] = {**t.structure.arrays(), **t.values.arrays()}
    same(ours["indptr"].astype(np.int64), csr.indptr.astype(np.int64))
    same(ours["indices"].astype(np.int64), csr.indices.astype(np.int64))
    same(ours["data"], csr.data)


def fits(csr: Any, n: int, m: int) -> bool:  # noqa: ANN401
    coo = csr.tocoo()
    row, col = coo.coords
    keep = coo.data != 0
    groups = row[keep].astype(np.int64) * (csr.shape[1] // m + 1) + col[keep] // m
    return bool(np.unique(groups, return_counts=True)[1].max(initial=0) <= n)


@pytest.mark.parametrize("name", ["dnn_n1024-l1.mtx.gz", "west0067.mtx", "jagmesh7.mtx", "AFIRO_A_ub.npz"])
def test_pruned_real_matrix_fits_the_pattern(name: str) -> None:
    path = next(p for p in FILES if p.name == name)
    w = read(path).toarray()
    t = sf.encode(w, "nm2:4", prune=True)
    kept = t.to_dense()
    assert ((kept == 0) | (kept == w)).all()
    assert t.nnz == int(np.minimum(np.add.reduceat(w != 0, np.arange(0, w.shape[1], 4), axis=1), 2).sum())
    assert sf.equal(t, sf.encode(sf.prune.nm(w), "nm2:4"))
    back = sf.to_scipy(t)
    assert (abs(back - sp.csr_array(kept))).nnz == 0
