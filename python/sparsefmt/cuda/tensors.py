"""Tensors on a GPU: moving, packing, unpacking, converting. The backend of `SparseTensor` there."""

import numpy as np

from sparsefmt.base.coerce import as_array, is_device_array, matrix_shape
from sparsefmt.base.dtypes import DTYPES, Dtype, native, zero_mask
from sparsefmt.base.errors import BackendError, DtypeError, FormatError
from sparsefmt.base.limits import check_size
from sparsefmt.codecs.affine import Affine
from sparsefmt.codecs.base import Codec
from sparsefmt.codecs.codebook import Codebook
from sparsefmt.codecs.raw import Raw
from sparsefmt.cuda import codecs, products, structures
from sparsefmt.cuda.codecs import Carried
from sparsefmt.cuda.convert import restructure, same
from sparsefmt.cuda.decode import Rows
from sparsefmt.cuda.device import DeviceArray, assign, carrier, contiguous, cupy, empty, on, parse
from sparsefmt.cuda.structures import Refused
from sparsefmt.cuda.transfer import to_device, to_host
from sparsefmt.encoding.format_text import Format
from sparsefmt.encoding.format_text import parse as parse_format
from sparsefmt.tensor.axes import turned
from sparsefmt.tensor.backend import backends
from sparsefmt.tensor.cpu import CPU
from sparsefmt.tensor.sparse import SparseTensor


def move(t: SparseTensor, device: str) -> SparseTensor:
    """The tensor on another device; packed bytes are copied. The tensor itself if it is there.

    Raises:
        BackendError: the device is unknown or missing, or its memory does not hold the tensor.
    """
    if device == t.device:
        return t
    if device == "cpu":
        first = next(iter(t.values.arrays().values()))
        with on(first):
            values = _codec_to_host(t.values)
            return SparseTensor.from_checked(t.structure.map(to_host), values, t.shape, t.axis)
    number = parse(device)
    if t.device == f"cuda:{number}":
        return t
    with cupy().cuda.Device(number):
        if t.device == "cpu":
            made = SparseTensor.from_checked(t.structure.map(to_device), _codec_to_device(t.values), t.shape, t.axis)
        else:
            values = t.values.map(lambda a: a.copy())
            made = SparseTensor.from_checked(t.structure.map(lambda a: a.copy()), values, t.shape, t.axis)
    return made


def _codec_to_device(codec: Codec) -> Codec:
    if not isinstance(codec, Raw | Affine | Codebook):
        codecs.coded(codec)
    if carrier(codec.dtype) == codec.dtype:
        return codec.map(to_device)
    if isinstance(codec, Raw):
        return Carried(to_device(codec.data), False, codec.dtype)
    if isinstance(codec, Codebook):
        msg = f"codebooks of {codec.dtype} stay on the CPU; CuPy has no {codec.dtype}"
        raise BackendError(msg)
    return codec.map(to_device)  # the scales have a dtype of their own


def _codec_to_host(codec: Codec) -> Codec:
    if isinstance(codec, Carried):
        return Raw(to_host(codec.data, codec.meaning), check=False)
    return codec.map(to_host)


def encode(w: object, fmt: str, *, prune: bool, score: object, zero: str, codebook: object) -> SparseTensor:
    """See `sparsefmt.encode`; w lies on a GPU, and so does the result.

    Raises:
        BackendError: the GPU does not pack that structure.
    """
    target, a = parse_format(fmt), products.as_cupy(w)
    native(a.dtype)
    structures.check_kind(target.structure, "packing")
    if a.ndim == 0:
        msg = "w is a scalar; want an array of rank 1 or more"
        raise FormatError(msg)
    with on(a):
        try:
            return _encode(a, target, zero, prune, score, codebook)
        except Refused:  # the CPU knows why, or how
            host = {"score": _on_host(score), "codebook": _on_host(codebook)}
            made = CPU.encode(to_host(a), fmt, prune=prune, zero=zero, **host)
            return move(made, f"cuda:{a.device.id}")


def _on_host(a: object) -> object:
    return to_host(products.as_cupy(a)) if is_device_array(a) else a


def _encode(a: DeviceArray, target: Format, zero: str, prune: bool, score: object, codebook: object) -> SparseTensor:
    shape, dtype, nm = matrix_shape(a.shape), np.dtype(a.dtype), target.structure.kind == "nm"
    codec: type[Codec] = Raw if target.codec is None else target.codec
    zero_mask(dtype, zero)
    if (prune and not nm) or (score is not None and not prune) or (codebook is not None and codec is not Codebook):
        raise Refused
    target.structure.check_dtype(dtype)
    w = contiguous(a).reshape(shape)
    structure, slots = structures.encode(
        w, dtype, zero, target.structure, target.params, raw=codec is Raw, keys=_keys(score, a.shape), prune=prune
    )
    options = {**target.options, "codebook": codebook} if codebook is not None else target.options
    values = codecs.encode(structure, slots, dtype, codec, options)
    return SparseTensor.from_checked(structure, values, a.shape)


def _keys(score: object, shape: tuple[int, ...]) -> DeviceArray | None:
    if score is None:
        return None
    matrix = matrix_shape(shape)
    a = products.as_cupy(score) if is_device_array(score) else to_device(as_array(score, "score"))
    if a.shape not in (shape, matrix) or a.dtype.kind == "c" or a.dtype.name not in DTYPES:
        raise Refused
    if a.dtype.kind not in "biu" and a.dtype.name not in ("float32", "float64", "float16"):
        raise Refused
    return structures.score_keys(a.reshape(matrix))


def to_dense(t: SparseTensor, out: DeviceArray | None, max_bytes: int | None) -> DeviceArray:
    """See `SparseTensor.to_dense`; the array is CuPy's, on the device of t. float8 comes as uint8."""
    first = next(iter(t.values.arrays().values()))
    with on(first):
        dtype = carrier(t.dtype)
        if out is None:
            if max_bytes is not None:
                check_size(t.size * dtype.itemsize, f"the dense array of shape {t.shape}", max_bytes)
            out = empty(t.shape, dtype, f"the dense array of shape {t.shape}")
        else:
            _check_out(t, out, dtype)
        if not t.size:
            return out
        rows, cols = t.structure.shape
        view = turned(out, t.axis)
        made = view if view.flags.c_contiguous else empty((rows, cols), dtype, "the dense array")
        Rows(t).fill(0, rows, made.reshape(rows, cols))
        if made is not view:
            assign(view, made.reshape(view.shape))
        return out


def _check_out(t: SparseTensor, out: DeviceArray, dtype: Dtype) -> None:
    if not is_device_array(out) or out.shape != t.shape:
        got = out.shape if is_device_array(out) else type(out).__name__
        msg = f"out: want an array of shape {t.shape} on {t.device}, got {got}"
        raise FormatError(msg)
    if out.dtype != dtype:
        msg = f"out: want {dtype}, got {out.dtype}"
        raise DtypeError(msg)
    if f"cuda:{out.device.id}" != t.device:
        msg = f"out: the array is on cuda:{out.device.id}, the tensor on {t.device}"
        raise BackendError(msg)


def convert(t: SparseTensor, fmt: str, target: Format) -> SparseTensor:
    """See `SparseTensor.convert`, which has checked that the codec stays.

    Raises:
        BackendError: the GPU does not convert between these structures.
    """
    if same(t.structure, target.structure, target.params):
        return t
    with on(next(iter(t.values.arrays().values()))):
        try:
            slots = codecs.lift(t.structure, t.values)
            structure, moved = restructure(t.structure, slots, target.structure, target.params)
            return SparseTensor.from_checked(structure, codecs.lower(structure, moved, t.values), t.shape, t.axis)
        except Refused:  # the CPU knows why
            return move(move(t, "cpu").convert(fmt), t.device)


def nnz(t: SparseTensor) -> int:
    """See `SparseTensor.nnz`."""
    with on(next(iter(t.values.arrays().values()))):
        s = t.structure
        values = codecs.decode(s, t.values, 0, s.shape[0])
        if t.dtype.kind == "c":
            return int(cupy().count_nonzero(values))
        bits = values.view(f"u{values.dtype.itemsize}")
        return int(cupy().count_nonzero(bits & bits.dtype.type(zero_mask(t.dtype, "value"))))


def transposed(t: SparseTensor, out: DeviceArray | None, max_bytes: int | None) -> DeviceArray:
    """The dense transpose, C-contiguous, or in `out`."""
    with on(next(iter(t.values.arrays().values()))):
        made = to_dense(t, None, max_bytes)
        turned = made.transpose(*reversed(range(made.ndim)))
        if out is None:
            return contiguous(turned)
        if out.shape != turned.shape or out.dtype != turned.dtype:
            msg = f"out: want {turned.dtype} of shape {turned.shape}, got {out.dtype} of shape {out.shape}"
            raise FormatError(msg)
        assign(out, turned)
        return out


class Cuda:
    """The backend of CuPy's arrays."""

    def encode(self, w: object, fmt: str, *, prune: bool, score: object, zero: str, codebook: object) -> SparseTensor:
        """Packs on the device of `w`."""
        return encode(w, fmt, prune=prune, score=score, zero=zero, codebook=codebook)

    def move(self, t: SparseTensor, device: str) -> SparseTensor:
        """To a GPU, from one to another, or back."""
        return move(t, device)

    def convert(self, t: SparseTensor, fmt: str, target: Format) -> SparseTensor:
        """On the device."""
        return convert(t, fmt, target)

    def nnz(self, t: SparseTensor) -> int:
        """Counts on the device."""
        return nnz(t)

    def to_dense(self, t: SparseTensor, out: DeviceArray | None, max_bytes: int | None) -> DeviceArray:
        """Decodes on the device."""
        return to_dense(t, out, max_bytes)

    def transposed(self, t: SparseTensor, out: DeviceArray | None, max_bytes: int | None) -> DeviceArray:
        """Decodes on the device, then transposes."""
        return transposed(t, out, max_bytes)

    def matmul(self, t: SparseTensor, x: object) -> DeviceArray:
        """By the engine that is estimated to be fastest."""
        return products.matmul(t, x)

    def rmatmul(self, t: SparseTensor, x: object) -> DeviceArray:
        """By decoded rows."""
        return products.rmatmul(t, x)

    def transposed_matmul(self, t: SparseTensor, x: object) -> DeviceArray:
        """By decoded rows."""
        return products.transposed_matmul(t, x)

    def matmul_transposed(self, t: SparseTensor, x: object) -> DeviceArray:
        """The product of a linear layer."""
        return products.matmul_transposed(t, x)


backends["cuda"] = Cuda()
