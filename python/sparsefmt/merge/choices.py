"""Where papers, tools and codes differ: named choices, and the presets that name them all."""

from dataclasses import dataclass, fields, replace
from typing import Any

from sparsefmt.base.errors import MergeError

ALLOWED: dict[str, tuple[str, ...]] = {
    "trim": ("model", "tensor", "threshold", "percentile"),
    "vote": ("mass", "count"),
    "zero_vote": ("base", "plus", "majority"),
    "weighting": ("mean", "vote", "none"),
    "mean": ("number", "weights"),
    "rescale_by": ("density", "l1", "none"),
    "least": ("none", "one"),
    "small": ("exact", "floor"),
    "divides": ("method", "vote"),
}


@dataclass(frozen=True, slots=True)
class Choices:
    """How the steps that are not the same everywhere are done."""

    trim: str
    """"model": exactly floor(K n) of the whole model, ties keep the lower position; "tensor": int(K n) of each tensor;
    "threshold": int(K n) + 1 of the whole model and all that tie; "percentile": what is strictly above it."""
    vote: str
    """"mass": the sign of the sum; "count": the sign of the sum of signs."""
    zero_vote: str
    """A vote of 0 elects: "base": nothing, the base stays; "plus"; "majority": the sign of the sum of all votes."""
    weighting: str
    """Weights count: "vote": in the vote and the mean; "mean": in the mean alone; "none": nowhere."""
    mean: str
    """The mean divides by: "number" of those that agree, or the sum of their "weights"."""
    rescale_by: str
    """What DARE and DELLA keep is: divided by its probability ("density"), brought to the sum of magnitudes before
    ("l1"), or left ("none")."""
    least: str = "none"
    """What a trim of a positive density keeps of a small tensor: "none" where int(K n) is 0, or still "one"."""
    small: str = "exact"
    """Task vectors of little length: "exact", or "floor": their products count as 1e-6 (model_stock) and their weights
    are even (sce), as in mergekit."""
    divides: str = "method"
    """Which methods divide by default: as each has it ("method"), or all that elect signs ("vote")."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value not in ALLOWED[field.name]:
                msg = f"{field.name} = {value!r} is unknown; allowed {', '.join(map(repr, ALLOWED[field.name]))}"
                raise MergeError(msg)


PRESETS: dict[str, Choices] = {
    "paper": Choices("model", "mass", "base", "mean", "number", "density"),
    "mergekit": Choices("tensor", "mass", "plus", "vote", "weights", "l1", "one", "floor"),
    "peft": Choices("tensor", "mass", "plus", "mean", "number", "density", divides="vote"),
    "official": Choices("threshold", "mass", "majority", "none", "number", "density"),
    "chapter": Choices("percentile", "count", "base", "none", "number", "density"),
}
"""TIES paper (arXiv:2306.01708), mergekit 0.1.5, PEFT 0.21, the code of the paper's authors, and a textbook chapter."""


def choose(like: str, single: dict[str, Any]) -> Choices:
    """The preset of that name with single choices put in its place.

    Raises:
        MergeError: there is no such preset or choice.
    """
    if like not in PRESETS:
        msg = f"like = {like!r} is unknown; allowed {', '.join(map(repr, PRESETS))}"
        raise MergeError(msg)
    return replace(PRESETS[like], **single)
