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

FILES = sorted((Path(__file__).parent / "v1").glob("*.safetensors"))
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
            a: array(f"{name}.{part}.{a}", dtype)
            for part in ("structure", "values")
            for a, dtype in entry[part]["arrays"].items()
        }
        found[name] = dense(entry, arrays)
    return {**found, **stored}


def dense(entry: dict[str, Any], arrays: dict[str, np.ndarray]) -> np.ndarray:
    """One packed tensor."""
    assert (entry["version"], entry["values"]["kind"]) == (1, "raw")
    shape, kind, params = entry["shape"], entry["structure"]["kind"], entry["structure"]["params"]
    rows, cols, data = math.prod(shape[:-1]), shape[-1], arrays["data"]
    w = np.zeros((rows, cols), data.dtype)
    if kind == "dense":
        w[...] = data
    elif kind == "coo":
        for i, slot in enumerate(data):
            w[arrays["row"][i], arrays["col"][i]] = slot
    elif kind in ("csr", "csc", "bsr"):
        big_r, big_c = params.get("block", (1, 1))
        for line in range(len(arrays["indptr"]) - 1):
            for i in range(arrays["indptr"][line], arrays["indptr"][line + 1]):
                at = (line, arrays["indices"][i]) if kind != "csc" else (arrays["indices"][i], line)
                block = data[i].reshape(big_r, big_c)
                window = w[at[0] * big_r : (at[0] + 1) * big_r, at[1] * big_c : (at[1] + 1) * big_c]
                window[...] = block[: window.shape[0], : window.shape[1]]
    elif kind == "bitmask":
        for r in range(rows):
            at = arrays["row_offsets"][r]
            for c in range(cols):
                if arrays["bits"][r, c // 8] >> (c % 8) & 1:
                    w[r, c] = data[at]
                    at += 1
            assert at == arrays["row_offsets"][r + 1]
    else:
        n, m = params["n"], params["m"]
        masks = sorted(sum(1 << i for i in chosen) for chosen in combinations(range(m), n))
        bits = math.ceil(math.log2(len(masks)))
        for r in range(rows):
            stream = int.from_bytes(arrays["codes"][r].tobytes(), "little")
            for g in range(-(-cols // m)):
                mask = masks[stream >> (g * bits) & ((1 << bits) - 1)]
                for k, i in enumerate(i for i in range(m) if mask >> i & 1):
                    if g * m + i < cols:
                        w[r, g * m + i] = data[r, g * n + k]
    return w.reshape(shape)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_reader_from_the_page(path: Path) -> None:
    want = {n: t.to_dense() if isinstance(t, sf.SparseTensor) else t for n, t in sf.load(path).items()}
    got = read(path)
    assert got.keys() == want.keys()
    for name, w in want.items():
        assert (got[name].dtype, got[name].shape) == (w.dtype, w.shape)
        assert got[name].tobytes() == w.tobytes()
