"""Layers that are done, kept beside the output, so that a run that was cut goes on."""

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sparsefmt.base.errors import FormatError
from sparsefmt.io import load, save
from sparsefmt.prune.result import Compensated
from sparsefmt.tensor.sparse import SparseTensor

_KEY = "sparsefmt.prune.layer"
_NAME = re.compile(r"[0-9a-f]{16}\.safetensors")


class Kept:
    """A folder with a file per layer.

    Args:
        folder: made when the first layer is kept.
        job: what decides the result: options, texts, the model; another job's files are not taken.
    """

    def __init__(self, folder: Path, job: Mapping[str, Any]) -> None:
        self.folder = folder
        self.job = hashlib.sha256(json.dumps(job, sort_keys=True, default=str).encode()).hexdigest()

    def _path(self, name: str) -> Path:
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.safetensors"

    def keep(self, name: str, done: Compensated) -> None:
        """Writes a layer, whole or not at all; a folder that was made for nothing does not stay."""
        self.folder.mkdir(exist_ok=True)
        try:
            self._write(name, done)
        except BaseException:
            with contextlib.suppress(OSError):  # there are others
                self.folder.rmdir()
            raise

    def _write(self, name: str, done: Compensated) -> None:
        tensors: dict[str, Any] = {"mask": done.mask, "shift": done.shift}
        tensors["weight"] = done.weight if done.tensor is None else done.tensor
        if done.bias is not None:
            tensors["bias"] = done.bias
        about = json.dumps({"job": self.job, "layer": name, "error": done.output_error})
        save(self._path(name), tensors, metadata={_KEY: about})

    def done(self, names: list[str]) -> dict[str, Compensated]:
        """The layers of this job that are whole, up to the first that is not: those behind it rest on it."""
        found: dict[str, Compensated] = {}
        for name in names:
            layer = self._read(name)
            if layer is None:
                break
            found[name] = layer
        return found

    def _read(self, name: str) -> Compensated | None:
        path = self._path(name)
        if not path.exists():
            return None
        try:
            about = json.loads(_metadata(path)[_KEY])
            held = load(path)
            if about["job"] != self.job or about["layer"] != name:
                return None
            w = held["weight"]
            dense = w.to_dense() if isinstance(w, SparseTensor) else np.asarray(w)
            bias = np.asarray(held["bias"]) if "bias" in held else None
            tensor = w if isinstance(w, SparseTensor) else None
            return Compensated(dense, bias, np.asarray(held["mask"]), about["error"], np.asarray(held["shift"]), tensor)
        except (FormatError, KeyError, ValueError):
            return None

    def clear(self) -> None:
        """Removes the files of layers, and the folder if nothing else is in it; models of that ending stay."""
        if self.folder.is_dir():
            for path in self.folder.iterdir():
                if _NAME.fullmatch(path.name):
                    path.unlink()
            if not any(self.folder.iterdir()):
                self.folder.rmdir()


def _metadata(path: Path) -> dict[str, str]:
    """The texts in the header of a file."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(min(length, 1 << 20)))
    made: dict[str, str] = header["__metadata__"]
    return made
