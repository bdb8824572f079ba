"""N of every M are kept."""

from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass
from math import comb
from typing import Any, ClassVar, Self

import numpy as np

from sparsefmt.base.alloc import counted, empty, spread, zeros
from sparsefmt.base.coerce import whole
from sparsefmt.base.dtypes import Array, Dtype, index_dtype, name_of, zero_mask
from sparsefmt.base.errors import DtypeError, FormatError, PatternError
from sparsefmt.base.matrix import Matrix
from sparsefmt.base.packed_rows import NmRows
from sparsefmt.base.part import Form
from sparsefmt.kernels import nm as kernels
from sparsefmt.kernels.csr import count_nonzero
from sparsefmt.kernels.equal import nm_equal
from sparsefmt.structures.base import Params, Structure, Window, alignment, as_bytes
from sparsefmt.structures.csr import Csr, offsets
from sparsefmt.structures.edges import edge


def check_nm(n: object, m: object) -> tuple[int, int]:
    """N and M as integers.

    Raises:
        FormatError: not 1 <= N <= M <= 32.
    """
    m = whole(m, "M", 1, 32)
    return whole(n, "N", 1, m), m


def over_full(report: kernels.Report, n: int, m: int, shape: tuple[int, int], note: str = "") -> PatternError:
    """The error for groups with too many nonzeros: (how many groups, row, group and count of the first)."""
    over, row, group, count = report
    groups = shape[0] * -(-shape[1] // m)
    last = min((group + 1) * m, shape[1]) - 1
    return PatternError(
        f"row {row}, columns {group * m}..{last} hold {count} nonzeros; nm{n}:{m} keeps {n} "
        f"({over} of {groups} groups are over); prune first: sf.prune.nm(w, {n}, {m}){note}"
    )


@dataclass(frozen=True, slots=True, eq=False)
class Nm(Structure):
    """N of M are kept: every run of `m` columns holds exactly `n` slots, at most `n` of them nonzero.

    `codes` (rows, row bytes) uint8: a code of ceil(log2 C(m, n)) bits per group, LSB first, rows start on a byte.
    The code is the rank of the group's mask among all masks with n bits, in ascending integer order, bit i =
    position i. For 2:4: {0,1}=0 {0,2}=1 {1,2}=2 {0,3}=3 {1,3}=4 {2,3}=5. Slots are (rows, groups * n), a group's
    slots side by side, columns ascending; `@64` pads the rows of codes and slots to multiples of 64 bytes.
    The codes are checked together with the slots, in one pass, by `check_slots`.

    Two groups of 2:4 and their codes, 3 bits each, side by side from the lowest bit up:

        columns    0   1   2   3  |  4   5   6   7
        row        a   .   b   .  |  .   .   .   c
        mask       1   0   1   0  |  0   0   1   1     the free column 6 is filled with +0
        code       {0,2} = 1      |  {2,3} = 5
        codes      byte 0 = 00 101 001 = 0x29
        slots      a   b   0   c
    """

    kind: ClassVar[str] = "nm"
    pattern: ClassVar[str] = r"(?:nm)?(?P<n>\d+):(?P<m>\d+)(?:@(?P<align>\d+))?"
    template: ClassVar[str] = "nm{N}:{M}[@64]"
    example: ClassVar[str] = "nm2:4"
    array_names: ClassVar[tuple[str, ...]] = ("codes",)
    by_rows: ClassVar[bool] = True
    fixed_size: ClassVar[bool] = True
    prunes: ClassVar[bool] = True

    codes: Array
    n: int
    m: int
    shape: tuple[int, int]
    align: int = 1
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        if check:
            self._check_shape()
            check_nm(self.n, self.m)
            alignment(self.align)
            object.__setattr__(self, "codes", as_bytes("codes", self.codes, (self.shape[0], self._row_bytes)))
        self.freeze()

    @property
    def groups(self) -> int:
        """Groups per row."""
        return -(-self.shape[1] // self.m)

    @property
    def bits(self) -> int:
        """Bits per code."""
        return kernels.width(self.n, self.m)

    @property
    def _row_bytes(self) -> int:
        return -(-self.groups * self.bits // (8 * self.align)) * self.align

    @classmethod
    def parse(cls, groups: dict[str, str]) -> Params:
        """N, M and the alignment."""
        n, m = check_nm(int(groups["n"]), int(groups["m"]))
        return {"n": n, "m": m, "align": alignment(int(groups.get("align", 1)))}

    def params(self) -> Params:
        """N, M and the alignment."""
        return {"n": self.n, "m": self.m, "align": self.align}

    @classmethod
    def text_of(cls, params: Mapping[str, Any], forms: Mapping[str, Form]) -> str:
        """The canonical format text."""
        n, m, align = params["n"], params["m"], params["align"]
        return f"nm{n:d}:{m:d}" + ("" if align == 1 else f"@{align:d}")

    @property
    def slots(self) -> int:
        """How many values are stored: N per group, zeros included, padding of rows not."""
        return self.shape[0] * self.groups * self.n

    def slot_shape(self, bits: int) -> tuple[int, ...]:
        """(rows, groups * n), rows padded to 64 bytes under `@64`."""
        per = 1 if self.align == 1 else max(8 * self.align // bits, 1)
        return self.shape[0], -(-self.groups * self.n // per) * per

    @property
    def metadata_bits(self) -> int:
        """Bits of all codes."""
        return self.shape[0] * self.groups * self.bits

    @property
    def padded(self) -> bool:
        """Whether the rows of slots are padded."""
        return self.align > 1

    @classmethod
    def examples(cls) -> tuple[str, ...]:
        """Patterns with codes of several widths, and aligned rows."""
        return "nm2:4", "nm2:4@64", "nm1:4", "nm3:5", "nm4:8", "nm4:4", "nm8:16@64"

    @classmethod
    def check_dtype(cls, dtype: Dtype) -> None:
        """Raises DtypeError for complex items, which nm does not hold."""
        if dtype.kind == "c":
            msg = f"nm does not hold {dtype}; use csr, bsr, bitmask or coo"
            raise DtypeError(msg)

    @property
    def fills_with_zero(self) -> bool:  # type: ignore[override]
        """In groups with fewer nonzeros than N, and beyond the last column."""
        return True

    @property
    def reads_slots(self) -> bool:
        """Beyond the last column, and behind the last slot of a row."""
        return self.padded or self.shape[1] % self.m != 0

    def packed_rows(self) -> NmRows:
        """As they are."""
        return NmRows(self.codes, self.n, self.m)

    def body(self, slots: Array) -> Array:
        """`slots` without the padding of rows."""
        return slots[:, : self.groups * self.n]

    def slot_group(self, group: int) -> int | None:
        """N of every m, where groups of both kinds end together."""
        if group >= self.shape[1]:
            return max(self.groups * self.n, 1)
        return group // self.m * self.n if group % self.m == 0 else None

    def window(self, low: int, high: int) -> Window:
        """Rows `low..high`."""
        part = Nm(self.codes[low:high], self.n, self.m, (high - low, self.shape[1]), self.align, check=False)
        return Window(part, low, high, low, 0)

    def coords(self) -> tuple[Array, Array]:
        """Row and column of every slot; columns beyond the last are moved to it."""
        rows, cols = self.shape
        col = kernels.decoded_positions(self.codes, self.n, self.m, self.groups)
        return spread(counted(rows)[:, None], col.shape, "rows of slots"), np.minimum(col, max(cols - 1, 0))

    def check_slots(self, slots: Array | None) -> None:
        """Checks every code, and that slots beyond the last column and the padding of rows are zero.

        Raises:
            FormatError: one is not.
        """
        looked = np.empty((self.shape[0], 0), np.uint8) if slots is None else slots
        if self.slots:
            self._raise(kernels.nm_check(self.codes, looked, self.n, self.m, self.shape[1]))

    def _raise(self, found: tuple[int, int, int, int]) -> None:
        code, row, at, got = found
        if code == kernels.CODE:
            msg = f"codes: row {row}, group {at} holds {got}, allowed 0..{comb(self.m, self.n) - 1}"
            raise FormatError(msg)
        if code == kernels.PADDING:
            msg = f"row {row}: the padding behind its last group is not zero"
            raise FormatError(msg)
        if code == kernels.BEYOND:
            msg = f"row {row}, slot {at}: a nonzero value beyond the last column, {self.shape[1] - 1}"
            raise FormatError(msg)

    @classmethod
    def allocate(
        cls, shape: tuple[int, int], params: Params, items: np.dtype, *, slots: bool = True
    ) -> tuple[Self, Array, Array]:
        """An unchecked structure, and its writable codes and slots (without `slots`: none), to be filled."""
        draft = cls(np.empty((0, 0), np.uint8), **params, shape=shape, check=False)
        codes = empty((shape[0], draft._row_bytes), np.uint8, "codes")
        room = empty(draft.slot_shape(8 * items.itemsize) if slots else (0, 0), items, "values")
        return cls(codes, **params, shape=shape, check=False), codes, room

    @classmethod
    def encode(cls, w: Matrix, zero: int, params: Params) -> tuple[Self, Array]:
        """Stores the nonzero items, completed by zeros where a group has fewer than N.

        Raises:
            PatternError: a group has more than N nonzeros.
            DtypeError: w is complex.
        """
        cls.check_dtype(w.dtype)
        n, m = params["n"], params["m"]
        made, codes, slots = cls.allocate(w.shape, params, w.item_dtype)

        def pack(low: int, high: int, block: Array) -> kernels.Report:
            return kernels.nm_encode(block, zero, n, m, codes[low:high], slots[low:high])

        pack_blocks(w, zero, n, m, pack)
        return made, slots

    @classmethod
    def encode_pruned(cls, w: Matrix, zero: int, params: Params, score: Array | None) -> tuple[Self, Array]:
        """`sparsefmt.prune.nm`, then `encode`, in one pass over `w`."""
        cls.check_dtype(w.dtype)
        n, m = params["n"], params["m"]
        made, codes, slots = cls.allocate(w.shape, params, w.item_dtype)

        def pack(low: int, high: int, block: Array, ranked: bool) -> None:
            if ranked:
                kernels.nm_encode(block, zero, n, m, codes[low:high], slots[low:high])
            else:
                kernels.nm_prune_encode(block, zero, name_of(w.dtype), n, m, codes[low:high], slots[low:high])

        prune_blocks(w, n, m, score, pack)
        return made, slots

    @classmethod
    def pack_block(
        cls,
        block: Array,
        dtype: Dtype,
        zero: int,
        params: Params,
        codes: Array,
        slots: Array,
        prune: bool,
        score: Array | None,
        first_row: int,
    ) -> None:
        """Packs some rows into codes and slots that are at hand; `prune` and `score` as in `encode_pruned`.

        Raises:
            PatternError: a group has more than N nonzeros; rows are counted from the first of the block.
        """
        n, m = params["n"], params["m"]
        if prune and score is None:
            kernels.nm_prune_encode(block, zero, name_of(dtype), n, m, codes, slots)
            return
        if score is not None:
            block = prune_block(block, score, n, m, first_row)
        report = kernels.nm_encode(block, zero, n, m, codes, slots)
        if report[0]:
            raise over_full(report, n, m, block.shape)

    def decode(self, slots: Array, low: int, high: int, out: Array) -> None:
        """Zeroes `out` and puts the slots of rows `low..high` in their places."""
        kernels.nm_decode(self.codes[low:high], slots[low:high], self.n, self.m, out)

    def equals(self, slots: Array, low: int, high: int, want: Array) -> bool:
        """Compared in the caches, without a dense copy."""
        return nm_equal(self.codes[low:high], slots[low:high], self.n, self.m, want)


def pack_blocks(w: Matrix, zero: int, n: int, m: int, pack: Callable[[int, int, Array], kernels.Report]) -> None:
    """Calls `pack` with the rows of every block of `w`, low and high, and the block.

    Raises:
        PatternError: groups have more than N nonzeros, as `pack` reports.
    """
    first, over = None, 0
    for low, high, block in w.row_blocks():
        report = pack(low, high, block)
        over += report[0]
        if report[0] and first is None:
            first = (low + report[1], report[2], report[3])
    if first is not None:
        raise over_full((over, *first), n, m, w.shape, _negative_zeros(w, zero))


def prune_blocks(w: Matrix, n: int, m: int, score: Array | None, pack: Callable[[int, int, Array, bool], None]) -> None:
    """Calls `pack` with the rows of every block of `w`, low and high, the block, and whether a score has pruned it."""
    for low, high, block in w.row_blocks():
        if score is None:
            pack(low, high, block, False)
            continue
        for start, end in ranges(low, high, w.shape[1]):
            pack(start, end, prune_block(block[start - low : end - low], score[start:end], n, m, start), True)


def _negative_zeros(w: Matrix, zero: int) -> str:
    """What to add to a PatternError if negative zeros were counted as values."""
    value = zero_mask(w.dtype, "value")
    if zero == value:
        return ""
    count = sum(count_nonzero(b.reshape(-1), zero) - count_nonzero(b.reshape(-1), value) for _, _, b in w.row_blocks())
    return f'; {count} values are -0.0, which zero="bits" stores and zero="value" does not' if count else ""


def ranges(low: int, high: int, cols: int) -> list[tuple[int, int]]:
    """Cuts `low..high` so that the sort keys of a part take about a megabyte."""
    step = max((1 << 17) // max(cols, 1), 1)
    return [(start, min(start + step, high)) for start in range(low, high, step)]


def score_keys(score: Array, first_row: int) -> Array:
    """uint64 keys that rank like `score` (rows, cols): larger first; -0.0 equals 0.0.

    Raises:
        FormatError: a NaN.
    """
    if score.dtype.kind in "bu":
        return score.astype(np.uint64)
    if score.dtype.kind == "i":
        return (score.astype(np.int64) ^ np.iinfo(np.int64).min).view(np.uint64)
    real = score.astype(np.float64) + 0.0
    if np.isnan(real).any():
        row, col = np.argwhere(np.isnan(real))[0]
        msg = f"score: NaN at row {first_row + int(row)}, column {int(col)}"
        raise FormatError(msg)
    bits = real.view(np.int64)
    return (bits ^ ((bits >> 63) | np.iinfo(np.int64).min)).view(np.uint64)


def prune_block(items: Array, score: Array, n: int, m: int, first_row: int) -> Array:
    """A copy of `items` (rows, cols) with zero where the score is not among the n largest of its group."""
    keep = empty(items.shape, np.uint8, "a block of choices")
    kernels.nm_select(np.ascontiguousarray(score_keys(score, first_row)), n, m, keep)
    return np.where(keep.view(bool), items, np.zeros(1, items.dtype))


@edge(Csr, Nm, cost=8, lines=(4, 0))
def csr_to_nm(s: Csr, slots: Array, params: Params) -> tuple[Nm, Array]:
    """Packs the nonzero slots; PatternError where a group has too many."""
    n, m = params["n"], params["m"]
    made, codes, packed = Nm.allocate(s.shape, params, slots.dtype)
    if packed.size:
        report = kernels.csr_to_nm(s.indptr, s.indices, slots, n, m, s.shape[1], codes, packed)
        if report[0]:
            raise over_full(report, n, m, s.shape)
    return made, packed


@edge(Nm, Csr, cost=8, lines=(4, 0))
def nm_to_csr(s: Nm, slots: Array, params: Params) -> tuple[Csr, Array]:
    """Lists the nonzero slots."""
    counts = zeros(s.shape[0] + 1, index_dtype(*s.shape, s.slots), "indptr")
    if s.slots:
        kernels.nm_row_counts(s.codes, slots, s.n, s.m, s.shape[1], counts[1:])
    indptr, total = offsets(counts, *s.shape)
    indices, kept = empty(total, indptr.dtype, "indices"), empty(total, slots.dtype, "values")
    if total:
        kernels.nm_to_csr(s.codes, slots, s.n, s.m, s.shape[1], indptr, indices, kept)
    return Csr(indptr, indices, s.shape, check=False), kept
