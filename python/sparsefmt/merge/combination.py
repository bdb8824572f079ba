"""Linear combinations whose coefficients come from the angles of whole tensors or of rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.merge import PLAIN, Rule
from sparsefmt.merge.mixing import Mixer
from sparsefmt.merge.stack import Stack, compute_dtype


def combine(stack: Stack, coefficients: Sequence[float], nan: str, base: float | None = None) -> Mixer:
    """Sum of c_i x_i over the models, and the base times its coefficient first if that is given."""
    if base is not None and stack.base is not None:
        models = (stack.base, *stack.models)
        stack = Stack(stack.name, stack.shape, None, models, ("base", *stack.labels), stack.dtype)
        coefficients = (base, *coefficients)
    return Mixer(stack, Rule(basis=PLAIN), tuple(float(c) for c in coefficients), nan=nan)


@dataclass(frozen=True, slots=True)
class ByRow:
    """A merger whose coefficients are taken for each row; `find` gets float64 rows (models, rows, cols)."""

    stack: Stack
    find: Callable[[Array], Array]
    """Task vectors or models of some rows -> coefficients (models, rows)."""
    granule: int
    based: bool
    nan: str

    def write(self, lo: int, hi: int, out: Array) -> None:
        """Writes elements lo to hi."""
        stack = self.stack
        if self.nan != "keep":
            stack.check_finite(lo, hi)
        read = stack.delta if self.based else stack.values
        rows = np.stack([read(i, lo, hi).reshape(-1, self.granule) for i in range(len(stack.models))])
        compute = compute_dtype(stack.dtype)
        coefficients = self.find(rows.astype(np.float64)).astype(compute)
        merged = np.zeros(rows.shape[1:], compute)
        for coefficient, row in zip(coefficients, rows, strict=True):
            merged += coefficient[:, None] * row
        flat = merged.reshape(-1)
        out[...] = (stack.values(-1, lo, hi) + flat if self.based else flat).astype(out.dtype)
