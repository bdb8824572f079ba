"""Cases with codecs: one-pass packing, decoding into warm arrays, the fit of codebooks."""

from collections.abc import Callable

import numpy as np
from harness import Array, Case, Trial, register

import sparsefmt as sf
from cases import MIB_128_F16, decode_trial, encode_trial, normal, scattered
from sparsefmt.codecs.fit import fit

# 16.7 million values
MILLIONS = {"4096x4096 (32 MiB)": (4096, 4096)}


def prune_encode(fmt: str) -> Callable[..., Trial]:
    """Chooses, quantises and packs in one pass."""
    return lambda rows, cols: encode_trial(normal(rows, cols, np.float16), fmt, prune=True)


def decode(fmt: str) -> Callable[..., Trial]:
    """The way back."""
    return lambda rows, cols: decode_trial(sf.encode(normal(rows, cols, np.float16), fmt, prune=fmt[0] == "n"))


for _codec in ("int8:g128", "int4:g128"):
    _fmt = f"nm2:4/{_codec}"
    register(Case(f"{_fmt} f16 prune+encode", prune_encode(_fmt), MIB_128_F16, 1.5, 0.8))
    register(Case(f"{_fmt} f16 decode", decode(_fmt), MIB_128_F16, 0.6, 0.25))


def fitted(k: int) -> Callable[..., Trial]:
    """The optimal codebook of all values."""

    def make(rows: int, cols: int) -> Trial:
        w = normal(rows, cols, np.float16)
        return Trial(w.nbytes, new=lambda: fit(w, None, k, zero=False))

    return make


register(Case("kmeans16 f16 fit", fitted(16), MILLIONS, 15, 5))
register(Case("kmeans256 f16 fit", fitted(256), MILLIONS, 100, 35))


def book(k: int) -> Array:
    """Entries for normal values, 0.0 among them."""
    return np.sort(np.append(np.linspace(-3, 3, k - 1), 0)).astype(np.float16)


def with_codebook(fmt: str, k: int) -> Callable[..., Trial]:
    """Codes of a codebook that is given."""

    def make(rows: int, cols: int) -> Trial:
        w, entries, prune = normal(rows, cols, np.float16), book(k), fmt.startswith("nm")
        return Trial(w.nbytes, new=lambda: sf.encode(w, f"{fmt}/kmeans{k}", prune=prune, codebook=entries))

    return make


for _structure in ("dense", "nm2:4"):
    register(Case(f"{_structure}/kmeans16 f16 encode, codebook=", with_codebook(_structure, 16), MIB_128_F16, 2.0, 1.0))
register(Case("dense/kmeans256 f16 encode, codebook=", with_codebook("dense", 256), MIB_128_F16))


def half_encode(fmt: str) -> Callable[..., Trial]:
    """Half of the values stored; counted, then coded piece by piece."""
    return lambda rows, cols: encode_trial(scattered(rows, cols, 0.5, np.float16), fmt)


def half_decode(fmt: str) -> Callable[..., Trial]:
    """The way back, some rows at a time."""
    return lambda rows, cols: decode_trial(sf.encode(scattered(rows, cols, 0.5, np.float16), fmt))


for _fmt in ("bitmask/int8", "bitmask/int4:g128", "csr/int8"):
    register(Case(f"{_fmt} f16 50% encode", half_encode(_fmt), MIB_128_F16))
    register(Case(f"{_fmt} f16 50% decode", half_decode(_fmt), MIB_128_F16))
register(Case("nm2:4/kmeans16 f16 decode", decode("nm2:4/kmeans16"), MIB_128_F16))
