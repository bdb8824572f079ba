"""Runs the kernels of sparsefmt.cuda.own on the CPU: compiled with g++ for the machine of machine.h."""

import ctypes
import functools
import hashlib
import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sparsefmt.cuda.module import source

HERE = Path(__file__).parent / "emulator"
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
def built(source_text: str, function: str, defines: tuple[tuple[str, str], ...]) -> Any:
    """A library with a kernel, compiled once per text."""
    body = "".join(f"#define {k} {v}\n" for k, v in defines) + source_text
    text = WRAPPER % (body, function)
    key = hashlib.sha256((text + (HERE / "machine.h").read_text()).encode()).hexdigest()[:20]
    library = Path(tempfile.gettempdir()) / f"sparsefmt-own-{key}.so"
    if not library.exists():
        assert COMPILER is not None
        with tempfile.TemporaryDirectory() as folder:
            made, code = Path(folder) / "kernel.so", Path(folder) / "kernel.cpp"
            code.write_text(text)
            flags = ["-std=c++17", "-O0", "-fno-strict-aliasing", "-fPIC", "-shared", "-w", f"-I{HERE}"]
            host = ['-DSPARSEFMT_HOST="machine.h"', "-o", str(made), str(code)]
            done = subprocess.run([COMPILER, *flags, *host], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[:4000]
            shutil.move(made, library)
    return ctypes.CDLL(str(library))


def _library(name: str, function: str, defines: Mapping[str, str | int]) -> Any:
    return built(source(name), function, tuple(sorted((k, str(v)) for k, v in defines.items())))


def shared_bytes(name: str, function: str, defines: Mapping[str, str | int]) -> int:
    """The shared memory of a block, as the kernel counts it."""
    return int(_library(name, function, defines).shared_bytes())


class Launch:
    """A kernel on the CPU, called as CuPy's; arrays that NumPy lets us write to may be stored to."""

    max_dynamic_shared_size_bytes = 48 << 10

    def __init__(self, library: Any) -> None:
        self._call = library.launch

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[Any], shared_mem: int = 0) -> None:
        assert len(grid) == len(block) == 1
        assert shared_mem <= self.max_dynamic_shared_size_bytes
        cells, at, size, writable = [], [], [], []
        for arg in args:
            if isinstance(arg, np.ndarray):
                cells.append(ctypes.c_void_p(arg.ctypes.data))
                at.append(arg.ctypes.data)
                size.append(arg.nbytes)
                writable.append(arg.flags.writeable)
            else:
                kinds = {
                    "i4": ctypes.c_int32,
                    "i8": ctypes.c_int64,
                    "u8": ctypes.c_uint64,
                    "u4": ctypes.c_uint32,
                    "f4": ctypes.c_float,
                }
                cells.append(kinds[arg.dtype.str[1:]](arg.item()))
        count = len(at)
        pointers = (ctypes.c_void_p * len(cells))(*[ctypes.addressof(c) for c in cells])
        error = ctypes.create_string_buffer(500)
        failed = self._call(
            pointers, grid[0], block[0], shared_mem, (ctypes.c_void_p * count)(*at), (ctypes.c_longlong * count)(*size),
            (ctypes.c_ubyte * count)(*writable), count, ctypes.c_ulonglong(next(_seeds)), error, 500,
        )  # fmt: skip
        if failed:
            raise KernelError(error.value.decode())


def kernel(name: str, function: str, defines: Mapping[str, str | int], options: Sequence[str] = ()) -> Launch:
    """Stands in for `sparsefmt.cuda.module.kernel`, for NumPy arrays."""
    return Launch(_library(name, function, defines))


class Module:
    """Stands in for `cupy.RawModule`, where the source is written for this machine."""

    def __init__(self, code: str, options: Sequence[str]) -> None:
        self._code = code
        pairs = [o[2:].split("=") for o in options if o.startswith("-D")]
        self._defines = tuple(sorted((k, v) for k, v in pairs))

    def get_function(self, name: str) -> Launch:
        """The kernel of that name."""
        return Launch(built(self._code, name, self._defines))
