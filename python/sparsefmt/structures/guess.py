"""Room for what is not counted yet: a guess from a sample, so that a dense array is read once and not twice.

What is allocated and not used is memory that the system has not handed out: large arrays begin untouched.
"""

from math import ceil, sqrt

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.coerce import is_plain
from sparsefmt.base.dtypes import Array, items
from sparsefmt.base.limits import is_default
from sparsefmt.base.matrix import Matrix

SMALL = 1 << 16  # bytes that are worth no second call
LARGE = 4 << 20  # bytes that do not fit the caches of a core, and are better read once than twice
SAMPLES = 256  # of items
BLOCKS = 64  # of blocks
PIECE = 256  # items of a sample in a row
INT32_MAX = 2**31 - 1
UNTOUCHED = 8 << 20  # bytes of an array of whose memory the system hands out only what is used
DEVIATIONS = 6  # of the sample mean: what lies beyond is counted first, so a wrong guess costs time only
SPARE = 9  # of all samples together: the same for a few rare items


def large_block(w: Matrix) -> Array | None:
    """All items of `w` in place, if that can be and they are many."""
    large = w.array.nbytes >= LARGE and is_plain(w.array)
    return items(w.array.reshape(w.shape)) if large else None


def small_block(w: Matrix) -> Array | None:
    """All items of `w` in place, if that can be and they are few."""
    a = w.array
    if not 0 < a.nbytes <= SMALL or not is_plain(a) or not is_default():
        return None
    return items(a if a.ndim == 2 else a.reshape(w.shape))


def likely(sample: Array, pieces: int) -> int:
    """At least as many as there are in `pieces` pieces, almost surely; `sample` counted some of them."""
    count, total = len(sample), int(sample.sum())
    mean = total / count
    deviation = sqrt(max(int(np.dot(sample, sample)) / count - mean * mean, 0.0))
    return ceil(pieces * (mean + DEVIATIONS * deviation / sqrt(count) + SPARE / count))


def trimmed(a: Array, length: int) -> Array:
    """The first `length` of `a`: a view, or a copy where that would leave a third as much over in small memory."""
    if len(a) - length <= length // 3 or a.nbytes >= UNTOUCHED:
        return a[:length]
    return exact(a, length)


def exact(a: Array, length: int) -> Array:
    """A copy of the first `length` of `a`."""
    copy = empty((length, *a.shape[1:]), a.dtype)
    copy[...] = a[:length]
    return copy
