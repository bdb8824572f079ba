"""N of every M are kept, with the positions of several groups in one word of mixed radix."""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array, name_of
from sparsefmt.base.errors import FormatError
from sparsefmt.base.matrix import Matrix
from sparsefmt.base.part import Form
from sparsefmt.kernels import nm_radix as kernels
from sparsefmt.kernels.nm import Report
from sparsefmt.structures.base import Params, Window, as_bytes
from sparsefmt.structures.nm import Nm, check_nm, pack_blocks, prune_blocks
from sparsefmt.structures.nm_packed import PackedNm, add_edges


@dataclass(frozen=True, slots=True, eq=False)
class NmRadix(PackedNm):
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
    def per(self) -> int:
        """Groups per word."""
        return kernels.word_groups(self.n, self.m)

    @property
    def _row_bytes(self) -> int:
        return -(-kernels.row_bits(self.n, self.m, self.groups) // 8)

    @classmethod
    def text_of(cls, params: Mapping[str, Any], forms: Mapping[str, Form]) -> str:
        """The canonical format text."""
        n, m = params["n"], params["m"]
        return f"nm{n:d}:{m:d}@radix"

    @property
    def metadata_bits(self) -> int:
        """Bits of all words."""
        return self.shape[0] * kernels.row_bits(self.n, self.m, self.groups)

    @classmethod
    def examples(cls) -> tuple[str, ...]:
        """Words of one and of several machine words."""
        return "nm2:4@radix", "nm1:4@radix", "nm3:5@radix", "nm4:4@radix", "nm4:16@radix"

    @classmethod
    def from_nm(cls, s: Nm) -> Self:
        """The same positions; slots stay as they are, but for the padding of `@64`."""
        made, words = cls._allocate(s.shape, s.n, s.m)
        if words.size:
            kernels.nm_radix_pack(s.codes, s.n, s.m, s.groups, made.per, words)
        return made

    @classmethod
    def _allocate(cls, shape: tuple[int, int], n: int, m: int) -> tuple[Self, Array]:
        """An unchecked structure, and its writable words, to be filled."""
        words = empty((shape[0], -(-kernels.row_bits(n, m, -(-shape[1] // m)) // 8)), np.uint8, "words")
        return cls(words, n, m, shape, check=False), words

    @classmethod
    def encode(cls, w: Matrix, zero: int, params: Params) -> tuple[Self, Array]:
        """Stores the nonzero items, completed by zeros where a group has fewer than N.

        Raises:
            PatternError: a group has more than N nonzeros.
            DtypeError: w is complex.
        """
        made, words, slots = cls._rooms(w, params)
        n, m, per = made.n, made.m, made.per

        def pack(low: int, high: int, block: Array) -> Report:
            return kernels.nm_radix_encode(block, zero, n, m, per, words[low:high], slots[low:high])

        pack_blocks(w, zero, n, m, pack)
        return made, slots

    @classmethod
    def encode_pruned(cls, w: Matrix, zero: int, params: Params, score: Array | None) -> tuple[Self, Array]:
        """`sparsefmt.prune.nm`, then `encode`, in one pass over `w`."""
        made, words, slots = cls._rooms(w, params)
        n, m, per, order = made.n, made.m, made.per, name_of(w.dtype)

        def pack(low: int, high: int, block: Array, ranked: bool) -> None:
            if ranked:
                kernels.nm_radix_encode(block, zero, n, m, per, words[low:high], slots[low:high])
            else:
                kernels.nm_radix_prune_encode(block, zero, order, n, m, per, words[low:high], slots[low:high])

        prune_blocks(w, n, m, score, pack)
        return made, slots

    @classmethod
    def _rooms(cls, w: Matrix, params: Params) -> tuple[Self, Array, Array]:
        """As `_allocate`, and room for the slots of `w`."""
        cls.check_dtype(w.dtype)
        made, words = cls._allocate(w.shape, params["n"], params["m"])
        return made, words, empty(made.slot_shape(8 * w.item_dtype.itemsize), w.item_dtype, "values")

    def decode(self, slots: Array, low: int, high: int, out: Array) -> None:
        """Zeroes `out` and puts the slots of rows `low..high` into it."""
        kernels.nm_radix_decode(self.words[low:high], slots[low:high], self.n, self.m, self.per, out)

    def unpack(self, low: int, high: int, codes: Array) -> None:
        """Writes the codes of rows `low..high`."""
        kernels.nm_radix_unpack(self.words[low:high], self.n, self.m, self.groups, self.per, codes)

    def window(self, low: int, high: int) -> Window:
        """Rows `low..high`."""
        part = NmRadix(self.words[low:high], self.n, self.m, (high - low, self.shape[1]), check=False)
        return Window(part, low, high, low, 0)

    def check_slots(self, slots: Array | None) -> None:
        """Checks that slots beyond the last column are zero.

        Raises:
            FormatError: one is not.
        """
        if self.slots and self.shape[1] % self.m:
            self.to_nm().check_slots(slots)


add_edges(NmRadix, cost=1)
