"""Linear mode connectivity: what happens to the loss on the straight line between two models."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any, SupportsFloat

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import MergeError
from sparsefmt.checkpoint.model import open_checkpoint
from sparsefmt.merge.call import merged_array
from sparsefmt.merge.choices import PRESETS
from sparsefmt.merge.inputs import Group, groups
from sparsefmt.merge.method import NO_FACTS, Settings
from sparsefmt.merge.parameters import number
from sparsefmt.merge.registry import method_named


class Between(Mapping[str, Any]):
    """(1 - alpha) a + alpha b, a mapping whose tensors are made when they are asked for."""

    def __init__(self, found: list[Group], alpha: float) -> None:
        self._groups = {group.name: group for group in found}
        self.alpha = alpha

    def __getitem__(self, name: str) -> Array:
        return np.asarray(interpolated(self._groups[name], self.alpha))

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)


@dataclass(frozen=True)
class Curve:
    """Losses along the line: `barrier` is the most that one exceeds the straight line between the ends by."""

    alphas: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def excesses(self) -> tuple[float, ...]:
        """By how much each loss exceeds the straight line between the ends."""
        first, last = self.losses[0], self.losses[-1]
        return tuple(x - ((1 - a) * first + a * last) for a, x in zip(self.alphas, self.losses, strict=True))

    @property
    def barrier(self) -> float:
        """The largest excess; the ends exceed by 0."""
        return max(self.excesses)

    def text(self, width: int = 40) -> str:
        """The curve as lines of text."""
        low, high = min(self.losses), max(self.losses)
        scale = (width - 1) / (high - low) if high > low else 0.0
        rows = [
            f"{a:5.2f}  {x:12.6g}  {'#' * (1 + round((x - low) * scale))}"
            for a, x in zip(self.alphas, self.losses, strict=True)
        ]
        return "\n".join(["alpha          loss", *rows, f"barrier {self.barrier:.6g}"])


def interpolated(group: Group, alpha: float) -> Any:  # noqa: ANN401
    """One tensor of the line, in the dtype of the first model; computed in float64 where that is its dtype."""
    copied = group.copied()
    if copied is not None:
        return copied
    dtype = group.models[0].dtype
    stack = group.stack("float64" if dtype.itemsize == 8 else "float32")
    out = np.empty(stack.size, dtype)
    settings = Settings((1 - alpha, alpha), {}, {"normalize": False}, PRESETS["paper"])
    merged_array(method_named("linear"), stack, settings, NO_FACTS, out)
    return out.reshape(stack.shape)


def interpolate(a: Any, b: Any, alpha: float) -> Any:  # noqa: ANN401
    """(1 - alpha) a + alpha b.

    Args:
        a: an array of floats of any shape, a mapping from names to arrays or SparseTensors, a Checkpoint, or a path.
        b: of the same kind, names and shapes.
        alpha: the place on the line; beyond 0 and 1 it is prolonged.

    Returns:
        An array, or a mapping whose tensors are made one at a time when they are asked for; dtypes are those of `a`.

    Raises:
        MergeError: names, kinds or shapes that differ; values that are not finite; alpha is no finite number.

    >>> interpolate(np.array([1.0, 2.0]), np.array([3.0, 0.0]), 0.25)
    array([1.5, 1.5])
    """
    place = number("alpha", alpha)
    found, several = pairs(a, b)
    return Between(found, place) if several else interpolated(found[0], place)


def pairs(a: Any, b: Any) -> tuple[list[Group], bool]:  # noqa: ANN401
    """The tensors of two models, and whether they are mappings."""
    a, b = (open_checkpoint(m) if isinstance(m, str | PathLike) else m for m in (a, b))
    if np.isscalar(a) and np.isscalar(b):
        a, b = np.asarray(a), np.asarray(b)
    return groups(None, [a, b], ["a", "b"]), isinstance(a, Mapping)


def barrier(loss: Callable[[Any], SupportsFloat], a: Any, b: Any, steps: int = 11) -> "Barrier":  # noqa: ANN401
    """How high the loss rises between two models: max over alpha of L((1-a) A + a B) - ((1-a) L(A) + a L(B)).

    Args:
        loss: called with each model on the line, an array or a mapping as `interpolate` gives; gives a number.
        a: one end: an array, a mapping, a Checkpoint or a path.
        b: the other end, of the same kind.
        steps: models on the line, the ends among them; 2 or more.

    Returns:
        The barrier, a float with `.curve`: alphas and losses.

    Raises:
        MergeError: models that do not fit, fewer than 2 steps, a loss that is NaN, or an end whose loss is infinite.

    Source: Frankle et al. 2020, arXiv:1912.05671, section 2; Entezari et al. 2021, arXiv:2110.06296.

    >>> float(barrier(lambda x: float((x[0] ** 2 - 1) ** 2), np.array([-1.0]), np.array([1.0]), steps=5))
    1.0
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
        msg = f"steps = {steps!r}: want 2 or more models on the line"
        raise MergeError(msg)
    found, several = pairs(a, b)
    alphas = tuple(i / (steps - 1) for i in range(steps))
    losses = []
    for alpha in alphas:
        value = float(loss(Between(found, alpha) if several else interpolated(found[0], alpha)))
        if np.isnan(value) or (np.isinf(value) and alpha in (0, 1)):  # nothing rises above an end that is infinite
            msg = f"the loss at alpha = {alpha:g} is {'NaN' if np.isnan(value) else value}"
            raise MergeError(msg)
        losses.append(value)
    return Barrier(Curve(alphas, tuple(losses)))


class Barrier(float):
    """The height of a barrier, with the curve that it was found on."""

    curve: Curve

    def __new__(cls, curve: Curve) -> "Barrier":
        """The barrier of a curve."""
        made = super().__new__(cls, curve.barrier)
        made.curve = curve
        return made
