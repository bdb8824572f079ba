"""Names that users of SciPy know."""

from typing import Self

from sparsefmt.tensor import parts, show
from sparsefmt.tensor.stored import Stored


class Aliases(Stored):
    """Other names of what packed tensors have."""

    __slots__ = ()

    def tocsr(self) -> Self:
        """`t.convert("csr")`."""
        return self.convert("csr")

    def tocsc(self) -> Self:
        """`t.convert("csc")`."""
        return self.convert("csc")

    def tocoo(self) -> Self:
        """`t.convert("coo")`."""
        return self.convert("coo")

    def tobsr(self, blocksize: tuple[int, int] = (16, 16)) -> Self:
        """`t.convert("bsr16x16")`."""
        return self.convert(f"bsr{blocksize[0]}x{blocksize[1]}")

    def asformat(self, format: str | None) -> Self:
        """`t.convert(format)`; None: itself."""
        return self if format is None else self.convert(format)

    getnnz = lambda t: t.nnz  # noqa: E731
    data = property(lambda t: parts.named(t, "data"), doc="The values of csr, csc, coo and bsr, decoded, read-only.")
    indices = property(lambda t: parts.named(t, "indices"), doc="The indices of csr, csc and bsr.")
    indptr = property(lambda t: parts.named(t, "indptr"), doc="The offsets of csr, csc and bsr.")
    row = property(lambda t: parts.named(t, "row"), doc="The rows of coo; leading axes are flattened.")
    col = property(lambda t: parts.named(t, "col"), doc="The columns of coo.")

    def _repr_html_(self) -> str:
        return show.html(self)
