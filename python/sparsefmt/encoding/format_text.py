"""Format text: `structure[@align][/codec[:option...]]`."""

import difflib
import functools
import re
from dataclasses import dataclass

from sparsefmt.base.errors import CodecError, FormatError
from sparsefmt.codecs.base import Codec, Options
from sparsefmt.codecs.raw import Raw
from sparsefmt.codecs.registry import CODECS
from sparsefmt.structures.base import Params, Structure
from sparsefmt.structures.registry import STRUCTURES

_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Format:
    """A parsed format text; many callers share it, so nobody changes its dicts."""

    structure: type[Structure]
    params: Params
    codec: type[Codec] | None  # None: not named, i.e. raw for encode, and for convert the one at hand
    options: Options


def formats() -> list[str]:
    """The templates of all format texts.

    Returns:
        One text per structure, and codec options where there are any; braces stand for numbers, brackets for
        what may be left out.

    >>> formats()[:6]
    ['dense', 'coo', 'csr', 'csc', 'bsr{R}x{C}', 'bitmask[@64]']
    """
    codecs = [f"{{structure}}/{template}" for template in codec_templates() if template != Raw.template]
    return [*(s.template for s in STRUCTURES.values()), *codecs]


def codec_templates() -> list[str]:
    """The templates of all codec texts; codecs that differ in a number share one."""
    return list(dict.fromkeys(codec.template for codec in CODECS.values()))


def parse_codec(text: str) -> tuple[type[Codec], Options]:
    """Reads a codec text.

    Raises:
        CodecError: it is unknown, or its options are.
    """
    for codec in CODECS.values():
        found = re.fullmatch(codec.pattern, text, re.ASCII)
        if found:
            try:
                return codec, codec.parse({k: v for k, v in found.groupdict().items() if v is not None})
            except CodecError as e:
                msg = f"codec {text!r}: {e}"
                raise CodecError(msg) from None
    msg = f"codec {text!r} is unknown; have {', '.join(codec_templates())}"
    raise CodecError(msg)


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
    return _parse(text)


@functools.lru_cache(256)
def _parse(text: str) -> Format:
    head, slash, tail = text.partition("/")
    for structure in STRUCTURES.values():
        found = re.fullmatch(structure.pattern, head, re.ASCII)
        if found:
            try:
                params = structure.parse({k: v for k, v in found.groupdict().items() if v is not None})
            except FormatError as e:
                msg = f"format {text!r}: {e}"
                raise FormatError(msg) from None
            codec, options = parse_codec(tail) if slash else (None, {})
            return Format(structure, params, codec, options)
    near = difflib.get_close_matches(head, [s.example for s in STRUCTURES.values()], 1)
    known = ", ".join(s.template for s in STRUCTURES.values())
    hint = f"; did you mean {near[0]!r}?" if near else ""
    msg = f"format {text!r}: structure {head!r} is unknown; have {known}{hint}"
    raise FormatError(msg)
