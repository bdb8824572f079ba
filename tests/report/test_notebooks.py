"""What a notebook shows of tensors and checkpoints."""

import re
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf


def opacities(html: str) -> list[float]:
    return [float(x) for x in re.findall(r'fill-opacity="([\d.e-]+)"', html)]


@pytest.mark.parametrize("fmt", ["csr", "nm2:4", "bitmask", "coo", "bsr4x4", "dense/int8", "nm2:4/int4:g8"])
def test_a_tensor_shows_storage_and_a_map(fmt: str) -> None:
    w = np.zeros((48, 96), np.float32)
    w[:24, ::4] = 1
    t = sf.encode(w, fmt)
    html = t._repr_html_()
    assert f"<td>{t.format}</td>" in html
    assert f"{t.nbytes:,}" in html
    shares = opacities(html)
    assert len(shares) == 12 * 24
    assert set(shares) == {0.25}


@pytest.mark.parametrize("shape", [(7,), (2, 3, 8), (0, 4), (1, 1)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    html = sf.encode(np.ones(shape, np.float32), "csr")._repr_html_()
    assert html.count("<svg") == (0 not in shape)
    assert set(opacities(html)) <= {1.0}


def test_large_tensors_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparsefmt.tensor.show.MOST", 24 * 64)
    html = sf.encode(np.ones((480, 64), np.float32), "csr")._repr_html_()
    assert opacities(html) == [1.0] * 24 * 24


def test_a_checkpoint_shows_a_table(tmp_path: Path) -> None:
    tensors = {f"<b>{i}": np.zeros((2, 3), np.float32) for i in range(50)}
    sf.save(tmp_path / "m.safetensors", tensors | {"packed": sf.encode(np.eye(4), "csr")})
    with sf.open_checkpoint(tmp_path / "m.safetensors") as c:
        html = c._repr_html_()
    assert "51 tensors" in html
    assert "the first 40 are shown" in html
    assert "<b>0" not in html
    assert "&lt;b&gt;0" in html
