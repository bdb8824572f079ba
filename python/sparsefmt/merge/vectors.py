"""Task vectors."""

from collections.abc import Mapping
from contextlib import ExitStack
from os import PathLike
from typing import Any

import numpy as np

from sparsefmt.base.errors import MergeError
from sparsefmt.checkpoint.model import open_checkpoint
from sparsefmt.merge.inputs import Group, groups, is_float


def task_vector(base: Any, tuned: Any) -> Any:  # noqa: ANN401
    """The difference of a tuned model from its base, in float32.

    Args:
        base: an array of any shape, a SparseTensor, a mapping from names to these, a Checkpoint, or a path.
        tuned: of the same kind, names and shapes.

    Returns:
        float32 array, or a dictionary of them. Both sides are widened or rounded to float32 first. Integers and
        bools have no task vector: they are left out of a dictionary where they agree.

    Raises:
        MergeError: names, kinds or shapes that differ; integers.

    Source: Ilharco et al. 2022, arXiv:2212.04089, section 2.

    >>> task_vector(np.array([1.0, 2.0]), np.array([1.5, 1.0]))
    array([ 0.5, -1. ], dtype=float32)
    """
    if isinstance(base, str | PathLike) or isinstance(tuned, str | PathLike):
        with ExitStack() as stack:
            opened = (
                stack.enter_context(open_checkpoint(m)) if isinstance(m, str | PathLike) else m for m in (base, tuned)
            )
            return task_vector(*opened)
    found = groups(base, [tuned], ["tuned"])
    made = {group.name: difference(group) for group in found if is_float(group.models[0]) or group.copied() is None}
    if isinstance(base, Mapping):
        return made
    if not made:
        msg = f"a task vector is one of floats, got {found[0].models[0].dtype}"
        raise MergeError(msg)
    return made[""]


def difference(group: Group) -> Any:  # noqa: ANN401
    """The task vector of one tensor."""
    stack = group.stack("float32")
    out = np.empty(stack.size, np.float32)
    for lo, hi in stack.chunks():
        out[lo:hi] = stack.delta(0, lo, hi)
    return out.reshape(stack.shape)
