"""Ships a fine-tuned model as a delta and proves it exact; a part of `make demo`.

A few Adam steps in NumPy, with seeded gradients, move float32 masters of the last layers; both versions are rounded to
bfloat16, as a trainer would serve them.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import ml_dtypes
import numpy as np

import sparsefmt as sf
from sparsefmt.delta.units import compressed

LEVELS: tuple[Literal["store", "wire", "archive"], ...] = ("store", "wire", "archive")
Weights = Mapping[str, np.ndarray[Any, Any]]
RATE, STEPS, LAST = 2e-6, 4, ("encoder.layer.4.", "encoder.layer.5.", "pooler.")


def adam(master: np.ndarray[Any, Any], seed: int) -> np.ndarray[Any, Any]:
    """The masters after a few steps."""
    rng = np.random.default_rng(seed)
    mean, square = np.zeros_like(master), np.zeros_like(master)
    for step in range(1, STEPS + 1):
        gradient = rng.standard_normal(master.shape, np.float32)
        mean = np.float32(0.9) * mean + np.float32(0.1) * gradient
        square = np.float32(0.999) * square + np.float32(0.001) * gradient * gradient
        first, second = mean / np.float32(1 - 0.9**step), square / np.float32(1 - 0.999**step)
        master = master - np.float32(RATE) * first / (np.sqrt(second) + np.float32(1e-8))
    return master


def ship(weights: Weights) -> list[str]:
    """Lines that say what it costs to ship a fine-tuned version of `weights`; checks that it arrives bit for bit."""
    old = {name: w.astype(ml_dtypes.bfloat16) for name, w in weights.items()}
    new = dict(old)
    for seed, name in enumerate(n for n in weights if n.startswith(LAST)):
        new[name] = adam(weights[name], seed).astype(ml_dtypes.bfloat16)
    whole = sum(a.nbytes for a in new.values())
    xor = b"".join((old[n].view(np.uint16) ^ new[n].view(np.uint16)).tobytes() for n in new)
    rows = [("the whole file", whole), ("XOR, zstd level 1", len(compressed(xor, 1)))]
    with tempfile.TemporaryDirectory() as folder:
        for level in LEVELS:
            path = Path(folder, f"{level}.safetensors")
            delta = sf.delta.diff(old, new, level=level)
            sf.delta.save(path, delta)
            got = sf.delta.load(path).apply(old)
            if any(got[name].tobytes() != a.tobytes() for name, a in new.items()):
                msg = f"the delta of level {level} is not exact"
                raise SystemExit(msg)
            rows.append((f"delta, {level}", path.stat().st_size))
    stats = sf.delta.diff(old, new).stats()
    head = f"a fine-tuned version: {stats.changed:,} of {stats.values:,} bfloat16 weights changed ({stats.density:.2%})"
    lines = [f"  {name:<20}{size:>12,} bytes{size / stats.changed:>8.2f} per changed weight" for name, size in rows]
    return [head, *lines, "every level gives the new weights back bit for bit"]
