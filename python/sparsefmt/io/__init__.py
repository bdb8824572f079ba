"""Files: safetensors containers with packed and plain tensors, written whole or not at all, checked when read."""

from sparsefmt.io.read import load, read_metadata
from sparsefmt.io.report import TensorInfo, inspect
from sparsefmt.io.write import save

__all__ = ["TensorInfo", "inspect", "load", "read_metadata", "save"]
