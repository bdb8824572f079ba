"""A CuPy without a GPU, for tests: `install` puts it into `sys.modules`.

It offers what the package uses of CuPy and nothing else. Kernels are the package's own .cu sources, compiled by g++
with `emulator/cuda_host.h` and run thread by thread. Every launch checks devices, argument types and guards.
"""

import ctypes
import functools
import hashlib
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Any, ClassVar

import fake_blas
import numpy as np
import own_host
from fake_arrays import OutOfMemoryError, check_guards, inner, ndarray, outer

HERE = Path(__file__).parent
DEVICES = 2
FUNCTIONS = (
    *("arange", "array_equal", "ascontiguousarray", "bincount", "concatenate", "count_nonzero", "cumsum", "isfinite"),
    *("isnan", "repeat", "searchsorted", "stack", "take", "unique"),
)


class Device:
    """As `cupy.cuda.Device`."""

    current: ClassVar[int] = 0
    capability: ClassVar[str] = "90"

    def __init__(self, device: int | None = None) -> None:
        self.id = Device.current if device is None else device
        self._before: list[int] = []

    def __enter__(self) -> "Device":
        self._before.append(Device.current)
        Device.current = self.id
        return self

    def __exit__(self, *args: object) -> None:
        Device.current = self._before.pop()

    compute_capability = property(lambda self: Device.capability)
    mem_info = property(lambda self: (64 << 30, 80 << 30))
    attributes = property(lambda self: {"MultiProcessorCount": 132, "MemoryClockRate": 2619000})

    def synchronize(self) -> None:
        pass


class Stream:
    """As `cupy.cuda.Stream`."""

    current: ClassVar[list["Stream"]] = []
    made: ClassVar[int] = 0

    def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
        Stream.made += 0 if null else 1
        self.ptr = 0 if null else 0x1000 + Stream.made
        self.waited = 0

    def __enter__(self) -> "Stream":
        Stream.current.append(self)
        return self

    def __exit__(self, *args: object) -> None:
        Stream.current.pop()

    def synchronize(self) -> None:
        self.waited += 1

    def wait_event(self, event: object) -> None:
        pass


null_stream = Stream(null=True)


def get_current_stream() -> Stream:
    return Stream.current[-1] if Stream.current else null_stream


class Event:
    """As `cupy.cuda.Event`."""

    def __init__(self, disable_timing: bool = False) -> None:
        self.recorded: Stream | None = None
        self.at = 0.0

    def record(self, stream: Stream | None = None) -> None:
        self.recorded, self.at = stream, time.perf_counter()

    def synchronize(self) -> None:
        pass


class Launches:
    """What ran: (function, device, stream)."""

    log: ClassVar[list[tuple[str, int, int]]] = []


@functools.cache
def _folder() -> Path:
    made = tempfile.TemporaryDirectory(prefix="sparsefmt-kernels-")
    _keep.append(made)
    return Path(made.name)


_keep: list[Any] = []


@functools.cache
def compiled(code: str, defines: tuple[str, ...]) -> ctypes.CDLL:
    """The source as a library of the CPU."""
    name = hashlib.sha256(repr((code, defines)).encode()).hexdigest()[:16]
    path, fibers = _folder() / f"{name}.so", ("-DHOST_FIBERS",) if "_sync(" in code or "__syncthreads" in code else ()
    command = ["g++", "-x", "c++", "-std=c++17", "-O1", "-ffp-contract=off", "-fno-strict-aliasing", "-shared", "-fPIC"]
    command += ["-w", "-include", str(HERE / "emulator/cuda_host.h"), *fibers, *defines, "-", "-o", str(path)]
    done = subprocess.run(command, input=code, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(path))


class OwnFunction:
    """A kernel of sparsefmt.cuda.own, on its own machine."""

    def __init__(self, name: str, launch: own_host.Launch) -> None:
        self._name, self._launch, self._device = name, launch, Device.current

    def __setattr__(self, name: str, value: Any) -> None:
        target = self._launch if name == "max_dynamic_shared_size_bytes" else super()
        target.__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._launch, name)

    def __call__(self, grid: Any, block: Any, args: tuple[Any, ...], *, shared_mem: int = 0) -> None:
        assert Device.current == self._device, "a kernel of another device"
        assert all(a.device_id == self._device for a in args if isinstance(a, ndarray))
        self._launch(grid, block, [a.a if isinstance(a, ndarray) else a for a in args], shared_mem)
        Launches.log.append((self._name, self._device, get_current_stream().ptr))
        check_guards()


class RawModule:
    """As `cupy.RawModule`."""

    def __init__(self, *, code: str, options: tuple[str, ...] = ()) -> None:
        self.device = Device.current
        self.own = own_host.Module(code, options) if "SPARSEFMT_HOST" in code else None
        if self.own is None:
            self.library = compiled(code, tuple(o for o in options if o.startswith("-D")))

    def get_function(self, name: str) -> Any:
        if self.own is not None:
            return OwnFunction(name, self.own.get_function(name))
        function = getattr(self.library, name)

        def launch(
            grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], *, shared_mem: int = 0
        ) -> None:
            assert Device.current == self.device, "a kernel of another device"
            assert all(g > 0 for g in grid), f"{name}: an empty grid {grid}"
            assert len(args) <= 24
            words = []
            for a in args:
                if isinstance(a, ndarray):
                    assert a.device_id == self.device, f"{name}: an array of another device"
                    words.append(a.a.ctypes.data)
                else:
                    assert isinstance(a, np.int64 | np.uint64), f"{name}: {type(a)} has no fixed width of 64 bits"
                    words.append(int(a) - (1 << 64) * (int(a) >> 63 if int(a) > 0 else 0))
            sizes = [(ctypes.c_uint * 3)(*(*s, 1, 1)[:3]) for s in (grid, block)]
            launch_all = self.library.host_launch
            launch_all.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_int]
            launch_all(function, *sizes, (ctypes.c_longlong * len(words))(*words), len(words))
            Launches.log.append((name, self.device, get_current_stream().ptr))
            check_guards()

        return launch


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    made = ndarray(shape, dtype)
    if order == "F":
        made.a = made.a.reshape(made.shape[::-1]).T
    return made


def zeros(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    made = empty(shape, dtype, order)
    made.a[...] = np.zeros((), made.dtype)
    return made


def asarray(x: Any, dtype: Any = None, order: str | None = None, **kwargs: object) -> ndarray:
    if isinstance(x, ndarray):
        return x if dtype in (None, x.dtype) else x.astype(dtype)
    if hasattr(x, "__cuda_array_interface__"):
        return x.fake_array
    a = np.asarray(x, dtype)
    made = empty(a.shape, a.dtype)
    made.a[...] = a
    return made


def asnumpy(x: Any, out: np.ndarray | None = None, **kwargs: object) -> np.ndarray:
    return x.get() if isinstance(x, ndarray) else np.asarray(x)


class PinnedMemory:
    """As what `alloc_pinned_memory` gives: bytes with a buffer."""

    taken: ClassVar[list[int]] = []

    def __new__(cls, size: int) -> Any:
        cls.taken.append(size)
        return (ctypes.c_ubyte * size)()


def memcpy_async(dst: int, src: int, size: int, kind: int, stream: int) -> None:
    assert kind in (1, 2, 3)
    ctypes.memmove(dst, src, size)


def _forward(name: str) -> Any:
    function = getattr(np, name)

    def call(*args: object, **kwargs: Any) -> Any:
        out = kwargs.pop("out", None)
        with np.errstate(all="ignore"):
            held = [inner(a, moves=False) for a in args]
            got = function(*held, **{k: inner(v, moves=False) for k, v in kwargs.items()})
        if out is not None:
            out.a[...] = got
            return out
        if isinstance(got, tuple):
            return tuple(outer(g, Device.current) for g in got)
        return outer(got, Device.current)

    return call


def _runtime() -> types.SimpleNamespace:
    return types.SimpleNamespace(
        getDeviceCount=lambda: DEVICES,
        getDeviceProperties=lambda i: {"name": b"Fake GPU", "multiProcessorCount": 132, "totalGlobalMem": 80 << 30},
        driverGetVersion=lambda: 13000,
        runtimeGetVersion=lambda: 13000,
        memcpyAsync=memcpy_async,
        memcpyHostToDevice=1,
        memcpyDeviceToHost=2,
        memcpyDeviceToDevice=3,
        CUDARuntimeError=type("CUDARuntimeError", (RuntimeError,), {}),
    )


def build() -> dict[str, Any]:
    """The modules of the fake, by name."""
    cupy = types.ModuleType("cupy")
    memory = types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError)
    cupy.cuda = types.SimpleNamespace(
        Device=Device, Stream=Stream, Event=Event, get_current_stream=get_current_stream, runtime=_runtime(),
        alloc_pinned_memory=PinnedMemory, is_available=lambda: True, memory=memory,
        get_elapsed_time=lambda a, b: 1e3 * (b.at - a.at),
        device=types.SimpleNamespace(get_cublas_handle=lambda: 0xB1A5),
    )  # fmt: skip
    ndarray.current_device = staticmethod(lambda: Device.current)
    found = {"ndarray": ndarray, "empty": empty, "zeros": zeros, "asarray": asarray, "asnumpy": asnumpy,
             "RawModule": RawModule, "__version__": "14.2.0"}  # fmt: skip
    for name, value in found.items():
        setattr(cupy, name, value)
    cupy.copyto = lambda target, source: target.__setitem__(..., source)
    for name in FUNCTIONS:
        setattr(cupy, name, _forward(name))
    backends = {
        name: types.ModuleType(name)
        for name in ("cupy_backends", "cupy_backends.cuda", "cupy_backends.cuda.libs", "cupy_backends.cuda.libs.cublas")
    }
    backends["cupy_backends.cuda.libs.cublas"].gemmEx = fake_blas.gemm_ex
    backends["cupy_backends.cuda.libs"].cublas = backends["cupy_backends.cuda.libs.cublas"]
    sparse = types.ModuleType("cupyx.scipy.sparse")
    sparse.csr_matrix = fake_blas.CsrMatrix
    scipy = types.ModuleType("cupyx.scipy")
    scipy.sparse = sparse
    cupyx = types.ModuleType("cupyx")
    cupyx.scipy = scipy
    return {"cupy": cupy, "cupyx": cupyx, "cupyx.scipy": scipy, "cupyx.scipy.sparse": sparse, **backends}


def install(patch: Any) -> types.ModuleType:
    """Puts the fake in the place of CuPy with pytest's monkeypatch."""
    modules = build()
    for name, module in modules.items():
        patch.setitem(sys.modules, name, module)
    return modules["cupy"]
