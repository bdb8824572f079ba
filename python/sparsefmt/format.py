"""Format text: `structure[@align][/codec[:option...]]`."""

import difflib
import re
from dataclasses import dataclass

from sparsefmt.codecs.registry import CODECS
from sparsefmt.errors import CodecError, FormatError
from sparsefmt.structures.base import Params, Structure
from sparsefmt.structures.registry import STRUCTURES

_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Format:
    """A parsed format text."""

    structure: type[Structure]
    params: Params
    codec: str | None  # None: not named, i.e. raw for encode, and for convert the one at hand


def formats() -> list[str]:
    """The templates of all format texts.

    Returns:
        One text per structure, and codec options where there are any; braces stand for numbers, brackets for
        what may be left out.

    >>> formats()
    ['dense', 'coo', 'csr', 'csc', 'bsr{R}x{C}', 'bitmask[@64]', 'nm{N}:{M}[@64]']
    """
    return [s.template for s in STRUCTURES.values()]


def parse(text: object) -> Format:
    """Reads a format text.

    Raises:
        FormatError: the structure is unknown or its numbers are out of range.
        CodecError: the codec is unknown.
    """
    if not isinstance(text, str):
        msg = f"format: want a text such as 'nm2:4', got {text!r}"
        raise FormatError(msg)
    if len(text) > _LONGEST:
        msg = f"format: {text[:20]!r}... has {len(text)} characters; no format has more than {_LONGEST}"
        raise FormatError(msg)
    head, slash, codec = text.partition("/")
    for structure in STRUCTURES.values():
        found = re.fullmatch(structure.pattern, head, re.ASCII)
        if found:
            try:
                params = structure.parse({k: v for k, v in found.groupdict().items() if v is not None})
            except FormatError as e:
                msg = f"format {text!r}: {e}"
                raise FormatError(msg) from None
            if slash and codec not in CODECS:
                msg = f"format {text!r}: codec {codec!r} is unknown; have {', '.join(CODECS)}"
                raise CodecError(msg)
            return Format(structure, params, codec or None)
    near = difflib.get_close_matches(head, [s.example for s in STRUCTURES.values()], 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    msg = f"format {text!r}: structure {head!r} is unknown; have {', '.join(formats())}{hint}"
    raise FormatError(msg)
