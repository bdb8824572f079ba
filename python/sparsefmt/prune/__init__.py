"""Pruning: loses information, and says so."""

from sparsefmt.prune.select import block, magnitude, nm

__all__ = ["block", "magnitude", "nm"]
