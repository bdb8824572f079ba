"""Deltas between versions of weights: exact, composable, invertible, small."""

from sparsefmt.delta.compare import diff
from sparsefmt.delta.foreign import Chain
from sparsefmt.delta.formats import load, save
from sparsefmt.delta.journal import recover
from sparsefmt.delta.measure import Stats
from sparsefmt.delta.model import Delta
from sparsefmt.delta.tasks import TaskStats, TaskStore

__all__ = ["Chain", "Delta", "Stats", "TaskStats", "TaskStore", "diff", "load", "recover", "save"]
