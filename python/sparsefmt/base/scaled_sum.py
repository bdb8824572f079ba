"""Sums of products of float64 that neither overflow nor underflow, whatever the magnitude of the factors."""

import math
from dataclasses import dataclass

import numpy as np

from sparsefmt.base.dtypes import Array

_SAFE = 400  # powers of two whose squares, and sums of 2^200 of them, are normal numbers
_LEAST, _MOST = 2.0 ** (-2 * _SAFE), 2.0 ** (2 * _SAFE)


def exponent(a: Array) -> int:
    """The power of two to divide finite `a` by before its items are squared; 0 where nothing needs to be divided."""
    largest = max(float(a.max(initial=0.0)), -float(a.min(initial=0.0)))
    found = math.frexp(largest)[1]
    return 0 if abs(found) <= _SAFE else found


def scaled(a: Array, by: int) -> Array:
    """`a / 2**by`; `a` itself where that is the same."""
    return a if by == 0 else np.asarray(np.ldexp(a, -by))


@dataclass(slots=True)
class ScaledSum:
    """A number `value * 2**power` that products are added to.

    Terms are summed by `numpy.add.reduce`, in an order that neither threads nor a BLAS library change.
    """

    value: float = 0.0
    power: int = 0

    def add(self, x: Array, y: Array, power: int = 0, *, usual: bool = False) -> bool:
        """Adds `sum(x * y) * 2**power` of finite float64 arrays of one shape.

        Args:
            x: the one.
            y: the other, or x itself.
            power: of two.
            usual: neither needs to be scaled, as sums of their squares have shown.

        Returns:
            Whether x and y did not need to be scaled; False where that was not looked into.
        """
        if usual:
            self._add(float(np.add.reduce(x * y, axis=None)), power)
            return True
        if x is y:  # the sum itself shows in which range its largest term is
            with np.errstate(over="ignore", under="ignore"):
                total = float(np.add.reduce(x * x, axis=None))
            if x.size * _LEAST <= total <= _MOST:
                self._add(total, power)
                return True
        by_x = exponent(x)
        by_y = by_x if y is x else exponent(y)
        left = scaled(x, by_x)
        self._add(float(np.add.reduce(left * (left if y is x else scaled(y, by_y)), axis=None)), by_x + by_y + power)
        return False

    def _add(self, value: float, power: int) -> None:
        if value == 0:
            return
        if self.value == 0:
            self.value, self.power = value, power
        elif power <= self.power:
            self.value += math.ldexp(value, power - self.power)
        else:
            self.value, self.power = value + math.ldexp(self.value, self.power - power), power

    def root(self) -> tuple[float, int]:
        """The square root as (m, e), m * 2**e, where m is 0 or in 0.5..1.5."""
        m, e = math.frexp(self.value)
        e += self.power
        return math.sqrt(m * (1 + e % 2)), (e - e % 2) // 2


def root_ratio(over: ScaledSum, under: ScaledSum) -> float:
    """`sqrt(over / under)`: 0 where both are 0, inf where only `under` is, or where the ratio overflows."""
    if over.value == 0 or under.value == 0:
        return 0.0 if over.value == 0 else math.inf
    (m, e), (n, f) = over.root(), under.root()
    try:
        return math.ldexp(m / n, e - f)
    except OverflowError:
        return math.inf


def cosine(both: ScaledSum, one: ScaledSum, other: ScaledSum) -> float:
    """`both / sqrt(one * other)`, in -1..1; 0 where just one of `one` and `other` is 0, 1 where both are."""
    if one.value == 0 or other.value == 0:
        return float(one.value == other.value)
    (m, e), (n, f) = one.root(), other.root()
    return min(max(math.ldexp(both.value / (m * n), both.power - e - f), -1.0), 1.0)
