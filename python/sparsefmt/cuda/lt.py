"""cuSPARSELt through ctypes: the library, its opaque structures, handles, plans.

The structures are larger and better aligned here than any version asks for (16 KiB, 64 bytes), never move, and live
as long as what refers to them. The compressed form of a matrix is private to a version of the library and a GPU:
nothing of it is ever saved.

Source: https://docs.nvidia.com/cuda/cusparselt/functions.html and the header of the wheel, versions 0.7 to 0.10.
"""

import contextlib
import ctypes
import functools
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsefmt.base.errors import BackendError
from sparsefmt.cuda import libraries
from sparsefmt.cuda.device import DeviceArray, cupy, empty

PACKAGES = ("nvidia-cusparselt-cu13", "nvidia-cusparselt-cu12")
MIN_VERSION = (0, 7, 0)
INSTALL = f"pip install {PACKAGES[0]} (or {PACKAGES[1]} for CUDA 12)"
STRUCT_BYTES, STRUCT_ALIGN = 16 << 10, 64
OPERAND_ALIGN = 16  # of pointers, in bytes
PLANS = 256  # kept per device and thread

DATA_TYPES = {
    "float32": 0, "float16": 2, "int8": 3, "int32": 10, "bfloat16": 14, "float8_e4m3fn": 28, "float8_e5m2": 29,
}  # fmt: skip
ORDER_COL, ORDER_ROW = 1, 2
OP_N, OP_T = 0, 1
COMPUTE_32I, COMPUTE_32F = 0, 2
RELU, GELU, ALPHA_VECTOR, BIAS_POINTER = 0, 3, 5, 8  # attributes of a product
CONFIG_ID, CONFIG_MAX_ID, SEARCH_ITERATIONS, SPLIT_K, SPLIT_K_MODE, SPLIT_K_BUFFERS = range(6)  # of an algorithm

_P, _I, _L, _U = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_uint32
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "Init": (_P,),
    "Destroy": (_P,),
    "GetProperty": (_I, _P),
    "DenseDescriptorInit": (_P, _P, _L, _L, _L, _U, _I, _I),
    "StructuredDescriptorInit": (_P, _P, _L, _L, _L, _U, _I, _I, _I),
    "MatDescriptorDestroy": (_P,),
    "MatmulDescriptorInit": (_P, _P, _I, _I, _P, _P, _P, _P, _I),
    "MatmulDescSetAttribute": (_P, _P, _I, _P, ctypes.c_size_t),
    "MatmulAlgSelectionInit": (_P, _P, _P, _I),
    "MatmulAlgSetAttribute": (_P, _P, _I, _P, ctypes.c_size_t),
    "MatmulAlgGetAttribute": (_P, _P, _I, _P, ctypes.c_size_t),
    "MatmulGetWorkspace": (_P, _P, _P),
    "MatmulPlanInit": (_P, _P, _P, _P),
    "MatmulPlanDestroy": (_P,),
    "Matmul": (_P, _P, _P, _P, _P, _P, _P, _P, _P, _P, ctypes.c_int32),
    "MatmulSearch": (_P, _P, _P, _P, _P, _P, _P, _P, _P, _P, ctypes.c_int32),
    "SpMMACompressedSize2": (_P, _P, _P, _P),
    "SpMMACompress2": (_P, _P, _I, _I, _P, _P, _P, _P),
}
OPTIONAL = {"MatmulAlgSelectionDestroy": (_P,)}  # since 0.8
_HINTS = {
    1: "it cannot reach a GPU: is NVIDIA's driver installed, and new enough for this version",
    4: "this GPU is not supported",
    10: "this GPU or version does not do that",
}


class Struct:
    """Memory for an opaque structure of the library; `address` never changes."""

    def __init__(self) -> None:
        self._memory = ctypes.create_string_buffer(STRUCT_BYTES + STRUCT_ALIGN)
        start = ctypes.addressof(self._memory)
        self.address = start + -start % STRUCT_ALIGN


class Library:
    """The loaded library."""

    def __init__(self, found: libraries.Found) -> None:
        self.path, self._library = found.path, found.library
        self.optional: set[str] = set()
        for name, types in (SIGNATURES | OPTIONAL).items():
            try:
                function = getattr(self._library, f"cusparseLt{name}")
            except AttributeError:
                if name in OPTIONAL:
                    continue
                msg = f"cuSPARSELt at {self.path} has no cusparseLt{name}, it is too old or another library; {INSTALL}"
                raise BackendError(msg) from None
            function.argtypes, function.restype = types, ctypes.c_int
            if name in OPTIONAL:
                self.optional.add(name)
        numbers = []
        for kind in range(3):
            value = ctypes.c_int()
            self.call("GetProperty", kind, ctypes.addressof(value))
            numbers.append(value.value)
        self.version = (numbers[0], numbers[1], numbers[2])
        if self.version < MIN_VERSION:
            want, got = (".".join(map(str, v)) for v in (MIN_VERSION, self.version))
            msg = f"cuSPARSELt {got} at {self.path} is too old, want {want} or newer; {INSTALL}"
            raise BackendError(msg)

    def call(self, name: str, *args: object) -> None:
        """Calls a function.

        Raises:
            BackendError: it gave another status than success.
        """
        status = getattr(self._library, f"cusparseLt{name}")(*args)
        if status:
            hint = f": {_HINTS[status]}" if status in _HINTS else ""
            version = ".".join(map(str, getattr(self, "version", ("?",))))
            msg = (
                f"cuSPARSELt {version}: {name} gave status {status}{hint}; CUSPARSELT_LOG_LEVEL=5 makes it tell more, "
                'engine="decode" does without it'
            )
            raise BackendError(msg)


@functools.cache
def loaded() -> Library:
    """The library: `SPARSEFMT_CUSPARSELT` names its file, else it comes from a PyPI wheel or the system.

    Raises:
        BackendError: there is none, or it is too old.
    """
    names = ("libcusparseLt.so.0", "libcusparseLt.so")
    return Library(
        libraries.load("cuSPARSELt", "SPARSEFMT_CUSPARSELT", PACKAGES, "libcusparseLt.so.[0-9]*", names, "cusparseLt")
    )


def available() -> str | None:
    """None if the library loads, else why not."""
    try:
        loaded()
    except BackendError as e:
        return str(e)
    return None


class Handle:
    """A handle of one device and thread, and its plans."""

    def __init__(self, library: Library) -> None:
        self.library, self.struct = library, Struct()
        library.call("Init", self.struct.address)
        self.plans: OrderedDict[Key, Plan] = OrderedDict()

    @property
    def address(self) -> int:
        """Of the structure."""
        return self.struct.address

    def close(self) -> None:
        """Destroys the plans, then the handle."""
        while self.plans:
            self.plans.popitem()[1].close()
        self.library.call("Destroy", self.address)


class Handles(dict[int, Handle]):
    """The handles of a thread, by device; they end with it."""

    def __del__(self) -> None:
        with contextlib.suppress(BackendError):
            for held in self.values():
                held.close()


_local = threading.local()


def handle() -> Handle:
    """The handle of this thread for the current device.

    Raises:
        BackendError: no library, no driver, or an unsupported GPU.
    """
    held: Handles | None = getattr(_local, "handles", None)
    if held is None:
        held = _local.handles = Handles()
    device = int(cupy().cuda.Device().id)
    if device not in held:
        held[device] = Handle(loaded())
    return held[device]


@dataclass(frozen=True, slots=True)
class Key:
    """What a plan is for: D (m, n) = act(alpha * A (m, k) @ op(B) + bias), A structured and row-major."""

    dtype: str  # of A and B
    result: str
    m: int
    n: int
    k: int
    b_rows: bool  # B is (k, n) row-major, else (n, k) row-major
    d_rows: bool  # D is row-major, else column-major
    activation: str | None
    alpha_vector: bool
    bias: int  # its address, 0: none


class Owned:
    """An initialised structure that is destroyed with its owner."""

    def __init__(self, library: Library, destroy: str | None) -> None:
        self.struct, self._library, self._destroy = Struct(), library, destroy

    @property
    def address(self) -> int:
        """Of the structure."""
        return self.struct.address

    def close(self) -> None:
        """Destroys it once."""
        if self._destroy is not None:
            self._library.call(self._destroy, self.address)
            self._destroy = None


def structured(h: Handle, m: int, k: int, dtype: str) -> Owned:
    """The descriptor of a structured row-major matrix."""
    made = Owned(h.library, None)
    h.library.call(
        "StructuredDescriptorInit", h.address, made.address, m, k, k, OPERAND_ALIGN, DATA_TYPES[dtype], ORDER_ROW, 0
    )
    made._destroy = "MatDescriptorDestroy"
    return made


def dense(h: Handle, rows: int, cols: int, dtype: str, order: int) -> Owned:
    """The descriptor of a contiguous dense matrix."""
    made, ld = Owned(h.library, None), cols if order == ORDER_ROW else rows
    h.library.call(
        "DenseDescriptorInit", h.address, made.address, rows, cols, ld, OPERAND_ALIGN, DATA_TYPES[dtype], order
    )
    made._destroy = "MatDescriptorDestroy"
    return made


best: dict[tuple[Any, ...], dict[int, int]] = {}
"""What searches found: attributes of the algorithm, by library version, GPU and product. In memory only."""


def _best_key(h: Handle, key: Key) -> tuple[Any, ...]:
    capability = cupy().cuda.Device().compute_capability
    return (h.library.version, capability, *(getattr(key, name) for name in Key.__slots__ if name != "bias"))


class Plan:
    """A planned product, with everything that it refers to."""

    def __init__(self, h: Handle, key: Key, bias: DeviceArray | None) -> None:
        self.handle, self.key, self.bias = h, key, bias  # the bias stays alive: the plan holds its address
        self.closed = False
        self._one, self._zero = ctypes.c_float(1.0), ctypes.c_float(0.0)
        self._scalars = ctypes.addressof(self._one), ctypes.addressof(self._zero)
        self._owned: list[Owned] = []
        try:
            self._build()
        except BackendError:
            self.close()
            raise

    def _build(self) -> None:
        h, key, call = self.handle, self.key, self.handle.library.call
        b_shape = (key.k, key.n) if key.b_rows else (key.n, key.k)
        a = self._own(structured(h, key.m, key.k, key.dtype))
        b = self._own(dense(h, *b_shape, key.dtype, ORDER_ROW))
        d = self._own(dense(h, key.m, key.n, key.result, ORDER_ROW if key.d_rows else ORDER_COL))
        self.product = self._own(Owned(h.library, None))
        compute = COMPUTE_32I if key.dtype == "int8" else COMPUTE_32F
        op_b = OP_N if key.b_rows else OP_T
        mats = (a.address, b.address, d.address, d.address)
        call("MatmulDescriptorInit", h.address, self.product.address, OP_N, op_b, *mats, compute)
        if key.activation is not None:
            self._set({"relu": RELU, "gelu": GELU}[key.activation], ctypes.c_int(1))
        if key.alpha_vector:
            self._set(ALPHA_VECTOR, ctypes.c_int(1))
        if key.bias:
            self._set(BIAS_POINTER, ctypes.c_void_p(key.bias))
        self.algorithm = self._own(Owned(h.library, None))
        call("MatmulAlgSelectionInit", h.address, self.algorithm.address, self.product.address, 0)
        if "MatmulAlgSelectionDestroy" in h.library.optional:
            self.algorithm._destroy = "MatmulAlgSelectionDestroy"
        for attribute, value in best.get(_best_key(h, key), {}).items():
            number = ctypes.c_int(value)
            call("MatmulAlgSetAttribute", h.address, self.algorithm.address, attribute, ctypes.addressof(number), 4)
        self.plan = self._own(Owned(h.library, None))
        call("MatmulPlanInit", h.address, self.plan.address, self.product.address, self.algorithm.address)
        self.plan._destroy = "MatmulPlanDestroy"
        size = ctypes.c_size_t()
        call("MatmulGetWorkspace", h.address, self.plan.address, ctypes.addressof(size))
        self.workspace = size.value

    def _own(self, made: Owned) -> Owned:
        self._owned.append(made)
        return made

    def _set(self, attribute: int, value: Any) -> None:  # noqa: ANN401
        address = ctypes.addressof(value)
        self.handle.library.call(
            "MatmulDescSetAttribute",
            self.handle.address,
            self.product.address,
            attribute,
            address,
            ctypes.sizeof(value),
        )

    def close(self) -> None:
        """Destroys everything, last made first."""
        self.closed = True
        while self._owned:
            self._owned.pop().close()

    def run(
        self, a: DeviceArray, b: DeviceArray, d: DeviceArray, alpha: DeviceArray | None, *, search: bool = False
    ) -> None:
        """Multiplies on the current stream. `search` tries all algorithms (d is unspecified then)."""
        h, (one, zero) = self.handle, self._scalars
        stream = ctypes.c_void_p(cupy().cuda.get_current_stream().ptr)
        room = empty(self.workspace, np.uint8, "the workspace of cuSPARSELt") if self.workspace else None
        pointers = (
            one if alpha is None else alpha.data.ptr, a.data.ptr, b.data.ptr, zero,
            d.data.ptr, d.data.ptr, None if room is None else room.data.ptr, ctypes.addressof(stream),
        )  # fmt: skip
        h.library.call("MatmulSearch" if search else "Matmul", h.address, self.plan.address, *pointers, 1)

    def remember(self) -> dict[int, int]:
        """Keeps what a search chose, for plans that are made later."""
        found = {}
        for attribute in (CONFIG_ID, SPLIT_K, SPLIT_K_MODE, SPLIT_K_BUFFERS):
            value = ctypes.c_int()
            where = (self.handle.address, self.algorithm.address, attribute, ctypes.addressof(value), 4)
            self.handle.library.call("MatmulAlgGetAttribute", *where)
            found[attribute] = value.value
        best[_best_key(self.handle, self.key)] = found
        return found


def plan(key: Key, bias: DeviceArray | None) -> Plan:
    """The plan of this thread and device for `key`, made when first asked for."""
    h = handle()
    found = h.plans.get(key)
    if found is None:
        found = h.plans[key] = Plan(h, key, bias)
        if len(h.plans) > PLANS:
            h.plans.popitem(last=False)[1].close()
    return found


def compress(w: DeviceArray, dtype: str) -> DeviceArray:
    """The private form of a dense row-major matrix that is 2:4 already, for the current device and library.

    Complete on return, so that every stream may use it.
    """
    h = handle()
    m, k = w.shape
    descriptor = structured(h, m, k, dtype)
    try:
        size, scratch = ctypes.c_size_t(), ctypes.c_size_t()
        sizes = (ctypes.addressof(size), ctypes.addressof(scratch))
        h.library.call("SpMMACompressedSize2", h.address, descriptor.address, *sizes)
        out = empty(size.value, np.uint8, "the weights of cuSPARSELt")
        room = empty(max(scratch.value, 1), np.uint8, "the scratch memory of cuSPARSELt")
        stream = cupy().cuda.get_current_stream()
        where = (w.data.ptr, out.data.ptr, room.data.ptr, stream.ptr)
        h.library.call("SpMMACompress2", h.address, descriptor.address, 1, OP_N, *where)
        stream.synchronize()
        return out
    finally:
        descriptor.close()
