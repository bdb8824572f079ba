"""Products on a GPU: every engine against float64, shapes, orders, epilogues, errors, streams, devices."""

from typing import Any

import fake_blas
import fake_cupy
import numpy as np
import pytest
from fake_lt import FakeLt
from product_checks import close, factor
from test_bytes import sparse

import sparsefmt as sf
from sparsefmt.base.dtypes import DTYPES
from sparsefmt.cuda import decode, engines

PAIRS = [
    ("float16", "float16"), ("bfloat16", "bfloat16"), ("float32", "float32"), ("float64", "float64"),
    ("float16", "float32"), ("bfloat16", "float16"), ("int8", "int8"), ("int8", "float32"), ("uint16", "int32"),
    ("complex64", "float32"), ("float16", "int8"), ("bool", "int8"),
]  # fmt: skip


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("own", "other"), PAIRS)
def test_decode_engine(cupy: Any, own: str, other: str, order: str) -> None:
    for (rows, cols), k in (((8, 16), 4), ((5, 13), 3), ((7, 20), 1)):
        w = sparse((rows, cols), "f4").astype("c8") if own == "complex64" else sparse((rows, cols), DTYPES[own])
        t = sf.encode(w, "csr" if own == "complex64" else "nm2:4")
        x = factor((cols, k), DTYPES[other])
        on_gpu = cupy.asarray(np.asarray(x, order=order)) if order == "C" else cupy.asarray(x.T.copy()).T
        got = sf.cuda.matmul(t.to("cuda"), on_gpu, engine="decode")
        want = t @ x
        assert got.dtype == want.dtype
        close(cupy.asnumpy(got), t, x)
        assert got.flags.c_contiguous if order == "C" else got.flags.f_contiguous


@pytest.mark.parametrize(
    "fmt", ["csr", "bitmask/int8:g4", "coo", "csc", "bsr2x4", "dense/int8", "nm4:8/int4:g8", "nm2:4/kmeans9"]
)
def test_decode_engine_takes_every_structure(cupy: Any, monkeypatch: pytest.MonkeyPatch, fmt: str) -> None:
    t = sf.encode(sparse((12, 24), np.float16), fmt)
    x, left = factor((24, 5), np.float16), factor((3, 12), np.float16)
    for tile in (decode.TILE_BYTES, 4 * 24 * 2):  # whole, and four rows at a time
        monkeypatch.setattr(decode, "TILE_BYTES", tile)
        moved = t.to("cuda")
        close(cupy.asnumpy(sf.cuda.matmul(moved, cupy.asarray(x), engine="decode")), t, x)
        got = cupy.asnumpy(cupy.asarray(left) @ moved)
        assert np.allclose(got.astype("f8"), left.astype("f8") @ t.to_dense().astype("f8"), rtol=2e-3, atol=2e-3)


def test_nan_and_infinity_pass_through_nonzero_elements_only(cupy: Any) -> None:
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        w = sparse((6, 16), DTYPES[dtype])
        x = factor((16, 4), DTYPES[dtype])
        x[3, 1], x[7, 0], x[8, 2], x[9, 2] = np.nan, np.inf, np.inf, -np.inf
        t = sf.encode(w, "nm2:4")
        want = t @ x
        got = cupy.asnumpy(sf.cuda.matmul(t.to("cuda"), cupy.asarray(x), engine="decode"))
        assert np.array_equal(np.isnan(got), np.isnan(want))
        assert np.array_equal(np.isinf(got), np.isinf(want))
        left = np.ascontiguousarray(x[:6].T)
        assert np.array_equal(np.isnan(cupy.asnumpy(cupy.asarray(left) @ t.to("cuda"))), np.isnan(left @ t))


def test_cusparse_engine(cupy: Any) -> None:
    for own, other in (("float32", "float32"), ("float64", "float64"), ("float16", "float16"), ("bfloat16", "float32")):
        t = sf.encode(sparse((9, 20), DTYPES[own]), "csr")
        x = factor((20, 6), DTYPES[other])
        close(cupy.asnumpy(sf.cuda.matmul(t.to("cuda"), cupy.asarray(x), engine="cusparse")), t, x)
    with pytest.raises(sf.BackendError, match="engine 'cusparse' cannot multiply this: it takes csr, not nm"):
        sf.cuda.matmul(
            sf.encode(sparse((4, 8), "f4"), "nm2:4").to("cuda"), cupy.asarray(factor((8, 2), "f4")), engine="cusparse"
        )


def reference(t: sf.SparseTensor, x: np.ndarray, bias: np.ndarray | None, activation: str | None) -> np.ndarray:
    y = t.to_dense().astype(np.float64) @ x.astype(np.float64)
    y = y if bias is None else y + bias.astype(np.float64)[:, None]
    if activation == "relu":
        return np.maximum(y, 0)
    return 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3))) if activation else y


@pytest.mark.parametrize("engine", ["cusparselt", "decode"])
@pytest.mark.parametrize("activation", [None, "relu", "gelu"])
@pytest.mark.parametrize("with_bias", [True, False])
def test_epilogues(library: FakeLt, engine: str, activation: str | None, with_bias: bool) -> None:
    import cupy

    for rows, order in ((32, "F"), (20, "C")):  # a bias is fused where rows need no padding
        t = sf.encode(sparse((rows, 32), np.float16), "nm2:4")
        x, bias = factor((32, 8), np.float16), factor((rows,), np.float16, 5) if with_bias else None
        on_gpu = cupy.asarray(x) if order == "C" else cupy.asarray(x.T.copy()).T
        held = None if bias is None else cupy.asarray(bias)
        got = sf.cuda.matmul(t.to("cuda"), on_gpu, bias=held, activation=activation, engine=engine)
        want = reference(t, x, bias, activation)
        assert np.allclose(cupy.asnumpy(got).astype("f8"), want, rtol=4e-3, atol=4e-3)


def test_ranks_and_transposes(library: FakeLt) -> None:
    import cupy

    w = sparse((6, 16), np.float32)
    t = sf.encode(w, "nm2:4")
    g = t.to("cuda")
    dense = w.astype("f8")
    for shape in ((16,), (16, 3), (2, 16, 3), (2, 5, 16, 3)):
        x = factor(shape, np.float32)
        got = g @ cupy.asarray(x)
        assert got.shape == (t @ x).shape
        assert np.allclose(cupy.asnumpy(got), dense @ x, atol=1e-4)
        tokens = np.ascontiguousarray(np.swapaxes(x, -1, -2)) if x.ndim > 1 else x
        assert np.allclose(cupy.asnumpy(cupy.asarray(tokens) @ g.T), tokens @ dense.T, atol=1e-4)
    for shape in ((6,), (3, 6), (2, 3, 6)):
        x = factor(shape, np.float32)
        assert np.allclose(cupy.asnumpy(cupy.asarray(x) @ g), x @ dense, atol=1e-4)
        turned = np.ascontiguousarray(np.swapaxes(x, -1, -2)) if x.ndim > 1 else x
        assert np.allclose(cupy.asnumpy(g.T @ cupy.asarray(turned)), dense.T @ turned, atol=1e-4)
    assert np.array_equal(cupy.asnumpy(g.T.to_dense()), w.T)
    high = sf.encode(w.reshape(2, 3, 16), "nm2:4").to("cuda")
    x = factor((16, 4), np.float32)
    assert np.allclose(cupy.asnumpy(high @ cupy.asarray(x)), w.reshape(2, 3, 16) @ x, atol=1e-4)
    assert (high @ cupy.asarray(x[:, 0])).shape == (2, 3)
    line = sf.encode(w[0], "nm2:4").to("cuda")
    assert np.allclose(cupy.asnumpy(line @ cupy.asarray(x)), w[0] @ x, atol=1e-4)
    assert (line @ cupy.asarray(x[:, 0])).shape == ()
    assert np.allclose(cupy.asnumpy(cupy.asarray(x.T.copy()) @ line), x.T @ w[0], atol=1e-4)


def test_empty_products(library: FakeLt) -> None:
    import cupy

    for shape, k in (((0, 8), 3), ((4, 8), 0), ((4, 0), 3)):
        t = sf.encode(np.zeros(shape, np.float16), "nm2:4").to("cuda")
        got = t @ cupy.zeros((shape[1], k), np.float16)
        assert got.shape == (shape[0], k)
        assert not cupy.asnumpy(got).any()


def test_errors_say_what_to_do(library: FakeLt) -> None:
    import cupy

    t = sf.encode(sparse((4, 8), np.float16), "nm2:4")
    g, x = t.to("cuda"), cupy.zeros((8, 2), np.float16)
    with pytest.raises(sf.BackendError, match=r'the tensor is on the CPU and the array on a GPU.*t\.to\("cuda"\)'):
        t @ x
    with pytest.raises(sf.BackendError, match=r"the array on the CPU; move it first: cupy\.asarray"):
        g @ np.zeros((8, 2), np.float16)
    with cupy.cuda.Device(1), pytest.raises(sf.BackendError, match="the tensor is on cuda:0, the array on cuda:1"):
        g @ cupy.zeros((8, 2), np.float16)
    with pytest.raises(sf.FormatError, match=r"shapes \(4, 8\) and \(7, 2\) do not fit"):
        g @ cupy.zeros((7, 2), np.float16)
    with pytest.raises(sf.BackendError, match="engine 'fast' is unknown; have cusparselt, "):
        sf.cuda.matmul(g, x, engine="fast")
    with pytest.raises(sf.FormatError, match="activation 'swish' is unknown; have relu, gelu"):
        sf.cuda.matmul(g, x, activation="swish")
    with pytest.raises(sf.FormatError, match=r"bias: want float16 of shape \(4,\)"):
        sf.cuda.matmul(g, x, bias=cupy.zeros(4, np.float32))
    with pytest.raises(sf.DtypeError, match="out: want float16, got float32"):
        sf.cuda.matmul(g, x, out=cupy.zeros((4, 2), np.float32))
    with pytest.raises(sf.FormatError, match=r"out: want an array of shape \(4, 2\)"):
        sf.cuda.matmul(g, x, out=cupy.zeros((4, 3), np.float16))
    fake_cupy.Device.capability = "75"
    from sparsefmt.cuda import machine

    machine._machines.clear()
    with pytest.raises(sf.BackendError, match="sm_75 has no sparse tensor cores for float16; want sm_80 or newer"):
        sf.cuda.matmul(g, x, engine="cusparselt")


def test_out(library: FakeLt) -> None:
    import cupy

    t = sf.encode(sparse((16, 16), np.float16), "nm2:4")
    x = factor((16, 8), np.float16)
    for engine in ("cusparselt", "decode"):
        for room in (
            cupy.empty((16, 8), np.float16),
            cupy.empty((8, 16), np.float16).T,
            cupy.empty((16, 16), np.float16)[:, ::2],
        ):
            assert sf.cuda.matmul(t.to("cuda"), cupy.asarray(x), out=room, engine=engine) is room
            close(cupy.asnumpy(room), t, x)


def test_explain(library: FakeLt) -> None:
    import cupy

    t = sf.encode(sparse((512, 512), np.float16), "nm2:4").to("cuda")
    x = cupy.zeros((512, 512), np.float16)
    text = sf.cuda.explain(t, x)
    lines = text.splitlines()
    assert lines[0] == "nm2:4 of float16, (512, 512) @ (512, 512) of float16 -> float16, cuda:0, sm_90"
    assert lines[1].startswith("-> cusparselt about ")
    assert any(line.startswith("   decode     about ") for line in lines)
    assert any(line == "   cusparse   cannot: it takes csr, not nm" for line in lines)
    assert sf.cuda.explain(t, x, engine="decode").splitlines()[1].startswith("-> decode")
    with pytest.raises(sf.BackendError, match="cannot multiply this"):
        sf.cuda.explain(t, x, engine="cusparse")


def test_an_engine_that_fails_is_replaced_and_explained(library: FakeLt) -> None:
    import cupy

    library.fails["MatmulPlanInit"] = 10
    t = sf.encode(sparse((512, 512), np.float16), "nm2:4")
    g, x = t.to("cuda"), factor((512, 64), np.float16)
    got = g @ cupy.asarray(x)
    close(cupy.asnumpy(got), t, x)
    assert "it failed before: cuSPARSELt 0.10.0: MatmulPlanInit gave status 10" in sf.cuda.explain(g, cupy.asarray(x))
    calls = len(library.calls)
    g @ cupy.asarray(x)
    assert len(library.calls) == calls  # not tried again
    with pytest.raises(sf.BackendError, match="MatmulPlanInit gave status 10: this GPU or version does not do that"):
        sf.cuda.matmul(g, cupy.asarray(x), engine="cusparselt")
    library.fails.clear()
    close(cupy.asnumpy(sf.cuda.matmul(g, cupy.asarray(x), engine="cusparselt")), t, x)


def test_memory_that_runs_out(library: FakeLt) -> None:
    import cupy
    from fake_arrays import Memory

    t = sf.encode(sparse((64, 64), np.float32), "nm2:4").to("cuda")
    Memory.limit = 1000
    with pytest.raises(sf.BackendError, match="does not fit into the memory of the device"):
        t.to_dense()
    with pytest.raises(sf.BackendError, match="does not fit into the memory of the device"):
        sf.cuda.matmul(t, cupy.asarray(factor((64, 2), "f4")), engine="decode")


def test_int8_by_cublas_needs_quads(cupy: Any) -> None:
    fake_blas.CALLS.clear()
    t = sf.encode(sparse((8, 16), np.int8), "nm2:4").to("cuda")
    for k in (4, 3):
        x = factor((16, k), np.int8)
        close(cupy.asnumpy(sf.cuda.matmul(t, cupy.asarray(x), engine="decode")), t.to("cpu"), x)


def test_engines_are_in_order(emulated: Any) -> None:
    names = list(engines.engines())
    assert names[0] == "cusparselt"
    assert names[-1] == "decode"
    assert names == [n for n in engines.FACTORIES if n in names]
