"""Tensors from codes, scales and indices that exist already, and back to arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sparsefmt.base.coerce import as_array, checked_shape, matrix_shape, plain
from sparsefmt.base.dtypes import Array, dtype_of, native
from sparsefmt.base.errors import CodecError, FormatError
from sparsefmt.codecs.base import Codec, Options
from sparsefmt.codecs.raw import Raw
from sparsefmt.codecs.registry import CODECS
from sparsefmt.codecs.scales import param_of
from sparsefmt.encoding.format_text import parse, parse_codec
from sparsefmt.structures.base import Structure
from sparsefmt.structures.registry import STRUCTURES
from sparsefmt.tensor.axes import checked_axis, moved
from sparsefmt.tensor.sparse import SparseTensor, as_tensor

Part = tuple[str, Mapping[str, object]] | tuple[str, Mapping[str, object], Mapping[str, Any]]


def decode(t: SparseTensor, out: Array | None = None, *, max_bytes: int | None = None) -> Array:
    """The same as `t.to_dense(out, max_bytes=max_bytes)`."""
    return as_tensor(t, gpu=True).to_dense(out, max_bytes=max_bytes)


def from_parts(
    structure: Structure | Part, values: Codec | Part | object, shape: tuple[int, ...] | None = None, axis: int = -1
) -> SparseTensor:
    """Builds a tensor from arrays that exist already, and checks that they fit together.

    Args:
        structure: a format text and its arrays by name, as `t.structure.arrays()` gives them: ("csr", {"indptr": ...,
            "indices": ...}), ("nm2:4", {"codes": ...}), ("bitmask", {"bits": ..., "row_offsets": ...}); or a structure
            of another tensor.
        values: an array of the slots, raw, in the layout of the structure; or a codec text, its arrays and its
            parameters, as `t.values` gives them: ("int8:g128", {"codes": ..., "scale": ...}, {"dtype": "float16"}), the
            dtype of the decoded values by default float32; or the values of another tensor.
        shape: of the tensor; leading axes are flattened to rows. May be left out where `structure` is one.
        axis: the one that columns run along, as in `encode`.

    Returns:
        A tensor that shares the arrays where their dtype and layout allow. Nobody may write to them then.

    Raises:
        FormatError: the arrays contradict each other, the structure or the shape.
        CodecError: the codec is unknown, or does not hold the dtype.
        DtypeError: a dtype that no format holds.

    >>> t = from_parts(("csr", {"indptr": [0, 1, 2], "indices": [2, 0]}), np.array([5.0, 7.0]), (2, 3))
    >>> t.to_dense()
    array([[0., 0., 5.],
           [7., 0., 0.]])
    """
    if shape is None:
        if not isinstance(structure, Structure):
            msg = "shape: want the shape of the tensor, got None"
            raise FormatError(msg)
        shape = structure.shape
    shape = checked_shape(shape)
    s = (
        structure
        if isinstance(structure, Structure)
        else _structure(_part(structure, "structure"), moved(shape, checked_axis(axis, len(shape))))
    )
    return SparseTensor(s, values if isinstance(values, Codec) else _values(values, s), shape, axis)


def _part(part: object, what: str) -> tuple[str, dict[str, Array], dict[str, Any]]:
    if not isinstance(part, tuple) or not 2 <= len(part) <= 3 or not isinstance(part[0], str):
        msg = f"{what}: want (text, arrays by name) and perhaps parameters, got {type(part).__name__}"
        raise FormatError(msg)
    held, params = part[1], part[2] if len(part) == 3 else {}
    if not isinstance(held, Mapping) or not isinstance(params, Mapping):
        msg = f"{what}: want arrays and parameters by name, got {type(held).__name__} and {type(params).__name__}"
        raise FormatError(msg)
    return part[0], {name: as_array(a, name) for name, a in held.items() if a is not None}, dict(params)


def _structure(part: tuple[str, dict[str, Array], dict[str, Any]], shape: tuple[int, ...]) -> Structure:
    text, held, params = part
    target = parse(text)
    kind = STRUCTURES[target.structure.kind]
    _check_names(kind.kind, set(held), set(kind.array_names))
    try:
        return kind.from_parts(held, {**target.params, **params}, matrix_shape(shape))
    except TypeError as e:
        if isinstance(e, FormatError):
            raise
        msg = f"{text}: {e}"
        raise FormatError(msg) from None


def _values(values: object, structure: Structure) -> Codec:
    if not isinstance(values, tuple):
        a = as_array(values, "values")
        return Raw(plain(a, native(a.dtype)))
    text, held, params = _part(values, "values")
    kind, options = _codec(text)
    if "group" in options:
        params = {"group": param_of(options["group"]), **params}
    _check_names(text, set(held), set(kind.array_names))
    dtype = dtype_of(params.pop("dtype", held["data"].dtype if "data" in held else np.float32))
    try:
        made = kind.from_parts(held, params, dtype)
    except TypeError as e:
        if isinstance(e, FormatError):
            raise
        msg = f"{text}: {e}"
        raise FormatError(msg) from None
    if text not in CODECS and parse_codec(made.text) != (kind, options):
        msg = f"values: the arrays are those of {made.text}, not of {text}"
        raise FormatError(msg)
    return made


def _codec(text: str) -> tuple[type[Codec], Options]:
    """A codec from its text or its kind; of a kind, what the arrays and the parameters do not say is the default."""
    try:
        return parse_codec(text)
    except CodecError:
        if text not in CODECS:
            raise
        return CODECS[text], {}


def _check_names(kind: str, got: set[str], known: set[str]) -> None:
    if odd := sorted(got - known):
        msg = f"{kind}: unknown array {odd[0]!r}; want {', '.join(sorted(known))}"
        raise FormatError(msg)
