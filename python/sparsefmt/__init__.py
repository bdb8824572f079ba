"""One home for packed sparse weights: NumPy arrays in, compact exact tensors out."""

from sparsefmt.arrays import set_max_bytes
from sparsefmt.errors import (
    BackendError,
    CodecError,
    CorruptFileError,
    DtypeError,
    FormatError,
    PatternError,
    SizeError,
    SparsefmtError,
    VersionError,
)
from sparsefmt.format import formats
from sparsefmt.io import TensorInfo, inspect, load, save
from sparsefmt.tensor import SparseTensor, encode, equal, explain
from sparsefmt.tensor import change as convert
