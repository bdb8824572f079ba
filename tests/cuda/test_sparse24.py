"""The engine on sparse tensor cores, with a stand-in for cuSPARSELt that checks the rules of the library."""

import threading
from typing import Any

import numpy as np
import pytest
from fake_lt import FakeLt
from product_checks import close, exact_weights, factor
from test_bytes import sparse

import sparsefmt as sf
from sparsefmt.base.dtypes import DTYPES
from sparsefmt.cuda import libraries, lt, prepared, products


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("codec", ["", "/int8:row", "/int4:g8", "/kmeans16"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sparse_tensor_cores(library: FakeLt, dtype: str, codec: str, order: str) -> None:
    import cupy

    for (rows, cols), k in (((32, 64), 8), ((33, 70), 5), ((16, 16), 1)):
        t = sf.encode(sparse((rows, cols), DTYPES[dtype]), "nm2:4" + codec)
        x = factor((cols, k), DTYPES[dtype])
        on_gpu = cupy.asarray(x) if order == "C" else cupy.asarray(x.T.copy()).T
        got = sf.cuda.matmul(t.to("cuda"), on_gpu, engine="cusparselt")
        assert got.dtype == t.dtype
        close(cupy.asnumpy(got), t, x)


@pytest.mark.parametrize("order", ["C", "F"])
def test_int8_on_sparse_tensor_cores(library: FakeLt, order: str) -> None:
    import cupy

    raw = sf.encode(sparse((40, 70), np.int8), "nm2:4")
    x = factor((70, 9), np.int8)
    on_gpu = cupy.asarray(x) if order == "C" else cupy.asarray(x.T.copy()).T
    got = sf.cuda.matmul(raw.to("cuda"), on_gpu, engine="cusparselt")
    assert got.dtype == np.int32
    close(cupy.asnumpy(got), raw, x)
    for codec in ("int8:row", "int8:tensor:f32"):
        t = sf.encode(sparse((40, 70), DTYPES["bfloat16"]), f"nm2:4/{codec}")
        for dtype in ("bfloat16", "float16"):
            got = sf.cuda.matmul(t.to("cuda"), on_gpu, dtype=dtype, engine="cusparselt")
            assert got.dtype == DTYPES[dtype]
            close(cupy.asnumpy(got), t, x, exact_weights(t))
    with pytest.raises(sf.BackendError, match="give float16 or bfloat16, not float32: pass dtype="):
        sf.cuda.matmul(t.to("cuda"), on_gpu, engine="cusparselt")


@pytest.mark.parametrize("order", ["C", "F"])
def test_float8_on_sparse_tensor_cores(library: FakeLt, order: str) -> None:
    import cupy

    e4m3 = DTYPES["float8_e4m3fn"]
    t, x = sf.encode(sparse((40, 64), e4m3), "nm2:4"), factor((64, 9), e4m3)
    carried = x.view(np.uint8)
    on_gpu = cupy.asarray(carried) if order == "C" else cupy.asarray(carried.T.copy()).T
    for engine in ("cusparselt", "decode", None):
        for dtype in (None, "float16", "bfloat16"):
            got = sf.cuda.matmul(t.to("cuda"), on_gpu, x_dtype="float8_e4m3fn", dtype=dtype, engine=engine)
            assert got.dtype == DTYPES[dtype or "float32"]
            close(cupy.asnumpy(got), t, x)
    assert library.calls.count("Matmul") == 6
    stacked = sf.cuda.matmul(t.to("cuda"), cupy.asarray(np.stack([carried] * 2)), x_dtype="float8_e4m3fn")
    assert np.array_equal(cupy.asnumpy(stacked)[1], cupy.asnumpy(stacked)[0])
    close(cupy.asnumpy(stacked)[1], t, x)
    bf16 = sf.encode(sparse((8, 64), DTYPES["bfloat16"]), "csr").to("cuda")
    close(cupy.asnumpy(sf.cuda.matmul(bf16, on_gpu, x_dtype="float8_e4m3fn")), bf16.to("cpu"), x)
    with pytest.raises(sf.DtypeError, match="x of uint8, not float16"):
        sf.cuda.matmul(t.to("cuda"), cupy.zeros((64, 1), np.float16), x_dtype="float8_e4m3fn")
    with pytest.raises(sf.BackendError, match="cannot multiply this: it takes nm2:4, not csr"):
        sf.cuda.matmul(bf16, on_gpu, x_dtype="float8_e4m3fn", engine="cusparselt")


def test_the_library_is_used_by_its_rules(library: FakeLt) -> None:
    """One handle per thread and device, plans kept, the current stream, nothing left behind by a thread."""
    import cupy

    t = sf.encode(sparse((32, 32), np.float16), "nm2:4").to("cuda")
    x = cupy.asarray(factor((32, 8), np.float16))
    sf.cuda.matmul(t, x, engine="cusparselt")
    before = list(library.calls)
    with cupy.cuda.Stream() as stream:
        sf.cuda.matmul(t, x, engine="cusparselt")
    assert library.calls[len(before) :] == ["Matmul"]
    assert library.streams == [0, stream.ptr]
    alive = len(library.live)

    def work() -> None:
        sf.cuda.matmul(t, x, engine="cusparselt")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert library.calls.count("Init") == 2
    assert library.calls.count("SpMMACompress2") == 1
    assert (
        len(library.live) == alive + 2 * (library.version < (0, 8, 0)) + 1
    )  # the descriptor of the product has no end


def test_plans_are_bounded_and_closed(library: FakeLt, monkeypatch: pytest.MonkeyPatch) -> None:
    import cupy

    monkeypatch.setattr(lt, "PLANS", 3)
    t = sf.encode(sparse((32, 32), np.float16), "nm2:4").to("cuda")
    for k in range(8, 80, 8):
        sf.cuda.matmul(t, cupy.zeros((32, k), np.float16), engine="cusparselt")
    assert len(lt.handle().plans) == 3
    assert library.calls.count("MatmulPlanDestroy") == 6


def test_search_is_kept_in_memory(library: FakeLt) -> None:
    import cupy

    t = sf.encode(sparse((32, 32), np.float16), "nm2:4").to("cuda")
    x = cupy.asarray(factor((32, 8), np.float16))
    sf.cuda.search(t, x)
    assert "MatmulSearch" in library.calls
    (found,) = lt.best.values()
    assert found[lt.CONFIG_ID] == 17
    thread = threading.Thread(target=lambda: sf.cuda.matmul(t, x, engine="cusparselt"))
    thread.start()
    thread.join()
    assert "MatmulAlgSetAttribute" in library.calls
    with pytest.raises(sf.BackendError, match="it takes nm2:4, not csr"):
        sf.cuda.search(t.convert("csr"), x)


def test_old_library_needs_no_destroy_of_selections(emulated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeLt((0, 7, 1))
    loaded = lt.Library(libraries.Found(fake, "fake"))
    monkeypatch.setattr(lt, "loaded", lambda: loaded)
    monkeypatch.setattr(lt, "PLANS", 1)
    t = sf.encode(sparse((32, 32), np.float16), "nm2:4").to("cuda")
    for k in (8, 16):
        sf.cuda.matmul(t, emulated.zeros((32, k), np.float16), engine="cusparselt")
    assert "MatmulAlgSelectionDestroy" not in fake.calls
    with pytest.raises(
        sf.BackendError, match=r"cuSPARSELt 0\.6\.3 at fake is too old, want 0\.7\.0 or newer; pip install"
    ):
        lt.Library(libraries.Found(FakeLt((0, 6, 3)), "fake"))


def test_prepared_forms_end_with_the_tensor(library: FakeLt) -> None:
    import cupy

    t = sf.encode(sparse((32, 32), np.float16), "nm2:4").to("cuda")
    sf.cuda.matmul(t, cupy.zeros((32, 8), np.float16), engine="cusparselt")
    assert len(prepared._forms[t]) == 1
    sf.cuda.forget(t)
    assert t not in prepared._forms
    sf.cuda.matmul(t, cupy.zeros((32, 8), np.float16), engine="cusparselt")
    assert library.calls.count("SpMMACompress2") == 2
    del t
    assert not len(prepared._forms)
    assert not len(products._choices)


@pytest.mark.parametrize("order", ["C", "F"])
def test_repeated_products_are_bound(library: FakeLt, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    """A call that was made before is one call of the library; a plan that was dropped is made again."""
    import cupy

    monkeypatch.setattr(lt, "PLANS", 1)
    packed = sf.encode(sparse((512, 512), np.float16), "nm2:4")
    t = packed.to("cuda")
    for seed in range(3):
        x = factor((512, 64), np.float16, seed)
        on_gpu = cupy.asarray(x) if order == "C" else cupy.asarray(x.T.copy()).T
        before = len(library.calls)
        got = t @ on_gpu
        close(cupy.asnumpy(got), packed, x)
        assert got.flags.f_contiguous == (order == "F")
        assert seed == 0 or library.calls[before:] == ["Matmul"]
    assert len(prepared.bound[t]) == 1
    sf.cuda.matmul(t, cupy.zeros((512, 8), np.float16), engine="cusparselt")  # takes the place of the plan
    close(cupy.asnumpy(t @ on_gpu), packed, x)
    other = factor((512, 64), np.float32)
    close(cupy.asnumpy(t @ cupy.asarray(other)), packed, other)
    odd = cupy.empty(512 * 64 + 1, np.float16)[1:].reshape(512, 64)
    odd[...] = cupy.asarray(x)
    close(cupy.asnumpy(t @ odd), packed, x)
    with cupy.cuda.Stream() as stream:
        t @ on_gpu
    assert library.streams[-1] == stream.ptr
    sf.cuda.forget(t)
    assert t not in prepared.bound
    close(cupy.asnumpy(t @ on_gpu), packed, x)
