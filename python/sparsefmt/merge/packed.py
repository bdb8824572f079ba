"""A merged checkpoint in a packed format."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sparsefmt.checkpoint.entry import Value
from sparsefmt.checkpoint.folder import write_model
from sparsefmt.checkpoint.model import open_checkpoint
from sparsefmt.checkpoint.readers.base import Source
from sparsefmt.checkpoint.recipe import Recipe


def write_packed(dense: Path, out: Path, fmt: str) -> int:
    """Writes a dense checkpoint again with its matrices in a format that holds them exactly; gives their number.

    A tensor is in memory at a time. Tensors of other ranks, and integers, stay plain.

    Raises:
        PatternError: a tensor has not the pattern of the format.
    """
    recipe, count = Recipe(fmt), 0
    with open_checkpoint(dense) as model:
        chosen = {name for name, entry in model.entries.items() if len(entry.shape) == 2 and entry.is_inexact}

        def step(shard: Source, names: list[str]) -> tuple[Mapping[str, Value], Mapping[str, str]]:
            nonlocal count
            made: dict[str, Value] = {}
            for name in names:
                made[name] = recipe.pack(name, shard.read(name)) if name in chosen else shard.read(name)
                count += name in chosen
            return made, dict(shard.metadata)

        write_model(model, out, step)
    return count


class DenseRoom:
    """A place beside `out` for the dense result, which goes when the block ends."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def __enter__(self) -> Path:
        self.room = Path(tempfile.mkdtemp(prefix=f".{self.out.name}.", suffix=".tmp", dir=self.out.absolute().parent))
        return self.room / (self.out.name if self.out.name.endswith(".safetensors") else "dense")

    def __exit__(self, *raised: object) -> None:
        shutil.rmtree(self.room)
