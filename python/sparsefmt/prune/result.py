"""What compensated pruning gives."""

from dataclasses import dataclass, replace

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.tensor.layout import outer
from sparsefmt.tensor.sparse import SparseTensor


@dataclass(frozen=True)
class Compensated:
    """Pruned weights that make up for what was dropped.

    `weight, bias, mask, output_error = c` unpacks it.
    """

    weight: Array
    """(rows, cols) in the dtype of the weights that were given; +0 where the mask is False."""
    bias: Array | None
    """(rows,), corrected for the shift of the mean output; None where no bias was given."""
    mask: Array
    """(rows, cols) bool."""
    output_error: float
    """The mean square of the outputs' error, over that of the wanted outputs, both about their means."""
    shift: Array
    """(rows,) float64: how far the mean output is off; zeros where a bias makes up for it."""
    tensor: SparseTensor | None = None
    """The weights packed, where a codec was named."""

    def turned(self) -> "Compensated":
        """The same of weights (in, out)."""
        tensor = None if self.tensor is None else outer(self.tensor, 0)
        weight, mask = (np.ascontiguousarray(a.T) for a in (self.weight, self.mask))
        return replace(self, weight=weight, mask=mask, tensor=tensor)

    def __iter__(self):  # type: ignore[no-untyped-def] # noqa: ANN204
        """The four that every result has."""
        return iter((self.weight, self.bias, self.mask, self.output_error))
