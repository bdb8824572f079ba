"""One home for packed sparse weights: NumPy arrays in, compact exact tensors out."""

from sparsefmt import checkpoint, cuda, delta, dynamic, merge, models, plan, prune, report
from sparsefmt.api.compare import Comparison, compare
from sparsefmt.api.convert import change as convert
from sparsefmt.api.convert import explain
from sparsefmt.api.encode import encode
from sparsefmt.api.equal import equal
from sparsefmt.api.matmul import explain_matmul, matmul
from sparsefmt.api.quantize import cluster, dequantize, quantize
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
from sparsefmt.checkpoint import Checkpoint, open_checkpoint
from sparsefmt.encoding.format_text import formats
from sparsefmt.interop.scipy import from_scipy, to_scipy
from sparsefmt.io import TensorInfo, inspect, load, save
from sparsefmt.kernels.settings import cpu_features, set_num_threads
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
    "TensorInfo",
    "VersionError",
    "checkpoint",
    "cluster",
    "compare",
    "convert",
    "cpu_features",
    "cuda",
    "delta",
    "dequantize",
    "dynamic",
    "encode",
    "equal",
    "explain",
    "explain_matmul",
    "formats",
    "from_scipy",
    "inspect",
    "load",
    "matmul",
    "merge",
    "models",
    "open_checkpoint",
    "plan",
    "prune",
    "quantize",
    "report",
    "save",
    "set_cache_bytes",
    "set_max_bytes",
    "set_num_threads",
    "to_scipy",
]
