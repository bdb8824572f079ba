"""Saving and loading deltas, ours and others'."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from sparsefmt.base.errors import DeltaError, FormatError
from sparsefmt.delta import files, huggingface, skyrl, trl
from sparsefmt.delta.disk import is_path, opened
from sparsefmt.delta.foreign import Chain, Version, numbered
from sparsefmt.delta.model import Delta, check_delta

Form = Literal["sparsefmt", "hf-xor", "hf-overwrite", "skyrl"]
FOLDERS = ((huggingface.PREFIX, huggingface), (skyrl.PREFIX, skyrl))


def save(
    path: str | os.PathLike[str],
    delta: Delta,
    format: Form = "sparsefmt",
    *,
    base: Any = None,  # noqa: ANN401
    version: int | None = None,
    base_version: int | None = None,
    checksum: str = "xxh3-128",
) -> None:
    """Writes a delta, whole or not at all.

    Args:
        path: "sparsefmt": of a file, by custom .safetensors. The others: of the folder of this version; its name says
            the version ("weight_v000007", "delta-00000007") unless `version` does.
        delta: what to write, in its level.
        format: "sparsefmt"; "hf-xor" and "hf-overwrite": the delta folder that slime, miles, sglang and others read;
            "skyrl".
        base: for the other formats, which hold bytes of both versions: the old version, a dict or a path; default:
            what the delta was made from in this process.
        version: number of the new version, for the other formats.
        base_version: number of the old one; default: one less.
        checksum: "xxh3-128", "blake3", "adler32" (hf), "sha256" (skyrl).

    Raises:
        DeltaError: another format is to hold tensors that came, went or changed their shape, or needs the base; the
            base is another version than the one that the delta leads from, or `path` is a folder of something else.
        FormatError: there is no such format, or a version is none.
        OSError: it cannot be written.

    >>> import numpy as np, sparsefmt as sf, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "d.safetensors")
    >>> a, b = np.zeros(100, np.float32), np.arange(100, dtype=np.float32)
    >>> sf.delta.save(path, sf.delta.diff(a, b, level="wire"))
    >>> bool((sf.delta.load(path).apply(a) == b).all())
    True
    """
    check_delta(delta)
    if format == "sparsefmt":
        files.write(path, delta)
        return
    if format not in ("hf-xor", "hf-overwrite", "skyrl"):
        msg = f"format {str(format)[:40]!r}; have sparsefmt, hf-xor, hf-overwrite and skyrl"
        raise FormatError(msg)
    for name, number in (("version", version), ("base_version", base_version)):
        _check_version(name, number, format)
    _check_folder(Path(path), format)
    source = delta.base if base is None else base
    if delta.kind == "array" or (source is None and any(c.pieces for c in delta.changes.values())):
        msg = f"{format} holds bytes of the tensors of a model: pass the old version, base=, a dict or a path"
        raise DeltaError(msg)
    if is_path(source):
        with opened(source) as arrays:
            _write(Path(path), delta, arrays, format, version, base_version, checksum)
    else:
        _write(Path(path), delta, source or {}, format, version, base_version, checksum)


def _check_version(name: str, number: object, form: Form) -> None:
    """Raises FormatError where it is no number of a version; layouts of Hugging Face also have texts."""
    is_number = isinstance(number, int) and not isinstance(number, bool) and number >= 0
    if number is not None and not is_number and (form == "skyrl" or not isinstance(number, str)):
        msg = f"{name} = {str(number)[:40]!r}; want a whole number >= 0{'' if form == 'skyrl' else ', or a text'}"
        raise FormatError(msg)


def _check_folder(path: Path, form: Form) -> None:
    """Raises DeltaError where a folder of something else, as a model, stands where a version goes."""
    room = skyrl if form == "skyrl" else huggingface
    if path.is_dir() and any(path.iterdir()) and not room.sniff(path):
        msg = f"{path} is a folder that holds no version of {form}; write to another path"
        raise DeltaError(msg)


def _write(
    path: Path,
    delta: Delta,
    base: Mapping[str, Any],
    format: Form,
    version: int | None,
    base_version: int | None,
    checksum: str,
) -> None:
    if format == "skyrl":
        skyrl.write_version(path, delta.parts, base, checksum, version, base_version)
    else:
        encoding = format.removeprefix("hf-")
        huggingface.write_version(path, delta.parts, base, encoding, checksum, version, base_version)


def sniff(path: str | os.PathLike[str]) -> bool:
    """Whether `load` reads what lies there; looks at names and headers alone."""
    where = Path(path)
    if where.is_dir():
        return any(room.sniff(where) or bool(numbered(where, prefix)) for prefix, room in FOLDERS)
    return where.suffix == ".safetensors" and where.is_file() and (trl.sniff(where) or files.is_delta(where))


def load(path: str | os.PathLike[str]) -> Delta | Chain:
    """A delta from a file or folder.

    Args:
        path: a file of this package; a patch of TRL; a version folder of the Hugging Face layout or of SkyRL, or a
            folder of such versions, which are taken in order of their numbers.

    Returns:
        A `Delta`; what others wrote: a `Chain`, whose `apply` takes a dict or a path, and whose `to_delta(old)` gives a
        `Delta`.

    Raises:
        DeltaError: it is no delta, is cut or damaged, or a version is missing.
        FileNotFoundError: there is nothing at `path`.
    """
    where = Path(path)
    if where.is_dir():
        return Chain(tuple(_versions(where)))
    if trl.sniff(where):
        return Chain((trl.open_version(where),))
    made = files.read(where)
    return replace(made, base=None)


def _versions(where: Path) -> list[Version]:
    for prefix, room in FOLDERS:
        if room.sniff(where):
            return [room.open_version(where)]
        if found := numbered(where, prefix):
            return [room.open_version(p) for p in found]
    if (where / huggingface.INDEX).is_file():
        return [huggingface.open_version(where)]
    msg = f"{where}: a folder without versions; want weight_v000001 ... or delta-00000001 ..."
    raise DeltaError(msg)
