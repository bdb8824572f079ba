"""What cannot be merged says what, where and what to do; what can, has a documented result."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf

A = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
B = np.array([[1.5, 1.0], [3.0, 5.0]], np.float32)
Z = np.zeros_like(A)
CONSENSUS = (
    "task_arithmetic",
    "ties",
    "dare_linear",
    "dare_ties",
    "breadcrumbs",
    "breadcrumbs_ties",
    "della",
    "della_linear",
)


def test_shapes_that_differ() -> None:
    with pytest.raises(sf.MergeError, match=r"model 1, tensor w has shape \(3, 2\), base has \(2, 2\)"):
        sf.merge.ties([{"w": A}, {"w": np.zeros((3, 2), np.float32)}], base={"w": Z})
    with pytest.raises(sf.MergeError, match="has shape"):
        sf.merge.linear([A, A[:1]])


def test_names_that_differ() -> None:
    with pytest.raises(sf.MergeError, match="tensor v is in model 1 and not in base, model 0"):
        sf.merge.ties([{"w": A}, {"w": B, "v": A}], base={"w": Z})


def test_dtypes_that_differ_are_merged_in_float32() -> None:
    half = B.astype(np.float16)
    brain = A.astype(ml_dtypes.bfloat16)
    got = sf.merge.linear([half, brain, B.astype(np.float64)])
    assert got.dtype == np.float16
    assert np.array_equal(got, ((2 * B + A) / 3).astype(np.float16))
    with pytest.raises(sf.MergeError, match="model 1 has dtype int64, model 0 has float32"):
        sf.merge.linear([A, np.ones((2, 2), np.int64)])


def test_kinds_that_differ() -> None:
    with pytest.raises(sf.MergeError, match="different kinds"):
        sf.merge.linear([A, {"w": A}])
    with pytest.raises(sf.MergeError, match="give a sequence of models"):
        sf.merge.linear({"w": A})
    for nonsense in ([], ()):
        with pytest.raises(sf.MergeError, match="no models"):
            sf.merge.linear(nonsense)
    with pytest.raises(sf.MergeError, match="dtype complex64"):
        sf.merge.linear([A.astype(np.complex64)] * 2)
    with pytest.raises(sf.MergeError, match=r"dtype <U1|no array"):
        sf.merge.linear([np.array(["a"])] * 2)


@pytest.mark.parametrize("name", ["linear", "multislerp", "karcher"])
def test_weights_that_cancel(name: str) -> None:
    with pytest.raises(sf.MergeError, match="add up to 0"):
        getattr(sf.merge, name)([A, B], weights=[1.0, -1.0])


def test_weights_that_cancel_without_normalize() -> None:
    assert np.array_equal(sf.merge.linear([A, B], weights=[1, -1], normalize=False), A - B)
    with pytest.raises(sf.MergeError, match="normalize=False"):
        sf.merge.task_arithmetic([A, B], base=Z, weights=[1, -1], normalize=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.float64])
def test_values_that_are_not_finite_are_named(value: float, dtype: type) -> None:
    bad = B.astype(dtype)
    bad[1, 0] = value
    for name in ("linear", "ties", "della", "nearswap"):
        models = [bad] if name == "nearswap" else [A.astype(dtype), bad]
        arguments = {"t": 0.1} if name == "nearswap" else {}
        with pytest.raises(sf.MergeError, match=rf"model {len(models) - 1}, tensor w\[1, 0\] is {value}"):
            getattr(sf.merge, name)(
                [{"w": m} for m in models], base=None if name == "linear" else {"w": Z.astype(dtype)}, **arguments
            )
    kept = sf.merge.linear([A.astype(dtype), bad], nan="keep")
    assert not np.isfinite(kept[1, 0].astype(np.float64))
    assert np.isfinite(kept[0].astype(np.float64)).all()
    with pytest.raises(sf.MergeError, match="nan = 'drop' is unknown"):
        sf.merge.linear([A, A], nan="drop")


def test_a_base_that_is_not_finite() -> None:
    with pytest.raises(sf.MergeError, match=r"base, tensor \(array\)\[0, 1\] is nan"):
        sf.merge.ties([A], base=np.array([[1, np.nan], [0, 0]], np.float32))


def test_integers_are_copied_when_they_agree() -> None:
    positions = np.arange(5)
    flags = np.array([True, False])
    models = [{"w": x, "ids": positions, "on": flags} for x in (A, B)]
    got = sf.merge.ties(models, base={"w": Z, "ids": positions, "on": flags})
    assert list(got) == ["w", "ids", "on"]
    assert got["ids"].dtype == positions.dtype
    assert np.array_equal(got["ids"], positions)
    assert got["ids"] is not positions
    assert got["on"].dtype == np.bool_
    with pytest.raises(sf.MergeError, match="tensor ids of int64 differ between model 0 and model 1"):
        sf.merge.linear([{"ids": positions}, {"ids": positions[::-1]}])


@pytest.mark.parametrize("name", CONSENSUS)
def test_one_model_only(name: str) -> None:
    assert np.array_equal(getattr(sf.merge, name)([B], base=A), B)


def test_one_model_where_two_are_needed() -> None:
    for name, arguments in (("model_stock", {"base": A}), ("slerp", {"t": 0.5}), ("nuslerp", {})):
        with pytest.raises(sf.MergeError, match="got 1"):
            getattr(sf.merge, name)([B], **arguments)
    assert np.array_equal(sf.merge.linear([B]), B)
    np.testing.assert_allclose(sf.merge.karcher([B]), B, rtol=1e-6)


@pytest.mark.parametrize("like", ["paper", "mergekit", "peft", "official", "chapter"])
@pytest.mark.parametrize("name", CONSENSUS)
def test_density_0_and_1(name: str, like: str) -> None:
    merge = getattr(sf.merge, name)
    assert np.array_equal(merge([B], base=A, density=1, like=like), B)
    if name == "task_arithmetic":
        return
    kept = (merge([B], base=A, density=0, like=like) != A).sum()
    # the authors' code keeps the largest and all that tie with it, a strict percentile of 100 nothing
    assert kept == (2 if (name, like) == ("ties", "official") else 0)
    for density in (-0.1, 1.5, np.nan, "much"):
        with pytest.raises(sf.MergeError, match="density"):
            merge([B], base=A, density=density, like=like)


@pytest.mark.parametrize("name", CONSENSUS)
@pytest.mark.parametrize("shape", [(1,), (), (1, 1), (0,), (3, 0)])
def test_vectors_of_length_1_and_0(name: str, shape: tuple[int, ...]) -> None:
    base, x = np.full(shape, 1.0, np.float32), np.full(shape, 3.0, np.float32)
    arguments = (
        {} if name == "task_arithmetic" else {"density": 0.5, "epsilon": 0.1} if "della" in name else {"density": 0.5}
    )
    got = getattr(sf.merge, name)([x], base=base, **arguments)
    assert got.shape == shape
    assert np.isin(got, [1.0, 3.0, 5.0]).all()


def test_other_methods_take_scalars_and_nothing() -> None:
    for shape in ((), (1,), (0,)):
        x, y = np.full(shape, 2.0, np.float32), np.full(shape, 4.0, np.float32)
        for got in (
            sf.merge.linear([x, y]),
            sf.merge.slerp([x, y], t=0.5),
            sf.merge.nuslerp([x, y]),
            sf.merge.nuslerp([x, y], nuslerp_flatten=False),
            sf.merge.multislerp([x, y]),
            sf.merge.karcher([x, y]),
        ):
            assert got.shape == shape
            np.testing.assert_allclose(got, np.full(shape, 3.0), rtol=1e-6)
        base = np.zeros(shape, np.float32)
        for name in ("model_stock", "sce", "ram", "ramplus_tl"):
            assert getattr(sf.merge, name)([x, y], base=base).shape == shape
        assert sf.merge.arcee_fusion([x], base=base).shape == shape


@pytest.mark.parametrize(
    ("like", "kept"), [("paper", 2), ("mergekit", 2), ("peft", 2), ("official", 4), ("chapter", 0)]
)
def test_all_equal_magnitudes(like: str, kept: int) -> None:
    """Exactly K n keeps the lower positions, the authors' code keeps all that tie, a strict percentile drops all."""
    tau = np.array([0.5, -0.5, 0.5, -0.5], np.float32)
    got = sf.merge.ties([tau], density=0.5, like=like)
    assert np.count_nonzero(got) == kept
    if kept == 2:
        assert np.array_equal(got, [0.5, -0.5, 0, 0])


def test_an_empty_agreement_leaves_the_base() -> None:
    base = np.array([7.0, 7.0], np.float32)
    tuned = [base + np.array(d, np.float32) for d in ([1.0, 0.0], [-1.0, 0.0])]
    assert np.array_equal(sf.merge.ties(tuned, base=base), base)
    assert np.array_equal(sf.merge.ties(tuned, base=base, zero_vote="plus"), [8.0, 7.0])


def test_negative_weights_negate() -> None:
    assert np.array_equal(sf.merge.task_arithmetic([B], base=A, weights=-1), A - (B - A))
    assert np.array_equal(sf.merge.task_arithmetic([B], base=A, lam=-1), A - (B - A))


def test_unknown_keys() -> None:
    with pytest.raises(sf.MergeError, match="ties has no parameter 'densty'; it has density"):
        sf.merge.ties([A], densty=0.5)
    with pytest.raises(sf.MergeError, match="weights are the argument `weights`"):
        sf.merge.ties([A], weight=0.5)
    with pytest.raises(sf.MergeError, match="slerp needs t="):
        sf.merge.slerp([A, B])
    with pytest.raises(sf.MergeError, match="one value for all models"):
        sf.merge.ties([A], normalize=[True])
    with pytest.raises(sf.MergeError, match="2 values for 1 models"):
        sf.merge.ties([A], weights=[1, 2])
    with pytest.raises(sf.MergeError, match="neither True nor False"):
        sf.merge.ties([A], normalize="yes")
    with pytest.raises(sf.MergeError, match="seed"):
        sf.merge.dare_ties([A], seed=-1)
    with pytest.raises(sf.MergeError, match="out_dtype"):
        sf.merge.linear([A], out_dtype="int8")
    with pytest.raises(sf.MergeError, match="dtype = 'int32'"):
        sf.merge.linear([A], dtype="int32")
    with pytest.raises(sf.MergeError, match="needs base="):
        sf.merge.sce([A])


def test_masks_that_do_not_fit() -> None:
    for masks, text in (([np.ones((2, 2))], "want bool"), ([np.ones(4, bool)], "shape"), ([], "got 0 for 1")):
        with pytest.raises(sf.MergeError, match=text):
            sf.merge.ties([A], masks=masks)


def test_the_same_model_twice_counts_twice() -> None:
    assert np.array_equal(sf.merge.task_arithmetic([B, B], base=A), A + 2 * (B - A))
    assert np.array_equal(sf.merge.ties([B, B], base=A), B)
    np.testing.assert_allclose(sf.merge.karcher([B, B]), B, rtol=1e-6)


def test_probabilities_of_della_stay_within_0_and_1() -> None:
    with pytest.raises(sf.MergeError, match="choose a smaller epsilon"):
        sf.merge.della([B], base=A, density=0.1)


def test_directions_that_cancel_have_no_mean() -> None:
    x = np.array([1.0, 0.0], np.float32)
    with pytest.raises(sf.MergeError, match="no mean direction"):
        sf.merge.multislerp([x, -x, 0 * x])


@pytest.mark.parametrize("shape", [(2, 3), (), (0, 4)])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_models_that_all_are_the_base_have_no_direction_and_need_none(count: int, shape: tuple[int, ...]) -> None:
    base = np.full(shape, 1.5, np.float32)
    for weights in (1.0, [0.5] * count):
        assert np.array_equal(sf.merge.multislerp([base.copy()] * count, base=base, weights=weights), base)
        assert np.array_equal(sf.merge.multislerp([0 * base] * count, weights=weights), 0 * base)


def test_nothing_given_is_modified() -> None:
    tasks, base = [A.copy(), B.copy()], Z.copy()
    for name in CONSENSUS:
        getattr(sf.merge, name)(tasks, base=base, **({} if name == "task_arithmetic" else {"density": 0.5}))
    assert np.array_equal(tasks[0], A)
    assert np.array_equal(tasks[1], B)
    assert np.array_equal(base, Z)


def test_strides_byte_orders_and_lists() -> None:
    want = sf.merge.ties([B], base=A, density=0.5)
    assert np.array_equal(sf.merge.ties([np.asfortranarray(B)], base=A.astype(">f4"), density=0.5), want)
    assert np.array_equal(sf.merge.ties([B.tolist()], base=A.tolist(), density=0.5), want)


EVERY_16 = np.arange(1 << 16, dtype=np.uint16)
EVERY_8 = np.arange(1 << 8, dtype=np.uint8)


@pytest.mark.parametrize(
    "model",
    [
        EVERY_16.view(np.float16),
        EVERY_16.view(ml_dtypes.bfloat16),
        EVERY_8.view(ml_dtypes.float8_e4m3fn),
        EVERY_8.view(ml_dtypes.float8_e5m2),
        np.array([0x7FC12345, 0xFF812345, 0x80000000, 1], np.uint32).view(np.float32),
        np.array([1 / 3, 1e300, -0.0, np.inf, 5e-324]),
    ],
    ids=lambda a: a.dtype.name,
)
def test_passthrough_is_every_bit_of_the_model(model: np.ndarray, tmp_path: Path) -> None:
    """Through float32, 1e300 became infinity, a third lost half of its digits, and every NaN became the same one."""
    assert sf.merge.passthrough([model]).tobytes() == model.tobytes()
    sf.save(tmp_path / "in.safetensors", {"w": model})
    sf.merge.passthrough([tmp_path / "in.safetensors"], out=tmp_path / "out.safetensors")
    found = sf.load(tmp_path / "out.safetensors")["w"]
    assert (found.dtype, found.tobytes()) == (model.dtype, model.tobytes())


def test_passthrough_rounds_to_another_dtype_once() -> None:
    third = np.array([1 / 3])
    assert sf.merge.passthrough([third], out_dtype="float32")[0] == np.float32(1 / 3)
    assert sf.merge.passthrough([np.float32([0.75])], scale=2.0)[0] == 1.5


@pytest.mark.parametrize("method", ["slerp", "nuslerp", "multislerp", "karcher", "model_stock", "arcee_fusion", "sce"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_statistics_of_infinities_warn_of_nothing(method: str, value: float) -> None:
    """Only the error that names the place is said, and nothing where they are kept."""
    bad = B.copy()
    bad[1, 0] = value
    models = [bad] if method in ("slerp", "arcee_fusion") else [B + 1, bad]
    more = {"t": 0.5} if method == "slerp" else {}
    with pytest.raises(sf.MergeError, match=r"tensor \(array\)\[1, 0\] is -?(inf|nan)"):
        getattr(sf.merge, method)(models, base=A, **more)
    assert getattr(sf.merge, method)(models, base=A, nan="keep", **more).shape == A.shape


@pytest.mark.parametrize("kind", ["text", "record", "F4"])
def test_tensors_of_no_dtype_of_an_array(kind: str, tmp_path: Path) -> None:
    """Known by the headers, before any work; it was an internal error."""
    paths = [tmp_path / f"{name}.{'safetensors' if kind == 'F4' else 'npz'}" for name in "ab"]
    for path in paths:
        if kind == "F4":
            header = b'{"w":{"dtype":"F4","shape":[16],"data_offsets":[0,8]}}  '
            path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
        else:
            np.savez(path, w=np.array(["a"]) if kind == "text" else np.zeros(2, [("a", "f4"), ("b", "i4")]))
    recipe = {"merge_method": "linear", "models": [{"model": str(p), "parameters": {"weight": 0.5}} for p in paths]}
    with pytest.raises(sf.MergeError, match=r"a\.\w+, tensor w has dtype \w+; merged are floats"):
        sf.merge.run(recipe, tmp_path / "o.safetensors")
    assert sorted(tmp_path.iterdir()) == paths


@pytest.mark.parametrize("like", ["paper", "mergekit", "peft", "official", "chapter"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("method", ["ties", "dare_ties", "breadcrumbs_ties", "della"])
def test_ranks_and_votes_over_what_is_not_finite(method: str, bad: float, like: str) -> None:
    """They were an IndexError where NaN tie at the rank, a ValueError where NaN votes, and warnings of NumPy."""
    base = np.arange(8, dtype=np.float32).reshape(2, 4)
    one, all_ = base * 2, np.full_like(base, bad)
    one[0, 3] = bad
    merge = getattr(sf.merge, method)
    for models, start, which in (([one, base * 3], base, "model 0"), ([all_, base], base, "model 0")):
        with pytest.raises(sf.MergeError, match=rf"{which}, tensor \(array\)\[0, .\] is {bad}; nan='keep'"):
            merge(models, base=start, density=0.5, like=like)
        assert merge(models, base=start, density=0.5, like=like, nan="keep").shape == base.shape
    with pytest.raises(sf.MergeError, match=f"base, .* is {bad}"):
        merge([all_, all_], base=all_, density=0.5, like=like)


def test_a_number_beyond_float32_is_named_as_it_is() -> None:
    """It was called infinite."""
    with pytest.raises(sf.MergeError, match=r"model 1, tensor \(array\)\[1\] is -1e\+300, beyond float32"):
        sf.merge.linear([np.ones(2), np.array([1.0, -1e300])])
