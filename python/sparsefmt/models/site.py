"""What a model shows of itself while it runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sparsefmt.base.dtypes import Array


class Site(NamedTuple):
    """A linear layer, just before it runs."""

    name: str
    """Without ".weight"."""
    inputs: Sequence[Array]
    """What it takes in, (tokens, cols) each."""
    stream: Sequence[Array] | None = None
    """The residual stream that its output is added to, (tokens, rows) each; None where it is added to nothing."""


Steps = Callable[[Mapping[str, Any]], Iterator[Site]]
"""Weights -> the layers one after the other; after a layer was shown, its weights are read again."""
