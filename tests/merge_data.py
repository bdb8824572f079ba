"""Data of mergekit and of the definitions for the tests of merging."""

import json
from pathlib import Path
from typing import Any

import numpy as np

import sparsefmt as sf
from contract import Array

FOLDER = Path(__file__).parent / "data" / "merge"


def loaded(name: str) -> tuple[dict[str, Array], dict[str, str]]:
    """Arrays and metadata of a file."""
    path = FOLDER / f"{name}.safetensors"
    header = path.read_bytes()
    (length,) = np.frombuffer(header[:8], "<u8")
    metadata = json.loads(header[8 : 8 + int(length)])["__metadata__"]
    return {k: np.asarray(v) for k, v in sf.load(path).items()}, metadata


def vectors() -> dict[str, Any]:
    """Small inputs with exact outputs."""
    found: dict[str, Any] = json.loads((FOLDER / "vectors.json").read_text())
    return found


def same_bits(a: Array, b: Array) -> bool:
    """Whether shapes, dtypes and bits are equal."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
