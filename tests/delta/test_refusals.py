"""What does not fit is refused, and the message says what was found; nothing changes then."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from contract import same

Array = np.ndarray[Any, Any]


def chain(count: int) -> list[Array]:
    rng = np.random.default_rng(0)
    found = [rng.standard_normal((40, 30)).astype(np.float32)]
    for _ in range(count - 1):
        new = found[-1].copy()
        new[rng.random(new.shape) < 0.05] *= np.float32(1.01)
        found.append(new)
    return found


def test_a_wrong_base_names_both_versions() -> None:
    a, b, c = chain(3)
    d = sf.delta.diff(a, b)
    with pytest.raises(sf.DeltaError, match=f"is version {sf.delta.diff(c, c).changes[''].old}"):
        d.apply(c)
    mine = c.copy()
    with pytest.raises(sf.DeltaError, match="leads from"):
        d.apply(mine, in_place=True)
    same(mine, c)


def test_a_second_apply_is_recognised() -> None:
    a, b = chain(2)
    d = sf.delta.diff(a, b)
    with pytest.raises(sf.DeltaError, match="applied before"):
        d.apply(d.apply(a))
    d = sf.delta.diff({"w": a}, {"w": b})
    with pytest.raises(sf.DeltaError, match="'w' is already the new version"):
        d.apply({"w": b})


def test_a_chain_out_of_order_is_recognised() -> None:
    a, b, c = chain(3)
    with pytest.raises(sf.DeltaError, match="compose them in the order"):
        sf.delta.diff(b, c).compose(sf.delta.diff(a, b))
    with pytest.raises(sf.DeltaError, match="leads from"):
        sf.delta.diff(b, c).apply(a)


@pytest.mark.parametrize(
    ("base", "match"),
    [
        ({"w": np.zeros(4, np.float32)}, "lacks"),
        ({"w": np.zeros(4, np.float32), "b": np.zeros(2, np.int8), "x": np.zeros(1)}, "does not know"),
        ({"w": np.zeros(5, np.float32), "b": np.zeros(2, np.int8)}, "of shape"),
        ({"w": np.zeros(4, np.float64), "b": np.zeros(2, np.int8)}, "float64"),
        ({"w": [0.0] * 4, "b": np.zeros(2, np.int8)}, "want an array"),
        (np.zeros(4, np.float32), "of a dict"),
    ],
)
def test_other_models_are_refused(base: Any, match: str) -> None:  # noqa: ANN401
    old = {"w": np.zeros(4, np.float32), "b": np.zeros(2, np.int8)}
    d = sf.delta.diff(old, {"w": np.ones(4, np.float32), "b": np.zeros(2, np.int8)})
    with pytest.raises(sf.DeltaError, match=match):
        d.apply(base)


def test_nothing_changes_where_one_of_many_does_not_fit() -> None:
    a, b, c = chain(3)
    d = sf.delta.diff({"1": a, "2": a}, {"1": b, "2": b})
    mine = {"1": a.copy(), "2": c.copy()}
    with pytest.raises(sf.DeltaError, match="'2'"):
        d.apply(mine, in_place=True)
    same(mine["1"], a)
    frozen = {"1": a.copy(), "2": a.copy()}
    frozen["2"].flags.writeable = False
    with pytest.raises(sf.DeltaError, match="read-only"):
        d.apply(frozen, in_place=True)
    same(frozen["1"], a)


@pytest.mark.parametrize("verify", ["whole", "moved"])
def test_tied_arrays_move_once(verify: Any) -> None:  # noqa: ANN401
    """A head that is the embedding: the second name was taken for a delta that was applied before."""
    a, b, c = chain(3)
    mine = a.copy()
    old = {"embed": a, "head": a, "other": a}
    tied = {"embed": mine, "head": mine, "other": a.copy()}
    sf.delta.diff(old, {"embed": b, "head": b, "other": b}).apply(tied, in_place=True, verify=verify)
    same(mine, b)
    same(tied["other"], b)
    with pytest.raises(sf.DeltaError):  # one memory cannot become two versions
        sf.delta.diff(dict.fromkeys(old, b), {"embed": c, "head": a, "other": b}).apply(tied, in_place=True)
    same(mine, b)
    same(tied["other"], b)


def test_a_damaged_delta_is_found_by_its_result() -> None:
    a, b = chain(2)
    d = sf.delta.diff(a, b)
    gaps = d.changes[""].pieces[0].steps.structure.arrays()["gaps"]
    gaps.flags.writeable = True
    gaps[3] ^= 1
    mine = a.copy()
    with pytest.raises(sf.DeltaError, match="promises"):
        d.apply(mine, in_place=True)
    same(mine, a)
    with pytest.raises(sf.DeltaError, match="promises"):
        d.apply(a)


@pytest.mark.parametrize(
    "out", [np.zeros((40, 30)), np.zeros((30, 40), np.float32), np.zeros((40, 60), np.float32)[:, ::2]]
)
def test_out_must_fit(out: Array) -> None:
    a, b = chain(2)
    with pytest.raises(sf.FormatError, match="out:"):
        sf.delta.diff(a, b).apply(a, out=out)


def test_in_place_and_out_exclude_each_other() -> None:
    """The array was changed in place before, and `out` left as it was, without a word."""
    a, b = chain(2)
    mine, out = a.copy(), np.zeros_like(a)
    with pytest.raises(sf.FormatError, match="not both"):
        sf.delta.diff(a, b).apply(mine, out=out, in_place=True)
    same(mine, a)
    with pytest.raises(sf.FormatError, match="verify = 'most'"):
        sf.delta.diff(a, b).apply(a, verify="most")  # type: ignore[arg-type]


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("under", ["old", "link"])
@pytest.mark.parametrize("foreign", [False, True])
def test_out_is_not_the_base_itself(tmp_path: Path, several: bool, under: str, foreign: bool) -> None:
    """It was replaced, and then said to have changed meanwhile."""
    a, b = chain(2)
    old, new = (tmp_path / n / "model.safetensors" for n in ("old", "new"))
    for file, array in ((old, a), (new, b)):
        file.parent.mkdir()
        sf.save(file, {"w": array})
    before = old.read_bytes()
    (tmp_path / "link").symlink_to(tmp_path / "old")
    paths = [p.parent if several else p for p in (old, new)]
    d: Any = sf.delta.diff(*paths)
    if foreign:
        sf.delta.save(tmp_path / "weight_v000001", d, format="hf-xor", base=paths[0])
        d = sf.delta.load(tmp_path / "weight_v000001")
    with pytest.raises(sf.FormatError, match="itself; change it with in_place=True"):
        d.apply(paths[0], out=tmp_path / under if several else tmp_path / under / "model.safetensors")
    assert old.read_bytes() == before


def test_what_is_no_delta_of_ours(tmp_path: Path) -> None:
    a, b = chain(2)
    d = sf.delta.diff({"w": a}, {"w": b})
    sf.delta.save(tmp_path / "weight_v000001", d, format="hf-xor")
    theirs: Any = sf.delta.load(tmp_path / "weight_v000001")
    with pytest.raises(sf.DeltaError, match=r"want a Delta, got Chain: give its \.to_delta\(old\)"):
        d.compose(theirs)
    with pytest.raises(sf.DeltaError, match=r"want a Delta, got Chain: give its \.to_delta\(old\)"):
        sf.delta.save(tmp_path / "d.safetensors", theirs)
    with pytest.raises(sf.DeltaError, match="want a Delta, got dict"):
        sf.delta.save(tmp_path / "d.safetensors", {"w": a})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unsupported operand"):
        _ = d + 1  # type: ignore[operator]


def test_kinds_do_not_mix() -> None:
    a, b = chain(2)
    with pytest.raises(sf.DeltaError, match="two arrays, two dicts"):
        sf.delta.diff({"w": a}, b)
    with pytest.raises(sf.DeltaError, match="does not follow"):
        sf.delta.diff(a, b).compose(sf.delta.diff({"w": a}, {"w": b}))
    with pytest.raises(sf.DeltaError, match="level"):
        sf.delta.diff(a, b, level="tiny")  # type: ignore[arg-type]


def test_what_was_left_out_cannot_come_back() -> None:
    a, _ = chain(2)
    d = sf.delta.diff({"w": a}, {}, reversible=False)
    assert d.apply({"w": a}) == {}
    with pytest.raises(sf.DeltaError, match="reversible"):
        d.invert()


def test_patches_are_places_and_new_values() -> None:
    a, b = chain(2)
    d = sf.delta.diff({"w": a, "c": a}, {"w": b, "c": a, "new": a[0]})
    found = {name: rest for name, *rest in d.patches()}
    assert set(found) == {"w", "new"}
    shape, dtype, where, values = found["w"]
    assert (shape, dtype, where.dtype) == ((40, 30), "float32", np.int64)
    patched = a.reshape(-1).copy()
    patched[where] = values
    same(patched.reshape(40, 30), b)
    assert np.array_equal(where, np.flatnonzero(a != b))


def test_patches_refuse_nan_unless_asked() -> None:
    old, new = np.zeros(3, np.float32), np.array([0, np.nan, 1], np.float32)
    d = sf.delta.diff(old, new)
    with pytest.raises(sf.DeltaError, match="at 1 is NaN"):
        list(d.patches())
    (patch,) = d.patches(nan="keep")
    assert patch[3].tolist() == [1, 2]
    with pytest.raises(sf.DeltaError, match="pass the base"):
        list(d.invert().patches())
    assert [p[4].tolist() for p in d.invert().patches(new)] == [[0.0, 0.0]]
