"""Fixtures that put bytes into a file and say what must become of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sparsefmt as sf

Loads = Callable[..., dict[str, Any]]


@pytest.fixture
def loads(tmp_path: Path) -> Loads:
    """Loads a file of these bytes."""

    def run(raw: bytes, mmap: bool = True) -> dict[str, Any]:
        path = tmp_path / "f"
        path.unlink(missing_ok=True)  # to truncate a file is slow on some file systems
        path.write_bytes(raw)
        return dict(sf.load(path, mmap=mmap))

    return run


@pytest.fixture
def refused(tmp_path: Path, loads: Loads) -> Callable[..., None]:
    """Demands a typed error in one line, mapped, copied and inspected."""

    def run(raw: bytes, error: type[Exception] = sf.CorruptFileError, text: str = ".") -> None:
        for mmap in (True, False):
            with pytest.raises(error, match=text) as caught:
                loads(raw, mmap)
            assert "\n" not in str(caught.value)
            assert len(str(caught.value)) < 1000
        with pytest.raises(error):
            sf.inspect(tmp_path / "f")

    return run


@pytest.fixture
def survives(tmp_path: Path, loads: Loads) -> Callable[[bytes], None]:
    """Demands a typed error in one line, or tensors that can be used."""

    def run(raw: bytes) -> None:
        try:
            for t in loads(raw).values():
                if isinstance(t, sf.SparseTensor):
                    t.to_dense(max_bytes=1 << 16)
            sf.inspect(tmp_path / "f")
        except sf.SparsefmtError as e:
            text = str(e)
        else:
            text = ""
        assert "\n" not in text
        text.encode()

    return run
