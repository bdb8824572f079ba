"""One home for packed sparse weights: NumPy arrays in, compact exact tensors out."""

from importlib.metadata import PackageNotFoundError, version

from sparsefmt import checkpoint, cuda, delta, dynamic, interop, io, merge, models, plan, prune, report
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
from sparsefmt.codecs.base import Codec
from sparsefmt.delta.tasks import TaskStore
from sparsefmt.encoding.format_text import formats
from sparsefmt.interop.scipy import from_scipy, to_scipy
from sparsefmt.interop.torch import from_torch, to_torch
from sparsefmt.io import TensorInfo, inspect, save
from sparsefmt.kernels.settings import cpu_features, get_num_threads, set_num_threads
from sparsefmt.structures.base import Structure
from sparsefmt.structures.bitmask import Bitmask
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csc, Csr
from sparsefmt.structures.dense import Dense
from sparsefmt.structures.nm import Nm
from sparsefmt.structures.nm_radix import NmRadix
from sparsefmt.tensor.sparse import SparseTensor
from sparsefmt.tensor.storage import Storage
from sparsefmt.tensor.transposed import Transposed

try:
    __version__ = version("sparsefmt")
except PackageNotFoundError:  # a source tree on the path, not installed
    __version__ = "unknown"

__all__ = [
    "BackendError",
    "Bitmask",
    "Bsr",
    "Checkpoint",
    "CheckpointError",
    "Codec",
    "CodecError",
    "Comparison",
    "Coo",
    "CorruptFileError",
    "Csc",
    "Csr",
    "DeltaError",
    "Dense",
    "DtypeError",
    "FormatError",
    "MergeError",
    "Nm",
    "NmRadix",
    "PatternError",
    "SizeError",
    "SparseTensor",
    "SparsefmtError",
    "Storage",
    "Structure",
    "Suggestion",
    "TaskStore",
    "TensorInfo",
    "TransformReport",
    "Transposed",
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
    "interop",
    "io",
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


def __dir__() -> list[str]:
    """Public names only: the other rooms of the package may change."""
    return [*__all__, "__version__"]
