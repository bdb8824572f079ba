"""Arrays of parts in and out by DLPack, bfloat16 and float8 included, which NumPy's own exchange refuses.

Source: DLPack 1.1, `include/dlpack/dlpack.h`.
"""

import ctypes
from typing import Any, ClassVar

import numpy as np

from sparsefmt.base.dtypes import DTYPES, Array, native
from sparsefmt.base.errors import DtypeError, FormatError
from sparsefmt.base.finalizers import when_gone

_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}
_BY_NAME = {"bfloat16": 4, "float8_e4m3fn": 10, "float8_e5m2": 12}
_CPU = (1, 0)
_HOST = (1, 3)  # memory of the CPU, also such as a GPU reaches
_READ_ONLY = 1
_VERSION = (1, 1)


class _Device(ctypes.Structure):
    _fields_: ClassVar = [("kind", ctypes.c_int32), ("number", ctypes.c_int32)]


class _Dtype(ctypes.Structure):
    _fields_: ClassVar = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class _Tensor(ctypes.Structure):
    _fields_: ClassVar = [
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _Dtype),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Managed(ctypes.Structure):
    _fields_: ClassVar = [("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _Deleter)]


class _Versioned(ctypes.Structure):
    _fields_: ClassVar = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", _Deleter),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    ]


_FORMS: dict[bytes, type[Any]] = {b"dltensor": _Managed, b"dltensor_versioned": _Versioned}
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.restype, _is_valid.argtypes = ctypes.c_int, [ctypes.py_object, ctypes.c_char_p]
_rename = ctypes.pythonapi.PyCapsule_SetName
_rename.restype, _rename.argtypes = ctypes.c_int, [ctypes.py_object, ctypes.c_char_p]

_USED = [ctypes.c_char_p(b"used_" + name) for name in _FORMS]


class Lent:
    """An array that consumers of DLPack take, with `__dlpack__` and `__dlpack_device__`; made by `to_dlpack`."""

    def __init__(self, a: Array) -> None:
        self._array = a

    def __dlpack_device__(self) -> tuple[int, int]:
        """The CPU."""
        return _CPU

    def __dlpack__(
        self,
        *,
        stream: object = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:  # noqa: ANN401
        """A capsule of NumPy's, whose memory a consumer may refuse or let go of in any state of the interpreter.

        Of an array that may not be written to, a copy, unless the consumer knows such arrays.

        Raises:
            BufferError: another device, or `copy=False` where a copy is needed.
        """
        if dl_device is not None and tuple(dl_device) != _CPU:
            msg = f"device {dl_device}: the array is on the CPU"
            raise BufferError(msg)
        versioned = max_version is not None and max_version[0] >= 1
        a = self._array
        if not (a.flags.writeable or versioned):
            if copy is False:
                msg = "the array may not be written to, which this consumer cannot be told; let it copy"
                raise BufferError(msg)
            a, copy = a.copy(), None
        code = _BY_NAME.get(native(a.dtype).name)
        lent = a if code is None else a.view(f"u{a.itemsize}")
        capsule = lent.__dlpack__(max_version=_VERSION if versioned else None, copy=copy)
        if code is not None:
            _managed(capsule, 1 if versioned else 0).tensor.dtype.code = code
        return capsule


def _managed(capsule: Any, which: int) -> Any:  # noqa: ANN401
    """The description in a capsule, of the form of that number in `_FORMS`."""
    return list(_FORMS.values())[which].from_address(_pointer(capsule, list(_FORMS)[which]))


def to_dlpack(a: Array) -> Lent:
    """Hands an array over by DLPack: `torch.from_dlpack(to_dlpack(a))`, `jax.numpy.from_dlpack(...)`.

    Args:
        a: of any numeric dtype, bfloat16, float8_e4m3fn and float8_e5m2 included; what `t.structure.arrays()` and
            `t.values.arrays()` give, for example.

    Returns:
        An object with `__dlpack__`. The memory is shared and stays alive as long as the consumer needs it. Arrays of
        packed tensors may not be written to: consumers that cannot be told so get a copy.

    Raises:
        DtypeError: a dtype that no format holds, or of foreign byte order.
        TypeError: no array of NumPy, or a masked one.

    Source: DLPack 1.1.

    >>> np.from_dlpack(to_dlpack(np.float32([1, 2])))
    array([1., 2.], dtype=float32)
    """
    if not isinstance(a, np.ndarray) or isinstance(a, np.ma.MaskedArray):
        way = "of a packed tensor hand over the arrays of its parts, of a masked one a.filled(0)"
        msg = f"want an array of NumPy, got {type(a).__name__}; {way}"
        raise TypeError(msg)
    native(a.dtype)
    if not a.dtype.isnative:
        msg = f"{a.dtype} has another byte order than this machine, which DLPack cannot say"
        raise DtypeError(msg)
    if a.itemsize and any(n % a.itemsize for n in a.strides):
        a = a.copy()
    return Lent(a)


def from_dlpack(x: Any) -> Array:  # noqa: ANN401
    """Takes an array by DLPack, bfloat16 and float8 included.

    Args:
        x: an object with `__dlpack__`, on the CPU: a tensor of torch or JAX, an ndarray, what `to_dlpack` gives.

    Returns:
        An array that shares the memory; read-only where the other side says so.

    Raises:
        DtypeError: a dtype that NumPy and ml_dtypes have not.
        FormatError: x is on another device, or speaks no DLPack.

    >>> from_dlpack(to_dlpack(np.ones(2, DTYPES["bfloat16"])))
    array([1, 1], dtype=bfloat16)
    """
    if not hasattr(x, "__dlpack__"):
        msg = f"want an object with __dlpack__, got {type(x).__name__}"
        raise FormatError(msg)
    if x.__dlpack_device__()[0] not in _HOST:
        msg = f"the array is on device {x.__dlpack_device__()}; bring it to the CPU first"
        raise FormatError(msg)
    try:
        capsule = x.__dlpack__(max_version=_VERSION)
    except TypeError:  # before version 1.0 of DLPack
        capsule = x.__dlpack__()
    which = next((i for i, name in enumerate(_FORMS) if _is_valid(capsule, name)), None)
    if which is None:
        msg = f"{type(x).__name__}.__dlpack__ gave no capsule of a tensor"
        raise FormatError(msg)
    managed = _managed(capsule, which)
    address = ctypes.addressof(managed)
    tensor, read_only = managed.tensor, bool(getattr(managed, "flags", 0) & _READ_ONLY)
    dtype = _named(tensor.dtype)
    shape = tuple(tensor.shape[: tensor.ndim])
    made, memory = _view(tensor, shape, dtype)
    _rename(capsule, _USED[which])  # from here on the memory is ours to give back
    if memory is None:
        _give_back(managed, address)
    else:
        when_gone(memory, _give_back, managed, address, at_exit=True)
    if read_only:
        made.flags.writeable = False
    return made


def _give_back(managed: Any, address: int) -> None:  # noqa: ANN401
    if managed.deleter:
        managed.deleter(address)


def _named(dtype: _Dtype) -> np.dtype[Any]:
    names = {code: name for name, code in _BY_NAME.items()}
    kinds = {code: kind for kind, code in _CODES.items()}
    if dtype.lanes == 1 and dtype.code in names and DTYPES[names[dtype.code]].itemsize * 8 == dtype.bits:
        return DTYPES[names[dtype.code]]
    if dtype.lanes == 1 and dtype.code in kinds and dtype.bits in (8, 16, 32, 64, 128):
        return np.dtype(f"{kinds[dtype.code]}{dtype.bits // 8}")
    msg = f"DLPack dtype {dtype.code} of {dtype.bits} bits and {dtype.lanes} lanes is none of NumPy's or ml_dtypes'"
    raise DtypeError(msg)


def _view(tensor: _Tensor, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[Array, Any]:
    """The memory of a tensor as an array, strides of any sign, and what its views keep alive."""
    if 0 in shape:
        return np.empty(shape, dtype), None
    whole = [int(np.prod(shape[i + 1 :])) for i in range(len(shape))]
    steps = list(tensor.strides[: tensor.ndim]) if tensor.strides else whole
    low = sum(min((n - 1) * s, 0) for n, s in zip(shape, steps, strict=True))
    high = sum(max((n - 1) * s, 0) for n, s in zip(shape, steps, strict=True)) + 1
    start = tensor.data + tensor.byte_offset + low * dtype.itemsize
    memory = (ctypes.c_uint8 * ((high - low) * dtype.itemsize)).from_address(start)
    strides = [s * dtype.itemsize for s in steps]
    return np.ndarray(shape, dtype, memoryview(memory), -low * dtype.itemsize, strides), memory
