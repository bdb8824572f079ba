"""Files whose codes, scales, zero points or codebooks are hostile: a typed error in one line."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.base.dtypes import Array

Check = Callable[..., Any]
Arrays = dict[str, Array]
STORED = {"uint8": "U8", "int8": "I8", "int32": "I32", "float16": "F16", "float32": "F32", "float64": "F64"}
AFFINE = ("dense/int8:g4", "csr/int4:asym", "nm2:4/int4:g3:asym", "nm2:4@64/int8:g4", "coo/int8:tensor:f32")
CLUSTERED = ("csr/kmeans3:row", "nm2:4/kmeans5", "nm2:4@64/kmeans5", "dense/kmeans3")


def container(arrays: Arrays, e: dict[str, Any]) -> bytes:
    """A file with the tensor "w", whose arrays have the dtypes that they have."""
    header: dict[str, Any] = {}
    data = b""
    for key, a in arrays.items():
        _, part, name = key.split(".")
        e[part]["arrays"][name] = a.dtype.name
        span = [len(data), len(data) + a.nbytes]
        header[key] = {"dtype": STORED[a.dtype.name], "shape": list(a.shape), "data_offsets": span}
        data += a.tobytes()
    header["__metadata__"] = {"sparsefmt": json.dumps({"tensors": {"w": e}})}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(fmt: str) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and the JSON of a small good tensor "w", whose last group is short."""
    w = np.zeros((3, 9), np.float32)
    w[0, 1], w[0, 2], w[1, 7], w[2, 0], w[2, 8] = 1, 2, -3, 4, 5
    t = sf.encode(w, fmt)
    parts = {"structure": t.structure, "values": t.values}
    arrays = {f"w.{role}.{n}": a.copy() for role, part in parts.items() for n, a in part.arrays().items()}
    about = {role: {"kind": part.kind, "params": part.params(), "arrays": {}} for role, part in parts.items()}
    return arrays, {"version": 1, "shape": [3, 9], "dtype": "float32", **about}


@pytest.mark.parametrize("fmt", [*AFFINE, *CLUSTERED])
def test_the_entries_are_good(loads: Check, fmt: str) -> None:
    assert loads(container(*entry(fmt)))["w"].format == fmt


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0])
@pytest.mark.parametrize("fmt", AFFINE)
def test_hostile_scales(refused: Check, fmt: str, odd: float) -> None:
    arrays, e = entry(fmt)
    arrays["w.values.scale"][-1, -1] = odd
    refused(container(arrays, e), text="want finite and above 0")


@pytest.mark.parametrize("fmt", AFFINE)
def test_grids_of_another_shape_or_dtype(refused: Check, fmt: str) -> None:
    good = entry(fmt)[0]["w.values.scale"]
    for odd in (good[:-1], good[:, :-1], np.concatenate([good, good]), good[..., None], good.reshape(-1), good[:0]):
        arrays, e = entry(fmt)
        refused(container({**arrays, "w.values.scale": odd}, e))
    for dtype in ("float64", "int32", "uint8"):
        arrays, e = entry(fmt)
        refused(container({**arrays, "w.values.scale": np.ones(good.shape, dtype)}, e), text="float16 or float32")
    arrays, e = entry(fmt)
    refused(container({k: a for k, a in arrays.items() if not k.endswith("scale")}, e), text="want codes, scale")


@pytest.mark.parametrize("odd", [None, True, 0, -1, 2.0, "g4", "ROW", "", [4], {}, 1e300, 2**31, 2**63, 10**30])
@pytest.mark.parametrize("fmt", AFFINE)
def test_hostile_groups(refused: Check, fmt: str, odd: object) -> None:
    """A group from 2^31 on ended in an OverflowError with zero points, and was taken without."""
    arrays, e = entry(fmt)
    e["values"]["params"]["group"] = odd
    refused(container(arrays, e))


@pytest.mark.parametrize("fmt", ["csr/int4:asym", "nm2:4/int4:g3:asym"])
def test_hostile_zero_points(refused: Check, fmt: str) -> None:
    arrays, e = entry(fmt)
    point = arrays["w.values.zero_point"]
    for odd in (point[:-1], point.astype(np.int8), point.astype(np.float16), np.full_like(point, 16)):
        arrays, e = entry(fmt)
        refused(container({**arrays, "w.values.zero_point": odd}, e), text="zero_point")


def test_symmetry_is_in_the_dtype_of_codes(refused: Check) -> None:
    for fmt, other in (("csr/int8", np.uint8), ("csr/int8:asym", np.int8)):
        arrays, e = entry(fmt)
        arrays["w.values.codes"] = arrays["w.values.codes"].view(other)
        refused(container(arrays, e), text="codes: want")


@pytest.mark.parametrize("fmt", ["csr/kmeans3:row", "nm2:4/kmeans5", "dense/kmeans3", "nm2:4@64/kmeans5"])
def test_codes_beyond_the_codebook(refused: Check, fmt: str) -> None:
    arrays, e = entry(fmt)
    arrays["w.values.codes"].reshape(-1)[0] = 255
    refused(container(arrays, e), text="allowed 0..[24]")


@pytest.mark.parametrize("fmt", CLUSTERED)
def test_hostile_codebooks(refused: Check, fmt: str) -> None:
    good = entry(fmt)[0]["w.values.codebook"]
    falling, unknown, endless = good.copy(), good.copy(), good.copy()
    falling[..., 0], unknown[..., 1], endless[..., -1] = 9, np.nan, np.inf
    shapes = [good[..., :1], good[None], good[..., :0], np.zeros(257, np.float32), np.zeros((), np.float32), good[:-1]]
    for odd in (falling, unknown, endless, *shapes, good.astype(np.float64), good.astype(np.int32)):
        arrays, e = entry(fmt)
        refused(container({**arrays, "w.values.codebook": odd}, e))
    for params in ({"k": 3}, {"check": False}, {"codebook": 1}):
        arrays, e = entry(fmt)
        e["values"]["params"] = params
        refused(container(arrays, e))


@pytest.mark.parametrize(
    ("fmt", "at", "bits"),
    [
        ("csr/int4:asym", (2,), 0xF0),  # 5 codes
        ("csr/kmeans3:row", (1,), 0x80),
        ("nm2:4/kmeans5", (-1,), 0x80),
        ("nm2:4@64/int8:g4", (2, 6), 1),
        ("nm2:4@64/int4:g3", (1, 3), 0x10),
        ("nm2:4@64/int4:g3:asym", (1, 63), 0x80),
        ("nm2:4@64/kmeans5", (0, 2), 0x80),
    ],
)
def test_dirty_padding_of_codes(refused: Check, fmt: str, at: tuple[int, ...], bits: int) -> None:
    arrays, e = entry(fmt)
    codes = arrays["w.values.codes"].view(np.uint8)
    codes[at] |= bits
    refused(container(arrays, e), text="padding")


@pytest.mark.parametrize("fmt", AFFINE + CLUSTERED)
def test_codes_of_another_length(refused: Check, fmt: str) -> None:
    good = entry(fmt)[0]["w.values.codes"]
    for odd in (good[:-1], np.concatenate([good, good[:1]]), good[None], good[:0], good.astype(np.int32)):
        arrays, e = entry(fmt)
        refused(container({**arrays, "w.values.codes": odd}, e), text="codes: want|padding")


@pytest.mark.parametrize("fmt", ["nm2:4/int8:tensor", "nm2:4/int8:asym", "nm2:4/int4:g3:asym", "nm2:4/kmeans3:row"])
def test_codes_of_groups_are_checked_before_they_are_used(refused: Check, fmt: str) -> None:
    for odd in (6, 7, 0x38, 255):
        arrays, e = entry(fmt)
        arrays["w.structure.codes"][0, 0] = odd
        refused(container(arrays, e))


@pytest.mark.parametrize("fmt", ["bsr2x4/int8", "bsr2x4/int8:asym", "bsr2x4/int4:g3:asym", "bsr2x4/kmeans5"])
def test_codes_outside_the_shape(refused: Check, fmt: str) -> None:
    arrays, e = entry(fmt)
    codes = arrays["w.values.codes"].view(np.uint8)
    codes.reshape(-1)[-1] ^= 0x10
    refused(container(arrays, e), text="outside the shape|allowed 0..4|padding")


@pytest.mark.parametrize("dtype", ["bool", "complex64", "complex128"])
@pytest.mark.parametrize("fmt", ["csr/int8", "csr/int4:asym", "csr/kmeans3:row"])
def test_dtypes_without_codes(refused: Check, fmt: str, dtype: str) -> None:
    arrays, e = entry(fmt)
    refused(container(arrays, {**e, "dtype": dtype}))


def test_another_codec_than_its_arrays(refused: Check) -> None:
    for fmt, kind in (("nm2:4/int8", "int4"), ("csr/int4", "int8"), ("csr/kmeans3:row", "int4"), ("csr/int4", "raw")):
        arrays, e = entry(fmt)
        e["values"]["kind"] = kind
        refused(container(arrays, e))


def test_the_lowest_codes_are_read(loads: Check) -> None:
    """-8 and -128, which encode does not write."""
    for fmt, lowest, factor in (("csr/int4", 0x88, -8), ("csr/int8", -128, -128)):
        arrays, e = entry(fmt)
        arrays["w.values.codes"][0] = lowest
        t = loads(container(arrays, e))["w"]
        assert t.to_dense()[0, 1] == factor * np.float32(arrays["w.values.scale"][0, 0])
