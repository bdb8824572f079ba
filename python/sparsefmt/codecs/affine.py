"""Integer codes with scales."""

from abc import abstractmethod
from dataclasses import InitVar, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from sparsefmt.base.alloc import empty, zeros
from sparsefmt.base.coerce import as_array, plain
from sparsefmt.base.dtypes import COMPLEX, INTEGERS, Array, Dtype, items
from sparsefmt.base.errors import CodecError, FormatError
from sparsefmt.base.matrix import blocks
from sparsefmt.codecs import streams
from sparsefmt.codecs.base import Codec, Held, Layout, Options, nm_groups
from sparsefmt.codecs.scales import ROW, TENSOR, columns, extremes, grid_shape, make_scales, part_entries, slot_grid
from sparsefmt.kernels.affine import affine_dequantize, affine_quantize
from sparsefmt.kernels.fused import SINGLES, bits_affine_decode, csr_affine_decode, nm_affine_decode
from sparsefmt.kernels.segments import segment_dequantize, segment_quantize

_ROW_BYTES = 1 << 19  # codes decoded at a time, so that they stay in the cache
_NONE = np.empty((0, 0), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Affine(Codec):
    """value = (code - zero point) * scale, rounded once to `dtype`.

    `scale` (rows, groups) float16 or float32 lies on the dense matrix: `scale[row, column // group]`; one per row is
    (rows, 1), one for the tensor (1, 1). `zero_point` uint8 of the same shape for asymmetric codes, else None. int8
    codes have the shape of the slots, int8 (asymmetric: uint8); int4 codes are one stream of nibbles, low nibble
    first, two's complement (asymmetric: unsigned).
    """

    array_names: ClassVar[tuple[str, ...]] = ("codes", "scale", "zero_point")
    bits: ClassVar[int]

    codes: Array
    scale: Array
    zero_point: Array | None
    group: int  # columns per scale; 0: the row; -1: the tensor
    dtype: Dtype
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        if check:
            if self.dtype.name in (*COMPLEX, "bool"):
                msg = f"{self.kind} does not hold {self.dtype}"
                raise CodecError(msg)
            for name, a in self.arrays().items():
                object.__setattr__(self, name, plain(a, as_array(a).dtype.newbyteorder("=")))
            self._check_grid()
        self.freeze()

    def _check_grid(self) -> None:
        if self.scale.dtype not in (np.float16, np.float32):
            msg = f"scale: want float16 or float32, got {self.scale.dtype}"
            raise FormatError(msg)
        if not ((self.scale > 0) & np.isfinite(self.scale)).all():
            at = tuple(int(i) for i in np.argwhere(~((self.scale > 0) & np.isfinite(self.scale)))[0])
            msg = f"scale{list(at)} = {self.scale[at]}; want finite and above 0"
            raise FormatError(msg)
        point = self.zero_point
        if point is not None and (point.dtype != np.uint8 or point.shape != self.scale.shape):
            msg = f"zero_point: want uint8 of shape {self.scale.shape}, got {point.dtype} of shape {point.shape}"
            raise FormatError(msg)
        if point is not None and point.size and int(point.max()) >= 2**self.bits:
            msg = f"zero_point holds {int(point.max())}, allowed 0..{2**self.bits - 1}"
            raise FormatError(msg)

    def arrays(self) -> dict[str, Array]:
        """Codes, scales, and zero points if there are any."""
        points = {} if self.zero_point is None else {"zero_point": self.zero_point}
        return {"codes": self.codes, "scale": self.scale, **points}

    def params(self) -> dict[str, Any]:
        """The group: columns, "row" or "tensor"."""
        return {"group": {ROW: "row", TENSOR: "tensor"}.get(self.group, self.group)}

    @classmethod
    def from_parts(cls, arrays: dict[str, Array], params: dict[str, Any], dtype: Dtype) -> Self:
        """Builds and checks it."""
        named = {"row": ROW, "tensor": TENSOR}
        group = params.get("group")
        number = named.get(group) if isinstance(group, str) else group
        if type(number) is not int or not (0 < number < 2**31 or group in named):
            msg = f'group = {str(group)[:40]!r}; want 1..{2**31 - 1} columns, "row" or "tensor"'
            raise FormatError(msg)
        if not {"codes", "scale"} <= arrays.keys() <= {"codes", "scale", "zero_point"}:
            msg = f"{cls.kind}: want codes, scale and perhaps zero_point, got {', '.join(arrays)}"
            raise FormatError(msg)
        return cls(arrays["codes"], arrays["scale"], arrays.get("zero_point"), number, dtype)

    @classmethod
    def parse(cls, groups: dict[str, str]) -> Options:
        """The group, the symmetry and the scale dtype."""
        options: Options = {"group": None, "asym": False, "dtype": np.dtype(np.float16)}
        seen = set()
        for option in filter(None, groups.get("options", "").split(":")):
            key = option if option in ("asym", "f32") else "group"
            if key in seen:
                msg = f"option :{option} says again what another one says"
                raise CodecError(msg)
            seen.add(key)
            if option == "asym":
                options["asym"] = True
            elif option == "f32":
                options["dtype"] = np.dtype(np.float32)
            elif option in ("row", "tensor"):
                options["group"] = ROW if option == "row" else TENSOR
            elif option[0] == "g" and option[1:].isascii() and option[1:].isdigit() and 0 < int(option[1:]) < 2**31:
                options["group"] = int(option[1:])
            else:
                msg = f"option :{option} is unknown; have :gK (K columns per scale), :row, :tensor, :asym, :f32"
                raise CodecError(msg)
        options["group"] = ROW if options["group"] is None else options["group"]
        return options

    @property
    def text(self) -> str:
        """The canonical codec text."""
        group = {ROW: "", TENSOR: ":tensor"}.get(self.group, f":g{self.group}")
        asym = "" if self.zero_point is None else ":asym"
        return f"{self.kind}{group}{asym}{':f32' if self.scale.dtype == np.float32 else ''}"

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
        scale, point = make_scales(low, high, cls.bits, options["asym"], options["dtype"], whole)
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

    def shifted(self, structure: Layout, codes: Array) -> Array:
        """Lifted codes in the shape of the body, with the zero points that they are stored with."""
        return self._shift(structure, codes, 1)

    def _shift(self, structure: Layout, codes: Array, sign: int) -> Array:
        """Adds (`sign` 1) or takes away (-1) the zero points of codes in the shape of the body, modulo 256."""
        if self.zero_point is None or not codes.size:
            return codes
        if (every := part_entries(structure, self.zero_point, self.group)) is not None:
            return np.asarray(codes + every if sign > 0 else codes - every)
        out = empty(codes.shape, np.uint8, "codes")
        for w in structure.windows():
            rows, cols = w.part.coords()
            points = slot_grid(self.zero_point, self.group, rows + w.row, cols + w.col)
            part = codes[w.start : w.stop]
            out[w.start : w.stop] = part + points if sign > 0 else part - points
        return out

    def lower(self, structure: Layout, slots: Array) -> Self:
        """The same scales with other slots."""
        codes = self._stored(structure, self.shifted(structure, structure.body(slots)))
        return type(self)(codes, self.scale, self.zero_point, self.group, self.dtype, check=False)

    def lift(self, structure: Layout) -> Array:
        """One byte per slot: the code minus the zero point, modulo 256."""
        return streams.widened(structure, self._shift(structure, self._fetched(structure), -1), 8)

    @abstractmethod
    def _stored(self, structure: Layout, codes: Array) -> Array:
        """Codes in the shape of the body, one byte each, as they are stored."""

    @abstractmethod
    def _fetched(self, structure: Layout, start: int = 0, stop: int | None = None) -> Array:
        """The codes of `body[start:stop]`, one byte each."""

    def fits(self, structure: Layout) -> None:
        """Checks the codes and the grid against the structure.

        Raises:
            FormatError: they do not fit.
        """
        want = grid_shape(structure.shape, self.group)
        if self.scale.shape != want:
            msg = f"scale: want shape {want}, got {self.scale.shape}"
            raise FormatError(msg)

    def product_slots(self, structure: Layout) -> Held | None:
        """Codes, scales and zero points."""
        if not self.codes.size or not self.scale.size:
            return None
        how = self.dtype.name, self.bits, columns(structure.shape, self.group)
        return self.codes.view(np.uint8), how, self.scale, _NONE if self.zero_point is None else self.zero_point

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
        cols = structure.shape[1]
        simple = self.zero_point is None and self.dtype.name in SINGLES and out.size
        if simple and (self._decode_nm(structure, low, high, out) or self._decode_lines(structure, low, high, out)):
            return
        whole = self.lift(structure) if structure.lines != structure.shape[0] or structure.kind == "csc" else None
        for start, end in blocks(high - low, cols, structure.row_step, _ROW_BYTES):
            self._decode_block(structure, whole, low + start, low + end, out[start:end])

    def _decode_nm(self, structure: Layout, low: int, high: int, out: Array) -> bool:
        """Decodes rows of nm and dense in one pass, if a kernel does that."""
        if (groups := nm_groups(structure)) is None:
            return False
        (group_codes, n, m), per, values = groups, columns(structure.shape, self.group), self.codes.view(np.uint8)
        odd = values.ndim == 1 and structure.slots // structure.shape[0] % 2 and structure.shape[0] > 1
        if odd or (per < structure.shape[1] and per % m):
            return False  # a byte that two rows share, or slots of one group of N:M with two scales
        stored = values.reshape(structure.shape[0], -1)[low:high]
        how = n, m, per, self.bits, self._rows(self.scale, low, high), self.dtype.name
        nm_affine_decode(group_codes[low:high], stored, *how, items(out))
        return True

    def _decode_lines(self, structure: Layout, low: int, high: int, out: Array) -> bool:
        """Decodes rows of csr and bitmask in one pass, if a kernel does that."""
        a, rows, values = structure.arrays(), slice(low, high + 1), self.codes.view(np.uint8)
        how = columns(structure.shape, self.group), self.bits, self._rows(self.scale, low, high), self.dtype.name
        if structure.kind == "csr":
            csr_affine_decode(a["indptr"][rows], a["indices"], values, *how, items(out))
        elif structure.kind == "bitmask":
            bits_affine_decode(a["bits"][low:high], a["row_offsets"][rows], values, *how, items(out))
        return structure.kind in ("bitmask", "csr")

    def _decode_block(self, structure: Layout, whole: Array | None, low: int, high: int, out: Array) -> None:
        scale, point = self._rows(self.scale, low, high), _NONE
        if self.zero_point is not None:
            point = self._rows(self.zero_point, low, high)
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

    def _rows(self, grid: Array, low: int, high: int) -> Array:
        return grid if self.group == TENSOR else grid[low:high]

    def _part_codes(self, part: Layout, structure: Layout, start: int, stop: int, row: int) -> Array:
        """The lifted codes of a window, in the shape of its body."""
        codes = self._fetched(structure, start, stop)
        if self.zero_point is None or not codes.size:
            return codes
        if (every := part_entries(part, self._rows(self.zero_point, row, row + part.shape[0]), self.group)) is not None:
            return np.asarray(codes - every)
        rows, cols = part.coords()
        points = slot_grid(self.zero_point, self.group, rows + row, cols)
        return codes - points


@dataclass(frozen=True, slots=True, eq=False)
class Int8(Affine):
    """A byte per code."""

    kind: ClassVar[str] = "int8"
    pattern: ClassVar[str] = r"int8(?P<options>(?::\w+)*)"
    template: ClassVar[str] = "int8[:gK|:row|:tensor][:asym][:f32]"
    bits: ClassVar[int] = 8

    def _stored(self, structure: Layout, codes: Array) -> Array:
        kind = np.dtype(np.uint8 if self.zero_point is not None else np.int8)
        return streams.widened(structure, np.ascontiguousarray(codes), 8).view(kind)

    def _fetched(self, structure: Layout, start: int = 0, stop: int | None = None) -> Array:
        return np.ascontiguousarray(structure.body(self.codes.view(np.uint8))[start:stop])

    def fits(self, structure: Layout) -> None:
        """Checks the codes and the grid against the structure."""
        Affine.fits(self, structure)
        want = structure.slot_shape(8)
        kind = np.dtype(np.uint8 if self.zero_point is not None else np.int8)
        if self.codes.dtype != kind or self.codes.shape != want:
            msg = f"codes: want {kind} of shape {want}, got {self.codes.dtype} of shape {self.codes.shape}"
            raise FormatError(msg)
        count = streams.body_shape(structure)[-1] if structure.padded else 0
        if structure.padded and self.codes[:, count:].any():
            msg = "codes: the padding of rows is not zero"
            raise FormatError(msg)


@dataclass(frozen=True, slots=True, eq=False)
class Int4(Affine):
    """Two codes per byte, low nibble first."""

    kind: ClassVar[str] = "int4"
    pattern: ClassVar[str] = r"int4(?P<options>(?::\w+)*)"
    template: ClassVar[str] = "int4[:gK|:row|:tensor][:asym][:f32]"
    bits: ClassVar[int] = 4

    def _stored(self, structure: Layout, codes: Array) -> Array:
        return streams.pack(structure, np.ascontiguousarray(codes), 4)

    def _fetched(self, structure: Layout, start: int = 0, stop: int | None = None) -> Array:
        nibbles = streams.unpack(structure, self.codes, 4, start, stop)
        return nibbles if self.zero_point is not None else (nibbles ^ 8) - 8

    def fits(self, structure: Layout) -> None:
        """Checks the codes and the grid against the structure."""
        Affine.fits(self, structure)
        streams.check(structure, self.codes, 4)
