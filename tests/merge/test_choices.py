"""Every cell of the table of presets, and the small inputs whose outputs are known exactly."""

from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from merge_data import vectors

V = vectors()
TRIMS = {
    "topk_stable": "model",
    "percentile_strict_seed": "percentile",
    "official_kth_ge": "threshold",
    "none": "model",
}
ZEROS = {"zero": "base", "plus": "plus", "global_majority": "majority"}


def rows(values: list[list[float]]) -> list[np.ndarray]:
    return [np.array(v, np.float32) for v in values]


@pytest.mark.parametrize("variant", V["ties"]["variants"], ids=lambda v: f"{v['trim']}-{v['elect']}-{v['zero_sign']}")
def test_ties_with_single_choices(variant: dict[str, Any]) -> None:
    case = V["ties"]
    got = sf.merge.ties(
        rows(case["tau"]),
        density=1.0 if variant["trim"] == "none" else case["k_pct"] / 100,
        trim=TRIMS[variant["trim"]],
        vote=variant["elect"],
        zero_vote=ZEROS[variant["zero_sign"]],
    )
    np.testing.assert_allclose(got, np.array(variant["merged"], np.float32), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("like", "trim", "elect", "zero"),
    [
        ("paper", "topk_stable", "mass", "zero"),
        ("mergekit", "topk_stable", "mass", "plus"),
        ("peft", "topk_stable", "mass", "plus"),
        ("official", "official_kth_ge", "mass", "global_majority"),
        ("chapter", "percentile_strict_seed", "count", "zero"),
    ],
)
def test_presets_name_the_choices(like: str, trim: str, elect: str, zero: str) -> None:
    [want] = [
        v["merged"] for v in V["ties"]["variants"] if (v["trim"], v["elect"], v["zero_sign"]) == (trim, elect, zero)
    ]
    got = sf.merge.ties(rows(V["ties"]["tau"]), density=0.5, like=like)
    np.testing.assert_allclose(got, np.array(want, np.float32), rtol=1e-6)


def test_mass_and_count_differ() -> None:
    case = V["ties_count_vs_mass"]
    taus = rows([[t] for t in case["tau"]])
    assert sf.merge.ties(taus)[0] == pytest.approx(case["mass"])
    assert sf.merge.ties(taus, like="chapter")[0] == pytest.approx(case["count"])


@pytest.mark.parametrize("pattern", V["ties_ex6"]["all_survival_patterns"], ids=lambda p: str(p["survive"]))
@pytest.mark.parametrize("vote", ["mass", "count"])
def test_exercise_6_for_every_pattern_of_survival(pattern: dict[str, Any], vote: str) -> None:
    taus = rows([[t] for t in V["ties_ex6"]["tau"]])
    masks = [np.array([bool(s)]) for s in pattern["survive"]]
    assert sf.merge.ties(taus, masks=masks, vote=vote)[0] == pytest.approx(pattern[vote], abs=1e-7)


def test_exercise_6() -> None:
    assert sf.merge.ties(rows([[t] for t in V["ties_ex6"]["tau"]]))[0] == pytest.approx(0.35)


def test_exercise_3() -> None:
    case = V["task_arithmetic_ex3"]
    base = np.array([1.0, 2.0, 3.0], np.float32)
    tuned = [base + np.array(case[k], np.float32) for k in ("tau_A", "tau_B")]
    got = sf.merge.task_arithmetic(tuned, base=base, lam=case["lam"])
    np.testing.assert_allclose(got, [1.05, 2.2, 2.95], rtol=2e-7)
    exact = sf.merge.task_arithmetic(
        [np.array([1, 2, 3.0]) + case[k] for k in ("tau_A", "tau_B")],
        base=np.array([1, 2, 3.0]),
        lam=0.5,
        dtype="float64",
    )
    np.testing.assert_allclose(exact, case["exact_decimal"], rtol=1e-15)


@pytest.mark.parametrize(
    ("trim", "want"),
    [("model", "topk_stable"), ("percentile", "percentile_strict_seed"), ("threshold", "official_kth_ge")],
)
def test_equal_magnitudes(trim: str, want: str) -> None:
    case = V["ties_trim_ties"]
    got = sf.merge.ties(rows([case["tau"]]), density=case["k_pct"] / 100, trim=trim)
    np.testing.assert_array_equal(got, np.array(case[want], np.float32))


def test_the_official_trim_keeps_one_more() -> None:
    case = V["ties_trim_off_by_one"]
    for like, want in (("paper", case["topk"]), ("official", case["official_kept"]), ("peft", case["topk"])):
        assert np.count_nonzero(sf.merge.ties(rows([case["tau"]]), density=case["K"], like=like)) == want


@pytest.mark.parametrize("case", V["k_rounding"], ids=str)
def test_how_many_are_kept(case: dict[str, Any]) -> None:
    tau = rows([list(np.arange(1.0, case["numel"] + 1))])
    for like, want in (("paper", "exact_floor"), ("peft", "int_floor")):
        assert np.count_nonzero(sf.merge.ties(tau, density=case["density"], like=like)) == case[want]
    kept = np.count_nonzero(sf.merge.ties(tau, density=case["density"], like="mergekit"))
    assert kept == max(case["int_floor"], 1)


@pytest.mark.parametrize("drop", V["dare_fixed_mask"]["rescaled"])
@pytest.mark.parametrize("like", ["paper", "peft", "official", "chapter"])
def test_dare_with_a_mask_divides_by_the_density(drop: str, like: str) -> None:
    case = V["dare_fixed_mask"]
    got = sf.merge.dare_linear(
        rows([case["tau"]]), masks=[np.array(case["mask"], bool)], density=1 - float(drop), like=like
    )
    np.testing.assert_allclose(got, np.array(case["rescaled"][drop], np.float32), rtol=2e-7)


def test_dare_of_mergekit_restores_the_sum_of_magnitudes() -> None:
    case = V["dare_fixed_mask"]
    mask = [np.array(case["mask"], bool)]
    got = sf.merge.dare_linear(rows([case["tau"]]), masks=mask, density=0.25, like="mergekit")
    np.testing.assert_allclose(got, np.array(case["mergekit_l1"], np.float32), rtol=2e-7)
    plain = sf.merge.dare_linear(rows([case["tau"]]), masks=mask, density=0.25, rescale_by="none")
    np.testing.assert_array_equal(plain, np.array(case["tau"], np.float32) * case["mask"])


def test_weights_with_the_mean_or_before_the_vote() -> None:
    taus = rows([[1.0], [-0.6]])
    assert sf.merge.ties(taus, weights=[0.5, 1.5])[0] == pytest.approx(0.5)  # 1 wins the vote; 0.5 x 1 / one model
    assert sf.merge.ties(taus, weights=[0.5, 1.5], weighting="vote", mean="weights")[0] == pytest.approx(-0.6)
    assert sf.merge.ties(taus, weights=[0.5, 1.5], weighting="vote")[0] == pytest.approx(-0.9)
    assert sf.merge.ties(taus, weights=[0.5, 1.5], mean="weights")[0] == pytest.approx(1.0)
    with pytest.raises(sf.MergeError, match="weights other than 1"):
        sf.merge.ties(taus, weights=[0.5, 1.5], like="official")


def test_breadcrumbs_without_a_largest_to_drop_keep_the_rest() -> None:
    case = V["public_code_quirks"]["mergekit_breadcrumbs_ntop0"]
    tau = rows([list(np.arange(1.0, case["numel"] + 1))])
    got = sf.merge.breadcrumbs(tau, density=case["density"], gamma=case["gamma"])
    assert np.count_nonzero(got) == case["expected"]


def test_slerp() -> None:
    case = V["slerp"]
    got = sf.merge.slerp(rows([case["v0"], case["v1"]]), t=case["t"])
    np.testing.assert_allclose(got, case["result"], rtol=2e-7)
    near = rows([[1.0, 0.0], [1.0, 0.01]])
    np.testing.assert_allclose(sf.merge.slerp(near, t=0.5), [1.0, 0.005], rtol=2e-7)


def test_model_stock() -> None:
    case = V["model_stock"]
    got = sf.merge.model_stock(rows(case["w"]), base=np.array(case["w0"], np.float32))
    np.testing.assert_allclose(got, case["result"], rtol=2e-7)


@pytest.mark.parametrize("scale", [1.0, 1e-5])
def test_model_stock_of_small_changes(scale: float) -> None:
    """The floor of mergekit under products of lengths pulls small changes to the base; the paper has none."""
    w = [x * np.float32(scale) for x in rows([[1.0, 0.0], [0.6, 0.8]])]
    base = np.zeros(2, np.float32)
    np.testing.assert_allclose(sf.merge.model_stock(w, base=base), np.array([0.6, 0.3]) * scale, rtol=1e-6)
    floored = sf.merge.model_stock(w, base=base, like="mergekit")
    assert (np.abs(floored[0] - 0.6 * scale) < 1e-6 * scale) == (scale == 1.0)


def test_unknown_choices_are_named() -> None:
    with pytest.raises(sf.MergeError, match="allowed 'paper', 'mergekit'"):
        sf.merge.ties(rows([[1.0]]), like="mergkit")
    with pytest.raises(sf.MergeError, match="allowed 'mass', 'count'"):
        sf.merge.ties(rows([[1.0]]), vote="sum")
