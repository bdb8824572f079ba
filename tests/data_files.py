"""Readers of the files in tests/data that need neither the package under test nor torch."""

import json
import struct
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from contract import Array

DATA = Path(__file__).parent / "data"
MATRICES = DATA / "matrices"
_DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
}  # fmt: skip


def safetensors(name: str) -> dict[str, Array]:
    """All arrays of a safetensors file in `reference`."""
    raw = (DATA / "reference" / f"{name}.safetensors").read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8 : 8 + length])
    found = {}
    for key, entry in header.items():
        if key != "__metadata__":
            low, high = (8 + length + at for at in entry["data_offsets"])
            found[key] = np.frombuffer(raw[low:high], _DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return found


def vectors() -> dict[str, Any]:
    """The exact numbers."""
    text = (DATA / "reference" / "vectors.json").read_text()
    made: dict[str, Any] = json.loads(text)
    return made
