"""Which models can be run here, by what their tensors look like."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from sparsefmt.base.errors import FormatError
from sparsefmt.models.bert import Bert
from sparsefmt.models.site import Site, Steps


class Runnable(Protocol):
    """What `sparsefmt prune` needs of a model."""

    def linear_names(self) -> list[str]:
        """The layers to prune, in the order in which they run, without ".weight"."""

    def steps(self, tokens: Any) -> Steps:  # noqa: ANN401
        """Runs texts through the model, layer by layer."""


Opener = Callable[[Mapping[str, Any], Mapping[str, Any] | None], Runnable]
_OPENERS: dict[str, Opener] = {"bert": Bert.from_weights}


def register(kind: str, opener: Opener) -> None:
    """Adds a kind of model: a callable from tensors and configuration; it refuses with FormatError."""
    _OPENERS[kind] = opener


def open_model(weights: Mapping[str, Any], config: Mapping[str, Any] | None = None) -> Runnable:
    """The first kind that takes these tensors.

    Raises:
        FormatError: none does.
    """
    reasons = []
    for kind, opener in _OPENERS.items():
        try:
            return opener(weights, config)
        except FormatError as e:
            reasons.append(f"{kind}: {e}")
    msg = f"this model cannot be run here ({'; '.join(reasons)}); gather moments with a callback, see docs/pruning.md"
    raise FormatError(msg)


__all__ = ["Runnable", "Site", "open_model", "register"]
