"""What the extension plans for a product, and what it did. Definitions alone have no ways to choose from."""

from sparsefmt.kernels.registry import NATIVE, extension

Planned = tuple[str, int, int, int, int]
"""The name of a way; bytes moved, operations, bytes of working space, and, for tiles, products of parts."""


def product_plan(
    kind: tuple[str, int, int],
    shape: tuple[int, int],
    slots: int,
    how: tuple[str, int, int],
    scale_bytes: int,
    k: int,
    x_dtype: str,
    nbytes: int,
) -> Planned | None:
    """The way that a kernel takes for `w @ x`; None where none takes the matrix, or there are only definitions.

    Args:
        kind: nm, bitmask, dense, csr or bsr; n and m, or rows and columns of a block (else 0, 0).
        shape: of `w`.
        slots: of `w`.
        how: as in `sparsefmt.kernels.product`; of codes with scales any group above 0.
        scale_bytes: of a scale; 0 where there are none.
        k: columns of x.
        x_dtype: the dtype of x.
        nbytes: of `w`.
    """
    return extension.product_plan(kind, shape, slots, how, scale_bytes, k, x_dtype, nbytes) if NATIVE else None


def product_ways_taken() -> dict[str, int]:
    """How many products of this process went each way of the extension."""
    return dict(extension.product_ways_taken()) if NATIVE else {}
