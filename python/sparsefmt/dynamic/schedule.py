"""How the density falls while a model trains."""

import math
import numbers
from dataclasses import dataclass
from typing import Literal

from sparsefmt.base.coerce import as_array, is_number
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.prune.select import magnitude

Kind = Literal["linear", "cubic", "cosine"]


@dataclass(frozen=True)
class Schedule:
    """Density over steps: `initial` up to `start`, then down to `final` at `end`, changed every `every` steps.

    Args:
        final: the density at the end, 0..1.
        start: the step at which it begins to change.
        end: the step from which on it is final.
        every: steps between changes.
        initial: the density before.
        kind: "linear"; "cubic": fast first, `final + (initial - final) (1 - t)**3`; "cosine": slow at both ends.
        freeze: the step from which on masks stay as they are; default `end`.

    Raises:
        FormatError: a density outside 0..1, an end before the start, a freeze before the end, steps below 0.

    Source: Zhu and Gupta 2017, arXiv:1710.01878, equation 1 (cubic).

    >>> s = Schedule(0.5, start=100, end=300)
    >>> [round(s.density(step), 4) for step in (0, 100, 200, 300, 999)]
    [1.0, 1.0, 0.5625, 0.5, 0.5]
    """

    final: float
    start: int = 0
    end: int = 1000
    every: int = 1
    initial: float = 1.0
    kind: Kind = "cubic"
    freeze: int | None = None

    def __post_init__(self) -> None:
        for name in ("initial", "final"):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value <= 1:
                msg = f"{name} = {value!r}; want a density in 0..1"
                raise FormatError(msg)
        for name in ("start", "end", "every", "freeze"):
            value = getattr(self, name)
            if value is None and name == "freeze":
                continue
            steps = isinstance(value, numbers.Integral) and not isinstance(value, bool)
            if not steps or value < (1 if name == "every" else 0):
                msg = f"{name} = {value!r}; want a whole number of steps"
                raise FormatError(msg)
        if self.end < self.start:
            msg = f"the schedule ends at step {self.end}, before it starts at step {self.start}"
            raise FormatError(msg)
        if self.freeze is not None and self.freeze < self.end:
            msg = f"masks would freeze at step {self.freeze}, before the density is final at step {self.end}"
            raise FormatError(msg)
        if self.kind not in ("linear", "cubic", "cosine"):
            msg = f"kind = {self.kind!r}; have linear, cubic, cosine"
            raise FormatError(msg)

    def density(self, step: int) -> float:
        """The density at a step; it changes at `start`, `start + every`, ..., and is final from `end` on.

        Raises:
            FormatError: a step below 0, or no number.
        """
        _check(step)
        if step >= self.end:
            return float(self.final)
        if step < self.start:
            return float(self.initial)
        t = (step - self.start) // self.every * self.every / (self.end - self.start)
        rest = {"linear": 1 - t, "cubic": (1 - t) ** 3, "cosine": (1 + math.cos(math.pi * t)) / 2}[self.kind]
        return self.final + (self.initial - self.final) * rest

    def frozen(self, step: int) -> bool:
        """Whether masks stay as they are from this step on."""
        _check(step)
        return step >= (self.end if self.freeze is None else self.freeze)

    def changes(self, step: int) -> bool:
        """Whether the mask is to be made anew at this step."""
        if self.frozen(step) or step < self.start:
            return step == self.end
        return (step - self.start) % self.every == 0 or step == self.end

    def apply(self, w: object, step: int) -> Array:
        """`w` with the largest values kept, as many as the density of the step says; see `sparsefmt.prune.magnitude`.

        >>> Schedule(0.5, end=10).apply([1.0, -4.0, 3.0, 2.0], 10)
        array([ 0., -4.,  3.,  0.])
        """
        return magnitude(as_array(w), self.density(step))


def _check(step: object) -> None:
    if not is_number(step) or not step >= 0:  # type: ignore[operator]
        msg = f"step = {step!r}; want 0 or more"
        raise FormatError(msg)
