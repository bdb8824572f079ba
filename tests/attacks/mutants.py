"""Files of packed tensors, changed where it hurts: a seed says which file and which changes.

A mutant is a container that is sound as such: what is wrong with it stands in its entries, its arrays, or the shapes
that they claim, so that it comes past the parser of headers. One in eight has bytes changed anywhere.
"""

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import sparsefmt as sf
from sparsefmt.base.dtypes import Array
from sparsefmt.codecs.registry import CODECS
from sparsefmt.io.dtypes import stored_as
from sparsefmt.structures.registry import STRUCTURES
from strategies import DTYPES

LENGTHS = [0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 2**16, 2**31 - 1, 2**31, 2**32, 2**40, 2**61, 2**62, 2**63 - 1]
PARAMS = [*LENGTHS, -1, 2**63, 10**30, None, True, 2.0, "row", "", [2, 2], [2**31 - 1, 2**31 - 1], [1, 2**40], {}]
EDGES = [0, 1, -1, 2, 7, 8, 63, 64, 127, 128, 255, 2**15, 2**31 - 1, -(2**31), 2**32, 2**62, 2**63 - 1, -(2**63)]
ODD_FLOATS = [0.0, -0.0, 1.0, -1.0, 1e-30, 1e30, 65504.0, float("inf"), float("nan"), 5e-324]


@dataclass
class File:
    """The arrays of a file in their order, and the JSON of its tensor "w"."""

    arrays: dict[str, Array]
    entry: dict[str, Any]
    stored: dict[str, tuple[str, list[int]]] = field(default_factory=dict)
    """What the header says of an array instead of the truth."""

    def copy(self) -> "File":
        return File({k: a.copy() for k, a in self.arrays.items()}, copy.deepcopy(self.entry))

    def raw(self) -> bytes:
        header: dict[str, Any] = {"__metadata__": {"sparsefmt": json.dumps({"tensors": {"w": self.entry}})}}
        data = b""
        for key, a in self.arrays.items():
            name, shape = self.stored.get(key, (stored_as(a.dtype)[0], list(a.shape)))
            if a.dtype.name == "complex128" and key not in self.stored:
                shape = [*shape, 2]
            header[key] = {"dtype": name, "shape": shape, "data_offsets": [len(data), len(data) + a.nbytes]}
            data += a.tobytes()
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + data


def corpus() -> list[File]:
    """Small good files: every structure with every codec, dtypes by turns; and tensors without rows, or with many."""
    made: list[File] = []
    codecs = [text for c in CODECS.values() for text in ([""] if c.kind == "raw" else c.examples())]
    for s in STRUCTURES.values():
        for fmt in s.examples():
            for codec in codecs:
                for turn in range(len(DTYPES) if not codec else 2):
                    dtype = DTYPES[(len(made) + turn) % len(DTYPES)]
                    if (t := _tensor(fmt, codec, dtype, len(made))) is not None:
                        made.append(_file(t))
    return made


def _tensor(fmt: str, codec: str, dtype: np.dtype[Any], seed: int) -> sf.SparseTensor | None:
    rng = np.random.default_rng(seed)
    shape = [(3, 8), (5, 13), (2, 3, 9), (17,), (0, 4), (4, 0), (1, 64)][seed % 7]
    w = (rng.integers(1, 5, shape) * (rng.random(shape) < 0.4)).astype(dtype)
    try:
        return sf.encode(w, f"{fmt}/{codec}" if codec else fmt, prune=fmt.startswith("nm"))
    except sf.SparsefmtError:  # a pair that does not exist
        return None


def _file(t: sf.SparseTensor) -> File:
    parts = {"structure": t.structure, "values": t.values}
    arrays = {f"w.{role}.{n}": np.array(a) for role, part in parts.items() for n, a in part.arrays().items()}
    about = {
        role: {
            "kind": part.kind,
            "params": json.loads(json.dumps(part.params())),
            "arrays": {n: a.dtype.name for n, a in part.arrays().items()},
        }
        for role, part in parts.items()
    }
    version = max(type(part).since for part in parts.values())
    return File(arrays, {"version": version, "shape": list(t.shape), "dtype": t.dtype.name, **about})


def _change_items(rng: random.Random, f: File) -> None:
    key = rng.choice(list(f.arrays))
    flat = f.arrays[key].reshape(-1)
    if not flat.size:
        return
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.choice([0, -1, rng.randrange(flat.size)])
        if flat.dtype.kind in "iu" and rng.random() < 0.8:
            near = int(flat[at]) + rng.choice([-1, 1])
            value = rng.choice([*EDGES, near, near, near, *f.entry["shape"], flat.size])
            flat[at : at + 1 or None] = np.array([value % 2 ** (8 * flat.itemsize)], f"u{flat.itemsize}").view(
                flat.dtype
            )
        elif flat.dtype.kind in "iub" or rng.random() < 0.5:
            flat.view(np.uint8)[rng.randrange(flat.nbytes)] = rng.randrange(2 if flat.dtype.kind == "b" else 256)
        else:
            with np.errstate(all="ignore"):
                flat[at] = rng.choice(ODD_FLOATS)


def _change_length(rng: random.Random, f: File) -> None:
    key = rng.choice(list(f.arrays))
    a = f.arrays[key]
    axis = rng.randrange(a.ndim) if a.ndim else 0
    made = [lambda: a[:0], lambda: a[None], lambda: a.reshape(-1), lambda: np.concatenate([a, a], axis),
            lambda: np.delete(a, -1, axis), lambda: np.concatenate([a, np.take(a, [0], axis)], axis),
            lambda: np.zeros(rng.choice([1, 2, 65, 1000]), a.dtype)]  # fmt: skip
    if a.size:
        f.arrays[key] = np.ascontiguousarray(rng.choice(made)())


def _change_dtype(rng: random.Random, f: File) -> None:
    key = rng.choice(list(f.arrays))
    _, role, name = key.split(".")
    dtype = rng.choice(DTYPES)
    a = f.arrays[key]
    with np.errstate(all="ignore"):
        if rng.random() < 0.5 or (a.shape[-1:] or (0,))[-1] * a.itemsize % dtype.itemsize or dtype.kind == "b":
            f.arrays[key] = a.real.astype(dtype)
        else:
            f.arrays[key] = a.view(dtype)
    if rng.random() < 0.8:
        f.entry[role]["arrays"][name] = dtype.name
    if rng.random() < 0.5:
        f.entry["dtype"] = dtype.name


def _change_shape(rng: random.Random, f: File) -> None:
    shape = f.entry["shape"]
    at = rng.randrange(len(shape))
    change = rng.randrange(6)
    if change < 3:
        shape[at] = rng.choice([*LENGTHS, shape[at] + 1, max(shape[at] - 1, 0), shape[at] * 2])
    elif change == 3:
        shape.insert(at, rng.choice([1, 1, 2, 2**20, 2**31]))
    elif change == 4 and len(shape) > 1:
        shape.pop(at)
    else:
        shape.reverse()


def _change_params(rng: random.Random, f: File) -> None:
    params = f.entry[rng.choice(["structure", "values"])]["params"]
    if not params:
        return
    name = rng.choice(list(params))
    if isinstance(params[name], list) and rng.random() < 0.8:
        params[name][rng.randrange(len(params[name]))] = rng.choice(LENGTHS)
    else:
        params[name] = rng.choice(PARAMS)


def _change_kind(rng: random.Random, f: File) -> None:
    role = rng.choice(["structure", "values"])
    f.entry[role]["kind"] = rng.choice([*STRUCTURES] if role == "structure" else [*CODECS])
    parts = [STRUCTURES[f.entry["structure"]["kind"]], CODECS[f.entry["values"]["kind"]]]
    f.entry["version"] = max(part.since for part in parts) if rng.random() < 0.9 else rng.choice([1, 2])


def _claim_rows(rng: random.Random, f: File) -> None:
    """Many rows or columns with nothing in them, as consistent as the structure can be made to say it."""
    shape, entry = f.entry["shape"], f.entry
    many = rng.choice([2**20, 2**31 - 1, 2**31, 2**32, 2**40, 2**55, 2**60, 2**62])
    few = rng.choice([0, 1, 4, 8])
    entry["shape"] = rng.choice(
        [[many, few], [few, many], [many], [many, 2**20 if many < 2**40 else 1], [2, many, few]]
    )
    empty = rng.random() < 0.7
    wide = max(entry["shape"]) > 2**31 - 1
    for key, a in f.arrays.items():
        _, role, name = key.split(".")
        if role == "structure":
            if a.dtype.kind == "i" and wide:
                a = a.astype(np.int64)
                entry[role]["arrays"][name] = "int64"
            if empty and "indptr" not in name and "offsets" not in name:
                a = a[:0]
            elif empty:
                a = np.zeros(rng.choice([1, 2, min(shape[0], 64), few + 1]), a.dtype)
        elif empty and a.ndim and rng.random() < 0.9 and name not in ("scale", "zero_point", "codebook"):
            a = a[:0]
        elif rng.random() < 0.5 and a.ndim == 2:
            a = a[:1, :1]
        f.arrays[key] = np.ascontiguousarray(a)


def _claim_group(rng: random.Random, f: File) -> None:
    """Blocks and groups as large as a word, with the arrays that fit nothing of them."""
    params = f.entry["structure"]["params"]
    if "block" in params:
        r, c = rng.choice([(2**31 - 1, 1), (1, 2**31 - 1), (2**31 - 1, 2**31 - 1), (2**16, 2**16), (2**20, 8)])
        params["block"] = [r, c]
        for key, a in f.arrays.items():
            if key.endswith("values.data"):
                f.arrays[key] = np.zeros((0, r, c), a.dtype) if r * c < 2**40 else a[:0]
            elif key.startswith("w.structure"):
                f.arrays[key] = np.zeros(2 if key.endswith("indptr") else 0, a.dtype)
    if "group" in f.entry["values"]["params"]:
        f.entry["values"]["params"]["group"] = rng.choice([2**31 - 1, 2**20, "row", "tensor", 1])


def _claim_header(rng: random.Random, f: File) -> None:
    key = rng.choice(list(f.arrays))
    a = f.arrays[key]
    name, shape = stored_as(a.dtype)[0], [*a.shape]
    if not a.size:
        shape = rng.choice([[2**62, 0], [0, 2**31, 2**31], [2**40, 0, 2**40], [0] * 65])
    f.stored[key] = (rng.choice([name, name, "U8", "F64", "C64", "F4"]), shape)


def _shift(rng: random.Random, f: File) -> None:
    """Another order and an array in front, so that what follows starts at an odd address."""
    keys = list(f.arrays)
    rng.shuffle(keys)
    f.arrays = {"a": np.zeros(rng.choice([1, 2, 4, 12]), np.uint8), **{k: f.arrays[k] for k in keys}}


Change = Callable[[random.Random, File], None]
CHANGES: list[Change] = [_change_items, _change_items, _change_items, _change_items, _change_items, _change_length,
                         _change_dtype, _change_shape, _change_params, _change_kind, _claim_rows, _claim_rows,
                         _claim_group, _claim_header]  # fmt: skip


def mutant(seed: int, files: list[File]) -> bytes:
    """The file of a seed."""
    rng = random.Random(seed)
    f = rng.choice(files).copy()
    for _ in range(rng.choice([1, 1, 1, 2])):
        rng.choice(CHANGES)(rng, f)
    if rng.random() < 0.2:
        _shift(rng, f)
    raw = bytearray(f.raw())
    if rng.random() < 1 / 8:
        for _ in range(rng.choice([1, 2, 8])):
            raw[rng.randrange(len(raw))] = rng.choice([0, 255, 0x22, 0x30, 0x39, 0x5B, rng.randrange(256)])
    return bytes(raw)
