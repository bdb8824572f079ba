"""Symmetric integer codes as other formats store them, 2**(bits - 1) above what they stand for."""

from typing import ClassVar, Self

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.coerce import frozen
from sparsefmt.base.dtypes import Array, Dtype, name_of
from sparsefmt.base.part import Form
from sparsefmt.codecs.affine import Affine, Int4, Int8
from sparsefmt.codecs.base import Layout
from sparsefmt.kernels.affine_rows import SINGLES
from sparsefmt.kernels.words import bytes_flip


class Raised(Affine):
    """Codes that become two's complement when something asks for `codes`; rows are decoded without.

    Whoever reads a checkpoint to dense never asks, and is spared a pass over all codes. Until then it shares the memory
    of the array that it was made of.
    """

    __slots__ = ("_raised",)

    array_names: ClassVar[tuple[str, ...]] = ("scale", "codes", "zero_point")  # the first tells where all of them are

    _raised: Array | None

    @classmethod
    def of(cls, raised: Array, scale: Array, group: int, dtype: Dtype) -> Self:
        """Takes codes in the shape and dtype of `codes`, each 2**(bits - 1) above its value.

        Raises:
            FormatError: a scale is none.
        """
        codec = cls(raised, scale, None, group, dtype)
        object.__setattr__(codec, "_raised", codec.codes)
        object.__delattr__(codec, "codes")
        return codec

    def __getattr__(self, name: str) -> Array:
        """Makes `codes` when they are first asked for."""
        if name != "codes":
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(msg)
        raised = getattr(self, "_raised", None)
        if raised is None:  # another thread was first
            return np.asarray(object.__getattribute__(self, name))
        codes = empty(raised.shape, np.uint8, "codes")
        sign = 1 << (self.bits - 1)
        bytes_flip(raised.view(np.uint8), sign | sign << self.bits & 0xFF, codes)
        object.__setattr__(self, name, frozen(codes.view(raised.dtype)))
        object.__setattr__(self, "_raised", None)
        return np.asarray(object.__getattribute__(self, name))

    def fits(self, structure: Layout) -> None:
        """Checks the codes and the grid against the structure; flipped bits change no shape.

        Raises:
            FormatError: they do not fit.
        """
        codes = self._waiting()
        self.scales.fits(structure)
        self.coding.fits(structure, self.codes if codes is None else codes)

    def _waiting(self) -> Array | None:
        """The codes as they came, unless they were asked for."""
        return getattr(self, "_raised", None)

    def forms(self) -> dict[str, Form]:
        """Shapes and dtypes of its arrays."""
        codes = self._waiting()
        if codes is None:
            return super().forms()
        arrays = {"codes": codes, "scale": self.scale}
        return {name: Form(a.shape, name_of(a.dtype)) for name, a in arrays.items()}

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        codes = self._waiting()
        return super().nbytes if codes is None else codes.nbytes + self.scale.nbytes

    def decode_rows(self, structure: Layout, low: int, high: int, out: Array) -> None:
        """Decodes codes to dense rows."""
        raised = self._waiting()
        if raised is not None and out.size and self.dtype.name in SINGLES:
            points = np.full(self.scale.shape, 1 << (self.bits - 1), np.uint8)
            if self._decode_raised(structure, raised, points, low, high, out):
                return
        super().decode_rows(structure, low, high, out)


class RaisedInt4(Raised, Int4):
    """Of 4 bits, two per byte."""

    __slots__ = ()


class RaisedInt8(Raised, Int8):
    """Of a byte."""

    __slots__ = ()


RAISED: dict[int, type[Raised]] = {4: RaisedInt4, 8: RaisedInt8}
"""By bits."""
