"""GGUF files: the header, and tensors with their codes and scales where a codec here holds them, else as float32.

Source: ggml, `docs/gguf.md` (versions 2 and 3).
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import DTYPES, Array
from sparsefmt.base.errors import CorruptFileError, FormatError, VersionError
from sparsefmt.interop import integer_grid
from sparsefmt.interop.gguf_blocks import BLOCKS
from sparsefmt.interop.integer_grid import Grid
from sparsefmt.kernels.gguf import gguf_decode, gguf_q4_0_codes, gguf_q8_0_codes
from sparsefmt.tensor.sparse import SparseTensor

MAGIC = b"GGUF"
PLAIN = {0: "float32", 1: "float16", 24: "int8", 25: "int16", 26: "int32", 27: "int64", 28: "float64", 30: "bfloat16"}
"""Types that are dtypes of NumPy, by number."""

_NAMES = {9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S"}
_NAMES |= {22: "IQ2_S", 23: "IQ4_XS", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4"}
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_TEXT, _LIST = 8, 9
_MAX_RANK = 4
_SHOWN = 80  # characters of a name in a message
_MAX_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor in the file: where its bytes are, and as what."""

    shape: tuple[int, ...]
    type: int
    start: int
    end: int

    @property
    def type_name(self) -> str:
        """As ggml calls it."""
        if self.type in BLOCKS:
            return BLOCKS[self.type].name
        return PLAIN.get(self.type) or _NAMES.get(self.type, f"type {self.type}")


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself; `fields` are numbers, texts and short lists by key."""

    fields: Mapping[str, Any]
    tensors: Mapping[str, Stored]


class _Reader:
    """Reads numbers and texts one after the other, and says where the file ends too soon."""

    def __init__(self, data: Array) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int, what: str) -> memoryview:
        if count > len(self.data) - self.at:
            msg = f"the file ends within {what}, at byte {len(self.data)}; it is cut off or damaged"
            raise CorruptFileError(msg)
        found = self.data[self.at : self.at + count].data
        self.at += count
        return found

    def number(self, form: str, what: str) -> Any:  # noqa: ANN401
        return struct.unpack(form, self.take(struct.calcsize(form), what))[0]

    def text(self, what: str) -> str:
        raw = bytes(self.take(self.number("<Q", what), what))
        return raw.decode("utf-8", "replace")

    def name(self, what: str) -> tuple[str, str]:
        """A text, and how messages quote it."""
        text = self.text(what)
        return text, repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")

    def value(self, kind: int, what: str, depth: int = 0) -> Any:  # noqa: ANN401
        if kind in _SCALARS:
            return self.number(_SCALARS[kind], what)
        if kind == _TEXT:
            return self.text(what)
        if kind != _LIST or depth == _MAX_DEPTH:
            msg = f"{what} has a value of type {kind}, which is none"
            raise CorruptFileError(msg)
        inner, count = self.number("<I", what), self.number("<Q", what)
        if inner in _SCALARS:
            self.take(count * struct.calcsize(_SCALARS[inner]), what)
        elif count > len(self.data) - self.at:
            msg = f"{what} claims {count} values, more than the file has bytes"
            raise CorruptFileError(msg)
        else:
            for _ in range(count):
                self.value(inner, what, depth + 1)
        return f"list of {count}"


def read_header(data: Array) -> Header:
    """Reads the header of a file.

    Args:
        data: (bytes,) uint8, the file, mapped.

    Returns:
        The fields and the tensors by name; every tensor lies within the file.

    Raises:
        CorruptFileError: it is no GGUF file, is cut off, or contradicts itself.
        VersionError: a version other than 2 and 3.

    >>> read_header(np.frombuffer(b"GGUF" + bytes([3, 0, 0, 0]) + bytes(16), np.uint8)).tensors
    {}
    """
    reader = _Reader(data)
    if bytes(reader.take(4, "the magic bytes")) != MAGIC:
        msg = "no GGUF file: it does not begin with GGUF"
        raise CorruptFileError(msg)
    version = reader.number("<I", "the version")
    if version not in (2, 3):
        swapped = int.from_bytes(int(version).to_bytes(4, "little"), "big") in (2, 3)
        msg = f"GGUF version {version}; want 2 or 3" + ("; the file is big-endian" if swapped else "")
        raise VersionError(msg)
    count, keys = reader.number("<Q", "the counts"), reader.number("<Q", "the counts")
    fields: dict[str, Any] = {}
    for _ in range(keys):
        key, shown = reader.name("a key")
        fields[key] = reader.value(reader.number("<I", shown), shown)
    found = [_tensor_info(reader) for _ in range(count)]
    align = fields.get("general.alignment", 32)
    if type(align) is not int or not 0 < align <= 1 << 20 or align & (align - 1):
        msg = f"general.alignment = {align!r}; want a power of two"
        raise CorruptFileError(msg)
    base = -(-reader.at // align) * align
    tensors: dict[str, Stored] = {}
    for (name, shown), shape, kind, offset in found:
        if name in tensors:
            msg = f"tensor {shown} stands in the header twice"
            raise CorruptFileError(msg)
        start = base + offset
        end = start + (_nbytes(shown, shape, kind) if kind in BLOCKS or kind in PLAIN else 0)
        if end > len(data):
            msg = f"tensor {shown} ends at byte {end}, the file at {len(data)}; it is cut off or damaged"
            raise CorruptFileError(msg)
        tensors[name] = Stored(shape, kind, start, end)
    return Header(fields, tensors)


def _tensor_info(reader: _Reader) -> tuple[tuple[str, str], tuple[int, ...], int, int]:
    """Name and how messages quote it, shape, type, and where it begins."""
    name = reader.name("the name of a tensor")
    what = f"tensor {name[1]}"
    rank = reader.number("<I", what)
    if not 0 <= rank <= _MAX_RANK:
        msg = f"{what} has rank {rank}; want 0..{_MAX_RANK}"
        raise CorruptFileError(msg)
    lengths = [reader.number("<Q", what) for _ in range(rank)]
    kind, offset = reader.number("<I", what), reader.number("<Q", what)
    return name, tuple(reversed(lengths)), kind, offset


def _nbytes(shown: str, shape: tuple[int, ...], kind: int) -> int:
    if kind in PLAIN:
        return math.prod(shape) * DTYPES[PLAIN[kind]].itemsize
    block = BLOCKS[kind]
    if not shape or shape[-1] % block.elements:
        msg = f"tensor {shown} of shape {shape}: {block.name} wants rows of a multiple of {block.elements}"
        raise CorruptFileError(msg)
    return math.prod(shape) // block.elements * block.nbytes


def read_tensor(data: Array, stored: Stored, low: int = 0, high: int | None = None) -> tuple[SparseTensor | Array, str]:
    """A tensor of the file, or rows of it (leading axes counted as rows).

    Args:
        data: the file, as `read_header` took it.
        stored: from its header.
        low: the first row.
        high: behind the last row; None: all of them. With other than all rows the result is a matrix.

    Returns:
        A view for a dtype of NumPy; dense/int4:g32:asym for Q4_0, dense/int8:g32 for Q8_0 (float32, the same codes
        and scales) and ""; else float32 values, as the format's own code computes them, and why they are not packed.

    Raises:
        FormatError: a type that is not known here.

    >>> read_tensor(np.float32([1, 2]).view(np.uint8), Stored((2,), 0, 0, 8))[0]
    array([1., 2.], dtype=float32)
    """
    rows = math.prod(stored.shape[:-1])
    every = high is None
    high = rows if high is None else high
    shape = stored.shape if every else (high - low, *stored.shape[-1:])
    if stored.type in PLAIN:
        flat = data[stored.start : stored.end].view(DTYPES[PLAIN[stored.type]])
        wide = stored.shape[-1] if stored.shape else 1
        return flat[low * wide : high * wide].reshape(shape), ""
    if stored.type not in BLOCKS:
        known = ", ".join([*PLAIN.values(), *(b.name for b in BLOCKS.values())])
        msg = f"tensors of {stored.type_name} are not read; have {known}; llama-quantize --allow-requantize makes them"
        raise FormatError(msg)
    block = BLOCKS[stored.type]
    per = stored.shape[-1] // block.elements
    packed = data[stored.start : stored.end].reshape(-1, block.nbytes)[low * per : high * per]
    matrix = (high - low, stored.shape[-1])
    if block.name in ("Q4_0", "Q8_0"):
        grid = (_q4_0_grid if block.name == "Q4_0" else _q8_0_grid)(packed, matrix)
        reason = "a code of -128 has a negative scale" if grid is None else integer_grid.obstacle(grid)
        if grid is not None and not reason:
            t = integer_grid.packed(integer_grid.dense_structure(matrix), grid)
            return (t if shape == matrix else SparseTensor(t.structure, t.values, shape)), ""
        return _values(packed, stored.type, shape), reason
    return _values(packed, stored.type, shape), f"no codec here holds {block.name}"


def _values(packed: Array, kind: int, shape: tuple[int, ...]) -> Array:
    out = empty((len(packed), BLOCKS[kind].elements), np.dtype(np.float32), "the values of a GGUF tensor")
    gguf_decode(packed, kind, out)
    return out.reshape(shape)


def _q4_0_grid(packed: Array, shape: tuple[int, int]) -> Grid:
    codes = empty((len(packed), 16), np.uint8, "codes")
    scale, point = empty(len(packed), np.uint16, "scales"), empty(len(packed), np.uint8, "zero points")
    gguf_q4_0_codes(packed, codes, scale, point)
    rows, grid = shape[0], (shape[0], shape[1] // 32)
    scales = scale.view(np.float16).reshape(grid)
    return Grid(codes.reshape(rows, -1), 4, scales, point.reshape(grid), 32, DTYPES["float32"], pairs=True)


def _q8_0_grid(packed: Array, shape: tuple[int, int]) -> Grid | None:
    codes, scale = empty((len(packed), 32), np.uint8, "codes"), empty(len(packed), np.uint16, "scales")
    if gguf_q8_0_codes(packed, codes, scale):
        return None
    scales = scale.view(np.float16).reshape(shape[0], shape[1] // 32)
    return Grid(codes.reshape(shape), 8, scales, None, 32, DTYPES["float32"], signed=True)
