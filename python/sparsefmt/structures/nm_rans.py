"""N of every M are kept, with the positions as a stream that takes hardly more than their entropy."""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from sparsefmt.base.alloc import empty, zeros
from sparsefmt.base.coerce import plain
from sparsefmt.base.dtypes import Array, index_dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.base.part import Form
from sparsefmt.kernels import nm_rans as kernels
from sparsefmt.structures.base import Window, as_bytes, as_index_pair, check_indices
from sparsefmt.structures.nm import Nm, check_nm
from sparsefmt.structures.nm_packed import PackedNm, add_edges
from sparsefmt.structures.nm_rans_tables import choose, entropy

_MOST_CLASSES = 256  # that a byte names
_SPARE = 64  # bytes of a block that are not counted in advance


@dataclass(frozen=True, slots=True, eq=False)
class NmRans(PackedNm):
    """N of M are kept, for archives: what names the kept positions takes as many bits as it tells.

    Where columns are often kept or often dropped, as by scores with the weight of activations, a group of 2:4 tells 1.4
    to 2.3 bits instead of the log2 6 = 2.585 of masks without any preference. `tables` (classes, contexts) uint8 say
    how often a position is kept after what was kept before in its group, `classes` (groups,) uint8 which columns of
    groups share a table; it is empty where each has its own. `stream` (bytes,) uint8 is the rANS stream of blocks of
    rows, `block_offsets` (blocks + 1,) where each begins; a block has as few multiples of four rows as have 65,536
    groups. Slots are those of `Nm`. Rows are read by the block; the stream is checked together with the slots.
    """

    kind: ClassVar[str] = "nm_rans"
    since: ClassVar[int] = 4
    pattern: ClassVar[str] = r"(?:nm)?(?P<n>\d+):(?P<m>\d+)@rans"
    template: ClassVar[str] = "nm{N}:{M}@rans"
    example: ClassVar[str] = "nm2:4@rans"
    array_names: ClassVar[tuple[str, ...]] = ("stream", "block_offsets", "classes", "tables")

    stream: Array
    block_offsets: Array
    classes: Array
    tables: Array
    n: int
    m: int
    shape: tuple[int, int]
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        if check:
            self._check_shape()
            check_nm(self.n, self.m)
            self._check_tables()
            self._check_offsets()
        self.freeze()

    def _check_tables(self) -> None:
        tables = self.tables
        contexts = {kernels.short_contexts(self.n, self.m)}
        if kernels.long_contexts(self.n, self.m) < kernels.MOST_MASKS:
            contexts.add(kernels.long_contexts(self.n, self.m))
        if not isinstance(tables, np.ndarray) or tables.ndim != 2 or tables.shape[1] not in contexts:
            got = tables.shape if isinstance(tables, np.ndarray) else type(tables).__name__
            msg = f"tables: want (classes, {' or '.join(map(str, sorted(contexts)))}), got {got}"
            raise FormatError(msg)
        object.__setattr__(self, "tables", as_bytes("tables", tables, (len(tables), tables.shape[1])))
        if tables.size and int((tables & 127).max()) > kernels.RAREST:
            row, at = (int(i) for i in np.argwhere((tables & 127) > kernels.RAREST)[0])
            msg = f"tables[{row}, {at}] = {int(tables[row, at])} is no frequency; want 0..{kernels.RAREST}, or 128 more"
            raise FormatError(msg)
        classes = self.classes
        if not isinstance(classes, np.ndarray) or classes.dtype != np.uint8 or classes.ndim != 1:
            got = f"{classes.dtype} of shape {classes.shape}" if isinstance(classes, np.ndarray) else type(classes)
            msg = f"classes: want 1-d uint8, got {got}"
            raise FormatError(msg)
        object.__setattr__(self, "classes", plain(classes, np.uint8))
        own = not len(classes) and len(tables) == self.groups and (tables.shape[1] > 0 or not self.groups)
        named = len(classes) == self.groups and int(classes.max(initial=0)) < len(tables) <= _MOST_CLASSES
        if not own and not named:
            msg = (
                f"classes: {len(classes)} up to {int(classes.max(initial=0))}; want one for each of {self.groups} "
                f"columns of groups, below {len(tables)} (at most {_MOST_CLASSES})"
            )
            raise FormatError(msg)

    def _check_offsets(self) -> None:
        stream, offsets = self.stream, self.block_offsets
        if not isinstance(stream, np.ndarray) or stream.dtype != np.uint8 or stream.ndim != 1:
            got = f"{stream.dtype} of shape {stream.shape}" if isinstance(stream, np.ndarray) else type(stream)
            msg = f"stream: want 1-d uint8, got {got}"
            raise FormatError(msg)
        object.__setattr__(self, "stream", plain(stream, np.uint8))
        check_indices(("block_offsets",), offsets)
        offsets = as_index_pair(offsets, offsets, ("block_offsets", "block_offsets"), *self.shape, len(stream))[0]
        object.__setattr__(self, "block_offsets", offsets)
        want = -(-self.shape[0] // self.row_step) + 1
        if len(offsets) != want or offsets[0] != 0 or offsets[-1] != len(stream) or (np.diff(offsets) < 0).any():
            msg = f"block_offsets: want {want} that rise from 0 to the {len(stream)} bytes of the stream"
            raise FormatError(msg)

    @property
    def row_step(self) -> int:  # type: ignore[override]
        """Rows of a block."""
        return kernels.block_height(self.groups)

    @classmethod
    def text_of(cls, params: Mapping[str, Any], forms: Mapping[str, Form]) -> str:
        """The canonical format text."""
        n, m = params["n"], params["m"]
        return f"nm{n:d}:{m:d}@rans"

    @classmethod
    def examples(cls) -> tuple[str, ...]:
        """Patterns with one or two kinds of contexts, and one that decides nothing."""
        return "nm2:4@rans", "nm1:4@rans", "nm3:5@rans", "nm4:4@rans", "nm4:16@rans"

    @classmethod
    def from_nm(cls, s: Nm) -> Self:
        """The same positions; slots stay as they are, but for the padding of `@64`."""
        (rows, cols), groups = s.shape, s.groups
        height = kernels.block_height(groups)
        lengths = zeros((-(-rows // height),), np.int64, "lengths")
        chosen = choose(s)
        room = chosen.bits // 8 + (chosen.bits >> 12) + _SPARE * len(lengths)
        while True:
            stream = empty(room, np.uint8, "stream")
            need = kernels.nm_rans_pack(
                s.codes, s.n, s.m, groups, height, chosen.classes, chosen.tables, lengths, stream
            )
            if need <= room:
                break
            room = need
        offsets = np.zeros(len(lengths) + 1, index_dtype(rows, cols, s.slots, need))
        np.cumsum(lengths, out=offsets[1:])
        kept = empty(need, np.uint8, "stream")
        kept[...] = stream[:need]
        return cls(kept, offsets, chosen.classes, chosen.tables, s.n, s.m, s.shape, check=False)

    def _model(self) -> tuple[int, int, int, int, Array, Array]:
        return self.n, self.m, self.groups, self.row_step, self.classes, self.tables

    def unpack(self, low: int, high: int, codes: Array) -> None:
        """Writes the codes of rows `low..high`; other rows of their blocks are decoded too."""
        step = self.row_step
        first, last = low // step, -(-high // step)
        start, stop = first * step, min(last * step, self.shape[0])
        whole = codes if (start, stop) == (low, high) else empty((stop - start, codes.shape[1]), np.uint8, "codes")
        offsets = self.block_offsets[first : last + 1].astype(np.int64)
        damaged = kernels.nm_rans_unpack(self.stream, offsets, *self._model(), whole)
        if damaged:
            raise FormatError(self._damaged(first + damaged - 1))
        if whole is not codes:
            codes[...] = whole[low - start : high - start]

    def _damaged(self, block: int) -> str:
        low = block * self.row_step
        return f"stream: the block of rows {low}..{min(low + self.row_step, self.shape[0]) - 1} is damaged"

    def window(self, low: int, high: int) -> Window:
        """Rows `low..high`; coded again where they are not whole blocks."""
        shape = (high - low, self.shape[1])
        if low % self.row_step or (high % self.row_step and high != self.shape[0]):
            return Window(NmRans.from_nm(self.to_nm(low, high)), low, high, low, 0)
        offsets = self.block_offsets[low // self.row_step : -(-high // self.row_step) + 1]
        stream = self.stream[int(offsets[0]) : int(offsets[-1])]
        part = NmRans(stream, offsets - offsets[0], self.classes, self.tables, self.n, self.m, shape, check=False)
        return Window(part, low, high, low, 0)

    def check_slots(self, slots: Array | None) -> None:
        """Checks the stream, and that slots beyond the last column are zero.

        Raises:
            FormatError: a block that is damaged, or a slot that is not zero.
        """
        if self.slots and self.shape[1] % self.m:
            self.to_nm().check_slots(slots)
        elif self.shape[0]:
            offsets = self.block_offsets.astype(np.int64)
            damaged = kernels.nm_rans_check(self.stream, offsets, self.shape[0], *self._model())
            if damaged:
                raise FormatError(self._damaged(damaged - 1))

    def entropy_bits(self) -> float | None:
        """Bits per group that the masks tell, given their column of groups; None for no groups."""
        return entropy(self.to_nm())


add_edges(NmRans, cost=2)
