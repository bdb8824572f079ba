"""Definition of the parser of safetensors headers; the extension uses the Rust crate `safetensors`."""

import json
from typing import Any, NoReturn

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import CorruptFileError
from sparsefmt.kernels.registry import kernel

BITS = {
    "F4": 4,
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}
"""Bits per element of every dtype of the container."""

MAX_RANK = 64  # of NumPy
_WORD = 1 << 64
Stored = tuple[str, str, list[int], int, int]


def refuse(what: str) -> NoReturn:
    """Raises CorruptFileError."""
    raise CorruptFileError(what)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dict of the pairs of a JSON object, whose keys must differ."""
    made = dict(pairs)
    if len(made) != len(pairs):
        refuse("a key stands twice")
    return made


def parse_json(text: str, what: str) -> Any:  # noqa: ANN401
    """The value of a JSON text, strictly: no key twice, no NaN or infinity, no lone surrogates.

    Raises:
        CorruptFileError: the text is something else, or nested too deeply.
    """
    if not isinstance(text, str):  # of a header that JSON itself allows
        refuse(f"{what} is no text")
    try:
        text.encode()
        value = json.loads(
            text,
            object_pairs_hook=unique,
            parse_constant=lambda c: refuse(f"{c} is no JSON"),
            parse_int=lambda digits: -0.0 if digits == "-0" else int(digits),
        )
        if "\\" in text:  # escapes can name lone surrogates
            json.dumps(value, ensure_ascii=False).encode()
    except CorruptFileError as e:
        refuse(f"{what}: {e}")
    except RecursionError:
        refuse(f"{what}: nested too deeply")
    except ValueError as e:
        refuse(f"{what}: {e}")
    return value


def _word(n: object) -> int:
    if not isinstance(n, int) or isinstance(n, bool) or not 0 <= n < _WORD:
        refuse(f"header: want an integer in 0..2^64, got {str(n)[:40]!r}")
    return n


def _stored(name: str, entry: object) -> Stored:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        refuse(f"header: {name!r} needs exactly dtype, shape and data_offsets")
    dtype, shape, ends = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        refuse(f"header: {name!r} has the unknown dtype {str(dtype)[:40]!r}")
    if not isinstance(shape, list) or len(shape) > MAX_RANK or not isinstance(ends, list) or len(ends) != 2:
        refuse(f"header: {name!r} needs a list of at most {MAX_RANK} lengths as shape and two data_offsets")
    return name, dtype, [_word(n) for n in shape], _word(ends[0]), _word(ends[1])


@kernel
def parse_header(text: Array, data_bytes: int) -> tuple[list[Stored], dict[str, str]]:
    """Parses the JSON `text` (uint8) of a safetensors header that is followed by `data_bytes` bytes of data.

    Returns name, dtype, shape, start and end of every array, ordered by place, and the metadata. The arrays fill the
    data without holes and overlaps, and each has as many bytes as its dtype and shape (of rank 64 at most) say.

    Raises:
        CorruptFileError: it is no such header.
    """
    try:
        decoded = text.tobytes().decode()
    except UnicodeDecodeError as e:
        refuse(f"header: {e}")
    header = parse_json(decoded, "header")
    if not isinstance(header, dict):
        refuse("header: want an object of tensors")
    metadata = header.pop("__metadata__", None)
    metadata = {} if metadata is None else metadata  # some writers put null there
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        refuse("header: __metadata__ is no object of texts")
    stored = sorted((_stored(*pair) for pair in header.items()), key=lambda s: (s[3], s[4], s[0]))
    place = 0
    for name, dtype, shape, start, end in stored:
        if start != place or end < start:
            refuse(f"header: {name!r} has an offset {start}..{end} that leaves a hole or overlaps at {place}")
        place, bits = end, 1
        for n in (*shape, BITS[dtype]):
            bits *= n
            if bits >= _WORD:
                refuse(f"header: {name!r} has a shape that overflows")
        if bits % 8 or end - start != bits // 8:
            refuse(f"header: {name!r} has {end - start} bytes, its dtype and shape say {bits / 8}")
    if place != data_bytes:
        refuse(f"the header describes {place} bytes of data, the file holds {data_bytes}")
    return stored, dict(sorted(metadata.items()))
