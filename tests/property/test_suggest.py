"""`sf.suggest` and `pack --smallest`: sizes are measured, at a bounded cost, and the smallest is taken."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli
from sparsefmt.api import suggest as module

Array = np.ndarray[Any, Any]


def skewed(rows: int, cols: int) -> Array:
    """2:4 by scores that favour some columns."""
    rng = np.random.default_rng(3)
    w = rng.standard_normal((rows, cols)).astype(np.float16)
    return sf.prune.nm(w, score=np.abs(w) * np.exp(1.5 * rng.standard_normal(cols)).astype(np.float32))


def random_masks(rows: int, cols: int) -> Array:
    """2:4 without any preference."""
    rng = np.random.default_rng(4)
    order = np.argsort(rng.random((rows, cols // 4, 4)), axis=-1) < 2
    return np.where(order.reshape(rows, cols), rng.standard_normal((rows, cols)), 0).astype(np.float16)


def test_masks_decide_between_codes_words_and_streams() -> None:
    assert sf.suggest(skewed(512, 256), lossy=False)[0].format == "nm2:4@rans"
    assert sf.suggest(random_masks(512, 1088), lossy=False)[0].format == "nm2:4@radix"
    assert sf.suggest(random_masks(2, 8), lossy=False)[0].format in ("coo", "nm2:4", "nm2:4@radix", "gap")
    formats = {s.format for s in sf.suggest(skewed(16, 16))}
    assert formats >= {"nm2:4", "nm2:4@radix", "nm2:4@rans", "nm4:8@rans", "nm1:4@rans", "nm2:4@rans/int4:g128"}


@pytest.mark.parametrize("fmt", ["csr", "nm2:4/int4:g16", "bitmask/int8", "nm3:4", "bsr3x2/kmeans4"])
def test_sizes_of_a_packed_tensor(fmt: str) -> None:
    w = skewed(64, 48)
    t = sf.encode(w, fmt)
    found = sf.suggest(t)
    held = [s for s in found if not s.note]
    assert fmt in [s.format for s in held]
    assert [s.nbytes for s in held] == sorted(s.nbytes for s in held)
    for s in held:
        assert s.exact
        assert s.measured
        u = t.convert(s.format)
        assert u.nbytes == s.nbytes
        assert np.array_equal(u.to_dense(), t.to_dense())


def test_large_arrays_are_tried_on_some_rows_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLE", 1 << 14)
    monkeypatch.setattr(module, "LARGEST", 1 << 15)
    w, tried = skewed(1024, 64), []
    real = module.encode
    monkeypatch.setattr(module, "encode", lambda a, fmt: tried.append((a.size, fmt)) or real(a, fmt))
    found = sf.suggest(w)
    sizes = [size for size, _ in tried]
    assert set(sizes) == {1 << 14, w.size}
    assert sizes.count(w.size) <= 2 * module.MOST
    assert sizes.count(1 << 14) == len(found)
    assert found[0].format == "nm2:4@rans"
    for s in found:
        if s.measured and not s.note:
            assert sf.encode(w, s.format).nbytes == s.nbytes
        elif not s.note:
            assert str(s).split(": ")[1].startswith("about ")
            assert sf.encode(w, s.format).nbytes == pytest.approx(s.nbytes, rel=0.1)
    packed = sf.suggest(sf.encode(w.reshape(16, 64, 64), "nm2:4/int4:g64"))
    assert packed[0].format == "nm2:4@rans/int4:g64"
    assert packed[0].measured
    assert not packed[-1].measured or packed[-1].note


def test_pack_smallest(tmp_path: Path) -> None:
    cli = Cli()
    source, out = tmp_path / "model.safetensors", tmp_path / "out.safetensors"
    rng = np.random.default_rng(0)
    sparse = np.where(rng.random((64, 640)) < 0.02, rng.standard_normal((64, 640)), 0).astype(np.float32)
    tensors = {
        "skewed": skewed(1024, 128),
        "sparse": sparse,
        "full": rng.standard_normal((64, 64)).astype(np.float32),
        "bias": np.ones(64, np.float32),
    }
    sf.save(source, tensors)
    assert "nm2:4@rans" in cli.ok("pack", source, out, "--smallest")
    loaded = sf.load(out)
    for name, w in tensors.items():
        t = loaded[name]
        assert np.array_equal(t.to_dense() if isinstance(t, sf.SparseTensor) else t, w)
    kept = {name: t.format for name, t in loaded.items() if isinstance(t, sf.SparseTensor)}
    assert kept == {"skewed": "nm2:4@rans", "sparse": sf.suggest(sparse, lossy=False)[0].format}
    cli.ok("pack", source, out, "--format", "nm2:4/int4:g64", "--prune", "--smallest", "--force")
    loaded = sf.load(out)
    for name in ("skewed", "sparse", "full"):
        t, want = loaded[name], sf.encode(tensors[name], "nm2:4/int4:g64", prune=True)
        assert isinstance(t, sf.SparseTensor)
        assert np.array_equal(t.to_dense(), want.to_dense())
        assert t.nbytes == min(s.nbytes for s in sf.suggest(want) if not s.note)
    assert "the smallest" in cli.ok("pack", source, out, "--smallest", "--dry-run", "--force")
    assert "--smallest makes no sense here" in cli.fails(2, "pack", source, out, "--smallest", "--plan", source)
