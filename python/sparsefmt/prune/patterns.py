"""Patterns as projections: each chooses, for scores, the best mask that it allows."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError, PatternError
from sparsefmt.kernels.nm import nm_select
from sparsefmt.prune.largest import largest
from sparsefmt.prune.select import kept_count
from sparsefmt.structures.nm import check_nm, score_keys
from sparsefmt.structures.registry import STRUCTURES

_FREE = tuple(kind for kind, s in STRUCTURES.items() if s.keeps_slots)
"""Structures that hold any set of positions."""


class Pattern(ABC):
    """What a mask may look like.

    `mask` gives the allowed mask with the largest sum of scores, ties to the lower index; scores are >= 0.
    """

    text: str

    @property
    def span(self) -> int:
        """Columns that are chosen together: a choice for several of these at a time has the pattern too."""
        return 1

    @abstractmethod
    def mask(self, score: Array) -> Array:
        """(rows, cols) scores -> (rows, cols) bool.

        Raises:
            FormatError: NaN, or a shape that the pattern does not fit.
        """

    def check(self, mask: Array) -> None:
        """Raises PatternError unless the pattern allows `mask`; a mask that keeps fewer is allowed."""
        if (mask & ~self.mask(mask.astype(np.float64))).any():
            row, col = np.argwhere(mask & ~self.mask(mask.astype(np.float64)))[0]
            msg = f"mask: row {row}, column {col} is kept beyond what {self.text} allows"
            raise PatternError(msg)


@dataclass(frozen=True)
class Nm(Pattern):
    """N of every M consecutive columns."""

    n: int
    m: int

    def __post_init__(self) -> None:
        check_nm(self.n, self.m)

    @property
    def text(self) -> str:  # type: ignore[override]
        """nm2:4."""
        return f"nm{self.n}:{self.m}"

    @property
    def span(self) -> int:
        """A group."""
        return self.m

    def mask(self, score: Array) -> Array:
        """The n largest of every group."""
        keep = np.empty(score.shape, np.uint8)
        nm_select(np.ascontiguousarray(score_keys(score, 0)), self.n, self.m, keep)
        return keep.view(bool)


@dataclass(frozen=True)
class Free(Pattern):
    """Any `floor(density * size)` positions of the matrix, or of each row."""

    density: float
    by_row: bool = False

    def __post_init__(self) -> None:
        kept_count(self.density, 1)

    @property
    def text(self) -> str:  # type: ignore[override]
        """The density."""
        return f"density {self.density:g}{' of each row' if self.by_row else ''}"

    def mask(self, score: Array) -> Array:
        """The largest scores."""
        keys = score_keys(score, 0)
        lines = keys if self.by_row else keys.reshape(1, -1)
        return largest(lines, kept_count(self.density, lines.shape[1])).reshape(score.shape)


@dataclass(frozen=True)
class Blocks(Pattern):
    """Whole blocks: a share of all, or, with n and m, n of every m along each row of blocks."""

    rows: int
    cols: int
    density: float = 0.5
    n: int | None = None
    m: int | None = None

    def __post_init__(self) -> None:
        kept_count(self.density, 1)
        if self.rows < 1 or self.cols < 1:
            msg = f"block = ({self.rows}, {self.cols}); want 1 or more each"
            raise FormatError(msg)
        if self.n is not None:
            check_nm(self.n, self.m)

    @property
    def text(self) -> str:  # type: ignore[override]
        """bsr16x16."""
        return f"bsr{self.rows}x{self.cols}" + (f":{self.n}:{self.m}" if self.n is not None else "")

    @property
    def span(self) -> int:
        """A group."""
        return self.cols * (self.m or 1)

    def mask(self, score: Array) -> Array:
        """The blocks whose scores sum to most."""
        rows, cols = score.shape
        if np.isnan(score).any():
            score_keys(score, 0)
        sums = np.add.reduceat(score.astype(np.float64), np.arange(0, rows, self.rows), axis=0)
        sums = np.add.reduceat(sums, np.arange(0, cols, self.cols), axis=1)
        inner = Free(self.density) if self.n is None or self.m is None else Nm(self.n, self.m)
        keep = np.repeat(inner.mask(sums), self.rows, axis=0)[:rows]
        return np.repeat(keep, self.cols, axis=1)[:, :cols]


@dataclass(frozen=True)
class Vnm(Pattern):
    """V:N:M: V rows share the choice of 4 of every m columns, and each row keeps n of those 4.

    Source: Castro et al. 2023, VENOM, arXiv:2310.02065, section 3.
    """

    v: int
    n: int
    m: int

    def __post_init__(self) -> None:
        check_nm(self.n, 4)
        if self.v < 1 or self.m < 4:
            msg = f"V:N:M = {self.v}:{self.n}:{self.m}; want V >= 1, N in 1..4, M >= 4"
            raise FormatError(msg)

    @property
    def text(self) -> str:  # type: ignore[override]
        """v64:2:8."""
        return f"v{self.v}:{self.n}:{self.m}"

    @property
    def span(self) -> int:
        """A group."""
        return self.m

    def mask(self, score: Array) -> Array:
        """The four columns of every block whose best n per row sum to most, one at a time; then the best n of them."""
        rows, cols = score.shape
        score_keys(score, 0)
        down, across = -(-rows // self.v), -(-cols // self.m)
        full = np.full((down * self.v, across * self.m), -1.0)
        full[:rows, :cols] = score
        grid = full.reshape(down, self.v, across, self.m).transpose(0, 2, 1, 3)
        chosen = np.zeros((down, across, self.m), bool)
        best = np.zeros((down, across, self.v, self.n))  # the n best so far of every row, ascending
        for _ in range(4):
            gain = np.maximum(grid - best[..., :1], 0).sum(axis=2)
            gain[chosen] = -1
            pick = np.argmax(gain, axis=-1)
            np.put_along_axis(chosen, pick[..., None], True, axis=-1)
            new = np.take_along_axis(grid, pick[..., None, None].repeat(self.v, 2), axis=-1)
            best = np.sort(np.concatenate([np.maximum(new, 0), best], axis=-1), axis=-1)[..., 1:]
        inside = np.where(chosen[:, :, None], grid, -2.0)
        order = np.argsort(-inside, axis=-1, kind="stable")[..., : self.n]
        keep = np.zeros(grid.shape, bool)
        np.put_along_axis(keep, order, True, axis=-1)
        return np.asarray((keep & chosen[:, :, None]).transpose(0, 2, 1, 3).reshape(full.shape)[:rows, :cols])

    def check(self, mask: Array) -> None:
        """Raises PatternError where a block uses more than four columns, or a row of it more than n of them."""
        rows, cols = mask.shape
        full = np.zeros((-(-rows // self.v) * self.v, -(-cols // self.m) * self.m), bool)
        full[:rows, :cols] = mask
        grid = full.reshape(-1, self.v, full.shape[1] // self.m, self.m)
        bad = (grid.any(axis=1).sum(axis=-1) > 4) | (grid.sum(axis=-1) > self.n).any(axis=1)
        if bad.any():
            row, block = np.argwhere(bad)[0]
            msg = f"mask: rows from {row * self.v}, columns from {block * self.m} keep more than {self.text} allows"
            raise PatternError(msg)


@dataclass(frozen=True)
class Transposable(Pattern):
    """N of every M along rows and along columns alike."""

    n: int
    m: int

    def __post_init__(self) -> None:
        check_nm(self.n, self.m)

    @property
    def text(self) -> str:  # type: ignore[override]
        """t2:4."""
        return f"t{self.n}:{self.m}"

    @property
    def span(self) -> int:
        """A group."""
        return self.m

    def mask(self, score: Array) -> Array:
        """See `sparsefmt.prune.transposable`."""
        from sparsefmt.prune.transpose import blocks_mask  # here: that module takes patterns from this one

        return blocks_mask(score, self.n, self.m)

    def check(self, mask: Array) -> None:
        """Raises PatternError where a row or a column of a block keeps more than n."""
        for axis, lines in ((1, mask), (0, mask.T)):
            keep = np.zeros(lines.shape, np.uint8)
            nm_select(np.ascontiguousarray(lines.astype(np.uint64)), self.n, self.m, keep)
            if (lines & ~keep.view(bool)).any():
                line, at = np.argwhere(lines & ~keep.view(bool))[0]
                row, col = (line, at) if axis else (at, line)
                msg = f"mask: row {row}, column {col} is kept beyond what {self.text} allows"
                raise PatternError(msg)


@dataclass(frozen=True, eq=False)
class Given(Pattern):
    """A mask that is settled, by training for instance."""

    keep: Array
    text: str = "the given mask"

    def mask(self, score: Array) -> Array:
        """The given one."""
        if score.shape != self.keep.shape:
            msg = f"mask: want shape {score.shape}, got {self.keep.shape}"
            raise FormatError(msg)
        return self.keep


@dataclass(frozen=True, eq=False)
class Inside(Pattern):
    """A pattern within a wider mask, for nested masks: 1:4 inside 2:4 inside 3:4."""

    pattern: Pattern
    outer: Array

    @property
    def text(self) -> str:  # type: ignore[override]
        """That of the inner pattern."""
        return f"{self.pattern.text} inside a mask"

    def mask(self, score: Array) -> Array:
        """The inner pattern's choice among the positions of the outer mask."""
        if score.shape != self.outer.shape:
            msg = f"mask: want shape {score.shape}, got {self.outer.shape}"
            raise FormatError(msg)
        return self.pattern.mask(np.where(self.outer, score, -1.0)) & self.outer


def pattern_of(spec: object, *, density: float | None = None) -> Pattern:
    """The pattern that a text, a density, a mask or a pattern says.

    Texts: "nm2:4" or "2:4"; "bsr16x16" (a share of all blocks, `density`, default 0.5); "bsr16x16:2:4" (2 of every 4
    blocks of a row of blocks); "v64:2:8"; "t2:4" (transposable); "csr", "csc", "coo", "bitmask", "gap" (`density` of
    the whole matrix); "dense" (all).

    Raises:
        FormatError: none of these.
    """
    if isinstance(spec, Pattern):
        return spec
    if isinstance(spec, str):
        return _named(spec, 0.5 if density is None else density)
    a = np.asarray(spec)
    if a.dtype == bool and a.ndim:
        return Given(a.reshape(-1, a.shape[-1]))
    if not a.ndim and a.dtype.kind in "fiu":
        return Free(float(a))
    msg = f"pattern: want a text such as 'nm2:4' or 'bsr16x16', a density, or a bool mask, got {spec!r}"
    raise FormatError(msg)


def _named(text: str, density: float) -> Pattern:
    head = text.partition("/")[0].partition("@")[0]
    if head == "dense":
        return Free(1.0)
    if head in _FREE:
        return Free(density)
    found = re.fullmatch(r"(nm|t|v(?P<v>\d+):)?(?P<n>\d+):(?P<m>\d+)", head, re.ASCII)
    if found:
        n, m = int(found["n"]), int(found["m"])
        if found["v"] is not None:
            return Vnm(int(found["v"]), n, m)
        return Transposable(n, m) if found[1] == "t" else Nm(n, m)
    found = re.fullmatch(r"bsr(?P<r>\d+)x(?P<c>\d+)(:(?P<n>\d+):(?P<m>\d+))?", head, re.ASCII)
    if found:
        nm = (int(found["n"]), int(found["m"])) if found["n"] else (None, None)
        return Blocks(int(found["r"]), int(found["c"]), density, *nm)
    free = ", ".join(_FREE)
    msg = f"pattern {text!r} is unknown; have nmN:M, bsrRxC, bsrRxC:N:M, vV:N:M, tN:M, {free}, dense, or a number"
    raise FormatError(msg)
