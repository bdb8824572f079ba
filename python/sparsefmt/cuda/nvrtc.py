"""NVRTC, the compiler for CUDA sources, through ctypes: it needs neither a GPU nor a driver."""

import ctypes
import functools
from collections.abc import Sequence
from dataclasses import dataclass

from sparsefmt.base.errors import BackendError
from sparsefmt.cuda import libraries

PACKAGES = ("nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu13", "nvidia-cuda-nvrtc-cu12")
NAMES = ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so")


@dataclass(frozen=True, slots=True)
class Compiled:
    """What the compiler made of a source."""

    ptx: bytes
    """Text for the driver's assembler, if the target has one."""
    cubin: bytes
    """Machine code (ELF) for a real architecture (sm_XX); empty for a virtual one (compute_XX)."""
    log: str
    """What the compiler said."""


class Nvrtc:
    """A loaded NVRTC."""

    def __init__(self, found: libraries.Found) -> None:
        self.path = found.path
        self._library = found.library
        self._library.nvrtcGetErrorString.restype = ctypes.c_char_p
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        self.version = (major.value, minor.value)

    def _call(self, name: str, *args: object) -> None:
        code = getattr(self._library, name)(*args)
        if code:
            msg = f"{name}: {self._library.nvrtcGetErrorString(code).decode()}"
            raise BackendError(msg)

    def _text(self, program: ctypes.c_void_p, what: str) -> bytes:
        size = ctypes.c_size_t()
        self._call(f"nvrtcGet{what}Size", program, ctypes.byref(size))
        room = ctypes.create_string_buffer(max(size.value, 1))
        self._call(f"nvrtcGet{what}", program, room)
        return room.raw[: size.value]

    def compile(self, source: str, arch: str, options: Sequence[str] = ()) -> Compiled:
        """See `compile_source`."""
        program = ctypes.c_void_p()
        text = source.encode()
        self._call("nvrtcCreateProgram", ctypes.byref(program), text, b"sparsefmt.cu", 0, None, None)
        try:
            flags = [f"--gpu-architecture={arch}", "--std=c++17", *options]
            array = (ctypes.c_char_p * len(flags))(*[f.encode() for f in flags])
            code = self._library.nvrtcCompileProgram(program, len(flags), array)
            log = self._text(program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
            if code:
                reason = self._library.nvrtcGetErrorString(code).decode()
                msg = f"compiling for {arch} with NVRTC {self.version[0]}.{self.version[1]}: {reason}\n{log}"
                raise BackendError(msg)
            cubin = self._text(program, "CUBIN") if arch.startswith("sm_") else b""
            return Compiled(self._text(program, "PTX"), cubin, log)
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))


@functools.cache
def loaded() -> Nvrtc:
    """The compiler: `SPARSEFMT_NVRTC` names its file, else it comes from a PyPI wheel or the system.

    Raises:
        BackendError: there is none.
    """
    return Nvrtc(libraries.load("NVRTC", "SPARSEFMT_NVRTC", PACKAGES, "libnvrtc.so.[0-9]*", NAMES))


def available() -> str | None:
    """None if sources can be compiled, else why not."""
    try:
        loaded()
    except BackendError as e:
        return str(e)
    return None


def compile_source(source: str, arch: str, options: Sequence[str] = ()) -> Compiled:
    """Compiles a CUDA source, with no headers at hand.

    Args:
        source: CUDA C++17.
        arch: e.g. "sm_90a" (machine code and PTX) or "compute_80" (PTX).
        options: more options, e.g. ("--fmad=false", "-DM=4", "--resource-usage").

    Raises:
        BackendError: there is no compiler, or the source has errors: with the compiler's log.
    """
    return loaded().compile(source, arch, options)
