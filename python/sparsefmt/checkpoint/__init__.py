"""Checkpoints of any size: opened once, written as a stream, transformed by jobs."""

from sparsefmt.checkpoint.entry import Entry
from sparsefmt.checkpoint.model import Checkpoint, open_checkpoint
from sparsefmt.checkpoint.select import Selection
from sparsefmt.checkpoint.steps import Step, convert, pack, quantize, unpack, verify
from sparsefmt.checkpoint.transform import transform
from sparsefmt.checkpoint.transform_report import TransformReport
from sparsefmt.checkpoint.writer import ShardWriter

__all__ = [
    "Checkpoint",
    "Entry",
    "Selection",
    "ShardWriter",
    "Step",
    "TransformReport",
    "convert",
    "open_checkpoint",
    "pack",
    "quantize",
    "transform",
    "unpack",
    "verify",
]
