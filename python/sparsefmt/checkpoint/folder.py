"""Folders that are written beside their place and renamed, and the files that travel with weights."""

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sparsefmt.base.errors import CheckpointError
from sparsefmt.checkpoint.index import INDEX, is_index, is_weights
from sparsefmt.io.atomic import hand_on, sync_folder
from sparsefmt.io.exchange import exchange
from sparsefmt.io.paths import naming_file, put_text
from sparsefmt.io.temporary import held_folder


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder that takes its place when it is complete; files of an older one that it does not hold stay.

    It is made in another beside `out`; those of writers that were killed are removed first.

    Raises:
        FileNotFoundError: the folder that it goes into does not exist.
        CheckpointError: there is a folder that cannot be renamed.
    """
    check_movable(out)
    place = followed(out)
    parent = place.absolute().parent
    if not parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "the folder does not exist", str(parent))
    with held_folder(parent) as room:
        made = room / "new"
        made.mkdir()
        yield made
        put_in_place(made, place, room / "old")


def followed(out: Path) -> Path:
    """Where a link leads, so that the result is written, and renamed, in the filesystem that it is to lie in.

    What has no name of its own, `.` and `..`, gets its name.
    """
    return Path(os.path.realpath(out)) if out.is_symlink() or out.name in ("", "..") else out


def immovable(out: Path) -> str | None:
    """Why a folder cannot change places with a new one, and the way out; None: it can, or there is none."""
    if not out.is_dir():
        return None
    if out.name in ("", ".."):
        where = out.resolve()
        return f"{out} is a folder seen from inside, which cannot be replaced; go out of it and write to {where}"
    if os.path.ismount(out):
        return f"{out} is a mount point, which cannot be replaced; write to a folder in it, such as {out / 'model'}"
    return None


def check_movable(out: Path) -> None:
    """Refuses to replace a folder that cannot be renamed, before any work.

    Raises:
        CheckpointError: it is a mount point, or has no name.
    """
    if (msg := immovable(out)) is not None:
        raise CheckpointError(msg)


def put_in_place(made: Path, out: Path, aside: Path) -> None:
    """Gives `made` the name `out`; an older folder there hands over the files that `made` does not hold, and goes.

    The two change places in one step where the system can do that; else the older one is `aside` for an instant.
    """
    if not out.exists():
        sync_files(made)
        made.rename(out)
        sync_folder(out.absolute().parent)
        return
    inherit(out, made)
    for old in sorted(out.iterdir()):
        if not (made / old.name).exists() and not is_index(old.name):
            keep(old, made / old.name)
    hand_on(out.stat(), out, made)
    sync_files(made)
    whole = aside.with_name("whole")  # nothing that is under `made` belongs to the older one, even after a kill
    if whole.exists():  # a run was killed right before or after the exchange, and a later one has made all anew
        shutil.rmtree(whole)
    made.rename(whole)
    if exchange(whole, out):
        sync_folder(out.absolute().parent)
        shutil.rmtree(whole)
        return
    whole.rename(made)
    out.rename(aside)
    try:
        made.rename(out)
    except BaseException:
        aside.rename(out)
        raise
    shutil.rmtree(aside)


def inherit(older: Path, made: Path) -> None:
    """Files and folders take over what `hand_on` says from those whose places they take; links tell nothing."""
    for path in made.rglob("*"):
        old = older / path.relative_to(made)
        if not old.is_symlink() and (old.is_dir() if path.is_dir() else old.is_file()):
            hand_on(old.stat(), old, path)


def sync_files(folder: Path) -> None:
    """Waits until the files right in a folder, and their names, have reached the disk."""
    for path in folder.iterdir():
        if path.is_file():
            number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                with naming_file(path):
                    os.fsync(number)
            finally:
                os.close(number)
    sync_folder(folder)


def keep(old: Path, new: Path) -> None:
    """The same file under a second name, a copy where the filesystem has no links; folders whole."""
    if old.is_dir() and not old.is_symlink():
        shutil.copytree(old, new, symlinks=True, copy_function=linked)
    else:
        linked(str(old), str(new))


def linked(old: str, new: str, *, follow_symlinks: bool = False) -> str:
    """Links a file, or copies it."""
    try:
        Path(new).hardlink_to(old)
    except OSError:
        shutil.copy2(old, new, follow_symlinks=follow_symlinks)
    return new


def write_index(folder: Path, weight_map: Mapping[str, str], total_size: int, name: str = INDEX) -> None:
    """Writes the index of a folder of shards."""
    index = {"metadata": {"total_size": total_size}, "weight_map": dict(sorted(weight_map.items()))}
    put_text(folder / name, json.dumps(index, indent=2) + "\n")


DENSE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".h5", ".onnx", ".gguf")
"""Weights of other kinds, which hold the same tensors as the safetensors beside them, or others."""


SETTINGS = ("quantization_config", "compression_config", "sparsity_config")
"""Keys under which a config.json has the settings of a quantisation."""

SETTINGS_FILES = ("hf_quant_config.json", "quantize_config.json", "quant_config.json")
"""Where ModelOpt, GPTQ and AWQ have them besides; loaders take a model for a quantised one by these alone."""


def drop_settings(folder: Path) -> tuple[str, ...]:
    """Takes the settings of a quantisation out of config.json, also out of its parts, and away from beside it.

    Returns:
        What was taken away, by name.
    """
    config = folder / "config.json"
    dropped: list[str] = []
    if config.is_file():
        found = _without(json.loads(config.read_bytes()), "", dropped)
        if dropped:
            put_text(config, json.dumps(found, indent=2) + "\n")
    for name in SETTINGS_FILES:
        if (folder / name).is_file():
            (folder / name).unlink()
            dropped.append(name)
    return tuple(dropped)


def _without(part: Mapping[str, Any], where: str, dropped: list[str]) -> dict[str, Any]:
    """A part of a config.json, and what is in it, without the settings."""
    dropped += [f"{where}{key} of config.json" for key in SETTINGS if key in part]
    return {
        key: _without(value, f"{where}{key}.", dropped) if isinstance(value, dict) and where.count(".") < 3 else value
        for key, value in part.items()
        if key not in SETTINGS
    }


def copy_side_files(source: Path, out: Path) -> tuple[str, ...]:
    """Copies what belongs to a folder of weights besides them: configuration, tokenizer, code, subfolders.

    Weights of other kinds and the index files that name them stay behind, as do all safetensors, and links to folders
    elsewhere.

    Returns:
        What was left out, by name.
    """
    left: list[str] = []
    root = source.resolve()
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        if any(part.startswith("._") or part in (".git", ".cache", ".DS_Store") for part in name.parts):
            continue
        top = len(name.parts) == 1
        if top and (is_weights(path.name) or is_index(path.name)):
            continue
        if path.is_dir():
            if path.is_symlink() and root not in path.resolve().parents:
                left.append(f"{name}/ (a link out of the folder)")
            continue
        if path.name.endswith((*DENSE_SUFFIXES, *(f"{s}.index.json" for s in DENSE_SUFFIXES))):
            left.append(str(name))
            continue
        if not path.is_file():
            left.append(f"{name} (no regular file)")
            continue
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        with naming_file(out / name):
            shutil.copyfile(path, out / name)
    return tuple(left)
