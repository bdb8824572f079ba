"""Parts of tensors as pickles and files hold them."""

from typing import Any

from sparsefmt.base.coerce import checked_shape
from sparsefmt.base.dtypes import Array, dtype_named, items
from sparsefmt.base.errors import CodecError, FormatError
from sparsefmt.base.part import Part
from sparsefmt.codecs.base import Codec
from sparsefmt.codecs.registry import CODECS
from sparsefmt.structures.base import Structure
from sparsefmt.structures.registry import STRUCTURES
from sparsefmt.tensor.axes import checked_axis, matrix_of

Parts = tuple[str, dict[str, Any], dict[str, Any]]


def built(
    structure: Parts, values: Parts, shape: tuple[int, ...], dtype: str, axis: int = -1
) -> tuple[Structure, Codec, tuple[int, ...]]:
    """Builds and checks parts from (kind, arrays, parameters), as pickles and files give them.

    Raises:
        FormatError: the parts contradict each other, or a kind is unknown.
    """
    shape = checked_shape(shape)
    for registry, (kind, held, params) in ((STRUCTURES, structure), (CODECS, values)):
        if kind not in registry:
            msg = f"{kind!r} is unknown; have {', '.join(registry)}"
            raise FormatError(msg)
        known = registry[kind].array_names
        if odd := (set(held) - set(known)) | (set(params) & {"check", "shape", *known}):
            msg = f"{kind}: unknown array or parameter {sorted(odd)[0]!r}"
            raise FormatError(msg)
    try:
        made = STRUCTURES[structure[0]].from_parts(
            structure[1], structure[2], matrix_of(shape, checked_axis(axis, len(shape)))
        )
        codec = CODECS[values[0]].from_parts(values[1], values[2], dtype_named(dtype))
    except TypeError as e:
        if isinstance(e, FormatError | CodecError):
            raise
        msg = f"{structure[0]}/{values[0]}: {e}"
        raise FormatError(msg) from None
    return made, codec, shape


def _exported(a: Array) -> tuple[Array, str]:
    """An array that pickles out of band, and the name of its dtype; those of ml_dtypes export no buffer."""
    return (items(a) if a.dtype.isbuiltin != 1 else a), a.dtype.name


def exported(part: Part) -> Parts:
    """A part for a pickle."""
    return part.kind, {name: _exported(a) for name, a in part.arrays().items()}, part.params()


def imported(part: Parts) -> Parts:
    """The arrays of a part as they were before `exported`."""
    kind, held, params = part
    return kind, {name: a.view(dtype_named(dtype)) for name, (a, dtype) in held.items()}, params
