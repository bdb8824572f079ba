"""Arrays of the fake CuPy: NumPy memory that behaves like a device's. Mixing with NumPy's arrays is an error.

Fresh memory is poisoned, and guarded on both sides: `check_guards` finds what was written beyond an array.
"""

import ctypes
import weakref
from typing import Any, ClassVar

import numpy as np

GUARD = 512
_buffers: list[weakref.ref[np.ndarray]] = []


class OutOfMemoryError(MemoryError):
    """As `cupy.cuda.memory.OutOfMemoryError`."""


class Memory:
    """What the fake has handed out, and what it may."""

    limit: ClassVar[int | None] = None


def allocate(nbytes: int) -> np.ndarray:
    """Poisoned bytes between guards; the address is a multiple of 512."""
    if Memory.limit is not None and nbytes > Memory.limit:
        msg = f"Out of memory allocating {nbytes} bytes"
        raise OutOfMemoryError(msg)
    raw = np.full(nbytes + 3 * GUARD, 0xA5, np.uint8)
    start = GUARD + -(raw.ctypes.data + GUARD) % GUARD
    raw[:start] = raw[start + nbytes :] = 0x5A
    _buffers.append(weakref.ref(raw))
    return raw[start : start + nbytes]


def check_guards() -> None:
    """AssertionError where something wrote outside its array."""
    alive = []
    for ref in _buffers:
        raw = ref()
        if raw is not None:
            alive.append(ref)
            assert (raw[:GUARD] == 0x5A).all(), "a write before an array"
            assert (raw[-GUARD:] == 0x5A).all(), "a write behind an array"
    _buffers[:] = alive


class Flags:
    """`flags` of CuPy's arrays: there is no `writeable`."""

    def __init__(self, a: np.ndarray) -> None:
        self.c_contiguous, self.f_contiguous = a.flags.c_contiguous, a.flags.f_contiguous
        self.owndata = a.base is None


class Pointer:
    """`data` of an array."""

    def __init__(self, ptr: int, size: int) -> None:
        self.ptr, self._size = ptr, size

    def memset_async(self, value: int, size: int, stream: object = None) -> None:
        assert size <= self._size
        ctypes.memset(self.ptr, value, size)


def inner(x: object, *, moves: bool = True) -> Any:
    """The NumPy array behind a fake one; lists and tuples of them too.

    Without `moves` it is refused where CuPy's own kernels would compute with bfloat16, which old versions cannot.
    """
    if isinstance(x, ndarray):
        assert moves or x.dtype.isbuiltin != 2, f"CuPy may have no kernel for {x.dtype}"
        return x.a
    if isinstance(x, np.ndarray):
        msg = f"Unsupported type {type(x)}"
        raise TypeError(msg)
    if isinstance(x, list | tuple):
        return type(x)(inner(y, moves=moves) for y in x)
    return x


def outer(x: object, device: int) -> Any:
    """The fake array for what NumPy gave; scalars become arrays of rank 0, as in CuPy."""
    if isinstance(x, np.ndarray | np.generic):
        return ndarray.wrap(np.asarray(x), device)
    return x


class ndarray:
    """As `cupy.ndarray`."""

    __slots__ = ("__weakref__", "a", "device_id")
    current_device = staticmethod(lambda: 0)
    syncs: ClassVar[int] = 0

    def __init__(self, shape: Any, dtype: Any = float, **kwargs: object) -> None:
        dtype = np.dtype(dtype)
        if dtype.name.startswith("float8"):
            msg = f"Unsupported dtype {dtype.name}"
            raise ValueError(msg)
        shape = (shape,) if isinstance(shape, int | np.integer) else tuple(map(int, shape))
        nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        self.a = allocate(nbytes).view(dtype).reshape(shape)
        self.device_id = ndarray.current_device()

    @classmethod
    def wrap(cls, a: np.ndarray, device: int) -> "ndarray":
        made = object.__new__(cls)
        made.a, made.device_id = a, device
        return made

    shape = property(lambda self: self.a.shape)
    dtype = property(lambda self: self.a.dtype)
    ndim = property(lambda self: self.a.ndim)
    size = property(lambda self: self.a.size)
    nbytes = property(lambda self: self.a.nbytes)
    itemsize = property(lambda self: self.a.itemsize)
    strides = property(lambda self: self.a.strides)
    flags = property(lambda self: Flags(self.a))
    data = property(lambda self: Pointer(self.a.ctypes.data, self.a.nbytes))

    @property
    def T(self) -> "ndarray":
        return ndarray.wrap(self.a.T, self.device_id)

    @property
    def device(self) -> Any:
        return type("Device", (), {"id": self.device_id})()

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        a = self.a
        strides = None if a.flags.c_contiguous else a.strides
        typestr = a.dtype.str
        return {"shape": a.shape, "typestr": typestr, "data": (a.ctypes.data, False), "version": 3, "strides": strides}

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.a.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self.device_id

    def __array__(self, *args: object, **kwargs: object) -> np.ndarray:
        msg = "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array"
        raise TypeError(msg)

    def get(self) -> np.ndarray:
        ndarray.syncs += 1
        return self.a.copy()

    def copy(self, order: str = "C") -> "ndarray":
        return ndarray.wrap(self.a.copy(order), ndarray.current_device())

    def item(self) -> Any:
        ndarray.syncs += 1
        return self.a.item()

    __int__ = lambda self: int(self.item())  # noqa: E731
    __float__ = lambda self: float(self.item())  # noqa: E731
    __bool__ = lambda self: bool(self.item())  # noqa: E731
    __index__ = lambda self: self.a.__index__()  # noqa: E731

    def __len__(self) -> int:
        return len(self.a)

    def __getitem__(self, key: object) -> "ndarray":
        got = self.a[inner(key)]
        return ndarray.wrap(got if isinstance(got, np.ndarray) else np.asarray(got), self.device_id)

    def __setitem__(self, key: object, value: object) -> None:
        inner(self, moves=False)
        self.a[inner(key)] = inner(value, moves=False)

    def __getattr__(self, name: str) -> Any:
        if name not in METHODS:
            raise AttributeError(name)
        method = getattr(inner(self, moves=name in MOVES), name)
        return lambda *args, **kwargs: outer(
            method(*map(inner, args), **{k: inner(v) for k, v in kwargs.items()}), self.device_id
        )


MOVES = ("view", "reshape", "ravel", "transpose")
METHODS = ("view", "reshape", "astype", "sum", "max", "min", "any", "all", "fill", "ravel", "transpose")


def _operator(name: str) -> Any:
    def call(self: ndarray, other: object) -> Any:
        if getattr(other, "__array_ufunc__", 0) is None:
            return NotImplemented
        with np.errstate(all="ignore"):
            return outer(getattr(inner(self, moves=False), name)(inner(other, moves=False)), self.device_id)

    return call


for _name in (
    *(f"__{side}{op}__" for op in ("add", "sub", "mul", "truediv", "floordiv", "mod") for side in ("", "r")),
    *(f"__{op}__" for op in ("and", "or", "xor", "lshift", "rshift", "eq", "ne", "lt", "le", "gt", "ge", "matmul")),
    *(f"__i{op}__" for op in ("add", "sub", "mul", "and", "or")),
):
    if _name.startswith("__i") and _name not in ("__invert__", "__index__", "__int__", "__init__"):

        def _in_place(self: ndarray, other: object, name: str = _name) -> ndarray:
            getattr(inner(self, moves=False), name)(inner(other, moves=False))
            return self

        setattr(ndarray, _name, _in_place)
    else:
        setattr(ndarray, _name, _operator(_name))
ndarray.__hash__ = None  # type: ignore[assignment]
ndarray.__invert__ = lambda self: outer(~self.a, self.device_id)  # type: ignore[attr-defined]
ndarray.__neg__ = lambda self: outer(-self.a, self.device_id)  # type: ignore[attr-defined]
