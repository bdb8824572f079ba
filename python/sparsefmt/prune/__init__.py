"""Pruning: loses information, and says so."""

from sparsefmt.prune.compare import PatternRow, compare_patterns
from sparsefmt.prune.compensate import compensated
from sparsefmt.prune.fit import refit
from sparsefmt.prune.layerwise import Run, in_order, run
from sparsefmt.prune.masks import admm, sparsegpt, wanda
from sparsefmt.prune.moments import CalibrationWarning, Moments, Statistics, calibrate
from sparsefmt.prune.patterns import Inside, Pattern, pattern_of
from sparsefmt.prune.permutation import Permuted, fold, permute
from sparsefmt.prune.result import Compensated
from sparsefmt.prune.select import block, magnitude, nm
from sparsefmt.prune.taylor import sensitivity
from sparsefmt.prune.transpose import Transposed, transposable

__all__ = [
    "CalibrationWarning",
    "Compensated",
    "Inside",
    "Moments",
    "Pattern",
    "PatternRow",
    "Permuted",
    "Run",
    "Statistics",
    "Transposed",
    "admm",
    "block",
    "calibrate",
    "compare_patterns",
    "compensated",
    "fold",
    "in_order",
    "magnitude",
    "nm",
    "pattern_of",
    "permute",
    "refit",
    "run",
    "sensitivity",
    "sparsegpt",
    "transposable",
    "wanda",
]
