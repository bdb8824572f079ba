"""Integer codes with scales."""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from sparsefmt.base.alloc import empty, zeros
from sparsefmt.base.coerce import as_array, plain
from sparsefmt.base.dtypes import COMPLEX, INTEGERS, Array, Dtype, items
from sparsefmt.base.errors import CodecError, FormatError
from sparsefmt.base.matrix import blocks
from sparsefmt.base.packed_rows import BitRows, CsrRows, NmRows
from sparsefmt.base.part import Form
from sparsefmt.codecs import streams
from sparsefmt.codecs.base import Codec, Held, Layout, Options
from sparsefmt.codecs.codes import Codes, code_range
from sparsefmt.codecs.scales import (
    TENSOR,
    Scales,
    columns,
    extremes,
    group_of,
    make_scales,
    options_text,
    scale_options,
    slot_grid,
)
from sparsefmt.kernels.affine import affine_dequantize, affine_quantize, largest_finite
from sparsefmt.kernels.affine_rows import FUSED_BITS, SINGLES, bits_affine_decode, csr_affine_decode, nm_affine_decode
from sparsefmt.kernels.affine_segments import segment_dequantize, segment_quantize
from sparsefmt.kernels.grid import grid_decode

_ROW_BYTES = 1 << 19  # codes decoded at a time, so that they stay in the cache
_NONE = np.empty((0, 0), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Affine(Codec):
    """value = (code - zero point) * scale, rounded once to `dtype`, and clamped to its finite values.

    `scale` (rows, groups) float16 or float32 lies on the dense matrix: `scale[row, column // group]`; see `Scales`.
    `zero_point` uint8 of the same shape for asymmetric codes, else None. `codes` of 8 bits have the shape of the
    slots, int8 (asymmetric: uint8); those of fewer bits are one stream, two's complement (asymmetric: unsigned); see
    `Codes`. Rounding and clamping belong to the value: a product multiplies what `to_dense` returns.
    """

    array_names: ClassVar[tuple[str, ...]] = ("codes", "scale", "zero_point")
    bits: ClassVar[int]

    codes: Array
    scale: Array
    zero_point: Array | None
    group: int  # columns per scale; 0: the row; -1: the tensor
    dtype: Dtype
    check: InitVar[bool] = True

    def __init_subclass__(cls, bits: int = 0) -> None:
        if bits:
            cls.bits, cls.kind, cls.since = bits, f"int{bits}", 1 if bits in (4, 8) else 2
            cls.pattern = rf"int{bits}(?P<options>(?::\w+)*)"
            cls.template = "int{2..8}[:gK|:row|:tensor][:asym][:f32]"

    def __post_init__(self, check: bool) -> None:
        if check:
            if self.dtype.name in (*COMPLEX, "bool"):
                msg = f"{self.kind} does not hold {self.dtype}"
                raise CodecError(msg)
            for name, a in self.arrays().items():
                object.__setattr__(self, name, plain(a, as_array(a).dtype.newbyteorder("=")))
            self.scales.check()
            self.coding.check(self.scale)
        self.freeze()

    @property
    def scales(self) -> Scales:
        """What a step of a code is worth."""
        return Scales(self.scale, self.group)

    @property
    def coding(self) -> Codes:
        """How codes are stored."""
        return Codes(self.bits, self.zero_point)

    def arrays(self) -> dict[str, Array]:
        """Codes, scales, and zero points if there are any."""
        points = {} if self.zero_point is None else {"zero_point": self.zero_point}
        return {"codes": self.codes, "scale": self.scale, **points}

    def params(self) -> dict[str, Any]:
        """The group: columns, "row" or "tensor"."""
        return {"group": self.scales.param}

    @classmethod
    def from_parts(cls, arrays: dict[str, Array], params: dict[str, Any], dtype: Dtype) -> Self:
        """Builds and checks it."""
        group = group_of(params.get("group"))
        if not {"codes", "scale"} <= arrays.keys() <= {"codes", "scale", "zero_point"}:
            msg = f"{cls.kind}: want codes, scale and perhaps zero_point, got {', '.join(arrays)}"
            raise FormatError(msg)
        return cls(arrays["codes"], arrays["scale"], arrays.get("zero_point"), group, dtype)

    @classmethod
    def parse(cls, groups: dict[str, str]) -> Options:
        """The group, the symmetry and the scale dtype."""
        return scale_options(groups.get("options", ""), "asym")

    @classmethod
    def examples(cls) -> tuple[str, ...]:
        """Scales of rows, of groups, of the tensor; symmetric and not."""
        return tuple(f"{cls.kind}{options}" for options in ("", ":g5", ":g4:asym", ":asym:f32", ":tensor"))

    @classmethod
    def text_of(cls, params: Mapping[str, Any], forms: Mapping[str, Form]) -> str:
        """The canonical codec text."""
        group, dtype = options_text(group_of(params.get("group")), forms["scale"].dtype)
        return f"{cls.kind}{group}{':asym' if 'zero_point' in forms else ''}{dtype}"

    @property
    def anywhere(self) -> bool:
        """With one scale for the tensor."""
        return self.group == TENSOR

    @property
    def slot_bits(self) -> int:
        """Bits per code."""
        return self.bits

    @property
    def lifted_bits(self) -> int:
        """A byte."""
        return 8

    @classmethod
    def encode(cls, structure: Layout, values: Array, options: Options) -> Self:
        """Takes scales from the stored values, and codes from the scales.

        Raises:
            CodecError: NaN, infinity, bool, complex, integers without a code, or a scale beyond its dtype.
        """
        if values.dtype.name in (*COMPLEX, "bool"):
            msg = f"{cls.kind} does not hold {values.dtype}"
            raise CodecError(msg)
        group, whole = options["group"], values.dtype.name in INTEGERS
        low, high = extremes(structure, values, group)
        asym, dtype = options["asym"], options["dtype"]
        scale, point = make_scales(low, high, code_range(cls.bits, asym=asym), asym, dtype, whole)
        codec = cls(_NONE, scale, point, group, values.dtype, check=False)
        return codec.lower(structure, codec.quantized(structure, values))

    def quantized(self, structure: Layout, values: Array) -> Array:
        """The lifted codes of values in the layout of the slots, with the scales at hand."""
        body = items(structure.body(values))
        codes = empty(body.shape, np.uint8, "codes")
        per = structure.slot_group(columns(structure.shape, self.group))
        point, name = _NONE if self.zero_point is None else self.zero_point, self.dtype.name
        if codes.size and per is not None and not structure.padded:
            affine_quantize(body, name, per, self.scale, point, self.bits, codes)
        elif codes.size and self.group == TENSOR and not structure.padded:
            flat, out = body.reshape(1, -1), codes.reshape(1, -1)
            affine_quantize(flat, name, flat.size, self.scale, point, self.bits, out)
        elif codes.size and (offsets := structure.slot_offsets(columns(structure.shape, self.group))) is not None:
            scale = self.scale.reshape(1, -1)
            segment_quantize(body, name, offsets, scale, point.reshape(-1, scale.size), self.bits, codes)
        elif codes.size:
            for w in structure.windows():
                scale, shift = self._grids(w.part, w.row, w.col)
                part = np.ascontiguousarray(body[w.start : w.stop])
                made = empty((1, part.size), np.uint8, "codes")
                affine_quantize(part.reshape(1, -1), name, 1, scale, shift, self.bits, made)
                codes[w.start : w.stop] = made.reshape(part.shape)
        return streams.widened(structure, codes, 8)

    def _grids(self, part: Layout, row: int, col: int) -> tuple[Array, Array]:
        """Scale and zero point of every slot of a window, (1, slots)."""
        rows, cols = part.coords()
        rows, cols = rows + row, cols + col
        scale = np.ascontiguousarray(slot_grid(self.scale, self.group, rows, cols)).reshape(1, -1)
        if self.zero_point is None:
            return scale, _NONE
        return scale, np.ascontiguousarray(slot_grid(self.zero_point, self.group, rows, cols)).reshape(1, -1)

    def stored(self, structure: Layout, codes: Array) -> Array:
        """Lifted codes in the shape of the body, with their zero points, as they are stored."""
        return self.coding.pack(structure, self.coding.shift(structure, codes, self.group, 1))

    def lower(self, structure: Layout, slots: Array) -> Self:
        """The same scales with other slots."""
        codes = self.stored(structure, structure.body(slots))
        return type(self)(codes, self.scale, self.zero_point, self.group, self.dtype, check=False)

    def lift(self, structure: Layout) -> Array:
        """One byte per slot: the code minus the zero point, modulo 256."""
        codes = self.coding.unpack(structure, self.codes)
        return streams.widened(structure, self.coding.shift(structure, codes, self.group, -1), 8)

    def fits(self, structure: Layout) -> None:
        """Checks the codes and the grid against the structure.

        Raises:
            FormatError: they do not fit.
        """
        self.scales.fits(structure)
        self.coding.fits(structure, self.codes)

    def product_slots(self, structure: Layout) -> Held | None:
        """Codes, scales and zero points; None where values are more than codes times scales, or rows begin nowhere."""
        if not self.codes.size or not self.scale.size or (structure.padded and 8 % self.bits) or self._is_clamped():
            return None
        how = self.dtype.name, self.bits, columns(structure.shape, self.group)
        return self.codes.view(np.uint8), how, self.scale, _NONE if self.zero_point is None else self.zero_point

    def _is_clamped(self) -> bool:
        """Whether a value may be one that rounding to the dtype, or its largest number, changes by much."""
        if self.dtype.name not in SINGLES:
            return True
        if self.scale.dtype == np.float16 and self.dtype != np.float16:
            return False  # 255 times any float16 is far from the limits
        bits = int(self.scale.view(f"u{self.scale.itemsize}").max())  # positive floats are ordered like their bits
        largest = float(np.array(bits, f"u{self.scale.itemsize}").view(self.scale.dtype))
        steps = 1 << (self.bits - 1) if self.zero_point is None else (1 << self.bits) - 1
        return largest * steps > largest_finite(self.dtype)

    def decode(self, structure: Layout) -> Array:
        """The values of all slots."""
        codes = self.lift(structure)
        body = structure.body(codes)
        values = zeros(codes.shape, self.dtype, "values of slots")
        if not body.size:
            return values
        per = structure.slot_group(columns(structure.shape, self.group))
        point = _NONE if self.zero_point is None else self.zero_point
        if per is not None and not structure.padded:
            affine_dequantize(body, per, self.scale, point, self.dtype.name, items(values))
            return values
        if not structure.padded and self._decode_flat(structure, body, self.scale, point, values):
            return values
        for w in structure.windows():
            scale, shift = self._grids(w.part, w.row, w.col)
            part = np.ascontiguousarray(body[w.start : w.stop])
            made = empty((1, part.size), self.dtype, "values")
            affine_dequantize(part.reshape(1, -1), 1, scale, shift, self.dtype.name, items(made))
            structure.body(values)[w.start : w.stop] = made.reshape(part.shape)
        return values

    def _decode_flat(self, part: Layout, codes: Array, scale: Array, point: Array, values: Array) -> bool:
        """Values of lifted codes, if those of a scale stand together; `scale` and `point` are of the rows of `part`."""
        out = items(values)
        if self.group == TENSOR:
            affine_dequantize(codes.reshape(1, -1), codes.size, scale, point, self.dtype.name, out.reshape(1, -1))
            return True
        if (offsets := part.slot_offsets(columns(part.shape, self.group))) is None:
            return False
        scale = scale.reshape(1, -1)
        segment_dequantize(codes, offsets, scale, point.reshape(-1, scale.size), self.dtype.name, out)
        return True

    def decode_rows(self, structure: Layout, low: int, high: int, out: Array) -> None:
        """Decodes codes to dense rows, or values in slots where scales end with groups, some rows at a time."""
        fused = self.dtype.name in SINGLES and self.bits in FUSED_BITS and out.size > 0
        at_once = self._decode_at_once if self.zero_point is None else self._decode_shifted
        if fused and at_once(structure, low, high, out):
            return
        whole = self.lift(structure) if structure.axis else None  # rows are nowhere together
        for start, end in blocks(high - low, structure.shape[1], structure.row_step, _ROW_BYTES):
            self._decode_block(structure, whole, low + start, low + end, out[start:end])

    def _decode_at_once(self, structure: Layout, low: int, high: int, out: Array) -> bool:
        """Decodes rows in one pass, if a kernel does that."""
        rows, values, per = slice(low, high + 1), self.codes.view(np.uint8), columns(structure.shape, self.group)
        how = per, self.bits, self.scales.rows(low, high), self.dtype.name
        match structure.packed_rows():
            case NmRows(codes, n, m):
                odd = values.ndim == 1 and structure.slots // structure.shape[0] % 2 and structure.shape[0] > 1
                if odd or (per < structure.shape[1] and per % m):
                    return False  # a byte that two rows share, or slots of one group of N:M with two scales
                stored = values.reshape(structure.shape[0], -1)[low:high]
                nm_affine_decode(codes[low:high], stored, n, m, *how, items(out))
            case CsrRows(indptr, indices):
                csr_affine_decode(indptr[rows], indices, values, *how, items(out))
            case BitRows(bits, row_offsets):
                bits_affine_decode(bits[low:high], row_offsets[rows], values, *how, items(out))
            case None:
                return False
        return True

    def _decode_shifted(self, structure: Layout, low: int, high: int, out: Array) -> bool:
        """Decodes rows with zero points in one pass, if every column has a slot."""
        point = self.zero_point
        return point is not None and self._decode_raised(structure, self.codes, point, low, high, out)

    def _decode_raised(
        self, structure: Layout, codes: Array, zero_point: Array, low: int, high: int, out: Array
    ) -> bool:
        """The same of unsigned codes and what each of them is above its value."""
        rows, cols = structure.shape
        found = structure.packed_rows()
        if not isinstance(found, NmRows) or found.n != found.m or cols * self.bits % 8:
            return False
        if structure.slots != rows * cols:
            return False  # a last group that sticks out has slots without a column
        stored = codes.view(np.uint8).reshape(rows, -1)[low:high]
        scale, point = self.scales.rows(low, high), self.scales.rows(low, high, zero_point)
        at = np.arange(cols, dtype=np.int32) // np.int32(min(columns(structure.shape, self.group), cols))
        at = np.minimum(at, np.int32(scale.shape[1] - 1))
        wide = scale.astype(np.float32), point.astype(np.float32)
        grid_decode(stored, self.bits, *wide, at, self.dtype.name, 1, items(out))
        return True

    def _decode_block(self, structure: Layout, whole: Array | None, low: int, high: int, out: Array) -> None:
        scale, point = self.scales.rows(low, high), _NONE
        if self.zero_point is not None:
            point = self.scales.rows(low, high, self.zero_point)
        per = columns(structure.shape, self.group)
        name = self.dtype.name
        if whole is not None:
            codes = empty(out.shape, np.uint8, "a block of codes")
            structure.decode(whole, low, high, codes)
            affine_dequantize(codes, per, scale, point, name, items(out))
            return
        w = structure.window(low, high)
        shifted = self._part_codes(w.part, structure, w.start, w.stop, low)
        inside = w.part.slot_group(per)
        values = empty(shifted.shape, self.dtype, "a block of values")
        if inside is not None and shifted.size:
            affine_dequantize(shifted, inside, scale, point, name, items(values))
            w.part.decode(items(values), 0, high - low, items(out))
            return
        if not w.part.padded and shifted.size and self._decode_flat(w.part, shifted, scale, point, values):
            w.part.decode(items(values), 0, high - low, items(out))
            return
        codes = empty(out.shape, np.uint8, "a block of codes")
        w.part.decode(shifted, 0, high - low, codes)
        affine_dequantize(codes, per, scale, point, name, items(out))

    def _part_codes(self, part: Layout, structure: Layout, start: int, stop: int, row: int) -> Array:
        """The lifted codes of a window, in the shape of its body."""
        codes = self.coding.unpack(structure, self.codes, start, stop)
        if self.zero_point is None:
            return codes
        points = self.scales.rows(row, row + part.shape[0], self.zero_point)
        return Codes(self.bits, points).shift(part, codes, self.group, -1)


class Int2(Affine, bits=2):
    """Integer codes of 2 bits: symmetric -1, 0, 1; asymmetric 0..3."""

    __slots__ = ()


class Int3(Affine, bits=3):
    """Integer codes of 3 bits: symmetric -3..3; asymmetric 0..7."""

    __slots__ = ()


class Int4(Affine, bits=4):
    """Integer codes of 4 bits, two per byte: symmetric -7..7; asymmetric 0..15."""

    __slots__ = ()


class Int5(Affine, bits=5):
    """Integer codes of 5 bits: symmetric -15..15; asymmetric 0..31."""

    __slots__ = ()


class Int6(Affine, bits=6):
    """Integer codes of 6 bits: symmetric -31..31; asymmetric 0..63."""

    __slots__ = ()


class Int7(Affine, bits=7):
    """Integer codes of 7 bits: symmetric -63..63; asymmetric 0..127."""

    __slots__ = ()


class Int8(Affine, bits=8):
    """Integer codes of a byte: symmetric -127..127; asymmetric 0..255."""

    __slots__ = ()


INTEGER_CODECS: tuple[type[Affine], ...] = (Int2, Int3, Int4, Int5, Int6, Int7, Int8)
