"""Exchange with other libraries."""

from sparsefmt.interop.layouts24 import from_cutlass24, from_nibbles24, to_cutlass24, to_nibbles24
from sparsefmt.interop.matrix_market import read_matrix_market
from sparsefmt.interop.matrix_market_text import write_matrix_market

__all__ = [
    "from_cutlass24",
    "from_nibbles24",
    "read_matrix_market",
    "to_cutlass24",
    "to_nibbles24",
    "write_matrix_market",
]
