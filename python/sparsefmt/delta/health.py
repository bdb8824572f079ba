"""What is wrong with the file of a delta, beside what its tensors alone tell."""

from collections.abc import Iterator
from pathlib import Path

from sparsefmt.base.errors import SparsefmtError
from sparsefmt.delta.files import is_delta, read


def damage(path: Path) -> Iterator[str]:
    """What `apply` or `invert` would refuse, whatever the base; nothing of files that are no deltas."""
    try:
        if path.suffix != ".safetensors" or not path.is_file() or not is_delta(path):
            return
        wholes = read(path).wholes
    except SparsefmtError as e:
        yield str(e)
        return
    for name, whole in wholes.items():
        for end in (whole.inverse(), whole):
            try:
                if end.new is not None:
                    end.arrived(name)
            except SparsefmtError as e:
                yield str(e)
