"""Sparse weight patches of TRL, version 1: places and new bfloat16 values in one safetensors file. Read only."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import CorruptFileError, DeltaError
from sparsefmt.delta.foreign import Version
from sparsefmt.io.container import reading

FORMAT = "sparse_weight_patch"
PLACES, VALUES = ".idx", ".val"
ENCODINGS = {"raw": ("I32",), "gap_delta": ("U16", "U32")}


@dataclass(frozen=True)
class TrlVersion(Version):
    """A patch, opened. It has no checksums: the base is not checked."""

    encoding: str
    arrays: Mapping[str, tuple[Array, Array]]

    def new(self, name: str, old: Array | None) -> Array:
        """See `Version.new`."""
        found, values = self.arrays[name]
        if old is None or old.dtype != values.dtype:
            got = "no such tensor" if old is None else str(old.dtype)
            msg = f"{self.path}: tensor {name!r} gets {values.dtype} values, the base has {got}"
            raise DeltaError(msg)
        where = found.astype(np.int64)
        if self.encoding == "gap_delta":
            where = np.cumsum(where + 1) - 1
        if len(where) != len(values) or (len(where) and not 0 <= int(where.min()) <= int(where.max()) < old.size):
            msg = f"{self.path}: tensor {name!r}: {len(where)} places for {len(values)} values among {old.size}"
            raise DeltaError(msg)
        made = np.array(old, order="C")
        made.reshape(-1)[where] = values
        return made


def sniff(path: Path) -> bool:
    """Whether it is such a file."""
    try:
        with reading(path) as file:
            return file.metadata.get("format") == FORMAT
    except CorruptFileError:
        return False


def open_version(path: Path) -> Version:
    """A patch.

    Raises:
        DeltaError: it is of another version, encoded in a way that is not read, or contradicts itself.
    """
    try:
        with reading(path) as file:
            texts = file.metadata
            encoding = texts.get("encoding", "")
            if texts.get("version") != "1":
                msg = f"{path}: a patch of version {texts.get('version', '')[:20]!r}, this reads 1"
                raise DeltaError(msg)
            if encoding not in ENCODINGS:
                msg = f"{path}: places in {encoding[:40]!r} cannot be read; write them as {' or '.join(ENCODINGS)}"
                raise DeltaError(msg)
            names = [k.removesuffix(PLACES) for k in file.stored if k.endswith(PLACES)]
            strange = sorted(set(file.stored) - {n + end for n in names for end in (PLACES, VALUES)})
            if strange or texts.get("sparse", "True") != "True":
                what = repr(strange[0]) if strange else "the file"
                msg = f"{path}: {what} is no patch; full weights are opened as they are"
                raise DeltaError(msg)
            arrays = {}
            for name in names:
                if file.stored[name + PLACES].dtype not in ENCODINGS[encoding]:
                    msg = (
                        f"{path}: places of {name!r} are {file.stored[name + PLACES].dtype}, not {ENCODINGS[encoding]}"
                    )
                    raise DeltaError(msg)
                arrays[name] = file.array(name + PLACES).reshape(-1), file.array(name + VALUES).reshape(-1)
    except CorruptFileError as e:
        raise DeltaError(str(e)) from None
    return TrlVersion(path, texts.get("model_version", ""), None, encoding, arrays, names=tuple(names))
