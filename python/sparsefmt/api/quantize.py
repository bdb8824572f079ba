"""From one codec to another: lossy, and named so."""

from typing import Protocol

import numpy as np

from sparsefmt.base.coerce import as_array
from sparsefmt.base.dtypes import INTEGERS, Array
from sparsefmt.base.errors import CodecError, FormatError
from sparsefmt.codecs.affine import Affine
from sparsefmt.codecs.base import Layout, Options
from sparsefmt.codecs.codebook import Codebook
from sparsefmt.codecs.descent import Chosen, choose_codes
from sparsefmt.codecs.raw import Raw
from sparsefmt.encoding.format_text import parse_codec
from sparsefmt.tensor.axes import turned
from sparsefmt.tensor.layout import inner
from sparsefmt.tensor.sparse import SparseTensor, as_tensor

_DAMP = 0.01  # of the mean variance, added to each; see sparsefmt.prune.compensated


def raw_values(t: SparseTensor, way: str) -> Array:
    """The values of a raw tensor.

    Raises:
        CodecError: it has another codec.
    """
    if not isinstance(t.values, Raw):
        msg = f"{way} starts from raw values, but the codec is {t.values.text!r}; use sf.dequantize first"
        raise CodecError(msg)
    return t.values.data


class InputMoments(Protocol):
    """What `quantize` takes of `sparsefmt.prune.Moments`."""

    @property
    def second(self) -> Array:
        """(cols, cols), or the diagonal (cols,)."""


def quantize(t: SparseTensor, codec: str, *, moments: InputMoments | None = None) -> SparseTensor:
    """Replaces raw values by integer codes with scales. Lossy.

    Args:
        t: a raw tensor of any structure.
        codec: "int2" to "int8", the bits per code, with options: `:gK` one scale per K dense columns, `:row`
            (default), `:tensor`; `:asym` zero points; `:f32` scales in float32 instead of float16.
        moments: of the inputs that the weight is multiplied with, `sparsefmt.prune.Moments`. Then scales and codes are
            chosen by coordinate descent on the error of the outputs; without, each code is the nearest to its value.

    Returns:
        A tensor of the same structure and dtype. A kept value that rounds to 0 stays a slot.

    Raises:
        CodecError: NaN or infinity, bool, complex, integers that have no code, a scale beyond its dtype or too small
            for it, an unknown codec, moments for a codec that has no codes to choose, or a tensor with a codec.
        FormatError: moments of another width.

    >>> import sparsefmt as sf
    >>> t = sf.encode(np.array([[127.0, 0.0, -3.2, 0.0]]), "nm2:4")
    >>> quantize(t, "int8").to_dense()
    array([[127.,   0.,  -3.,   0.]])
    """
    t = as_tensor(t)
    values = raw_values(t, "quantize")
    kind, options = parse_codec(codec) if isinstance(codec, str) else (Raw, {})
    if issubclass(kind, Raw | Codebook):
        msg = f"quantize: want a codec such as 'int8' or 'int4:g128', got {codec!r}; for k-means use sf.cluster"
        raise CodecError(msg)
    codes = kind.encode(t.structure, values, options)
    held: object = moments
    if held is not None and not hasattr(held, "second"):
        msg = f"quantize: moments: want sf.prune.Moments, got {type(held).__name__}"
        raise FormatError(msg)
    if moments is not None and not issubclass(kind, Affine):
        msg = f"quantize: moments choose codes of int2 .. int8, not of {codec!r}; leave out moments="
        raise CodecError(msg)
    if moments is not None and issubclass(kind, Affine) and values.dtype.name not in INTEGERS and t.structure.slots:
        codes = _chosen(t, values, kind, options, np.asarray(moments.second, np.float64))
    return t.replaced(values=codes)


def _chosen(t: SparseTensor, values: Array, kind: type[Affine], options: Options, h: Array) -> Affine:
    """Codes by the error of the outputs, on the slots that the tensor has."""
    shape = t.structure.shape
    if h.shape[-1] != shape[1] or not np.isfinite(h).all():
        msg = f"moments are of {h.shape[-1]} columns, and the tensor has {shape[1]}; they want to be finite"
        raise FormatError(msg)
    if not h.any():
        return kind.encode(t.structure, values, options)
    flat = inner(t).to_dense().reshape(shape)
    row, col = t.structure.coords()
    keep = np.zeros(shape, bool)
    keep[row, col] = True
    ridge = _DAMP * (h.mean() if h.ndim == 1 else np.trace(h) / len(h))
    damped = h + ridge if h.ndim == 1 else h + ridge * np.eye(len(h))
    found = choose_codes(
        flat, keep, damped, bits=kind.bits, group=options["group"], asym=options["asym"], dtype=options["dtype"]
    )
    slots = np.zeros(values.shape, values.dtype)
    t.structure.body(slots)[...] = found.values[row, col]
    return scaled_codes(t.structure, slots, kind, options["group"], found)


def scaled_codes(structure: Layout, slots: Array, kind: type[Affine], group: int, found: Chosen) -> Affine:
    """Slots that are codes times scales, as those codes."""
    draft = kind(np.empty((0, 0), np.uint8), found.scale, found.zero_point, group, slots.dtype, check=False)
    return draft.lower(structure, draft.quantized(structure, slots))


def cluster(t: SparseTensor, k: int | str, *, weights: object = None, codebook: object = None) -> SparseTensor:
    """Replaces raw values by codes into a codebook of k entries. Lossy.

    The codebook is the exact optimum of one-dimensional k-means for up to 65,536 distinct values (all dtypes of 16
    bits and fewer); beyond that the optimum of at most 65,536 runs of neighbouring values, polished by Lloyd's rounds.
    It depends on neither threads nor a seed. Where slots are filled up with zeros, 0.0 is one of the entries.

    Args:
        t: a raw tensor of any structure.
        k: 2..256, or a codec text: "kmeans16:row" has a codebook per row.
        weights: of the shape of t, finite, >= 0: how much the squared error of each element counts.
        codebook: (k,) or (rows, k) ascending, to use instead of a fit.

    Raises:
        CodecError: k, NaN or infinity, bool, complex, or a tensor that has a codec already.
        FormatError: the shape or content of weights.

    Source: Wang and Song 2011, Ckmeans.1d.dp, The R Journal 3(2).

    >>> import sparsefmt as sf
    >>> t = sf.encode(np.array([[1.0, 1.2, 5.0, 5.2]]), "csr")
    >>> cluster(t, 2).to_dense()
    array([[1.1, 1.1, 5.1, 5.1]])
    """
    t = as_tensor(t)
    values = raw_values(t, "cluster")
    kind, options = parse_codec(k if isinstance(k, str) else f"kmeans{k}")
    if not issubclass(kind, Codebook):
        msg = f"cluster: want a number or a codec such as 'kmeans16:row', got {k!r}; for scales use sf.quantize"
        raise CodecError(msg)
    if weights is not None:
        options["weights"] = slot_weights(t, weights)
    options["codebook"] = codebook
    return t.replaced(values=kind.encode(t.structure, values, options))


def slot_weights(t: SparseTensor, weights: object) -> Array:
    """The weight of every slot, float64, in the shape of the body.

    Raises:
        FormatError: another shape, or a weight that is negative or not finite.
    """
    a = as_array(weights)
    if a.shape != t.shape or a.dtype.kind == "c":
        msg = f"weights: want real numbers of shape {t.shape}, got {a.dtype} of shape {a.shape}"
        raise FormatError(msg)
    wide = turned(a, t.axis).reshape(t.structure.shape).astype(np.float64)
    if not (np.isfinite(wide) & (wide >= 0)).all():
        msg = "weights: want finite numbers >= 0"
        raise FormatError(msg)
    row, col = t.structure.coords()
    return np.asarray(wide[row, col])


def dequantize(t: SparseTensor) -> SparseTensor:
    """Gives the same values in the raw codec; a raw tensor itself.

    >>> import sparsefmt as sf
    >>> dequantize(sf.encode(np.array([[2.0, 0.0]]), "csr/int8")).format
    'csr'
    """
    t = as_tensor(t)
    if isinstance(t.values, Raw):
        return t
    return t.replaced(values=Raw(t.values.decode(t.structure), check=False))
