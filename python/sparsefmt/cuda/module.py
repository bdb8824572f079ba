"""Kernels from the .cu files of the package, compiled on first use by CuPy and kept per device."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any

from sparsefmt.cuda.device import cupy

Launch = Callable[..., None]
"""`launch(grid, block, args, shared_mem=0)`: sizes as tuples of ints; args are CuPy arrays and NumPy scalars."""

EXACT = ("--fmad=false",)
"""Options of kernels whose bytes must equal those of the CPU."""

_INCLUDE = re.compile(r'^#include "(?P<name>[\w./]+)"\s*$', re.MULTILINE)


@functools.cache
def source(name: str) -> str:
    """The text of a file under `sparsefmt/cuda`, e.g. "src/nm.cu" or "own/gemm.cu".

    `#include "file"`, named as here, is replaced by the text of that file, so that no compiler needs a path to it.
    """
    text = resources.files("sparsefmt.cuda").joinpath(name).read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda found: source(found["name"]), text)


def definitions(defines: Mapping[str, str | int]) -> tuple[str, ...]:
    """The options of a compiler for macros."""
    return tuple(f"-D{name}={value}" for name, value in sorted(defines.items()))


@functools.lru_cache(maxsize=512)
def _module(device: int, name: str, options: tuple[str, ...]) -> Any:  # noqa: ANN401
    return cupy().RawModule(code=source(name), options=("--std=c++17", *options))


@functools.lru_cache(maxsize=4096)
def _function(device: int, name: str, options: tuple[str, ...], function: str) -> Any:  # noqa: ANN401
    return _module(device, name, options).get_function(function)


def kernel(source_name: str, function: str, defines: Mapping[str, str | int], options: Sequence[str] = EXACT) -> Launch:
    """A kernel on the current device; it runs on the current stream.

    Args:
        source_name: of the file, see `source`.
        function: its name, declared `extern "C"`.
        defines: macros of the source.
        options: of the compiler, e.g. ("-arch=sm_90a",).
    """
    made: Launch = _function(cupy().cuda.Device().id, source_name, (*options, *definitions(defines)), function)
    return made
