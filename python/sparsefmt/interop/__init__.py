"""Exchange with other libraries."""

from sparsefmt.interop.layouts24 import from_cutlass24, from_nibbles24, to_cutlass24, to_nibbles24

__all__ = ["from_cutlass24", "from_nibbles24", "to_cutlass24", "to_nibbles24"]
