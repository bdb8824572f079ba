"""Pruning: loses information, and says so."""

from sparsefmt.prune.compensate import Compensated, compensated
from sparsefmt.prune.fit import refit
from sparsefmt.prune.masks import admm, sparsegpt, wanda
from sparsefmt.prune.moments import CalibrationWarning, Moments, calibrate
from sparsefmt.prune.select import block, magnitude, nm

__all__ = [
    "CalibrationWarning",
    "Compensated",
    "Moments",
    "admm",
    "block",
    "calibrate",
    "compensated",
    "magnitude",
    "nm",
    "refit",
    "sparsegpt",
    "wanda",
]
