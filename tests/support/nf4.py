"""NormalFloat4: a codec of another hand, in one file: sixteen fixed levels times a scale.

Levels: Dettmers et al. 2023, QLoRA, arXiv:2305.14314, appendix E.
"""

from dataclasses import InitVar, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.coerce import as_array, plain
from sparsefmt.base.dtypes import COMPLEX, Array, Dtype, items
from sparsefmt.base.errors import CodecError, FormatError
from sparsefmt.codecs import streams
from sparsefmt.codecs.base import Codec, Layout, Options
from sparsefmt.codecs.scales import TENSOR, Scales, extremes, group_of, rounded_scale, scale_options, slot_grid
from sparsefmt.kernels.affine import clamped, compute_dtype

LEVELS = np.array(
    [
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
        -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
        0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
    ]
)  # fmt: skip
ZERO = np.uint8(7)


@dataclass(frozen=True, slots=True, eq=False)
class Nf4(Codec):
    """value = level[code] * scale; codes are a stream of 4 bits."""

    kind: ClassVar[str] = "nf4"
    pattern: ClassVar[str] = r"nf4(?P<options>(?::\w+)*)"
    template: ClassVar[str] = "nf4[:gK|:row|:tensor][:f32]"
    array_names: ClassVar[tuple[str, ...]] = ("codes", "scale")

    codes: Array
    scale: Array
    group: int
    dtype: Dtype
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        if check:
            for name, a in self.arrays().items():
                object.__setattr__(self, name, plain(a, as_array(a).dtype.newbyteorder("=")))
            self.scales.check()
        self.freeze()

    @property
    def scales(self) -> Scales:
        """What a level is multiplied by."""
        return Scales(self.scale, self.group)

    def params(self) -> dict[str, Any]:
        """The group."""
        return {"group": self.scales.param}

    @classmethod
    def from_parts(cls, arrays: dict[str, Array], params: dict[str, Any], dtype: Dtype) -> Self:
        """Builds and checks it."""
        if arrays.keys() != {"codes", "scale"}:
            msg = f"nf4: want codes and scale, got {', '.join(arrays)}"
            raise FormatError(msg)
        return cls(arrays["codes"], arrays["scale"], group_of(params.get("group")), dtype)

    @classmethod
    def parse(cls, groups: dict[str, str]) -> Options:
        """The group and the scale dtype."""
        return scale_options(groups.get("options", ""))

    @classmethod
    def examples(cls) -> tuple[str, ...]:
        """Scales of groups, rows, and the tensor."""
        return "nf4:g64", "nf4", "nf4:g5:f32", "nf4:tensor"

    @property
    def text(self) -> str:
        """The canonical codec text."""
        return self.kind + "".join(self.scales.text)

    @property
    def anywhere(self) -> bool:
        """With one scale for the tensor."""
        return self.group == TENSOR

    @property
    def slot_bits(self) -> int:
        """Bits per code."""
        return 4

    @property
    def lifted_bits(self) -> int:
        """A byte."""
        return 8

    @classmethod
    def encode(cls, structure: Layout, values: Array, options: Options) -> Self:
        """Scales by the largest magnitude; every value gets its nearest level."""
        if values.dtype.name in (*COMPLEX, "bool"):
            msg = f"nf4 does not hold {values.dtype}"
            raise CodecError(msg)
        low, high = extremes(structure, values, options["group"])
        scale = rounded_scale(np.maximum(-low, high), 1, options["dtype"])
        body, middles = structure.body(values), (LEVELS[1:] + LEVELS[:-1]) / 2
        codes = empty(body.shape, np.uint8, "codes")
        for w in structure.windows():
            row, col = (a + b for a, b in zip(w.part.coords(), (w.row, w.col), strict=True))
            step = slot_grid(scale, options["group"], row, col).astype(np.float64)
            codes[w.start : w.stop] = np.searchsorted(middles, body[w.start : w.stop].astype(np.float64) / step)
        return cls(streams.pack(structure, codes, 4), scale, options["group"], values.dtype, check=False)

    def fits(self, structure: Layout) -> None:
        """Checks the codes and the grid against the structure."""
        self.scales.fits(structure)
        streams.check(structure, self.codes, 4)

    def lift(self, structure: Layout) -> Array:
        """Codes in which 0 is the level 0.0."""
        codes = streams.unpack(structure, self.codes, 4)
        return streams.widened(structure, codes ^ ZERO, 8)

    def lower(self, structure: Layout, slots: Array) -> Self:
        """The same scales with other slots."""
        codes = np.ascontiguousarray(structure.body(slots)) ^ ZERO
        return type(self)(streams.pack(structure, codes, 4), self.scale, self.group, self.dtype, check=False)

    def decode(self, structure: Layout) -> Array:
        """The values of all slots."""
        codes, compute = streams.unpack(structure, self.codes, 4), compute_dtype(self.dtype)
        values = empty(codes.shape, self.dtype, "values")
        with np.errstate(all="ignore"):
            for w in structure.windows():
                row, col = (a + b for a, b in zip(w.part.coords(), (w.row, w.col), strict=True))
                scale = slot_grid(self.scale, self.group, row, col).astype(compute)
                values[w.start : w.stop] = clamped(LEVELS.astype(compute)[codes[w.start : w.stop]] * scale, self.dtype)
        return streams.widened(structure, values, 8 * self.dtype.itemsize)

    def decode_rows(self, structure: Layout, low: int, high: int, out: Array) -> None:
        """All values, then the rows."""
        structure.decode(items(self.decode(structure)), low, high, items(out))
