"""How large the arrays of a packed tensor are that ranges of its rows are put together to."""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from sparsefmt.base.dtypes import dtype_named
from sparsefmt.base.errors import SizeError
from sparsefmt.checkpoint.entry import Entry
from sparsefmt.checkpoint.rows import shared
from sparsefmt.checkpoint.steps import Step
from sparsefmt.codecs.streams import body_shape
from sparsefmt.io import schema
from sparsefmt.io.write import packed_items
from sparsefmt.tensor.sparse import SparseTensor

CODES = "codes"  # what codecs call the array of codes


def measured_sizes(
    name: str, results: Iterator[tuple[int, SparseTensor | None]]
) -> tuple[dict[str, int], SparseTensor] | None:
    """The length of every array along its first axis, and under "" the number of slots; None where a range is plain."""
    sizes: dict[str, int] = {"": 0}
    sample: SparseTensor | None = None
    codes, loose = schema.key(name, "values", CODES), 0
    for low, result in results:
        if result is None:
            return None
        sizes[""] += result.structure.slots
        once = common(name, result) if low else frozenset()
        for item in packed_items(name, result)[0]:
            if item.key in once:
                continue
            if item.key == codes and has_loose_codes(result):
                loose += code_bits(result)
                sizes[item.key] = -(-loose // 8)
                continue
            repeated = low > 0 and item.key.rpartition(".")[2] in result.structure.offset_arrays
            sizes[item.key] = sizes.get(item.key, 0) + len(item.array) - repeated
        sample = result if sample is None else sample
    return None if sample is None else (sizes, sample)


def has_loose_codes(t: SparseTensor) -> bool:
    """Whether its codes are a stream that need not end on a byte where a range of rows does."""
    fixed = t.structure.fixed_size or t.structure.padded
    return CODES in t.values.array_names and t.values.slot_bits != 8 and not fixed


def code_bits(t: SparseTensor) -> int:
    """The bits of its stream of codes."""
    return math.prod(body_shape(t.structure)) * t.values.slot_bits


def fixed_sizes(step: Step, name: str, dtype: str, shape: tuple[int, int]) -> tuple[dict[str, int], SparseTensor]:
    """The same for a structure whose sizes follow from the shape: by a few rows of zeros."""
    align = step.rows(Entry(shape, dtype, 0)) or 1
    sample = sampled(step, dtype, shape[1], align)
    sizes = {"": sample.structure.slots * shape[0] // align}
    once = common(name, sample)
    for item in packed_items(name, sample)[0]:
        sizes[item.key] = len(item.array) if item.key in once else -(-len(item.array) * shape[0] // align)
    return sizes, sample


def common(name: str, t: SparseTensor) -> frozenset[str]:
    """The keys of the arrays that all ranges of rows of a tensor have in common: the first range brings them."""
    return frozenset(schema.key(name, "values", array) for array in shared(t.values))


@lru_cache(1024)
def sampled(step: Step, dtype: str, cols: int, rows: int) -> SparseTensor:
    """What a step makes of a few rows of zeros."""
    result = step.apply("zeros", np.zeros((rows, cols), dtype_named(dtype)))
    if not isinstance(result, SparseTensor):
        msg = f"rows of {cols} columns of {dtype} stay plain"
        raise SizeError(msg)
    return result
