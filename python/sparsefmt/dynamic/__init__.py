"""Masks that move: while a model trains, and from input to input."""

from sparsefmt.dynamic.cache import CacheStats, PatternCache
from sparsefmt.dynamic.controller import Controller, Levels, importance
from sparsefmt.dynamic.ema import MaskEMA
from sparsefmt.dynamic.groups import LivePacked
from sparsefmt.dynamic.schedule import Schedule
from sparsefmt.dynamic.training import distillation_loss, sr_ste, straight_through

__all__ = [
    "CacheStats",
    "Controller",
    "Levels",
    "LivePacked",
    "MaskEMA",
    "PatternCache",
    "Schedule",
    "distillation_loss",
    "importance",
    "sr_ste",
    "straight_through",
]
