"""sf.matmul and sf.explain_matmul: codecs, biases, outputs, integers, transposes, batches, and what is refused."""

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsefmt as sf
from contract import Array
from property import peak_memory
from strategies import fit
from support.registered import FORMATS, VALUES

CODECS = ["", *(f"/{text}" for text in VALUES)]


def packed(fmt: str, shape: tuple[int, int], dtype: type, density: float, seed: int) -> sf.SparseTensor:
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(shape).astype(dtype)
    w[rng.random(shape) >= density] = 0
    w[np.abs(w) < 2**-6] = 0  # a group of nothing else has a scale that float16 does not hold
    return sf.encode(fit(w, fmt.split("/")[0], "value"), fmt)


def bound(t: sf.SparseTensor, x: Array) -> Array:
    w = np.abs(t.to_dense().astype(np.float64))
    eps = 3 * (t.shape[1] + 2) * np.finfo(np.float32).eps + (2**-10 if t.dtype == np.float16 else 0)
    return np.asarray(eps * (w @ np.abs(x.astype(np.float64))) + 1e-30)


@pytest.mark.parametrize("fmt", FORMATS)
@settings(max_examples=40, deadline=None)
@given(
    codec=st.sampled_from(CODECS), dtype=st.sampled_from([np.float32, np.float16]), seed=st.integers(0, 2**32),
    shape=st.sampled_from([(0, 5), (5, 0), (1, 1), (30, 70), (130, 260)]), k=st.sampled_from([0, 1, 3, 20, 70]),
    lead=st.sampled_from([(), (1,), (3,), (2, 5), (0,)]), density=st.sampled_from([0.01, 0.5]),
)  # fmt: skip
def test_every_codec_from_both_sides(
    fmt: str, codec: str, dtype: type, seed: int, shape: tuple[int, int], k: int, lead: tuple[int, ...], density: float
) -> None:
    t = packed(fmt + codec, shape, dtype, density, seed)
    rng = np.random.default_rng(seed + 1)
    x = rng.standard_normal((*lead, shape[1], k)).astype(np.float32)
    w = t.to_dense().astype(np.float64)
    assert (np.abs(t @ x - w @ x.astype(np.float64)) <= bound(t, x)).all()
    assert (np.abs(t @ np.asfortranarray(x) - t @ x) <= 2 * bound(t, x)).all()
    y = rng.standard_normal((*lead, k, shape[1])).astype(np.float32)
    assert (np.abs(y @ t.T - y @ w.T) <= bound(t, y.swapaxes(-1, -2)).swapaxes(-1, -2)).all()
    z = rng.standard_normal((*lead, k, shape[0])).astype(np.float32)
    assert np.allclose(z @ t, z @ w, atol=1e-2, rtol=1e-3)


@pytest.mark.parametrize("fmt", ["nm2:4", "csr", "bitmask/int8", "dense"])
@pytest.mark.parametrize("k", [None, 5, 70])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int8])
def test_outputs_and_biases(fmt: str, k: int | None, dtype: type) -> None:
    t = packed(fmt, (20, 130), np.float32, 0.3, 1)
    rng = np.random.default_rng(2)
    x = (10 * rng.standard_normal((130,) if k is None else (130, k))).astype(dtype)
    want, bias = t @ x, rng.standard_normal(20)
    for room in (np.empty_like(want), np.empty((*want.shape[::-1], 2), want.dtype).T[0]):
        assert sf.matmul(t, x, out=room) is room
        assert np.array_equal(room, want)
        assert sf.matmul(t, x, out=room, bias=bias) is room
        added = bias.astype(want.dtype)
        assert np.allclose(room, want + (added if k is None else added[:, None]))
    y = x.T
    assert np.array_equal(sf.matmul(y, t.T, bias=bias), y @ t.T + bias.astype(want.dtype))


def test_an_output_may_be_the_right_factor() -> None:
    t = packed("nm2:4", (64, 64), np.float32, 1.0, 1)
    x = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    want = t @ x
    assert np.array_equal(sf.matmul(t, x, out=x), want)
    assert np.array_equal(x, want)


def test_what_does_not_fit_is_refused_in_one_line() -> None:
    t = packed("nm2:4/int8", (8, 16), np.float32, 1.0, 0)
    x = np.ones((16, 3), np.float32)
    cases: list[tuple[type[Exception], Any, str]] = [
        (sf.FormatError, lambda: sf.matmul(t, np.ones((15, 3))), r"\(8, 16\) and \(15, 3\)"),
        (sf.FormatError, lambda: sf.matmul(t, np.ones(15), compute="int8"), r"\(8, 16\) and \(15,\)"),
        (sf.FormatError, lambda: sf.explain_matmul(t, np.ones((15, 3))), r"\(8, 16\) and \(15, 3\)"),
        (sf.FormatError, lambda: sf.matmul(t, x, out=np.empty((8, 4), np.float32)), r"\(8, 3\), got \(8, 4\)"),
        (sf.DtypeError, lambda: sf.matmul(t, x, out=np.empty((8, 3))), "float32, got float64"),
        (sf.FormatError, lambda: sf.matmul(t, x, bias=np.ones(3)), r"\(8,\), got \(3,\)"),
        (sf.FormatError, lambda: sf.matmul(t, x, compute="int4"), "int4"),
        (sf.FormatError, lambda: sf.matmul(t, x * np.nan, compute="int8"), "finite"),
        (sf.FormatError, lambda: sf.matmul(x.T, t.T, compute="int8"), "on the left"),
        (sf.FormatError, lambda: sf.matmul(t.convert("csr"), x, compute="int8"), "csr/int8"),
        (sf.DtypeError, lambda: sf.matmul(t, x.astype(np.float64), compute="int8"), "float64"),
        (TypeError, lambda: sf.matmul(t, t), "both"),
        (TypeError, lambda: sf.matmul(x, x), "none"),
    ]
    for error, call, text in cases:
        with pytest.raises(error, match=text) as e:
            call()
        assert "\n" not in str(e.value)
    stored = t.values.codes.view(np.float32).reshape(8, 2)  # type: ignore[attr-defined]
    stored = np.lib.stride_tricks.as_strided(stored, writeable=True)
    with pytest.raises(sf.FormatError, match=r"shares memory|read-only"):
        sf.matmul(t, np.ones((16, 2), np.float32), out=stored)


@settings(max_examples=40, deadline=None)
@given(
    fmt=st.sampled_from(["nm2:4/int4:g64", "bitmask/int8", "dense/int4:g128"]), seed=st.integers(0, 2**32),
    k=st.sampled_from([None, 1, 4]), spread=st.sampled_from([1.0, 1e-30, 1e30, 0.0]),
)  # fmt: skip
def test_int8_activations_keep_their_bound(fmt: str, seed: int, k: int | None, spread: float) -> None:
    t = packed(fmt, (12, 200), np.float32, 0.5, seed)
    rng = np.random.default_rng(seed + 1)
    x = (spread * rng.standard_normal((200,) if k is None else (200, k))).astype(np.float32)
    got, w = sf.matmul(t, x, compute="int8"), t.to_dense().astype(np.float64)
    loss = np.multiply.outer(np.abs(w).sum(axis=1), np.abs(x).max(axis=0)) / 254
    assert (np.abs(got - w @ x) <= 1.0001 * loss + bound(t, x)).all()


@pytest.mark.parametrize("fmt", ["nm2:4", "csr", "coo", "csc", "bsr4x4", "bitmask", "dense", "nm2:4/kmeans4"])
def test_plans_name_ways_and_costs(fmt: str) -> None:
    t = packed(fmt, (256, 256), np.float32, 0.02, 0)
    for x in (np.ones(256, np.float32), np.ones((3, 256, 20)), np.ones((256, 64), np.int32)):
        lines = sf.explain_matmul(t, x).splitlines()
        assert t.format in lines[0]
        assert str(x.shape) in lines[0]
        assert "flops" in lines[2]
        assert len(lines) >= 3


MEASURE = """
import json, sys
import numpy as np
import sparsefmt as sf
from property.peak_memory import extra
from sparsefmt.base.alloc import empty
sf.set_num_threads(2)
sf.set_cache_bytes(0)
found = {}
rng = np.random.default_rng(0)
w = rng.standard_normal((2048, 4096)).astype(np.float16)
w[rng.random(w.shape) < 0.5] = 0
for fmt in ("nm2:4", "bitmask", "csr", "bsr8x8", "dense", "nm2:4/int4:g128"):
    t = sf.encode(w, fmt, prune=fmt.startswith("nm"))
    for k in (1, 8, 200):
        x = empty((4096, k), np.float32)
        x[...] = 1
        t @ x[:, :1].copy()
        found[f"{fmt}, {k} columns"] = extra(lambda: t @ x)[0]
json.dump(found, sys.stdout)
"""


@pytest.mark.skipif(
    os.environ.get("SPARSEFMT_NATIVE") == "0" or sf.cpu_features()["isa"] not in ("avx512", "amx"),
    reason="kernels are what is measured",
)
def test_products_take_two_mib_per_thread() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        capture_output=True,
        text=True,
        check=False,
        env=peak_memory.environment(),
    )
    assert done.returncode == 0, done.stderr
    over = {name: beyond for name, beyond in json.loads(done.stdout).items() if beyond > 2 * 2 + 1}
    assert not over
