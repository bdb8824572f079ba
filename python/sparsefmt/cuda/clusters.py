"""Codebooks on the device. The fit is the CPU's, on the distinct values and their counts, which the GPU finds."""

from collections.abc import Callable

import numpy as np

from sparsefmt.base.coerce import is_device_array
from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.errors import CodecError
from sparsefmt.codecs.base import Options
from sparsefmt.codecs.codebook import Codebook, given_codebook, nearest
from sparsefmt.codecs.fit import fit, merged, rounded
from sparsefmt.cuda import launch
from sparsefmt.cuda.device import DeviceArray, cupy, empty
from sparsefmt.cuda.structures import Refused
from sparsefmt.cuda.transfer import to_device, to_host
from sparsefmt.kernels.codebook import midpoints
from sparsefmt.structures.base import Structure

Pack = Callable[[Structure, DeviceArray, int], DeviceArray]
LookUp = Callable[[DeviceArray, DeviceArray], None]


def encode(s: Structure, values: DeviceArray, dtype: Dtype, options: Options, pack: Pack) -> Codebook:
    """Fits a codebook to the values of the body, or takes `options["codebook"]`; assigns every slot its nearest entry.

    Raises:
        Refused: values that are not finite; a codebook per row, which the CPU fits.
        CodecError: a codebook from the caller that cannot be.
    """
    if options["row"]:
        raise Refused
    k, given = options["k"], options.get("codebook")
    found, counts = distinct(values)
    if dtype.kind not in "iu" and not np.isfinite(found.astype(np.float64)).all():
        raise Refused
    zero = bool(s.fills_with_zero and values.size and counts[_bits(found) == 0].any())
    if given is not None:
        if is_device_array(given):
            given = to_host(given)
        book = given_codebook(given, dtype, k, None)
    else:
        if s.fills_with_zero:
            kept = _bits(found) != 0
            found, counts = found[kept], counts[kept]
        order = np.argsort(found.astype(np.float64), kind="stable")
        points, weights = merged(found.astype(np.float64)[order], counts[order].astype(np.float64))
        book = rounded(fit(points, weights if len(points) else None, k, zero), dtype)
    if zero and not (_bits(book) == 0).any():
        msg = f"{s.kind} has filling slots here, so the codebook must hold 0.0"
        raise CodecError(msg)
    codes = empty(values.shape, np.uint8, "codes")
    if codes.size:
        assign(values, dtype, book, codes)
    bits = (k - 1).bit_length()
    return Codebook(pack(s, codes, bits), to_device(book), check=False)


def _bits(a: Array) -> Array:
    return a.view(f"u{a.dtype.itemsize}")


def distinct(values: DeviceArray) -> tuple[Array, Array]:
    """The bit patterns that occur (as values), and how often each does."""
    xp, flat = cupy(), values.reshape(-1)
    if values.dtype.itemsize <= 2:
        width = np.dtype(f"u{values.dtype.itemsize}")
        every = 1 << (8 * width.itemsize)
        counts = to_host(xp.bincount(flat.view(width).astype(np.int32), minlength=every))
        present = np.flatnonzero(counts)
        return present.astype(width).view(values.dtype), counts[present]
    found, counted = xp.unique(flat.view(f"u{values.dtype.itemsize}"), return_counts=True)
    return to_host(found).view(values.dtype), to_host(counted)


def assign(values: DeviceArray, dtype: Dtype, book: Array, codes: DeviceArray) -> None:
    """Writes the index of the nearest entry of every value; the lower one where two are as near."""
    if dtype.itemsize <= 2:
        width = np.dtype(f"u{dtype.itemsize}")
        table = np.empty(1 << (8 * width.itemsize), np.uint8)
        nearest(np.arange(len(table)).astype(width).view(dtype), book, table)
        key = {"NARROW": "u16" if width.itemsize == 2 else "u8"}
        launch.run("stream", "tabled", key, values.size, values, values.size, to_device(table), codes)
        return
    wide = np.dtype(np.float32 if dtype == np.float32 else np.float64)
    entries, lowest = np.unique(book.astype(wide), return_index=True)
    middles = to_device(np.append(midpoints(entries), np.inf))
    key = {"KEY": "float" if wide == np.float32 else "double"}
    args = (values.astype(wide, copy=False), values.size, middles, len(entries), to_device(lowest.astype(np.uint8)))
    launch.run("stream", "assign", key, values.size, *args, codes)


def _host_book(codec: Codebook) -> Codebook:
    return Codebook(np.empty(0, np.uint8), to_host(codec.codebook), check=False)


def _tables(codec: Codebook, tables: Array) -> DeviceArray:
    return to_device(np.ascontiguousarray(tables[0] if codec.codebook.ndim == 1 else tables))


def lift(codec: Codebook, codes: DeviceArray, look_up: LookUp) -> DeviceArray:
    """Codes in which 0 stands for +0; see `Codebook.lift`."""
    tables = _host_book(codec)._permutations()
    out = empty(codes.shape, tables.dtype, "codes")
    look_up(_tables(codec, tables), out)
    return out


def lower(kind: str, codec: Codebook, slots: DeviceArray, look_up: LookUp) -> DeviceArray:
    """The inverse of `lift`, for the slots of a structure of that kind.

    Raises:
        CodecError: a slot is empty, but its codebook has no entry 0.0.
    """
    book, out = _host_book(codec), empty(slots.shape, np.uint8, "codes")
    tables, has_zero = book._permutations(), book._zeros()
    entries = int(tables.max(initial=0)) + 1
    if not has_zero.all():
        known = np.ones((len(tables), entries), np.uint8)
        known[:, 0] = has_zero
        look_up(_tables(codec, known), out)
        if not bool(out.all()):
            msg = f"{kind} needs the value 0.0, which the codebook has not; use sf.dequantize first"
            raise CodecError(msg)
    inverse = np.zeros((len(tables), entries), np.uint8)
    inverse[np.arange(len(tables))[:, None], tables] = np.arange(codec.k, dtype=np.uint8)
    look_up(_tables(codec, inverse), out)
    return out
