"""The packed tensor: a structure, its values, and the shape."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsefmt.base.coerce import checked_shape, is_device_array, matrix_shape
from sparsefmt.base.dtypes import Array, Dtype, dtype_named, items
from sparsefmt.base.errors import BackendError, CodecError, DtypeError, FormatError
from sparsefmt.codecs.base import Codec
from sparsefmt.codecs.registry import CODECS
from sparsefmt.encoding import routes
from sparsefmt.encoding.format_text import parse, parse_codec
from sparsefmt.structures.base import Structure
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csc, Csr
from sparsefmt.structures.nm import Nm
from sparsefmt.structures.registry import STRUCTURES
from sparsefmt.tensor.backend import Backend, ToScipy
from sparsefmt.tensor.base import Packed
from sparsefmt.tensor.storage import Storage, storage
from sparsefmt.tensor.transposed import Transposed


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True, repr=False)
class SparseTensor(Packed):
    """A tensor packed as a structure (where values are) times a codec (how each is stored). Immutable.

    Made by `sparsefmt.encode`, `load`, `from_scipy`. It is no array in disguise: `numpy.asarray(t)` raises TypeError,
    equality is identity (`sparsefmt.equal` compares bits), truth is undefined as for arrays.

    Args:
        structure: where the values are; a matrix, leading axes of `shape` flattened to rows.
        values: the slots, in the layout that `structure.slot_shape` gives.
        shape: of the tensor, rank 1 or more.

    Raises:
        FormatError: the parts do not fit together.

    >>> import sparsefmt as sf
    >>> t = sf.encode(np.array([[0., 2., 0., 3.]]), "nm2:4")
    >>> t
    <sparsefmt nm2:4 of float64, shape (1, 4), 2 slots, 17 bytes, 34.00 bits per weight>
    >>> t.to_dense()
    array([[0., 2., 0., 3.]])
    """

    structure: Structure
    values: Codec
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        parts: tuple[tuple[object, type], ...] = ((self.structure, Structure), (self.values, Codec))
        for part, kind in parts:
            if not isinstance(part, kind):
                msg = f"want a {kind.__name__.lower()}, got {type(part).__name__}"
                raise FormatError(msg)
        shape = checked_shape(self.shape)
        object.__setattr__(self, "shape", shape)
        if matrix_shape(shape) != self.structure.shape:
            msg = f"shape {shape} does not fit the matrix of shape {self.structure.shape}"
            raise FormatError(msg)
        self.values.fits(self.structure)
        self.structure.check_slots(self.values.lift(self.structure))

    @classmethod
    def from_checked(cls, structure: Structure, values: Codec, shape: tuple[int, ...]) -> "SparseTensor":
        """Builds one from parts that were made here and need no check."""
        t = object.__new__(cls)
        for name, value in (("structure", structure), ("values", values), ("shape", shape)):
            object.__setattr__(t, name, value)
        return t

    def __reduce__(self) -> tuple[Any, ...]:
        if self._on_gpu:  # the copy is made on the CPU
            return self.to("cpu").__reduce__()
        both = (self.structure, self.values)
        parts = [(p.kind, {k: _exported(a) for k, a in p.arrays().items()}, p.params()) for p in both]
        return unpickled, (*parts, self.shape, self.dtype.name)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements, stored or not."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> Dtype:
        """The dtype of the array that `to_dense` gives."""
        return self.values.dtype

    @property
    def format(self) -> str:
        """The canonical format text; `encode(w, t.format)` gives the same format."""
        return "/".join(filter(None, (self.structure.text, self.values.text)))

    @property
    def slots(self) -> int:
        """Number of stored values, explicit zeros and filling included (SciPy's `nnz`)."""
        return self.structure.slots

    @property
    def nnz(self) -> int:
        """Number of elements that are not zero by value (-0.0 is zero)."""
        return self.backend().nnz(self)

    @property
    def density(self) -> float:
        """`nnz / size`; 0.0 for an empty tensor."""
        return self.nnz / self.size if self.size else 0.0

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, padding included."""
        return self.structure.nbytes + self.values.nbytes

    @property
    def bits_per_weight(self) -> float:
        """Stored bits per element of the dense tensor; 0.0 for an empty tensor."""
        return 8 * self.nbytes / self.size if self.size else 0.0

    def storage(self) -> Storage:
        """Where the bytes go: values, metadata, scales, codebook, padding; and how near the metadata is to the bound.

        >>> import sparsefmt as sf
        >>> s = sf.encode(np.ones((1, 8)), "nm4:4").storage()
        >>> s.values, s.metadata, s.total
        (64, 0, 64)
        """
        return storage(self.structure, self.values, self.shape)

    @property
    def device(self) -> str:
        """Where the arrays are: "cpu", "cuda:0", ..."""
        first = next(iter(self.values.arrays().values()))
        return "cpu" if isinstance(first, np.ndarray) else f"cuda:{first.device.id}"

    @property
    def _on_gpu(self) -> bool:
        return not isinstance(getattr(self.values, self.values.array_names[0]), np.ndarray)

    def backend(self, x: object = None) -> "Backend[SparseTensor]":
        """What packs and unpacks it where its arrays are, or what multiplies it by `x`."""
        return backends["cuda" if self._on_gpu or is_device_array(x) else "cpu"]

    def __repr__(self) -> str:
        place = f", {self.device}" if self._on_gpu else ""
        return (
            f"<sparsefmt {self.format} of {self.dtype}, shape {self.shape}, {self.slots} slots, {self.nbytes} bytes, "
            f"{self.bits_per_weight:.2f} bits per weight{place}>"
        )

    def __len__(self) -> int:
        return self.shape[0]

    def to_dense(self, out: Array | None = None, *, max_bytes: int | None = None) -> Array:
        """Decodes into a new array, or into `out`.

        Args:
            out: an array of this shape and dtype to fill, any strides; C-contiguous is fast. It may not share memory
                with the tensor.
            max_bytes: the most that a new array may take; default: what `sparsefmt.set_max_bytes` set.

        Returns:
            `out`, or a new C-contiguous array of `t.shape` and `t.dtype`; +0 where nothing is stored.

        Raises:
            FormatError: `out` has another shape, is read-only, or shares memory with the tensor.
            DtypeError: `out` has another dtype.
            SizeError: a new array would be larger than allowed.

        >>> import sparsefmt as sf
        >>> sf.encode(np.array([[0, 7], [0, 0]], np.int8), "csr").to_dense()
        array([[0, 7],
               [0, 0]], dtype=int8)
        """
        return self.backend().to_dense(self, out, max_bytes)

    def toarray(self, out: Array | None = None, *, max_bytes: int | None = None) -> Array:
        """The same as `to_dense`."""
        return self.to_dense(out, max_bytes=max_bytes)

    def convert(self, fmt: str) -> "SparseTensor":
        """The same tensor in another format, exactly; arrays that do not change are shared.

        Args:
            fmt: a format text. Without a codec the values stay as they are stored.

        Raises:
            PatternError: the values do not have the pattern of the target.
            CodecError: the target names another codec.
            SizeError: the target would be larger than allowed.

        >>> import sparsefmt as sf
        >>> sf.encode(np.eye(4), "csr").convert("nm1:4").format
        'nm1:4'
        """
        target = parse(fmt)
        own = self.values.text or "raw"
        if target.codec is not None and (target.codec, target.options) != parse_codec(own):
            msg = (
                f"convert keeps the codec, {own!r}, but {fmt!r} names another one; "
                "use sf.quantize, sf.cluster or sf.dequantize"
            )
            raise CodecError(msg)
        if target.structure is Nm and self.dtype.kind == "c":
            msg = f"nm does not hold {self.dtype}; use csr, bsr, bitmask or coo"
            raise DtypeError(msg)
        return self.backend().convert(self, fmt, target)

    def to(self, device: str) -> "SparseTensor":
        """The tensor on a device: "cpu", "cuda" (the current one), "cuda:1"; itself if it is there.

        Packed bytes move, through page-locked memory where they are many, in the order of the current stream. On a
        GPU the arrays of the parts are CuPy's; pickling and saving go by the CPU.

        Raises:
            BackendError: the device is unknown, CuPy or the driver is missing, or the memory does not hold it.
        """
        if device == "cpu" and not self._on_gpu:
            return self
        return backends["cuda"].move(self, device)

    def to_scipy(self, *, copy: bool | None = None) -> Any:  # noqa: ANN401
        """The same as `sparsefmt.to_scipy(t)`."""
        return lent["to_scipy"](self, copy=copy)

    @property
    def T(self) -> "SparseTensor | Transposed":
        """The transpose: rank 1 itself; csr, csc and coo a tensor; else a light view.

        csr and csc swap roles and share all arrays.
        """
        if self.ndim == 1:
            return self
        if self.ndim != 2 or not self.values.anywhere or self._on_gpu:
            return Transposed(self)
        s, shape = self.structure, (self.shape[1], self.shape[0])
        if isinstance(s, Csr | Csc):
            other = Csc if isinstance(s, Csr) else Csr
            return SparseTensor.from_checked(other(s.indptr, s.indices, shape, check=False), self.values, shape)
        if isinstance(s, Coo):
            order = routes.column_order(s)
            flipped = Coo(s.col[order], s.row[order], shape, check=False)
            slots = self.values.lift(s)[order]
            return SparseTensor.from_checked(flipped, self.values.lower(flipped, slots), shape)
        return Transposed(self)

    def __matmul__(self, x: object) -> Array:
        """`t @ x` for an array x of rank 1 or 2, or batched (..., cols, k) if t has rank 2.

        The dtype of the result: float with float as `numpy.result_type` (float32 for bfloat16 with float16);
        integers: int32 if both have 8 bits, else int64, uint64 if both are unsigned; float with integer: the float,
        at least float32, float64 for integers of 32 bits and more. Sums of 16-bit and smaller floats are taken in
        float32. NaN and infinities in x pass through nonzero elements of t only.

        Raises:
            FormatError: the shapes do not fit.
            DtypeError: the dtype of x is not supported.
            SizeError: the product would be larger than allowed.
            BackendError: one of the two is on a GPU and the other is not; see `sparsefmt.cuda.matmul`.
        """
        return self.backend(x).matmul(self, x)

    def __rmatmul__(self, x: object) -> Array:
        """`x @ t` for an array x; t has rank 1 or 2. See `__matmul__`."""
        return self.backend(x).rmatmul(self, x)


backends: dict[str, Backend[SparseTensor]] = {}
"""By the first part of a device: "cpu", "cuda"."""

lent: dict[str, ToScipy[SparseTensor]] = {}
"""What layers above tensors lend to their methods."""


Parts = tuple[str, dict[str, Any], dict[str, Any]]


def rebuild(structure: Parts, values: Parts, shape: tuple[int, ...], dtype: str) -> SparseTensor:
    """Builds and checks a tensor from (kind, arrays, parameters) of its parts, as pickles and files give them.

    Raises:
        FormatError: the parts contradict each other, or a kind is unknown.
    """
    shape = checked_shape(shape)
    for registry, (kind, held, params) in ((STRUCTURES, structure), (CODECS, values)):
        if kind not in registry:
            msg = f"{kind!r} is unknown; have {', '.join(registry)}"
            raise FormatError(msg)
        known = registry[kind].array_names
        if odd := (set(held) - set(known)) | (set(params) & {"check", "shape", *known}):
            msg = f"{kind}: unknown array or parameter {sorted(odd)[0]!r}"
            raise FormatError(msg)
    try:
        made = STRUCTURES[structure[0]].from_parts(structure[1], structure[2], matrix_shape(shape))
        codec = CODECS[values[0]].from_parts(values[1], values[2], dtype_named(dtype))
    except TypeError as e:
        if isinstance(e, FormatError | CodecError):
            raise
        msg = f"{structure[0]}/{values[0]}: {e}"
        raise FormatError(msg) from None
    return SparseTensor(made, codec, shape)


def _exported(a: Array) -> tuple[Array, str]:
    """An array that pickles out of band, and the name of its dtype; those of ml_dtypes export no buffer."""
    return (items(a) if a.dtype.isbuiltin != 1 else a), a.dtype.name


def unpickled(structure: Parts, values: Parts, shape: tuple[int, ...], dtype: str) -> SparseTensor:
    """Builds and checks a tensor from what `SparseTensor.__reduce__` gave."""
    parts = [
        (kind, {k: a.view(dtype_named(name)) for k, (a, name) in found.items()}, params)
        for kind, found, params in (structure, values)
    ]
    return rebuild(parts[0], parts[1], shape, dtype)


def as_tensor(t: object, *, gpu: bool = False) -> SparseTensor:
    """`t` if it is a packed tensor; on the CPU, or with `gpu` anywhere.

    Raises:
        TypeError: it is something else.
        BackendError: it is on a GPU.
    """
    if not isinstance(t, SparseTensor):
        msg = f"want a packed tensor, got {type(t).__name__}; make one with sparsefmt.encode or from_scipy"
        raise TypeError(msg)
    if t._on_gpu and not gpu:
        msg = f'this runs on the CPU, and the tensor is on {t.device}; move it first: t.to("cpu")'
        raise BackendError(msg)
    return t
