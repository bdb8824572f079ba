"""What an apply in place compares: everything, or what moves."""

from pathlib import Path
from typing import Any, Literal

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf

Array = np.ndarray[Any, Any]
Where = Literal["array", "dict", "file"]


def pair() -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    old = rng.standard_normal((300, 700)).astype(ml_dtypes.bfloat16)
    new = old.copy()
    new.reshape(-1).view(np.uint16)[5::97] += 1
    return old, new


def applied(d: sf.delta.Delta, base: Array, where: Where, folder: Path, verify: Any) -> Array:  # noqa: ANN401
    """What `base` becomes in place, an error or not."""
    target: Any = base
    if where == "dict":
        target = {"w": base}
    elif where == "file":
        target = folder / "m.safetensors"
        sf.save(target, {"w": base})
    try:
        d.apply(target, in_place=True, verify=verify)
    finally:
        if where == "file":
            base[...] = sf.load(target)["w"]
    return base


def delta(where: Where, old: Array, new: Array) -> sf.delta.Delta:
    return sf.delta.diff(old, new) if where == "array" else sf.delta.diff({"w": old}, {"w": new})


@pytest.mark.parametrize("level", ["store", "wire", "archive"])
@pytest.mark.parametrize("where", ["array", "dict", "file"])
@pytest.mark.parametrize("verify", ["whole", "moved"])
def test_wrong_bases(tmp_path: Path, where: Where, verify: str, level: Any) -> None:  # noqa: ANN401
    old, new = pair()
    d = delta(where, old, new)
    path = tmp_path / "d.safetensors"
    sf.delta.save(path, sf.delta.Delta(d.changes, d.wholes, d.kind, level))
    d = sf.delta.load(path)
    assert applied(d, old.copy(), where, tmp_path, verify).tobytes() == new.tobytes()
    with pytest.raises(sf.DeltaError, match="applied before"):
        applied(d, new.copy(), where, tmp_path, verify)
    for place, noticed in ((5, True), (6, verify == "whole")):
        wrong = old.copy()
        wrong.reshape(-1).view(np.uint16)[place] ^= 4
        before = wrong.tobytes()
        if noticed:
            with pytest.raises(sf.DeltaError, match="is version"):
                applied(d, wrong, where, tmp_path, verify)
            assert wrong.tobytes() == before
        else:
            applied(d, wrong, where, tmp_path, verify)
            assert int((wrong.view(np.uint16) != new.view(np.uint16)).sum()) == 1


def test_a_composed_delta_compares_the_whole(tmp_path: Path) -> None:
    old, new = pair()
    newer = new.copy()
    newer.reshape(-1).view(np.uint16)[7::50] += 1
    d = sf.delta.diff(old, new).compose(sf.delta.diff(new, newer))
    assert d.changes[""].marks is None
    wrong = old.copy()
    wrong.reshape(-1).view(np.uint16)[6] ^= 4
    with pytest.raises(sf.DeltaError, match="is version"):
        d.apply(wrong, in_place=True, verify="moved")
    assert d.apply(old.copy(), in_place=True, verify="moved").tobytes() == newer.tobytes()
    back = sf.delta.diff(old, new).invert()
    assert back.changes[""].marks == sf.delta.diff(new, old).changes[""].marks
    with pytest.raises(sf.FormatError, match="verify"):
        d.apply(old, in_place=True, verify="some")  # type: ignore[arg-type]


def test_without_waiting_for_the_disk(tmp_path: Path) -> None:
    old, new = pair()
    path = tmp_path / "m.safetensors"
    sf.save(path, {"w": old})
    sf.delta.diff({"w": old}, {"w": new}).apply(path, in_place=True, durable=False)
    assert sf.load(path)["w"].tobytes() == new.tobytes()
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
