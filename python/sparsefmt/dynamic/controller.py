"""How sparse each layer runs, from input to input."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sparsefmt.base.coerce import as_array, is_number, magnitudes, whole
from sparsefmt.base.dtypes import Array, items, native
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.nm import magnitude_keys
from sparsefmt.prune.largest import modulus
from sparsefmt.structures.nm import check_nm, score_keys


def _keys(a: Array) -> Array:
    """Unsigned integers that rank like the magnitude, exactly as `prune.nm` ranks it."""
    if a.dtype.kind == "c":
        return score_keys(modulus(a), 0)
    plain = np.ascontiguousarray(a, native(a.dtype))
    return magnitude_keys(items(plain), plain.dtype.name)


@dataclass(frozen=True)
class Levels:
    """A weight whose values are held by rank within their group, so that each N:M is a prefix of the next.

    `values` (rows, groups, m): the values of a group, the most important first; `columns` (rows, groups, m) uint8:
    where they belong. Level n reads the first n of both: 1:4 lies inside 2:4 inside 3:4 inside dense.
    """

    values: Array
    columns: Array
    m: int
    shape: tuple[int, int]

    @classmethod
    def of(cls, w: object, m: int = 4, *, score: object = None) -> "Levels":
        """Ranks the values of every group of m columns.

        Args:
            w: (rows, cols).
            m: 1..32.
            score: (rows, cols), larger is kept; default the magnitude. Ties: the lower column.

        Raises:
            FormatError: shapes that do not fit, NaN in the score.

        >>> Levels.of(np.array([[1.0, -4.0, 3.0, 2.0]])).at(2)
        array([[ 0., -4.,  3.,  0.]])
        """
        a = as_array(w)
        check_nm(1, m)
        rank_by = a if score is None else as_array(score, "score")
        if score is not None and rank_by.dtype.kind == "c":
            msg = f"score: {rank_by.dtype} has no order; give score=abs(w)"
            raise FormatError(msg)
        if a.ndim != 2 or rank_by.shape != a.shape:
            msg = f"w, score: want (rows, cols) of one shape, got {a.shape} and {rank_by.shape}"
            raise FormatError(msg)
        rows, cols = a.shape
        groups = -(-cols // m)
        keys, full = np.zeros((rows, groups * m), np.uint64), np.zeros((rows, groups * m), a.dtype)
        keys[:, :cols], full[:, :cols] = _keys(a) if score is None else score_keys(rank_by, 0), a
        order = np.argsort(~keys.reshape(rows, groups, m), axis=-1, kind="stable")
        values = np.take_along_axis(full.reshape(rows, groups, m), order, axis=-1)
        return cls(values, order.astype(np.uint8), m, (rows, cols))

    def at(self, n: int) -> Array:
        """The weight at n of every m, dense.

        Raises:
            FormatError: n out of 0..m.
        """
        n = whole(n, "n", 0, self.m)
        rows, groups, _ = self.values.shape
        out = np.zeros(self.values.shape, self.values.dtype)
        np.put_along_axis(out, self.columns[..., :n].astype(np.int64), self.values[..., :n], axis=-1)
        return np.asarray(out.reshape(rows, groups * self.m)[:, : self.shape[1]])

    def lost(self, n: int) -> float:
        """The share of the squared magnitude that level n leaves out.

        Raises:
            FormatError: n out of 0..m.
        """
        n = whole(n, "n", 0, self.m)
        squares = np.square(magnitudes(self.values)).sum(axis=(0, 1))
        total = float(squares.sum())
        return float(squares[n:].sum()) / total if total else 0.0


def importance(x: object) -> float:
    """How much a layer has to say for an input: the root mean square of its activations, (..., cols).

    >>> importance(np.array([[3.0, 4.0]]))
    3.5355339059327378
    """
    a = magnitudes(as_array(x, "x"))
    most = float(a.max(initial=0.0))
    if not 0 < most < np.inf:
        return most
    if 1e-150 < most < 1e150:
        return float(np.sqrt(np.square(a).mean()))
    return float(np.sqrt(np.square(a / most).mean())) * most  # squares of these are beyond float64


class Controller:
    """Chooses a level for every layer from the importance of its input.

    Args:
        levels: from the sparsest to the densest, e.g. ("1:4", "2:4", "3:4", "4:4").
        thresholds: one fewer, ascending: importance at or above thresholds[i] wants at least levels[i + 1].
        hysteresis: a layer goes down only when the importance is below the threshold by this share, so that inputs that
            alternate around it switch nothing.
        errors: layer -> the estimated error of the outputs at each level (not rising); with `budget`.
        budget: the most that the errors of all layers may sum to; where they would, the layers that win most are kept
            denser: an accuracy guard.
        batch: switches are made only at every `batch`-th call of `step`.

    Raises:
        FormatError: numbers that do not fit together.

    >>> c = Controller(("2:4", "4:4"), [1.0], hysteresis=0.2)
    >>> [c.step({"up": v})["up"] for v in (0.5, 1.1, 0.9, 1.1, 0.7)]
    ['2:4', '4:4', '4:4', '4:4', '2:4']
    """

    def __init__(
        self,
        levels: Sequence[str],
        thresholds: Sequence[float],
        *,
        hysteresis: float = 0.1,
        errors: Mapping[str, Sequence[float]] | None = None,
        budget: float | None = None,
        batch: int = 1,
    ) -> None:
        for name, given in (("hysteresis", hysteresis), ("budget", 0 if budget is None else budget)):
            if not is_number(given):
                msg = f"{name} = {given!r}; want a number"
                raise FormatError(msg)
        if not all(is_number(t) for t in thresholds):
            msg = f"thresholds: want ascending finite numbers, got {list(thresholds)}"
            raise FormatError(msg)
        batch = whole(batch, "batch", 1, 2**31 - 1)
        self.levels, self.thresholds = list(levels), [float(t) for t in thresholds]
        if len(self.levels) < 1 or len(set(self.levels)) < len(self.levels) or len(thresholds) != len(levels) - 1:
            msg = f"want different levels and one threshold fewer, got {len(self.levels)} and {len(self.thresholds)}"
            raise FormatError(msg)
        if not np.isfinite(self.thresholds).all() or any(b <= a for a, b in itertools.pairwise(thresholds)):
            msg = f"thresholds: want ascending finite numbers, got {self.thresholds}"
            raise FormatError(msg)
        if not 0 <= hysteresis < 1 or (budget is None) is not (errors is None):
            msg = "want hysteresis in 0..1, and errors and budget together"
            raise FormatError(msg)
        self.hysteresis, self.batch, self.budget = float(hysteresis), batch, budget
        self.errors = {name: [float(e) for e in row] for name, row in (errors or {}).items()}
        for name, row in self.errors.items():
            falling = np.isfinite(row).all() and not any(b > a for a, b in itertools.pairwise(row))
            if len(row) != len(self.levels) or not falling:
                msg = f"errors of {name!r}: want one finite number per level, not rising, got {row}"
                raise FormatError(msg)
        if budget is not None and not np.isfinite(budget):
            msg = f"budget = {budget}; want a finite number"
            raise FormatError(msg)
        if budget is not None and sum(row[-1] for row in self.errors.values()) > budget:
            least = sum(row[-1] for row in self.errors.values())
            msg = f"a budget of {budget} cannot be met; at the densest level the errors sum to {least:g}"
            raise FormatError(msg)
        self._now: dict[str, int] = {}
        self._calls = self.switches = 0

    def step(self, importance: Mapping[str, float]) -> dict[str, str]:
        """Takes the importance of layers in, and gives the level of every layer seen so far.

        Raises:
            FormatError: an importance that is not finite, or a layer without errors where there is a budget.
        """
        given: object = importance
        if not isinstance(given, Mapping):
            msg = f"importance: want a number by layer, got {type(given).__name__}"
            raise FormatError(msg)
        before = dict(self._now)
        wanted = dict(before)
        for name, value in importance.items():
            if not is_number(value) or not np.isfinite(value):
                msg = f"the importance of {name!r} is {value}; want a finite number"
                raise FormatError(msg)
            if self.budget is not None and name not in self.errors:
                msg = f"no errors are known for {name!r}"
                raise FormatError(msg)
            wanted[name] = self._level(self._now.get(name), float(value))
        due = self._calls % self.batch == 0
        self._calls += 1
        for name in wanted if due else [n for n in wanted if n not in self._now]:
            self._now[name] = wanted[name]
        self._guard()
        self.switches += sum(self._now[name] != level for name, level in before.items())
        return {name: self.levels[i] for name, i in self._now.items()}

    def _level(self, now: int | None, value: float) -> int:
        up = sum(value >= t for t in self.thresholds)
        if now is None or up >= now:
            return up
        return min(sum(value >= t * (1 - self.hysteresis) if t > 0 else value >= t for t in self.thresholds), now)

    def _guard(self) -> None:
        """Makes layers denser, the one with the largest gain first, until the errors fit the budget."""
        if self.budget is None:
            return
        while sum(self.errors[name][i] for name, i in self._now.items()) > self.budget:
            gains = {
                name: self.errors[name][i] - self.errors[name][i + 1]
                for name, i in self._now.items()
                if i + 1 < len(self.levels)
            }
            if not gains:
                return
            name = max(sorted(gains), key=lambda k: gains[k])
            self._now[name] += 1


def masks_of(levels: Levels, n: int) -> Array:
    """The mask of level n, (rows, cols) bool."""
    keep = np.zeros(levels.values.shape, bool)
    np.put_along_axis(keep, levels.columns[..., :n].astype(np.int64), True, axis=-1)
    return keep.reshape(levels.shape[0], -1)[:, : levels.shape[1]]
