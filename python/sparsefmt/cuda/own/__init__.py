"""Products by our own kernels, which read the packed bytes on sparse tensor cores."""

from sparsefmt.cuda.own.product import Own


def engine() -> Own:
    """The engine, for the table of `sparsefmt.cuda.engines`."""
    return Own()
