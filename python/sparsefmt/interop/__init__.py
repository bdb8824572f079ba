"""Exchange with other libraries."""

from sparsefmt.interop import dask
from sparsefmt.interop.anndata import read_matrix, write_anndata
from sparsefmt.interop.binsparse import from_binsparse, to_binsparse
from sparsefmt.interop.compressed_tensors import (
    from_int_quantized,
    from_pack_quantized,
    from_sparse24_bitmask,
    from_sparse_bitmask,
    to_pack_quantized,
    to_sparse24_bitmask,
    to_sparse_bitmask,
)
from sparsefmt.interop.dlpack import from_dlpack, to_dlpack
from sparsefmt.interop.files import save_anndata, save_binsparse, save_compressed_tensors
from sparsefmt.interop.gptq import from_awq, from_gptq
from sparsefmt.interop.layouts24 import from_cutlass24, from_nibbles24, to_cutlass24, to_nibbles24
from sparsefmt.interop.marlin24 import from_marlin24
from sparsefmt.interop.matrix_market import read_matrix_market
from sparsefmt.interop.matrix_market_text import write_matrix_market
from sparsefmt.interop.npz_scipy import save_npz
from sparsefmt.interop.scaled_floats import from_block_scales, from_nvfp4

__all__ = [
    "dask",
    "from_awq",
    "from_binsparse",
    "from_block_scales",
    "from_cutlass24",
    "from_dlpack",
    "from_gptq",
    "from_int_quantized",
    "from_marlin24",
    "from_nibbles24",
    "from_nvfp4",
    "from_pack_quantized",
    "from_sparse24_bitmask",
    "from_sparse_bitmask",
    "read_matrix",
    "read_matrix_market",
    "save_anndata",
    "save_binsparse",
    "save_compressed_tensors",
    "save_npz",
    "to_binsparse",
    "to_cutlass24",
    "to_dlpack",
    "to_nibbles24",
    "to_pack_quantized",
    "to_sparse24_bitmask",
    "to_sparse_bitmask",
    "write_anndata",
    "write_matrix_market",
]
