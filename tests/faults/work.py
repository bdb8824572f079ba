"""What is interrupted: work that makes a file or a folder out of others, in the place of an older one or of none."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner

import sparsefmt as sf
from sparsefmt.cli.app import app
from sparsefmt.delta import journal

Contents = dict[str, bytes]


@dataclass(frozen=True)
class Work:
    """`act` makes `result` in a folder that `prepare` has filled; it may stand there before."""

    prepare: Callable[[Path, int], None]
    act: Callable[[Path], object]
    result: str


def weights(rows: int, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {f"w{i}": rng.standard_normal((rows, 64)).astype(np.float32) for i in range(4)}


def model(path: Path, tensors: dict[str, Any]) -> None:
    """A folder of two shards with an index and a side file."""
    path.mkdir(exist_ok=True)
    names, home = sorted(tensors), dict[str, str]()
    for i in range(2):
        part = {name: tensors[name] for name in names[i::2]}
        shard = f"model-{i + 1:05}-of-00002.safetensors"
        sf.save(path / shard, part, {"format": "pt"})
        home |= dict.fromkeys(part, shard)
    (path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": home}))
    (path / "config.json").write_text('{"architectures": ["None"]}')


def two_models(folder: Path, rows: int) -> None:
    old = weights(rows)
    new = {name: a.copy() for name, a in old.items()}
    for a in new.values():
        a.reshape(-1).view(np.uint32)[::17] += 3
    model(folder / "m", old)
    model(folder / "n", new)
    sf.delta.save(folder / "d", sf.delta.diff(old, new))


def file_and_older(name: str) -> Callable[[Path, int], None]:
    def prepare(folder: Path, rows: int) -> None:
        model(folder / "m", weights(rows))
        sf.save(folder / name, {"old": np.arange(9)})

    return prepare


def folder_and_older(folder: Path, rows: int) -> None:
    two_models(folder, rows)
    model(folder / "o", {"old": np.ones((3, 4), np.float32), "other": np.arange(5)})


def save(folder: Path) -> None:
    w = dict(sf.open_checkpoint(folder / "m"))
    sf.save(folder / "w", {**w, "packed": sf.encode(w["w0"], "csr/int8:row")})


def save_delta(folder: Path) -> None:
    with sf.open_checkpoint(folder / "m") as old, sf.open_checkpoint(folder / "n") as new:
        sf.delta.save(folder / "e", sf.delta.diff(old, new))


def pack(folder: Path) -> None:
    arguments = [
        str(folder / "m"),
        str(folder / "o"),
        "--format",
        "csr/int8:row",
        "--min-size",
        "0",
        "--force",
        "--quiet",
    ]
    done = CliRunner().invoke(app, ["pack", *arguments])
    if done.exit_code:
        said = [code for code in errno.errorcode if os.strerror(code) in done.output]
        named = str(folder) if str(folder) in done.output else None
        raise OSError(said[0] if said else 0, done.output, named)


def quantised(name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401
    return {name: sf.encode(value, "dense/int8:row")}


def transform(folder: Path) -> None:
    sf.transform(folder / "m", folder / "o", quantised, overwrite=True)


def merge(folder: Path) -> None:
    models = [{"model": str(folder / name), "parameters": {"weight": 0.5}} for name in ("m", "n")]
    recipe = {"merge_method": "linear", "models": models, "dtype": "float32"}
    sf.merge.run(recipe, folder / "o", overwrite=True, shard_bytes=1 << 15)


def apply(folder: Path) -> None:
    sf.delta.load(folder / "d").apply(folder / "m", folder / "o")


def in_place(folder: Path) -> None:
    sf.delta.load(folder / "d").apply(folder / "m", in_place=True)


WORK = {
    "save": Work(file_and_older("w"), save, "w"),
    "save_delta": Work(two_models, save_delta, "e"),
    "pack": Work(folder_and_older, pack, "o"),
    "transform": Work(folder_and_older, transform, "o"),
    "merge": Work(folder_and_older, merge, "o"),
    "apply": Work(folder_and_older, apply, "o"),
    "in_place": Work(two_models, in_place, "m"),
}


class Place:
    """A folder with the inputs of some work, its result before and after, and what stands there by itself."""

    def __init__(self, folder: Path, name: str, rows: int) -> None:
        self.folder, self.work, self.name = folder, WORK[name], name
        self.out = folder / self.work.result
        folder.mkdir(parents=True)
        self.work.prepare(folder, rows)
        self.files = sorted(p.name for p in folder.iterdir())
        self.spare = folder.parent / f"{folder.name}-before"
        shutil.copytree(folder, self.spare)
        self.before = self.contents()
        self.work.act(folder)
        self.after = self.contents()
        self.files_after = sorted(p.name for p in folder.iterdir())
        self.reset()

    def contents(self) -> Contents | None:
        """The bytes of the result; None where there is none. After an apply in place, what recovery makes of it."""
        if self.name == "in_place":
            journal.recover(self.out)
        if self.out.is_dir():
            return {str(p.relative_to(self.out)): p.read_bytes() for p in sorted(self.out.rglob("*")) if p.is_file()}
        return {"": self.out.read_bytes()} if self.out.exists() else None

    def reset(self) -> None:
        """Everything as before."""
        shutil.rmtree(self.folder)
        shutil.copytree(self.spare, self.folder)

    def lost(self) -> str | None:
        """What is neither the result before nor after; None: nothing. A folder may be missing for an instant."""
        now = self.contents()
        if now in (self.before, self.after):
            return None
        if now is None:
            return self.aside()
        want = self.after or {}
        return f"{self.name}: torn: {[name for name in now | want if now.get(name) != want.get(name)]}"

    def aside(self) -> str | None:
        """Says what is lost where the result is gone, unless the older one stands whole beside it."""
        hidden = [p for p in self.folder.rglob("*") if p.is_dir() and p.name in ("old", "new")]
        kept = [{str(p.relative_to(h)): p.read_bytes() for p in h.rglob("*") if p.is_file()} for h in hidden]
        return None if self.before in kept or self.after in kept else f"{self.name}: the result is gone"

    def finish(self) -> str | None:
        """Does the work again, without a fault; says what is then wrong."""
        if self.contents() != self.after or self.name != "in_place":
            self.work.act(self.folder)
        if self.contents() != self.after:
            return f"{self.name}: a second run gives something else"
        left = sorted({p.name for p in self.folder.iterdir()} - set(self.files_after))
        return f"{self.name}: left behind {left}" if left else None
