"""Every format with what writes a sound file and what writes a wrong one."""

import json
import zipfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mutations import archives
from mutations.numbers import Rng, arrays_changed, bytes_changed, json_changed
from mutations.weights import SCHEMES


class Format(NamedTuple):
    """What stands in a folder; `sound` and `wrong` return the path to open.

    Args:
        needs: the package without which it is not read.
        sound: writes a file or folder that is right.
        wrong: writes one with one to three changes.
        quick: how many changes fit into a second or few.
    """

    needs: str
    sound: Callable[[Path], Path]
    wrong: Callable[[Path, Rng], Path]
    quick: int = 10_000


def _put(path: Path, raw: bytes) -> Path:
    path.write_bytes(raw)
    return path


def _bytes(
    name: str, needs: str, make: Callable[[], bytes], change: Callable[[bytes, Rng], bytes], quick: int
) -> Format:
    seed = cache(make)

    def sound(folder: Path) -> Path:
        return _put(folder / name, seed())

    def wrong(folder: Path, rng: Rng) -> Path:
        return _put(folder / name, change(seed(), rng))

    return Format(needs, sound, wrong, quick)


def _scipy(folder: Path, rng: Rng) -> Path:
    if rng.integers(3) == 0:
        return _put(folder / "m.npz", bytes_changed(archives.npz(archives.scipy_arrays()), rng))
    method = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[rng.integers(2)]
    return _put(folder / "m.npz", archives.npz(arrays_changed(archives.scipy_arrays(), rng), method))


def _binsparse(folder: Path, rng: Rng) -> Path:
    descriptor, arrays = archives.binsparse()
    if rng.integers(2):
        descriptor = json_changed(descriptor, rng)  # type: ignore[assignment]
    else:
        arrays = arrays_changed(arrays, rng)
    raw = archives.npz({"binsparse": np.array(json.dumps(descriptor)), **arrays})
    return _put(folder / "m.npz", bytes_changed(raw, rng) if rng.integers(4) == 0 else raw)


def _sound_binsparse(folder: Path) -> Path:
    descriptor, arrays = archives.binsparse()
    return _put(folder / "m.npz", archives.npz({"binsparse": np.array(json.dumps(descriptor)), **arrays}))


def _hdf5(folder: Path, rng: Rng) -> Path:
    descriptor, arrays = archives.binsparse()
    kind = rng.integers(4)
    if kind == 0:
        return _put(folder / "m.h5", archives.hdf5(json_changed(descriptor, rng), arrays))
    if kind == 1:
        return _put(folder / "m.h5", archives.hdf5(descriptor, arrays_changed(arrays, rng)))
    return _put(folder / "m.h5", archives.hdf5(descriptor, arrays, archives.tree_changed(rng)))


def _hdf5_seed() -> bytes:
    return archives.hdf5(*archives.binsparse())


def _zarr(folder: Path, rng: Rng) -> Path:
    seed = folder / "seed"
    if not seed.exists():
        archives.zarr_folder(seed)
    return archives.zarr_mutant(seed, folder / "m.zarr", rng)


FORMATS: dict[str, Format] = {
    **{name: Format("", scheme.write, scheme.mutant, 200) for name, scheme in SCHEMES.items()},
    "gguf": _bytes("m.gguf", "", archives.gguf, partial(bytes_changed, head=420), 10_000),
    "npy": _bytes("m.npy", "", archives.npy, bytes_changed, 10_000),
    "scipy-npz": Format("", lambda f: _put(f / "m.npz", archives.npz(archives.scipy_arrays())), _scipy),
    "binsparse-npz": Format("", _sound_binsparse, _binsparse),
    "matrix-market": _bytes(
        "m.mtx", "", archives.MATRIX.encode, lambda raw, rng: archives.text_changed(raw.decode(), rng).encode(), 10_000
    ),
    "hdf5": Format("h5py", lambda f: _put(f / "m.h5", _hdf5_seed()), _hdf5, 100),
    "zarr": Format("zarr", lambda f: archives.zarr_folder(f / "m.zarr"), _zarr, 100),
    "onnx": _bytes("m.onnx", "onnx", archives.onnx, archives.onnx_mutant, 10_000),
}
"""By name."""
