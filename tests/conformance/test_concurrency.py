"""Eight threads share one tensor, and arrays that change under a call: a value or a FormatError, never a crash."""

import ast
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from conformance import racing
from contract import Array, same
from sparsefmt.kernels.registry import NATIVE
from strategies import fit

FORMATS = ["dense", "coo", "csr", "csc", "bitmask@64", "bsr4x4", "nm2:4", "nm2:4@64", "nm3:7"]


def in_eight_threads(work: Callable[[int], Any], rounds: int = 6) -> None:
    errors: list[BaseException] = []
    gate = threading.Barrier(8)

    def run(i: int) -> None:
        try:
            gate.wait()
            for k in range(rounds):
                work(i + k)
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


@pytest.fixture(scope="module")
def dense() -> Array:
    rng = np.random.default_rng(3)
    return np.where(rng.random((300, 256)) < 0.2, rng.integers(1, 9, (300, 256)), 0).astype(np.float32)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("threads", [1, 5])
def test_eight_threads_share_one_tensor(fmt: str, threads: int, dense: Array) -> None:
    sf.set_num_threads(threads)
    w = fit(fit(dense, fmt, "value"), "nm2:4", "value")
    t = sf.encode(w, fmt)
    wanted = {f: sf.encode(w, f) for f in FORMATS if f != "nm3:7"}
    x, y = np.ones((256, 3), np.float32), np.ones((2, 300), np.float32)
    right, left = w @ x, y @ w

    def work(i: int) -> None:
        same(t.to_dense(), w)
        assert sf.equal(sf.encode(w, fmt), t)
        other = list(wanted)[i % len(wanted)]
        assert sf.equal(t.convert(other), wanted[other])
        assert (t @ x == right).all()
        assert (y @ t == left).all()
        assert t.nnz == np.count_nonzero(w)
        assert sf.to_scipy(t).nnz >= t.nnz

    in_eight_threads(work)


def test_merges_of_eight_threads(dense: Array) -> None:
    """Ties are cut within a tensor there, by a kernel that all threads give one empty array to write to."""
    base, other = {"w": dense}, {"w": np.where(dense > 1, dense * 1.25, dense).astype(dense.dtype)}

    def merged() -> Array:
        return np.asarray(sf.merge.ties([{"w": dense * 2}, other], base=base, density=0.5)["w"])

    want = merged()
    in_eight_threads(lambda _: same(merged(), want), 30)


def test_number_of_threads_may_change_meanwhile(dense: Array) -> None:
    want = sf.encode(dense, "csr")

    def work(i: int) -> None:
        sf.set_num_threads(1 + i % 5)
        t = sf.encode(dense, "csr")
        assert sf.equal(t, want)
        same(t.convert("csc").to_dense(), dense)

    in_eight_threads(work)


CASES = [
    ["input"],
    ["csr", "indptr", "int32"],
    ["csr", "indices", "int32"],
    ["csr", "indices", "int64"],
    ["csc", "indptr", "int64"],
    ["csc", "indices", "int32"],
    ["bsr", "indptr", "int32"],
    ["bsr", "indices", "int64"],
    ["coo", "row", "int32"],
    ["coo", "col", "int64"],
]


@pytest.mark.skipif(not NATIVE, reason="the NumPy definitions promise only that nothing crashes")
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_arrays_that_are_written_meanwhile(case: list[str]) -> None:
    done = subprocess.run([sys.executable, racing.__file__, *case], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes = ast.literal_eval(done.stdout)
    assert outcomes.get("value", 0) > 0
    if case[-2:-1] in (["indices"], ["row"], ["col"]):
        assert outcomes.get("FormatError", 0) > 0
