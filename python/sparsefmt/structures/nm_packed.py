"""N of every M are kept, with the codes of plain N:M made smaller: what all such structures share."""

from abc import abstractmethod
from typing import ClassVar, Self

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.matrix import Matrix
from sparsefmt.base.packed_rows import NmRows
from sparsefmt.kernels.nm import width
from sparsefmt.structures.base import Params, Structure
from sparsefmt.structures.csr import Csr
from sparsefmt.structures.edges import EDGES, Edge
from sparsefmt.structures.nm import Nm, check_nm, csr_to_nm, nm_to_csr


class PackedNm(Structure):
    """N:M whose codes are stored in a way of its own; slots are those of `Nm`, which it is packed from and read as."""

    __slots__ = ()

    prunes: ClassVar[bool] = True
    inner: ClassVar[type[Structure] | None] = Nm

    n: int
    m: int

    @classmethod
    @abstractmethod
    def from_nm(cls, s: Nm) -> Self:
        """The same positions; slots stay as they are, but for the padding of `@64`."""

    @abstractmethod
    def unpack(self, low: int, high: int, codes: Array) -> None:
        """Writes the codes of rows `low..high`; `low` is a multiple of `row_step`."""

    @property
    def groups(self) -> int:
        """Groups per row."""
        return -(-self.shape[1] // self.m)

    @classmethod
    def parse(cls, groups: dict[str, str]) -> Params:
        """N and M."""
        n, m = check_nm(int(groups["n"]), int(groups["m"]))
        return {"n": n, "m": m}

    def params(self) -> Params:
        """N and M."""
        return {"n": self.n, "m": self.m}

    @property
    def slots(self) -> int:
        """How many values are stored: N per group, zeros included."""
        return self.shape[0] * self.groups * self.n

    def slot_shape(self, bits: int) -> tuple[int, ...]:
        """(rows, groups * n)."""
        return self.shape[0], self.groups * self.n

    @classmethod
    def check_dtype(cls, dtype: Dtype) -> None:
        """Raises DtypeError for complex items, which nm does not hold."""
        Nm.check_dtype(dtype)

    @property
    def fills_with_zero(self) -> bool:  # type: ignore[override]
        """In groups with fewer nonzeros than N, and beyond the last column."""
        return True

    @property
    def reads_slots(self) -> bool:
        """Beyond the last column."""
        return self.shape[1] % self.m != 0

    @classmethod
    def inner_params(cls, params: Params) -> Params:
        """Those of N:M without alignment."""
        return {**params, "align": 1}

    @classmethod
    def wrapped(cls, s: Structure) -> Self:
        """From N:M."""
        assert isinstance(s, Nm)
        return cls.from_nm(s)

    def to_nm(self, low: int = 0, high: int | None = None) -> Nm:
        """Rows `low..high` with a code per group; slots stay as they are."""
        high = self.shape[0] if high is None else high
        codes = empty((high - low, -(-self.groups * width(self.n, self.m) // 8)), np.uint8, "codes")
        if codes.size:
            self.unpack(low, high, codes)
        return Nm(codes, self.n, self.m, (high - low, self.shape[1]), check=False)

    def packed_rows(self) -> NmRows:
        """With a code per group."""
        return self.to_nm().packed_rows()

    def slot_group(self, group: int) -> int | None:
        """N of every m, where groups of both kinds end together."""
        if group >= self.shape[1]:
            return max(self.groups * self.n, 1)
        return group // self.m * self.n if group % self.m == 0 else None

    def coords(self) -> tuple[Array, Array]:
        """Row and column of every slot; columns beyond the last are moved to it."""
        return self.to_nm().coords()

    @classmethod
    def encode(cls, w: Matrix, zero: int, params: Params) -> tuple[Self, Array]:
        """Stores the nonzero items, completed by zeros where a group has fewer than N.

        Raises:
            PatternError: a group has more than N nonzeros.
            DtypeError: w is complex.
        """
        made, slots = Nm.encode(w, zero, cls.inner_params(params))
        return cls.from_nm(made), slots

    @classmethod
    def encode_pruned(cls, w: Matrix, zero: int, params: Params, score: Array | None) -> tuple[Self, Array]:
        """`sparsefmt.prune.nm`, then `encode`, in one pass over `w`."""
        made, slots = Nm.encode_pruned(w, zero, cls.inner_params(params), score)
        return cls.from_nm(made), slots

    def decode(self, slots: Array, low: int, high: int, out: Array) -> None:
        """Zeroes `out` and puts the slots of rows `low..high` into it."""
        self.to_nm(low, high).decode(slots[low:high], 0, high - low, out)


def _same(s: Nm | PackedNm, params: Params) -> bool:
    return (s.n, s.m) == (params["n"], params["m"])


def add_edges(kind: type[PackedNm], cost: float) -> None:
    """Registers the conversions from and to nm, at `cost` bytes per slot, and from and to csr by way of it."""

    def from_nm(s: Nm, slots: Array, params: Params) -> tuple[Structure, Array]:
        if not _same(s, params):
            made, packed = csr_to_nm(*nm_to_csr(s, slots, {}), kind.inner_params(params))
            return kind.wrapped(made), packed
        return kind.from_nm(s), np.ascontiguousarray(s.body(slots))

    def to_nm(s: PackedNm, slots: Array, params: Params) -> tuple[Structure, Array]:
        made = s.to_nm()
        if not _same(s, params):
            return csr_to_nm(*nm_to_csr(made, slots, {}), params)
        if params["align"] == 1:
            return made, slots
        aligned, codes, items = Nm.allocate(s.shape, params, slots.dtype)
        for to, rows in ((codes, made.codes), (items, slots)):
            to[:, : rows.shape[1]] = rows
            to[:, rows.shape[1] :] = 0
        return aligned, items

    def from_csr(s: Csr, slots: Array, params: Params) -> tuple[Structure, Array]:
        made, packed = csr_to_nm(s, slots, kind.inner_params(params))
        return kind.wrapped(made), packed

    def to_csr(s: PackedNm, slots: Array, params: Params) -> tuple[Structure, Array]:
        return nm_to_csr(s.to_nm(), slots, params)

    EDGES[Nm.kind, kind.kind] = Edge(from_nm, cost)
    EDGES[kind.kind, Nm.kind] = Edge(to_nm, cost)
    EDGES[Csr.kind, kind.kind] = Edge(from_csr, 8 + cost, lines=(4, 0))
    EDGES[kind.kind, Csr.kind] = Edge(to_csr, 8 + cost, lines=(4, 0))
