"""Checkpoints of any size: opened once, written as a stream, transformed by jobs."""

from sparsefmt.checkpoint.entry import Entry
from sparsefmt.checkpoint.model import Checkpoint, open_checkpoint
from sparsefmt.checkpoint.writer import ShardWriter

__all__ = ["Checkpoint", "Entry", "ShardWriter", "open_checkpoint"]
