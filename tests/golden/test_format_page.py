"""A reader written from docs/format.md alone, without the package, gives what the package gives."""

import json
import math
from itertools import combinations
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf
from rans_reader import rans_masks

FILES = sorted(Path(__file__).parent.glob("v?/*.safetensors"))
DTYPES = {
    "BOOL": np.bool_,
    **{f"I{bits}": f"i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"u{bits // 8}" for bits in (8, 16, 32, 64)},
    "F16": "f2",
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F32": "f4",
    "F64": "f8",
    "C64": "c8",
}


def read(path: Path) -> dict[str, np.ndarray]:
    """The dense values of all tensors of a file."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    packed = json.loads(header.pop("__metadata__", {}).get("sparsefmt", '{"tensors": {}}'))["tensors"]
    stored = {}
    for key, entry in header.items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        stored[key] = np.frombuffer(raw[start:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])

    def array(key: str, dtype: str) -> np.ndarray:
        a = stored.pop(key)
        if dtype == "complex128":
            a = a.view("c16")[..., 0]
        assert a.dtype.name == dtype
        return a

    found = {}
    for name, entry in packed.items():
        if "structure" not in entry:
            found[name] = array(name, "complex128")
            continue
        arrays = {
            f"{part}.{a}" if a == "codes" else a: array(f"{name}.{part}.{a}", dtype)
            for part in ("structure", "values")
            for a, dtype in entry[part]["arrays"].items()
        }
        found[name] = dense(entry, arrays)
    return {**found, **stored}


def dense(entry: dict[str, Any], arrays: dict[str, np.ndarray]) -> np.ndarray:
    """One packed tensor."""
    shape, kind, params = list(entry["shape"]), entry["structure"]["kind"], entry["structure"]["params"]
    newer = kind == "nm_radix" or entry["values"]["kind"] in ("int2", "int3", "int5", "int6", "int7")
    assert entry["version"] == (4 if kind == "nm_rans" else 3 if "axis" in entry else 2 if newer else 1)
    if "axis" in entry:
        shape.append(shape.pop(entry["axis"]))
    rows, cols = math.prod(shape[:-1]), shape[-1]
    w = np.zeros((rows, cols), getattr(ml_dtypes, entry["dtype"], entry["dtype"]))

    def put(r: int, c: int, *slot: int) -> None:
        w[r, c] = value(entry, arrays, (r, c), slot)

    if kind == "dense":
        for r in range(rows):
            for c in range(cols):
                put(r, c, r * cols + c, r, c)
    elif kind == "coo":
        for i, (r, c) in enumerate(zip(arrays["row"], arrays["col"], strict=True)):
            put(r, c, i, i)
    elif kind in ("csr", "csc", "bsr"):
        big_r, big_c = params.get("block", (1, 1))
        for line in range(len(arrays["indptr"]) - 1):
            for i in range(arrays["indptr"][line], arrays["indptr"][line + 1]):
                if kind != "bsr":
                    put(*((line, arrays["indices"][i]) if kind == "csr" else (arrays["indices"][i], line)), i, i)
                    continue
                for y in range(big_r):
                    for x in range(big_c):
                        r, c = line * big_r + y, arrays["indices"][i] * big_c + x
                        if r < rows and c < cols:
                            put(r, c, (i * big_r + y) * big_c + x, i, y, x)
    elif kind == "gap":
        slot = 0
        for r in range(rows):
            c = 0
            assert slot == arrays["row_offsets"][r]
            for byte in arrays["gaps"][arrays["byte_offsets"][r] : arrays["byte_offsets"][r + 1]]:
                c += int(byte)
                if byte < 255:
                    put(r, c, slot, slot)
                    slot, c = slot + 1, c + 1
    elif kind == "bitmask":
        for r in range(rows):
            at = arrays["row_offsets"][r]
            for c in range(cols):
                if arrays["bits"][r, c // 8] >> (c % 8) & 1:
                    put(r, c, at, at)
                    at += 1
            assert at == arrays["row_offsets"][r + 1]
    else:
        n, m = params["n"], params["m"]
        groups = -(-cols // m)
        masks = sorted(sum(1 << i for i in chosen) for chosen in combinations(range(m), n))
        bits = math.ceil(math.log2(len(masks)))
        streams = rans_masks(arrays, n, m, rows, groups) if kind == "nm_rans" else None
        for r in range(rows):
            codes = radix_codes(arrays["words"][r], groups, len(masks)) if kind == "nm_radix" else None
            for g in range(groups):
                if streams is not None:
                    mask = streams[r][g]
                else:
                    mask = masks[codes[g] if codes else code(arrays["structure.codes"][r], bits, g)]
                for k, i in enumerate(i for i in range(m) if mask >> i & 1):
                    if g * m + i < cols:
                        put(r, g * m + i, (r * groups * n) + g * n + k, r, g * n + k)
    w = w.reshape(shape)
    return np.moveaxis(w, -1, entry["axis"]) if "axis" in entry else w


def radix_codes(words: np.ndarray, groups: int, count: int) -> list[int]:
    """The codes of a row of words."""

    def bits(held: int) -> int:
        return (count**held - 1).bit_length()

    def fewest(most: int) -> int:
        return min((bits(p) / p, p) for p in range(1, most + 1) if bits(p) <= most)[1]

    per = 1
    if count > 1:
        per = fewest(64)
        per = per if bits(per) / per <= 1.01 * math.log2(count) else fewest(128)
    found = []
    for first in range(0, groups, per):
        held = min(per, groups - first)
        word = int.from_bytes(words.tobytes(), "little") >> (first // per * bits(per)) & ((1 << bits(held)) - 1)
        assert word < count**held
        found += [word // count**i % count for i in range(held)]
    return found


def code(stream: np.ndarray, bits: int, i: int) -> int:
    """Code `i` of a stream."""
    return int.from_bytes(stream.tobytes(), "little") >> (int(i) * bits) & ((1 << bits) - 1)


def value(entry: dict[str, Any], arrays: dict[str, np.ndarray], at: tuple[int, int], slot: tuple[int, ...]) -> Any:  # noqa: ANN401
    """The value of a slot at an element: `slot` is its number in row-major order, then its index."""
    kind, (number, *index) = entry["values"]["kind"], slot
    if kind == "raw":
        return arrays["data"][tuple(index)]
    codes, r, c = arrays["values.codes"], *at
    if kind == "int8":
        found, bits = int(codes[tuple(index)]), 8
    else:
        books = arrays.get("codebook")
        bits = int(kind[3:]) if books is None else math.ceil(math.log2(books.shape[-1]))
        found = code(codes, bits, number) if codes.ndim == 1 else code(codes[index[0]], bits, index[1])
        if books is not None:
            return books[found] if books.ndim == 1 else books[r, found]
    group = entry["values"]["params"]["group"]
    where = (0, 0) if group == "tensor" else (r, 0 if group == "row" else c // group)
    if "zero_point" in arrays:
        found -= int(arrays["zero_point"][where])
    elif kind != "int8" and found >= 1 << (bits - 1):
        found -= 1 << bits
    dtype = np.dtype(getattr(ml_dtypes, entry["dtype"], entry["dtype"]))
    whole = dtype.kind in "iu"
    wide = np.float64 if dtype == np.float64 or (whole and dtype.itemsize > 2) else np.float32
    product = wide(found) * wide(arrays["scale"][where])
    if not whole:
        largest = wide(ml_dtypes.finfo(dtype).max)
        return np.clip(product, -largest, largest).astype(dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    if dtype.itemsize == 8:
        high -= 1023 if dtype.kind == "i" else 2047
    return dtype.type(min(max(int(np.rint(product)), low), high))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_reader_from_the_page(path: Path) -> None:
    want = {n: t.to_dense() if isinstance(t, sf.SparseTensor) else t for n, t in sf.load(path).items()}
    got = read(path)
    assert got.keys() == want.keys()
    for name, w in want.items():
        assert (got[name].dtype, got[name].shape) == (w.dtype, w.shape)
        assert got[name].tobytes() == w.tobytes()
