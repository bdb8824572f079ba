"""One home for packed sparse weights: NumPy arrays in, compact exact tensors out."""

from sparsefmt import checkpoint, cuda, delta, dynamic, merge, models, plan, prune, report
from sparsefmt.api.compare import Comparison, compare
from sparsefmt.api.convert import change as convert
from sparsefmt.api.convert import explain
from sparsefmt.api.encode import encode
from sparsefmt.api.equal import equal
from sparsefmt.api.matmul import explain_matmul, matmul
from sparsefmt.api.parts import decode, from_parts
from sparsefmt.api.quantize import cluster, dequantize, quantize
from sparsefmt.api.suggest import Suggestion, random, suggest
from sparsefmt.base.alloc import set_cache_bytes
from sparsefmt.base.errors import (
    BackendError,
    CheckpointError,
    CodecError,
    CorruptFileError,
    DeltaError,
    DtypeError,
    FormatError,
    MergeError,
    PatternError,
    SizeError,
    SparsefmtError,
    VersionError,
)
from sparsefmt.base.limits import set_max_bytes
from sparsefmt.checkpoint import Checkpoint, TransformReport, open_checkpoint, transform
from sparsefmt.checkpoint.load import load
from sparsefmt.delta.tasks import TaskStore
from sparsefmt.encoding.format_text import formats
from sparsefmt.interop.scipy import from_scipy, to_scipy
from sparsefmt.interop.torch import from_torch, to_torch
from sparsefmt.io import TensorInfo, inspect, save
from sparsefmt.kernels.settings import cpu_features, get_num_threads, set_num_threads
from sparsefmt.tensor.sparse import SparseTensor

__version__ = "0.1.0"

__all__ = [
    "BackendError",
    "Checkpoint",
    "CheckpointError",
    "CodecError",
    "Comparison",
    "CorruptFileError",
    "DeltaError",
    "DtypeError",
    "FormatError",
    "MergeError",
    "PatternError",
    "SizeError",
    "SparseTensor",
    "SparsefmtError",
    "Suggestion",
    "TaskStore",
    "TensorInfo",
    "TransformReport",
    "VersionError",
    "checkpoint",
    "cluster",
    "compare",
    "convert",
    "cpu_features",
    "cuda",
    "decode",
    "delta",
    "dequantize",
    "dynamic",
    "encode",
    "equal",
    "explain",
    "explain_matmul",
    "formats",
    "from_parts",
    "from_scipy",
    "from_torch",
    "get_num_threads",
    "inspect",
    "load",
    "matmul",
    "merge",
    "models",
    "open_checkpoint",
    "plan",
    "prune",
    "quantize",
    "random",
    "report",
    "save",
    "set_cache_bytes",
    "set_max_bytes",
    "set_num_threads",
    "suggest",
    "to_scipy",
    "to_torch",
    "transform",
]
