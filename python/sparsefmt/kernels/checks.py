"""What kernels that check arrays from outside tell: (0, 0), or what is wrong first and where."""

import numpy as np

from sparsefmt.base.dtypes import Array

OK, START, FALLS, END, RANGE, ORDER, ROW_RANGE, PADDING, COUNT = range(9)
Finding = tuple[int, int]


def first(code: int, bad: Array) -> Finding:
    """The finding (code, position of the first True), or (0, 0)."""
    return (code, int(np.argmax(bad))) if bad.any() else (OK, 0)
