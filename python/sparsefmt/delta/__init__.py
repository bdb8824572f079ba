"""Deltas between versions of weights: exact, composable, invertible, small."""

from sparsefmt.delta.compare import diff
from sparsefmt.delta.files import read as load
from sparsefmt.delta.files import write as save
from sparsefmt.delta.measure import Stats
from sparsefmt.delta.model import Delta

__all__ = ["Delta", "Stats", "diff", "load", "save"]
