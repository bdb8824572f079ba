"""Headers that say far more than a file holds: refused by their length, before anything is parsed.

What is parsed takes about 300 bytes of memory for each field, whatever its length, and microseconds of time.
"""

from collections.abc import Iterable

from sparsefmt.base import limits
from sparsefmt.base.errors import SizeError

FIELD_BYTES = 300
"""Bytes of memory that a field of a header takes when it is parsed."""

MOST_FIELDS = 1_000_000
"""Fields that every header may have; those of a tensor more for each byte of data."""

TENSOR_FIELDS = 4
"""Fields of a tensor in a header; a packed one has about 30."""

MOST_NODES = 1000
"""Lists, objects and commas in the JSON of this package, for each array of the file; of a packed tensor 150 at most."""


def check_flood(header: bytes, data_bytes: int) -> None:
    """Raises SizeError where a header has more fields than its data can be about, or than memory allows."""
    fields = header.count(b'":')
    cost = 4 * len(header) + FIELD_BYTES * fields
    limits.check_size(cost, f"the header, of {len(header)} bytes and {fields} fields,")
    allowed = MOST_FIELDS + TENSOR_FIELDS * data_bytes
    if limits.is_default() and fields > allowed:
        msg = (
            f"the header has {fields} fields for {data_bytes} bytes of data, allowed {allowed}; use several files, or "
        )
        raise SizeError(msg + "set a limit of memory with sparsefmt.set_max_bytes, which then decides alone")


def check_entries(text: str, keys: Iterable[str]) -> None:
    """Raises SizeError where the JSON of this package has more parts than the arrays under `keys` can be about."""
    nodes = text.count(",") + text.count("[") + text.count("{")
    if nodes <= MOST_NODES:
        return
    allowed = sum(MOST_NODES + len(k) for k in keys)
    if limits.is_default():
        if nodes > allowed:
            msg = (
                f"the metadata of packed tensors has {nodes} parts, allowed {allowed} for the arrays of this file; set "
            )
            raise SizeError(msg + "a limit of memory with sparsefmt.set_max_bytes, which then decides alone")
    else:
        limits.check_size(4 * len(text) + FIELD_BYTES * nodes, f"the metadata of packed tensors, with {nodes} parts,")
