"""Moving tensors, streams and devices, what others read of them, and what is missing."""

import copy
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import fake_cupy
import numpy as np
import pytest
from fake_arrays import ndarray
from test_bytes import check_same, parts, sparse

import sparsefmt as sf
from sparsefmt.base.dtypes import DTYPES
from sparsefmt.cuda import device, transfer


@pytest.mark.parametrize(
    "fmt", ["nm2:4", "nm2:4@64/int4:g8:asym", "csr/kmeans9", "bitmask", "coo", "csc", "bsr2x2", "dense"]
)
def test_there_and_back(cupy: Any, fmt: str) -> None:
    t = sf.encode(sparse((6, 20), np.float32), fmt)
    moved = t.to("cuda")
    check_same(moved, t)
    assert moved.to("cuda") is moved
    assert moved.to("cuda:0") is moved
    assert t.to("cpu") is t
    assert all(isinstance(a, cupy.ndarray) for a in parts(moved).values())
    assert (moved.nbytes, moved.slots, moved.storage()) == (t.nbytes, t.slots, t.storage())
    assert repr(moved) == repr(t)[:-1] + ", cuda:0>"


def test_large_arrays_go_through_page_locked_buffers(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three and a bit buffers in both directions, on a stream of its own."""
    monkeypatch.setattr(transfer, "CHUNK", 1 << 10)
    transfer._staging.cache_clear()
    w = np.random.default_rng(0).integers(0, 255, (1, 3333)).astype(np.uint8)
    with cupy.cuda.Stream(non_blocking=True):
        t = sf.encode(w, "dense").to("cuda")
        back = t.to("cpu")
    assert np.array_equal(back.to_dense(), w)
    for dtype in ("bfloat16", "float8_e5m2", "complex128"):
        t = sf.encode(w.astype(np.float32).astype(DTYPES[dtype]), "dense")
        assert sf.equal(t.to("cuda"), t)
    transfer._staging.cache_clear()


def test_only_packed_bytes_cross_the_bus(emulated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    original = emulated.asarray
    monkeypatch.setattr(emulated, "asarray", lambda a, *rest: sent.append(a.nbytes) or original(a, *rest))
    t = sf.encode(sparse((64, 64), np.float16), "nm2:4/int4:g32")
    t.to("cuda")
    assert sum(sent) == t.nbytes


def test_streams_and_devices_are_honoured(emulated: Any) -> None:
    t = sf.encode(sparse((4, 256), np.float16), "nm2:4")
    second = t.to("cuda:1")
    assert second.device == "cuda:1"
    with emulated.cuda.Stream() as stream:
        dense = second.to_dense()
    assert dense.device.id == 1
    assert fake_cupy.Launches.log[-1] == ("nm24_decode", 1, stream.ptr)
    assert second.to("cuda:0").device == "cuda:0"
    assert sf.equal(second.to("cuda:0"), t)
    with emulated.cuda.Device(1):
        assert t.to("cuda").device == "cuda:1"
        x = emulated.asarray(np.ones((256, 2), np.float16))
    assert (second @ x).device.id == 1
    with pytest.raises(sf.BackendError, match="the array is on cuda:0, the tensor on cuda:1"):
        second.to_dense(emulated.empty((4, 256), np.float16))


def test_two_threads_on_two_streams(cupy: Any) -> None:
    t = sf.encode(sparse((32, 256), np.float16), "nm2:4/int8:g32")
    moved, want = t.to("cuda"), t.to_dense()
    wrong: list[int] = []

    def work(number: int) -> None:
        with cupy.cuda.Device(0), cupy.cuda.Stream(non_blocking=True) as stream:
            got = moved.to_dense()
            stream.synchronize()
        if cupy.asnumpy(got).tobytes() != want.tobytes():
            wrong.append(number)

    if "fake" in str(type(cupy.ndarray).__module__) or cupy.ndarray is ndarray:
        work(0)  # the emulation runs one thread at a time
    else:
        threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_device_names(emulated: Any) -> None:
    t = sf.encode(np.eye(4), "csr")
    for name in ("gpu", "cuda:", "cuda:x", "cuda:-1", ""):
        with pytest.raises(sf.BackendError, match='have "cpu", "cuda"'):
            t.to(name)
    with pytest.raises(sf.BackendError, match=r"device 'cuda:7' is not there; 2 found: \"cuda:0\"\.\.\.\"cuda:1\""):
        t.to("cuda:7")


def test_saved_and_pickled_by_the_cpu(cupy: Any, tmp_path: Path) -> None:
    t = sf.encode(sparse((8, 16), np.float16), "nm2:4/int8:g8")
    moved = t.to("cuda")
    sf.save(tmp_path / "a.safetensors", {"w": moved})
    assert sf.equal(sf.load(tmp_path / "a.safetensors")["w"], t)
    again = pickle.loads(pickle.dumps(moved, 5))
    assert again.device == "cpu"
    assert sf.equal(again, t)
    assert sf.equal(copy.copy(moved), t)
    assert sf.explain(moved, "csr") == sf.explain(t, "csr")


def test_parts_speak_the_protocols(cupy: Any) -> None:
    """torch and JAX take the parts without a copy: the address is that of the array."""
    t = sf.encode(sparse((8, 16), np.float16), "nm2:4").to("cuda")
    for a in parts(t).values():
        face = a.__cuda_array_interface__
        assert face["data"][0] == a.data.ptr
        assert face["shape"] == a.shape
        assert a.__dlpack_device__() == (2, 0)
        assert hasattr(a, "__dlpack__")
    host = t.to("cpu")
    shared = np.from_dlpack(host.structure.arrays()["codes"])
    assert np.shares_memory(shared, host.structure.arrays()["codes"])


def test_info_of_a_machine_with_gpus(emulated: Any) -> None:
    assert sf.cuda.available()
    info = sf.cuda.info()
    assert info["cupy"] == "14.2.0"
    assert [d["name"] for d in info["devices"]] == ["Fake GPU", "Fake GPU"]
    assert info["devices"][1]["sm"] == 90
    assert set(info["missing"]) <= {"cusparselt", "nvrtc"}


def test_what_is_missing_is_said(emulated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    t = sf.encode(np.eye(4), "csr")

    def no_driver() -> int:
        msg = "cudaErrorInsufficientDriver: CUDA driver version is insufficient"
        raise RuntimeError(msg)

    monkeypatch.setattr(emulated.cuda.runtime, "getDeviceCount", no_driver)
    assert not sf.cuda.available()
    assert "no CUDA driver answers (cudaErrorInsufficientDriver" in sf.cuda.info()["missing"]["devices"]
    with pytest.raises(sf.BackendError, match="no CUDA driver answers"):
        t.to("cuda")
    monkeypatch.setattr(emulated.cuda.runtime, "getDeviceCount", lambda: 0)
    with pytest.raises(sf.BackendError, match="sees no device"):
        t.to("cuda")
    monkeypatch.setattr(emulated, "__version__", "13.6.0")
    with pytest.raises(
        sf.BackendError, match=r"CuPy 13\.6\.0 is too old, want 14 or newer; pip install 'sparsefmt\[cuda13\]'"
    ):
        t.to("cuda")
    monkeypatch.setitem(sys.modules, "cupy", None)
    device._imported.cache_clear()
    assert "CuPy does not load" in sf.cuda.info()["missing"]["cupy"]
    with pytest.raises(sf.BackendError, match=r"CuPy does not load.*pip install 'sparsefmt\[cuda13\]'"):
        t.to("cuda")


def test_importing_never_imports_cupy() -> None:
    """Not even packing, saving and asking for what is installed on the CPU side."""
    code = (
        "import sys, numpy as np, sparsefmt as sf; t = sf.encode(np.eye(4), 'nm2:4'); t.to('cpu') @ np.ones(4); "
        "sf.interop.to_nibbles24(t); print([m for m in sys.modules if m.split('.')[0] in ('cupy', 'cupyx')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("axis", [0, 1])
def test_tensors_that_are_packed_along_another_axis(emulated: Any, axis: int) -> None:
    w = sparse((6, 20), np.float32)
    t = sf.encode(w, "nm2:4", prune=True, axis=axis)
    moved = t.to("cuda")
    assert (moved.axis, moved.shape) == (axis, w.shape)
    assert sf.equal(moved, t)
    assert np.array_equal(moved.to_dense().get(), t.to_dense())
    assert np.array_equal(moved.T.to_dense().get(), t.to_dense().T)
    assert sf.equal(moved.convert("csr"), t.convert("csr"))
    on_device = sf.encode(emulated.asarray(w), "nm2:4", prune=True, axis=axis)
    assert on_device.device == "cuda:0"
    assert sf.equal(on_device, t)
    x = np.arange(40, dtype=np.float32).reshape(20, 2)
    for product in (moved @ emulated.asarray(x), sf.cuda.matmul(moved, emulated.asarray(x))):
        np.testing.assert_allclose(product.get(), t.to_dense() @ x, rtol=1e-5)
    np.testing.assert_allclose((emulated.asarray(w.T) @ moved).get(), w.T @ t.to_dense(), rtol=1e-5)
    out = emulated.empty(w.shape, np.float32)
    assert np.array_equal(moved.to_dense(out).get(), t.to_dense())


@pytest.mark.parametrize(("dtype", "top", "cols"), [("uint8", 255, 33_026), ("int8", -128, 131_072)])
def test_sums_of_bytes_never_wrap_on_gpus(emulated: Any, dtype: str, top: int, cols: int) -> None:
    """int32 up to the last length that fits, then int64, as on the CPU."""
    for length, want in ((cols - 1, np.int32), (cols, np.int64)):
        w = np.full((2, length), top, dtype)
        for fmt in ("csr", "bitmask"):
            t = sf.encode(w, fmt).to("cuda")
            x = emulated.asarray(w[0])
            assert "int64" in sf.cuda.explain(t, x) or want == np.int32
            for product in (t @ x, x @ t.T):
                assert product.dtype == want
                assert product.get().tolist() == [top * top * length] * 2
        tall = sf.encode(np.ascontiguousarray(w.T), "csr").to("cuda")
        product = emulated.asarray(w[0]) @ tall
        assert product.dtype == want
        assert product.get().tolist() == [top * top * length] * 2
