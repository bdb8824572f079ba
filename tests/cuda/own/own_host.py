"""Runs the kernels of sparsefmt.cuda.own on the CPU: compiled with g++ for the machine of machine.h."""

import ctypes
import functools
import hashlib
import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sparsefmt.cuda.module import source

HERE = Path(__file__).parent
COMPILER = shutil.which("g++")
_seeds = itertools.count(1)

WRAPPER = """
#pragma GCC diagnostic ignored "-Wpragmas"
#include "machine.h"
#include <array>
#include <utility>
namespace kernel {
%s
}
static void* const* arguments;
static void run() { machine::call(kernel::%s, arguments); }
#ifdef CODEC
#define KERNEL_SHARED_BYTES kernel::SHARED_BYTES
#else
#define KERNEL_SHARED_BYTES 0
#endif
extern "C" int shared_bytes() { return KERNEL_SHARED_BYTES; }
extern "C" int launch(void* const* args, int grid, int block, int shared, const void* const* at, const long long* bytes,
                      const unsigned char* writable, int count, unsigned long long seed, char* error, int room) {
    arguments = args;
    return machine::launch(run, grid, block, shared, at, bytes, writable, count, seed, error, room);
}
"""


class KernelError(AssertionError):
    """What the machine refused."""


@functools.cache
def built(name: str, function: str, defines: tuple[tuple[str, int], ...]) -> Any:  # noqa: ANN401
    """A library with a kernel, compiled once per text."""
    body = "".join(f"#define {k} {v}\n" for k, v in defines) + source(name)
    text = WRAPPER % (body, function)
    key = hashlib.sha256((text + (HERE / "machine.h").read_text()).encode()).hexdigest()[:20]
    library = Path(tempfile.gettempdir()) / f"sparsefmt-own-{key}.so"
    if not library.exists():
        assert COMPILER is not None
        with tempfile.TemporaryDirectory() as folder:
            made, code = Path(folder) / "kernel.so", Path(folder) / "kernel.cpp"
            code.write_text(text)
            flags = ["-std=c++17", "-O1", "-fno-strict-aliasing", "-fPIC", "-shared", "-w", f"-I{HERE}"]
            host = ['-DSPARSEFMT_HOST="machine.h"', "-o", str(made), str(code)]
            done = subprocess.run([COMPILER, *flags, *host], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[:4000]
            shutil.move(made, library)
    return ctypes.CDLL(str(library))


def shared_bytes(name: str, function: str, defines: Mapping[str, int]) -> int:
    """The shared memory of a block, as the kernel counts it."""
    return int(built(name, function, tuple(sorted(defines.items()))).shared_bytes())


def launch_on_host(
    name: str, function: str, defines: Mapping[str, int], grid: int, block: int, args: Sequence[Any], shared: int
) -> None:
    """Runs a kernel; arrays that NumPy lets us write to may be stored to."""
    call = built(name, function, tuple(sorted(defines.items()))).launch
    cells, at, size, writable = [], [], [], []
    for arg in args:
        if isinstance(arg, np.ndarray):
            cells.append(ctypes.c_void_p(arg.ctypes.data))
            at.append(arg.ctypes.data)
            size.append(arg.nbytes)
            writable.append(arg.flags.writeable)
        else:
            kinds = {"i4": ctypes.c_int32, "i8": ctypes.c_int64, "u8": ctypes.c_uint64, "f4": ctypes.c_float}
            cells.append(kinds[arg.dtype.str[1:]](arg.item()))
    count = len(at)
    pointers = (ctypes.c_void_p * len(cells))(*[ctypes.addressof(c) for c in cells])
    error = ctypes.create_string_buffer(500)
    failed = call(
        pointers, grid, block, shared, (ctypes.c_void_p * count)(*at), (ctypes.c_longlong * count)(*size),
        (ctypes.c_ubyte * count)(*writable), count, ctypes.c_ulonglong(next(_seeds)), error, 500,
    )  # fmt: skip
    if failed:
        raise KernelError(error.value.decode())


def kernel(name: str, function: str, defines: Mapping[str, int], options: Sequence[str] = ()) -> Callable[..., None]:
    """Stands in for `sparsefmt.cuda.module.kernel`."""

    class Launch:
        max_dynamic_shared_size_bytes = 48 << 10

        def __call__(
            self, grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[Any], shared_mem: int = 0
        ) -> None:
            assert len(grid) == len(block) == 1
            assert shared_mem <= self.max_dynamic_shared_size_bytes
            launch_on_host(name, function, defines, grid[0], block[0], args, shared_mem)

    return Launch()
