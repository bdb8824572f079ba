"""The laws of deltas, for any pattern of bits of any dtype."""

import itertools
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsefmt as sf
from contract import same
from strategies import DTYPES, make, shapes

Array = np.ndarray[Any, Any]
SHARES = st.sampled_from([0.0, 0.002, 0.05, 0.3, 1.0])
EVERY = [*DTYPES, np.dtype(ml_dtypes.float8_e8m0fnu), np.dtype(ml_dtypes.float8_e4m3fnuz)]


def changed(a: Array, share: float, seed: int, near: bool) -> Array:
    """`a` with some values replaced: by their neighbours, or by any bits."""
    rng = np.random.default_rng(seed)
    if a.dtype.kind == "b":
        return np.asarray(np.where(rng.random(a.shape) < share, ~a, a))
    bits = np.ascontiguousarray(a).reshape(-1).view(f"u{min(a.dtype.itemsize, 8)}").copy()
    where = rng.random(len(bits)) < share
    other = bits + np.asarray(1, bits.dtype) if near else np.frombuffer(rng.bytes(bits.nbytes), bits.dtype)
    bits[where] = other[where]
    return bits.view(a.dtype).reshape(a.shape)


@st.composite
def versions(draw: st.DrawFn, count: int) -> list[Array]:
    """Versions of one array, each made from the one before."""
    dtype = draw(st.sampled_from(EVERY))
    shape = draw(st.one_of(shapes(), st.just(()), st.sampled_from([(300, 250), (70_001,)])))
    seeds = st.integers(0, 2**32 - 1)
    if dtype in DTYPES:
        found = [make(dtype, shape, draw(st.sampled_from([0.0, 0.6, 1.0])), draw(seeds))]
    else:
        size = int(np.prod(shape, dtype=np.int64))
        found = [np.frombuffer(np.random.default_rng(draw(seeds)).bytes(size), dtype).reshape(shape)]
    for _ in range(count - 1):
        found.append(changed(found[-1], draw(SHARES), draw(seeds), draw(st.booleans())))
    return found


@settings(max_examples=150)
@given(versions(2))
def test_apply_gives_the_new_version_and_inverting_the_old(pair: list[Array]) -> None:
    old, new = pair
    d = sf.delta.diff(old, new)
    before = old.tobytes()
    same(d.apply(old), new)
    assert old.tobytes() == before
    same(d.invert().apply(new), old)
    assert d.invert() == sf.delta.diff(new, old)
    assert d.invert().invert() == d
    out = np.empty(old.shape, old.dtype)
    assert d.apply(old, out=out) is out
    same(out, new)
    mine = np.array(old)
    assert d.apply(mine, in_place=True) is mine
    same(mine, new)


@settings(max_examples=80)
@given(versions(4))
def test_deltas_form_a_group(found: list[Array]) -> None:
    a, _, c, d = found
    ab, bc, cd = (sf.delta.diff(x, y) for x, y in itertools.pairwise(found))
    assert ab.compose(bc) == ab + bc == sf.delta.diff(a, c)
    assert ab.compose(bc).compose(cd) == ab.compose(bc.compose(cd)) == sf.delta.diff(a, d)
    nothing = ab.compose(ab.invert())
    assert nothing == sf.delta.diff(a, a)
    assert (ab + bc).invert() == bc.invert() + ab.invert() == -(ab + bc)
    assert nothing.stats().changed == 0


names = st.sampled_from(["w", "b", "a.b", "steps.0.w", "ö 1", "x"])


@st.composite
def models(draw: st.DrawFn, count: int) -> list[dict[str, Array]]:
    """Versions of a model: tensors come, go, are reshaped and retyped."""
    kinds = [(np.dtype("f4"), (3, 50)), (np.dtype("f4"), (50, 3)), (np.dtype("i1"), (40,)), (np.dtype("f2"), ())]
    seeds = st.integers(0, 2**32 - 1)
    found: list[dict[str, Array]] = []
    for _ in range(count):
        version = {}
        for name in draw(st.lists(names, unique=True, max_size=4)):
            before = found[-1].get(name) if found else None
            if before is not None and draw(st.booleans()):
                version[name] = changed(before, draw(SHARES), draw(seeds), draw(st.booleans()))
            else:
                version[name] = make(*draw(st.sampled_from(kinds)), 0.7, draw(seeds))
        found.append(version)
    return found


def same_model(got: Any, want: dict[str, Array]) -> None:  # noqa: ANN401
    assert set(got) == set(want)
    for name, a in want.items():
        same(np.asarray(got[name]), np.asarray(a))


@settings(max_examples=120)
@given(models(3))
def test_models_whose_tensors_come_and_go(found: list[dict[str, Array]]) -> None:
    a, b, c = found
    ab, bc = sf.delta.diff(a, b), sf.delta.diff(b, c)
    same_model(ab.apply(a), b)
    same_model(ab.invert().apply(b), a)
    same_model((ab + bc).apply(a), c)
    assert ab + bc == sf.delta.diff(a, c)
    assert -(ab + bc) == sf.delta.diff(c, a)
    mine = {name: np.array(value) for name, value in a.items()}
    assert ab.apply(mine, in_place=True) is mine
    same_model(mine, b)


@pytest.mark.parametrize(
    ("share", "near", "form"),
    [
        (0.0004, True, "csr/"),
        (0.02, True, "gap/"),
        (0.02, False, "gap"),
        (0.3, True, "bitmask/"),
        (0.3, False, "bitmask"),
        (1.0, True, "dense/"),
        (1.0, False, "dense"),
    ],
)
def test_the_smallest_form_is_chosen(share: float, near: bool, form: str) -> None:
    old = make(np.dtype("u2"), (400, 300), 1.0, 0)
    new = changed(old, share, 1, near)
    d = sf.delta.diff(old, new)
    (piece,) = d.changes[""].pieces
    assert piece.steps.format.startswith(form)
    assert ("/" in piece.steps.format) == near
    every = [sf.encode(piece.steps.to_dense(), f, zero="bits").nbytes for f in ("gap", "csr", "bitmask", "dense")]
    assert piece.nbytes <= min(every)
    same(d.apply(old), new)


def test_steps_of_a_training_update_are_mostly_one() -> None:
    old = np.random.default_rng(0).standard_normal(100_000).astype(ml_dtypes.bfloat16)
    new = np.array(old)
    new.view(np.uint16)[::50] += 1
    stats = sf.delta.diff(old, new).stats()
    assert (stats.values, stats.changed, stats.one_step, stats.largest_step) == (100_000, 2000, 2000, 1)
    assert stats.density == 0.02
    assert 0 < stats.bound < stats.nbytes


def test_zeros_of_both_signs_are_one_step_apart() -> None:
    d = sf.delta.diff(np.array([0.0, -0.0, 1.0], np.float32), np.array([-0.0, 0.0, 1.0], np.float32))
    assert d.stats().one_step == 2
    got = d.apply(np.array([0.0, -0.0, 1.0], np.float32))
    assert np.signbit(got).tolist() == [True, False, False]
