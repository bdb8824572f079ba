"""Sums over a whole tensor: float64, over fixed blocks, added in pairs."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.merge import BLOCK, merge_gram
from sparsefmt.merge.stack import Stack


def blocks_of(size: int) -> int:
    """Number of blocks of so many elements."""
    return -(-size // BLOCK)


def add_up(sums: Array) -> Array:
    """The sums (blocks, columns) of all blocks: neighbours are added until one row is left."""
    if not len(sums):
        return np.zeros(sums.shape[1])
    while len(sums) > 1:
        if len(sums) % 2:
            sums = np.concatenate([sums, np.zeros((1, sums.shape[1]))])
        sums = sums[0::2] + sums[1::2]
    return np.asarray(sums[0])


def gram(stack: Stack, basis: int) -> Array:
    """The products (models, models) of all pairs of task vectors, or of models, of a tensor."""
    count = len(stack.models)
    sums = np.zeros((blocks_of(stack.size), count * (count + 1) // 2))
    at = 0
    for lo, hi in stack.chunks():
        base, base_dtype = stack.bits(-1, lo, hi)
        found = [stack.bits(i, lo, hi) for i in range(count)]
        part = sums[at : at + blocks_of(hi - lo)]
        merge_gram(base, tuple(b for b, _ in found), (base_dtype, *(d for _, d in found)), basis, part)
        at += len(part)
    products = np.zeros((count, count))
    products[np.triu_indices(count)] = add_up(sums)
    return np.asarray(np.triu(products) + np.triu(products, 1).T)
