"""A merged checkpoint in a packed format."""

import shutil
import tempfile
from concurrent.futures import Executor
from pathlib import Path

from sparsefmt.checkpoint.entry import Entry
from sparsefmt.checkpoint.steps import pack
from sparsefmt.checkpoint.transform import transform


def write_packed(dense: Path, out: Path, fmt: str, *, executor: Executor | None = None, overwrite: bool = False) -> int:
    """Writes a dense checkpoint again with its matrices in a format that holds them exactly; gives their number.

    Tensors of other ranks, and integers, stay plain.

    Raises:
        PatternError: a tensor has not the pattern of the format.
    """
    report = transform(dense, out, pack(fmt), select=is_matrix, executor=executor, overwrite=overwrite)
    return len(report.changed)


def is_matrix(name: str, entry: Entry) -> bool:
    """Whether a tensor is one that is packed."""
    return len(entry.shape) == 2 and entry.is_inexact


class DenseRoom:
    """A place beside `out` for the dense result, which goes when the block ends."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def __enter__(self) -> Path:
        self.room = Path(tempfile.mkdtemp(prefix=f".{self.out.name}.", suffix=".tmp", dir=self.out.absolute().parent))
        return self.room / (self.out.name if self.out.name.endswith(".safetensors") else "dense")

    def __exit__(self, *raised: object) -> None:
        shutil.rmtree(self.room)
