"""One home for packed sparse weights: NumPy arrays in, compact exact tensors out."""

from sparsefmt import checkpoint, cuda, prune
from sparsefmt.arrays import set_cache_bytes, set_max_bytes
from sparsefmt.checkpoint import Checkpoint, open_checkpoint
from sparsefmt.conversion import change as convert
from sparsefmt.conversion import explain
from sparsefmt.encode import encode
from sparsefmt.equality import equal
from sparsefmt.errors import (
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
from sparsefmt.format import formats
from sparsefmt.interop.scipy import from_scipy, to_scipy
from sparsefmt.io import TensorInfo, inspect, load, save
from sparsefmt.kernels.settings import cpu_features, set_num_threads
from sparsefmt.products import explain_matmul, matmul
from sparsefmt.recode import Comparison, cluster, compare, dequantize, quantize
from sparsefmt.tensor import SparseTensor

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
    "dequantize",
    "encode",
    "equal",
    "explain",
    "explain_matmul",
    "formats",
    "from_scipy",
    "inspect",
    "load",
    "matmul",
    "open_checkpoint",
    "prune",
    "quantize",
    "save",
    "set_cache_bytes",
    "set_max_bytes",
    "set_num_threads",
    "to_scipy",
]
