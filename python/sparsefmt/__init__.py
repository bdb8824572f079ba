"""One home for packed sparse weights: NumPy arrays in, compact exact tensors out."""

from typing import TYPE_CHECKING

from sparsefmt.base.loading import load as _load

if TYPE_CHECKING:  # what `__getattr__` below loads, for type checkers and editors
    from sparsefmt import checkpoint, cuda, delta, dynamic, interop, io, merge, models, plan, prune, report
    from sparsefmt.api.compare import Comparison, compare
    from sparsefmt.api.convert import change as convert
    from sparsefmt.api.convert import explain
    from sparsefmt.api.encode import encode
    from sparsefmt.api.equal import equal
    from sparsefmt.api.matmul import explain_matmul, matmul
    from sparsefmt.api.parts import decode, from_parts
    from sparsefmt.api.quantize import cluster, dequantize, quantize
    from sparsefmt.api.random import random
    from sparsefmt.api.suggest import Suggestion, suggest
    from sparsefmt.api.versions import show_versions
    from sparsefmt.base.alloc import set_cache_bytes
    from sparsefmt.base.errors import (
        BackendError,
        BusyError,
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
    from sparsefmt.checkpoint.load import load
    from sparsefmt.checkpoint.model import Checkpoint, open_checkpoint
    from sparsefmt.checkpoint.transform import transform
    from sparsefmt.checkpoint.transform_report import TransformReport
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
    from sparsefmt.structures.nm_rans import NmRans
    from sparsefmt.tensor.sparse import SparseTensor
    from sparsefmt.tensor.storage import Storage
    from sparsefmt.tensor.transposed import Transposed

    __version__: str

_HOMES = {
    "BackendError": "sparsefmt.base.errors",
    "Bitmask": "sparsefmt.structures.bitmask",
    "Bsr": "sparsefmt.structures.bsr",
    "BusyError": "sparsefmt.base.errors",
    "Checkpoint": "sparsefmt.checkpoint.model",
    "CheckpointError": "sparsefmt.base.errors",
    "Codec": "sparsefmt.codecs.base",
    "CodecError": "sparsefmt.base.errors",
    "Comparison": "sparsefmt.api.compare",
    "Coo": "sparsefmt.structures.coo",
    "CorruptFileError": "sparsefmt.base.errors",
    "Csc": "sparsefmt.structures.csr",
    "Csr": "sparsefmt.structures.csr",
    "DeltaError": "sparsefmt.base.errors",
    "Dense": "sparsefmt.structures.dense",
    "DtypeError": "sparsefmt.base.errors",
    "FormatError": "sparsefmt.base.errors",
    "MergeError": "sparsefmt.base.errors",
    "Nm": "sparsefmt.structures.nm",
    "NmRadix": "sparsefmt.structures.nm_radix",
    "NmRans": "sparsefmt.structures.nm_rans",
    "PatternError": "sparsefmt.base.errors",
    "SizeError": "sparsefmt.base.errors",
    "SparseTensor": "sparsefmt.tensor.sparse",
    "SparsefmtError": "sparsefmt.base.errors",
    "Storage": "sparsefmt.tensor.storage",
    "Structure": "sparsefmt.structures.base",
    "Suggestion": "sparsefmt.api.suggest",
    "TaskStore": "sparsefmt.delta.tasks",
    "TensorInfo": "sparsefmt.io",
    "TransformReport": "sparsefmt.checkpoint.transform_report",
    "Transposed": "sparsefmt.tensor.transposed",
    "VersionError": "sparsefmt.base.errors",
    "cluster": "sparsefmt.api.quantize",
    "compare": "sparsefmt.api.compare",
    "convert": "sparsefmt.api.convert",
    "cpu_features": "sparsefmt.kernels.settings",
    "decode": "sparsefmt.api.parts",
    "dequantize": "sparsefmt.api.quantize",
    "encode": "sparsefmt.api.encode",
    "equal": "sparsefmt.api.equal",
    "explain": "sparsefmt.api.convert",
    "explain_matmul": "sparsefmt.api.matmul",
    "formats": "sparsefmt.encoding.format_text",
    "from_parts": "sparsefmt.api.parts",
    "from_scipy": "sparsefmt.interop.scipy",
    "from_torch": "sparsefmt.interop.torch",
    "get_num_threads": "sparsefmt.kernels.settings",
    "inspect": "sparsefmt.io",
    "load": "sparsefmt.checkpoint.load",
    "matmul": "sparsefmt.api.matmul",
    "open_checkpoint": "sparsefmt.checkpoint.model",
    "quantize": "sparsefmt.api.quantize",
    "random": "sparsefmt.api.random",
    "save": "sparsefmt.io",
    "set_cache_bytes": "sparsefmt.base.alloc",
    "set_max_bytes": "sparsefmt.base.limits",
    "set_num_threads": "sparsefmt.kernels.settings",
    "show_versions": "sparsefmt.api.versions",
    "suggest": "sparsefmt.api.suggest",
    "to_scipy": "sparsefmt.interop.scipy",
    "to_torch": "sparsefmt.interop.torch",
    "transform": "sparsefmt.checkpoint.transform",
}
"""The module that each public name is loaded from when it is asked for first, so that the import costs next to nothing.

Scientific Python's SPEC 1 describes the habit. A test holds it against the imports above.
"""

_ROOMS = ("checkpoint", "cuda", "delta", "dynamic", "interop", "io", "merge", "models", "plan", "prune", "report")

__all__ = [
    "BackendError",
    "Bitmask",
    "Bsr",
    "BusyError",
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
    "NmRans",
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
    "show_versions",
    "suggest",
    "to_scipy",
    "to_torch",
    "transform",
]

if not TYPE_CHECKING:  # checkers would take any name for one of the package

    def __getattr__(name: str) -> object:
        """Loads a public name when it is asked for first."""
        if name == "__version__":
            found = _version()
        elif name in _ROOMS:
            return _load(f"sparsefmt.{name}")  # which is an attribute from then on
        elif name == "convert":
            found = _load(_HOMES[name]).change
        elif name in _HOMES:
            found = getattr(_load(_HOMES[name]), name)
        else:
            msg = f"module 'sparsefmt' has no attribute {name!r}"
            raise AttributeError(msg, name=name)
        globals()[name] = found
        return found


def _version() -> str:
    """The version of the installed package."""
    from importlib.metadata import PackageNotFoundError, version  # not at the top: it takes longer than all the rest

    try:
        return version("sparsefmt")
    except PackageNotFoundError:  # a source tree on the path, not installed
        return "unknown"


def __dir__() -> list[str]:
    """Public names only: the other rooms of the package may change."""
    return [*__all__, "__version__"]
