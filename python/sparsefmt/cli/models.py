"""One file, or a folder of safetensors shards with an index, as a list of shards."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sparsefmt.base.errors import CorruptFileError, FormatError
from sparsefmt.cli.sources import Entry, Source, open_file

INDEX = "model.safetensors.index.json"
INDEX_SUFFIX = ".safetensors.index.json"
SIDE_SUFFIXES = (".json", ".txt", ".md", ".jinja", ".model", ".py")


@dataclass(frozen=True)
class Model:
    """The files of a model, opened one at a time.

    Args:
        path: as given.
        files: the shards, or the one file.
        is_folder: whether `path` is a folder.
    """

    path: Path
    files: list[Path]
    is_folder: bool

    def shards(self) -> Iterator[Source]:
        """Opens shard after shard."""
        for file in self.files:
            yield open_file(file) if self.is_folder else self._only

    @cached_property
    def _only(self) -> Source:
        return open_file(self.files[0])

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """All tensors by name.

        Raises:
            CorruptFileError: two shards hold the same name.
        """
        found: dict[str, Entry] = {}
        for shard in self.shards():
            for name, entry in shard.entries.items():
                if name in found:
                    msg = f"{shard.path}: tensor {name!r} is in another shard too"
                    raise CorruptFileError(msg)
                found[name] = entry
        return found

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(entry.nbytes for entry in self.entries.values())

    def side_files(self) -> list[Path]:
        """What belongs to a model folder besides weights: configuration, tokenizer, code."""
        return [
            f
            for f in sorted(self.path.iterdir())
            if f.is_file() and f.suffix in SIDE_SUFFIXES and not f.name.endswith(INDEX_SUFFIX)
        ]


def open_model(path: Path) -> Model:
    """Finds the files of a model; a folder's index decides, else all its safetensors files.

    Raises:
        FormatError: a folder without safetensors files.
        CorruptFileError: an index that makes no sense, or names a file elsewhere or one that is missing.
    """
    if not path.is_dir():
        return Model(path, [path], is_folder=False)
    indexes = sorted(path.glob(f"*{INDEX_SUFFIX}"))
    if len(indexes) > 1:
        msg = f"{path}: {len(indexes)} index files ({', '.join(f.name for f in indexes)}); want one"
        raise FormatError(msg)
    files = indexed(indexes[0]) if indexes else sorted(path.glob("*.safetensors"))
    if not files:
        msg = f"{path}: the folder holds no .safetensors file"
        raise FormatError(msg)
    return Model(path, files, is_folder=True)


def indexed(index: Path) -> list[Path]:
    """The shards that an index file names, in its order.

    Raises:
        CorruptFileError: it is no index, or a name leads out of the folder, or to no file.
    """
    try:
        names = list(dict.fromkeys(json.loads(index.read_bytes())["weight_map"].values()))
        outside = [n for n in names if Path(n).name != n or not n.endswith(".safetensors")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        msg = f"{index}: want a JSON object with a weight_map from tensors to files: {type(e).__name__} {e}"
        raise CorruptFileError(msg) from e
    for n in names:
        if n in outside or not (index.parent / n).is_file():
            msg = f"{index}: weight_map names {n!r}, which is no safetensors file in this folder"
            raise CorruptFileError(msg)
    return [index.parent / n for n in names]
