"""What a merge method is, and what it gets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.merge.choices import Choices
from sparsefmt.merge.stack import Merger, Stack

Band = tuple[int, int, int, int]

NO_BAND: Band = (-1, 0, 1 << 32, 0)
NOTHING: Band = (1 << 32, 0, 1 << 32, 0)


@dataclass(frozen=True, slots=True)
class Settings:
    """What one tensor gets."""

    weights: tuple[float, ...]
    each: Mapping[str, tuple[Any, ...]]
    """Parameters that each model has of its own."""
    shared: Mapping[str, Any]
    """Parameters of the whole."""
    choices: Choices
    seed: int = 0
    masks: tuple[Array, ...] | None = None
    nan: str = "error"


class Facts(NamedTuple):
    """What looking at the whole model found out for one tensor."""

    bands: tuple[Band, ...] = ()
    """One for each model, where trims look at the whole model."""
    majority: int = 0
    """The sign of the sum of all votes."""


NO_FACTS = Facts()


class Source(NamedTuple):
    """A tensor of the merge that can be opened anywhere, and what it gets."""

    stack: Callable[[], Stack]
    settings: Settings


Each = Callable[[Callable[..., Any], Sequence[Any]], Sequence[Any]]
"""Calls a function on every item, in this process or in others, and gives the results in order."""

Survey = Callable[[Sequence[Source], Each], Sequence[Facts]]


@dataclass(frozen=True, slots=True)
class Method:
    """One way to merge.

    `base`: whether the method needs a base ("needed"), works with or without ("optional": without one the models are
    task vectors or are taken themselves), has none ("none"), or takes it as the first of the models ("member").
    """

    name: str
    summary: str
    source: str
    merge: Callable[[Stack, Settings, Facts], Merger]
    base: Literal["needed", "optional", "none", "member"] = "optional"
    count: tuple[int, int | None] = (1, None)
    """The least and the most models, the base among them where it is a member."""
    weighted: bool = True
    each: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of each model, with their defaults; `REQUIRED` where there is none."""
    shared: Mapping[str, Any] = field(default_factory=dict)
    survey: Survey | None = None

    def merger(self, stack: Stack, settings: Settings, facts: Facts) -> Merger:
        """What merges a tensor; statistics of infinities warn of nothing: `write` names their place, or keeps them."""
        with np.errstate(all="ignore"):
            return self.merge(stack, settings, facts)


class Required:
    """The default of a parameter that has none."""

    def __repr__(self) -> str:
        return "required"


REQUIRED = Required()
