"""What all rows share, by ranges of rows: the same bytes as of the whole tensor."""

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.checkpoint import scaled
from sparsefmt.checkpoint.jobs import Job, run_job
from sparsefmt.checkpoint.model import open_checkpoint
from sparsefmt.checkpoint.steps import Step

Array = np.ndarray[Any, Any]


def matrix(dtype: Any = np.float32) -> Array:  # noqa: ANN401
    """With the pattern 2:4, its largest value in the last rows."""
    a = sf.prune.nm(np.random.default_rng(0).standard_normal((643, 64)).astype(np.float32))
    a[640, a[640] != 0] *= 9
    return np.asarray(a.astype(dtype))


def transformed(source: Path, out: Path, step: Step, chunk: int) -> bytes:
    """What the step makes of all tensors, with so many bytes of rows at a time."""
    with open_checkpoint(source) as model:
        (file,) = model.sources
        names = tuple(file.entries)
        run_job(
            Job(
                file.path.absolute(), file.identity, model.reader, names, frozenset(names), step, out,
                out.with_suffix(".json"), chunk,
            )
        )  # fmt: skip
    return out.read_bytes()


FORMATS = [
    *(f"{s}/int8:tensor" for s in ("dense", "nm2:4", "bitmask", "csr", "gap", "coo", "bsr4x4")),
    "dense/int4:tensor", "nm2:4/int4:tensor:f32", "dense/int8:tensor:asym", "nm2:4/int3:tensor:asym",
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, np.float16, np.float64])
@pytest.mark.parametrize("fmt", FORMATS)
def test_one_scale_in_two_passes(fmt: str, dtype: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sf.save(tmp_path / "m.safetensors", {"w": matrix(dtype)})
    step = sf.checkpoint.pack(fmt)
    calls: list[str] = []
    real = scaled.Scaled.apply
    monkeypatch.setattr(scaled.Scaled, "apply", lambda self, name, v: calls.append(name) or real(self, name, v))
    want = transformed(tmp_path / "m.safetensors", tmp_path / "a.safetensors", step, 32 << 20)
    assert not calls
    got = transformed(tmp_path / "m.safetensors", tmp_path / "b.safetensors", step, 1 << 13)
    assert len(calls) > 5
    assert got == want
    packed = sf.load(tmp_path / "b.safetensors")["w"]
    assert np.array_equal(packed.to_dense(), sf.encode(matrix(dtype), fmt).to_dense())


@pytest.mark.parametrize("fmt", ["dense/int8:tensor", "nm2:4/int4:tensor"])
def test_pruned_to_a_pattern(fmt: str, tmp_path: Path) -> None:
    dense = np.random.default_rng(1).standard_normal((400, 64)).astype(np.float32)
    sf.save(tmp_path / "m.safetensors", {"w": dense})
    step = sf.checkpoint.pack(fmt, prune=fmt.startswith("nm"))
    want = transformed(tmp_path / "m.safetensors", tmp_path / "a.safetensors", step, 32 << 20)
    assert transformed(tmp_path / "m.safetensors", tmp_path / "b.safetensors", step, 1 << 13) == want


@pytest.mark.parametrize("where", [3, 630])
def test_values_without_a_code(where: int, tmp_path: Path) -> None:
    a = matrix()
    a[where, 0] = np.nan
    sf.save(tmp_path / "m.safetensors", {"w": a})
    with pytest.raises(sf.CodecError, match="w: "):
        transformed(tmp_path / "m.safetensors", tmp_path / "a.safetensors", sf.checkpoint.pack(FORMATS[0]), 1 << 13)
    skipping = sf.checkpoint.pack(FORMATS[0], skip=True)
    transformed(tmp_path / "m.safetensors", tmp_path / "b.safetensors", skipping, 1 << 13)
    assert np.array_equal(sf.load(tmp_path / "b.safetensors")["w"], a, equal_nan=True)


@pytest.mark.parametrize(("fmt", "target"), [("dense/int8:tensor", "nm2:4"), ("nm2:4/int4:tensor", "dense")])
def test_converted_scales_stay_one(fmt: str, target: str, tmp_path: Path) -> None:
    """Ranges of rows that share a scale once brought it again and again, and the file could not be read."""
    sf.save(tmp_path / "m.safetensors", {"w": sf.encode(matrix(), fmt)})
    step = sf.checkpoint.convert(target)
    want = transformed(tmp_path / "m.safetensors", tmp_path / "a.safetensors", step, 32 << 20)
    assert transformed(tmp_path / "m.safetensors", tmp_path / "b.safetensors", step, 1 << 13) == want
    assert sf.load(tmp_path / "b.safetensors")["w"].values.scale.shape == (1, 1)


def test_converted_codebooks_stay_one(tmp_path: Path) -> None:
    book = np.arange(-8, 8, dtype=np.float32) / 2  # with 0, which dense needs
    sf.save(tmp_path / "m.safetensors", {"w": sf.encode(matrix(), "nm2:4/kmeans16", codebook=book)})
    step = sf.checkpoint.convert("dense")
    want = transformed(tmp_path / "m.safetensors", tmp_path / "a.safetensors", step, 32 << 20)
    assert transformed(tmp_path / "m.safetensors", tmp_path / "b.safetensors", step, 1 << 13) == want
