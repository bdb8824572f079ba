"""What a merge will meet: cosines between task vectors, conflicts of signs, shares that trims keep."""

from dataclasses import dataclass

import numpy as np

from sparsefmt.merge.consensus import Family
from sparsefmt.merge.disk import StackAt, is_mergeable
from sparsefmt.merge.method import Facts
from sparsefmt.merge.norms import gram
from sparsefmt.merge.registry import method_named
from sparsefmt.merge.run import Planned, surveyed
from sparsefmt.merge.stack import Stack


@dataclass(frozen=True)
class TensorReport:
    """A tensor of the merge.

    Args:
        name: of the tensor.
        cosines: between task vectors (models themselves without a base), pair by pair (0, 1), (0, 2), ..., (1, 2), ...
        lengths: of the task vectors.
        conflicts: the share of elements where two task vectors have opposite signs.
        kept: the share of each task vector that is left after sparsifying; empty where the method does not.
    """

    name: str
    cosines: tuple[float, ...]
    lengths: tuple[float, ...]
    conflicts: float
    kept: tuple[float, ...]


def report(planned: Planned) -> list[TensorReport]:
    """Reads all models once more and tells what they are to each other, tensor by tensor."""
    facts = surveyed(planned, None, None)
    found = []
    for target, fact in zip(planned.targets, facts, strict=True):
        if not is_mergeable(target.dtype):
            continue
        source = StackAt(planned.models, target)
        found.append(report_tensor(source, fact))
    return found


def report_tensor(source: StackAt, fact: Facts) -> TensorReport:
    """The report of one tensor."""
    stack = source()
    output = source.target.output
    products = gram(stack, stack.basis)
    lengths = np.sqrt(np.diag(products))
    pairs = [(i, j) for i in range(len(lengths)) for j in range(i + 1, len(lengths))]
    cosines = tuple(
        float(products[i, j] / (lengths[i] * lengths[j])) if lengths[i] and lengths[j] else 0.0 for i, j in pairs
    )
    method = method_named(output.method)
    family = method.merge if isinstance(method.merge, Family) and method.merge.sparsify is not None else None
    merger = None if family is None else family(stack, output.settings, fact)
    conflicts, kept = 0, np.zeros(len(lengths))
    for lo, hi in stack.chunks(1 if merger is None else merger.granule):
        conflicts += opposed(stack, lo, hi)
        if merger is not None:
            kept += [np.count_nonzero(merger.sparsified(i, lo, hi)) for i in range(len(lengths))]
    size = max(stack.size, 1)
    shares = () if merger is None else tuple(float(k / size) for k in kept)
    return TensorReport(output.name, cosines, tuple(map(float, lengths)), conflicts / size, shares)


def opposed(stack: Stack, lo: int, hi: int) -> int:
    """How many elements of a stretch have task vectors of both signs."""
    above, below = np.zeros(hi - lo, bool), np.zeros(hi - lo, bool)
    for index in range(len(stack.models)):
        delta = stack.delta(index, lo, hi)
        above |= delta > 0
        below |= delta < 0
    return int(np.count_nonzero(above & below))
