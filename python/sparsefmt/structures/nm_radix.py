"""N of every M are kept, with the positions of several groups in one word of mixed radix."""

from dataclasses import InitVar, dataclass
from typing import ClassVar, Self

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.base.matrix import Matrix
from sparsefmt.base.packed_rows import NmRows
from sparsefmt.kernels import nm_radix as kernels
from sparsefmt.kernels.nm import width
from sparsefmt.structures.base import Params, Structure, Window, as_bytes
from sparsefmt.structures.csr import Csr
from sparsefmt.structures.edges import edge
from sparsefmt.structures.nm import Nm, check_nm, csr_to_nm, nm_to_csr


@dataclass(frozen=True, slots=True, eq=False)
class NmRadix(Structure):
    """N of M are kept, and what names the kept positions takes hardly more than log2 C(m, n) bits per group.

    `words` (rows, row bytes) uint8: `per` groups with the codes c0, c1, ... of `Nm` are the number
    c0 + c1 C + c2 C^2 + ..., C = C(m, n), in ceil(log2 C^per) bits, LSB first; the last word of a row holds the groups
    that are left; rows start on a byte. 2:4 takes 44 bits for 17 groups, 2.588 each; log2 6 = 2.585 is the bound, and
    plain codes take 3. Slots are those of `Nm`. Rows are read at random; groups are not.

    Four groups of 2:4 with the codes 1, 5, 0, 3, as the last word of a row:

        1 + 5 * 6 + 0 * 36 + 3 * 216 = 679, below 6^4 = 1296, in 11 bits
        words      byte 0 = 1010 0111 = 0xA7, byte 1 = 0000 0010 = 0x02
    """

    kind: ClassVar[str] = "nm_radix"
    since: ClassVar[int] = 2
    pattern: ClassVar[str] = r"(?:nm)?(?P<n>\d+):(?P<m>\d+)@radix"
    template: ClassVar[str] = "nm{N}:{M}@radix"
    example: ClassVar[str] = "nm2:4@radix"
    array_names: ClassVar[tuple[str, ...]] = ("words",)
    by_rows: ClassVar[bool] = True
    fixed_size: ClassVar[bool] = True
    prunes: ClassVar[bool] = True
    inner: ClassVar[type[Structure] | None] = Nm

    words: Array
    n: int
    m: int
    shape: tuple[int, int]
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        if check:
            self._check_shape()
            check_nm(self.n, self.m)
            object.__setattr__(self, "words", as_bytes("words", self.words, (self.shape[0], self._row_bytes)))
            self._check_words()
        self.freeze()

    def _check_words(self) -> None:
        code, row, at = kernels.nm_radix_check(self.words, self.n, self.m, self.groups, self.per)
        if code == kernels.WORD:
            held = min(self.per, self.groups - at * self.per)
            msg = f"words: row {row}, word {at} names no positions; want less than C({self.m}, {self.n})^{held}"
            raise FormatError(msg)
        if code == kernels.PADDING:
            msg = f"words: row {row}: the padding behind its last word is not zero"
            raise FormatError(msg)

    @property
    def groups(self) -> int:
        """Groups per row."""
        return -(-self.shape[1] // self.m)

    @property
    def per(self) -> int:
        """Groups per word."""
        return kernels.word_groups(self.n, self.m)

    @property
    def _row_bytes(self) -> int:
        return -(-kernels.row_bits(self.n, self.m, self.groups) // 8)

    @classmethod
    def parse(cls, groups: dict[str, str]) -> Params:
        """N and M."""
        n, m = check_nm(int(groups["n"]), int(groups["m"]))
        return {"n": n, "m": m}

    def params(self) -> Params:
        """N and M."""
        return {"n": self.n, "m": self.m}

    @property
    def text(self) -> str:
        """The canonical format text."""
        return f"nm{self.n}:{self.m}@radix"

    @property
    def slots(self) -> int:
        """How many values are stored: N per group, zeros included."""
        return self.shape[0] * self.groups * self.n

    def slot_shape(self, bits: int) -> tuple[int, ...]:
        """(rows, groups * n)."""
        return self.shape[0], self.groups * self.n

    @property
    def metadata_bits(self) -> int:
        """Bits of all words."""
        return self.shape[0] * kernels.row_bits(self.n, self.m, self.groups)

    @classmethod
    def examples(cls) -> tuple[str, ...]:
        """Words of one and of several machine words."""
        return "nm2:4@radix", "nm1:4@radix", "nm3:5@radix", "nm4:4@radix", "nm4:16@radix"

    @classmethod
    def check_dtype(cls, dtype: Dtype) -> None:
        """Raises DtypeError for complex items, which nm does not hold."""
        Nm.check_dtype(dtype)

    @property
    def fills_with_zero(self) -> bool:  # type: ignore[override]
        """In groups with fewer nonzeros than N, and beyond the last column."""
        return True

    @classmethod
    def inner_params(cls, params: Params) -> Params:
        """Those of N:M without alignment."""
        return {**params, "align": 1}

    @classmethod
    def wrapped(cls, s: Structure) -> Self:
        """From N:M."""
        assert isinstance(s, Nm)
        return cls.from_nm(s)

    @classmethod
    def from_nm(cls, s: Nm) -> Self:
        """The same positions; slots stay as they are, but for the padding of `@64`."""
        groups, per = s.groups, kernels.word_groups(s.n, s.m)
        words = empty((s.shape[0], -(-kernels.row_bits(s.n, s.m, groups) // 8)), np.uint8, "words")
        if words.size:
            kernels.nm_radix_pack(s.codes, s.n, s.m, groups, per, words)
        return cls(words, s.n, s.m, s.shape, check=False)

    def to_nm(self, low: int = 0, high: int | None = None) -> Nm:
        """Rows `low..high` with a code per group; slots stay as they are."""
        words = self.words[low:high]
        bits = self.groups * width(self.n, self.m)
        codes = empty((len(words), -(-bits // 8)), np.uint8, "codes")
        if codes.size:
            kernels.nm_radix_unpack(words, self.n, self.m, self.groups, self.per, codes)
        return Nm(codes, self.n, self.m, (len(words), self.shape[1]), check=False)

    def packed_rows(self) -> NmRows:
        """With a code per group."""
        return self.to_nm().packed_rows()

    def slot_group(self, group: int) -> int | None:
        """N of every m, where groups of both kinds end together."""
        if group >= self.shape[1]:
            return max(self.groups * self.n, 1)
        return group // self.m * self.n if group % self.m == 0 else None

    def window(self, low: int, high: int) -> Window:
        """Rows `low..high`."""
        part = NmRadix(self.words[low:high], self.n, self.m, (high - low, self.shape[1]), check=False)
        return Window(part, low, high, low, 0)

    def coords(self) -> tuple[Array, Array]:
        """Row and column of every slot; columns beyond the last are moved to it."""
        return self.to_nm().coords()

    @property
    def reads_slots(self) -> bool:  # type: ignore[override]
        """Beyond the last column."""
        return self.shape[1] % self.m != 0

    def check_slots(self, slots: Array | None) -> None:
        """Checks that slots beyond the last column are zero.

        Raises:
            FormatError: one is not.
        """
        if self.slots and self.shape[1] % self.m:
            self.to_nm().check_slots(slots)

    @classmethod
    def encode(cls, w: Matrix, zero: int, params: Params) -> tuple[Self, Array]:
        """Stores the nonzero items, completed by zeros where a group has fewer than N.

        Raises:
            PatternError: a group has more than N nonzeros.
            DtypeError: w is complex.
        """
        made, slots = Nm.encode(w, zero, cls.inner_params(params))
        return cls.from_nm(made), slots

    def decode(self, slots: Array, low: int, high: int, out: Array) -> None:
        """Zeroes `out` and puts the slots of rows `low..high` into it."""
        self.to_nm(low, high).decode(slots[low:high], 0, high - low, out)


def _same(s: Nm | NmRadix, params: Params) -> bool:
    return (s.n, s.m) == (params["n"], params["m"])


@edge(Nm, NmRadix, cost=1)
def nm_to_radix(s: Nm, slots: Array, params: Params) -> tuple[Structure, Array]:
    """Packs the codes into words; PatternError where another pattern cannot hold the nonzero slots of a group."""
    if not _same(s, params):
        return csr_to_radix(*nm_to_csr(s, slots, {}), params)
    return NmRadix.from_nm(s), np.ascontiguousarray(s.body(slots))


@edge(NmRadix, Nm, cost=1)
def radix_to_nm(s: NmRadix, slots: Array, params: Params) -> tuple[Structure, Array]:
    """Unpacks the words into codes; PatternError where another pattern cannot hold the nonzero slots of a group."""
    made = s.to_nm()
    if _same(s, params) and params["align"] == 1:
        return made, slots
    if not _same(s, params):
        return csr_to_nm(*nm_to_csr(made, slots, {}), params)
    aligned, codes, items = Nm.allocate(s.shape, params, slots.dtype)
    for to, rows in ((codes, made.codes), (items, slots)):
        to[:, : rows.shape[1]] = rows
        to[:, rows.shape[1] :] = 0
    return aligned, items


@edge(Csr, NmRadix, cost=9, lines=(4, 0))
def csr_to_radix(s: Csr, slots: Array, params: Params) -> tuple[Structure, Array]:
    """Packs the nonzero slots; PatternError where a group has too many."""
    made, packed = csr_to_nm(s, slots, NmRadix.inner_params(params))
    return NmRadix.wrapped(made), packed


@edge(NmRadix, Csr, cost=9, lines=(4, 0))
def radix_to_csr(s: NmRadix, slots: Array, params: Params) -> tuple[Structure, Array]:
    """Lists the nonzero slots."""
    return nm_to_csr(s.to_nm(), slots, params)
