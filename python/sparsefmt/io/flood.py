"""Headers that say far more than a file holds: refused by their length, before anything is parsed.

What is parsed takes about 300 bytes of memory for each field, whatever its length, and microseconds of time.
"""

from collections.abc import Iterable

from sparsefmt.base import limits
from sparsefmt.base.errors import SizeError

FIELD_BYTES = 300
"""Bytes of memory that a field of a header takes when it is parsed."""

MOST_FIELDS = 1_000_000
"""Fields that every header may have beside `TENSOR_FIELDS` for each array with data, and one more for each byte."""

AT_ALL = 2_500_000
"""Fields beside those of arrays with data that no header has by default, whatever its data: in half a gigabyte."""

TENSOR_FIELDS = 4
"""Its name, dtype, shape and data_offsets."""

MOST_TENSORS = 1_000_000
"""Arrays that get `TENSOR_FIELDS`; the largest header that a file may have holds some 600,000 more."""

MOST_NODES = 1000
"""Lists, objects and commas in the JSON of this package, for each array of the file; of a packed tensor 150 at most."""


def check_flood(header: bytes | bytearray, data_bytes: int) -> None:
    """Raises SizeError where a header has more fields than its data can be about, or than memory allows."""
    fields = header.count(b":")  # blanks may stand before a colon, so the quote is no part of it
    cost = 4 * len(header) + FIELD_BYTES * fields
    limits.check_size(cost, f"the header, of {len(header)} bytes and {fields} fields,")
    tensors = min(header.count(b'"data_offsets"'), data_bytes, MOST_TENSORS) if fields > MOST_FIELDS else 0
    allowed = min(MOST_FIELDS + data_bytes, AT_ALL) + TENSOR_FIELDS * tensors
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
