"""Allocation against brute force, reference solutions, and its own certificate."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sparsefmt as sf
from sparsefmt.plan import InfeasibleError, Plan, allocate

DATA = json.loads((Path(__file__).parents[1] / "data" / "reference" / "pruning.json").read_text())
LOSS = DATA["gaussian_energy_loss"]["table"]


def proves(plan: Plan, cost: Any, size: Any) -> None:  # noqa: ANN401
    """The bound follows from the multiplier alone, and holds."""
    cost, size = np.array(cost, float), np.array(size)
    assert plan.cost is not None
    assert plan.bound is not None
    assert plan.multiplier is not None
    assert plan.budget is not None
    assert plan.dual_bound is not None
    assert plan.multiplier >= 0
    dual = (cost + plan.multiplier * size).min(axis=1).sum() - plan.multiplier * plan.budget
    scale = 1e-9 * (1 + abs(cost).max() * len(cost))
    assert dual <= plan.cost + scale
    assert plan.dual_bound <= plan.bound + scale
    assert plan.bound <= plan.cost


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[list[float]], list[list[int]], int]:
    layers, patterns = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    cost = draw(
        st.lists(
            st.lists(st.integers(-8, 8).map(lambda v: v / 4), min_size=patterns, max_size=patterns),
            min_size=layers, max_size=layers,
        )
    )  # fmt: skip
    size = draw(
        st.lists(st.lists(st.integers(0, 9), min_size=patterns, max_size=patterns), min_size=layers, max_size=layers)
    )
    unit = draw(st.sampled_from([1, 7, 64]))
    size = [[unit * v for v in row] for row in size]
    least = sum(map(min, size))
    return cost, size, least + draw(st.integers(0, 30 * unit))


@given(problems())
def test_it_is_the_best_of_all_choices(problem: tuple[list[list[float]], list[list[int]], int]) -> None:
    """Also where losses rise with size, are negative, or equal."""
    cost, size, budget = problem
    best = min(
        sum(c[j] for c, j in zip(cost, choice, strict=True))
        for choice in itertools.product(range(len(cost[0])), repeat=len(cost))
        if sum(s[j] for s, j in zip(size, choice, strict=True)) <= budget
    )
    plan = allocate(cost, size, budget)
    assert plan.cost == pytest.approx(best, abs=1e-12)
    assert plan.size is not None
    assert plan.size <= budget
    assert plan.gap == 0
    proves(plan, cost, size)


@pytest.mark.parametrize("case", DATA["allocation_uneven"]["solutions"], ids=lambda c: str(c["target"]))
def test_uneven_layers(case: dict[str, Any]) -> None:
    layers, patterns = DATA["allocation_uneven"]["layers"], DATA["allocation_uneven"]["candidates"]
    cost = {a["name"]: {p: a["sens"] * a["size"] * LOSS[p] for p in patterns} for a in layers}
    size = {a["name"]: {p: a["size"] * int(p[0]) for p in patterns} for a in layers}
    plan = allocate(cost, size, 4 * sum(a["size"] for a in layers) - case["need_quarter_units"])
    assert plan.cost == pytest.approx(case["exact_loss"], rel=1e-12)
    assert list(plan.choice.values()) == case["exact"]
    assert plan.dual_bound == pytest.approx(case["dual_bound"], rel=1e-12)
    assert plan.gap == 0
    by_density = allocate(cost, size, density=1 - case["target"])
    assert by_density.cost == plan.cost


def exercise_5(m: int, edge: float) -> tuple[dict[int, dict[str, float]], dict[int, dict[str, int]]]:
    texts = [f"{n}:{m}" for n in range(1, m + 1)]
    weight = {i: edge if i in (1, 10) else 1.0 for i in range(1, 11)}
    cost = {i: {t: w * LOSS[t] for t in texts} for i, w in weight.items()}
    return cost, {i: {t: int(t.split(":")[0]) for t in texts} for i in weight}


@pytest.mark.parametrize(
    "case", DATA["allocation_ex5"]["solutions"], ids=lambda c: f"{c['candidates']}-{c['edge_sensitivity']}"
)
def test_exercise_5(case: dict[str, Any]) -> None:
    m = int(case["candidates"][1:])
    cost, size = exercise_5(m, case["edge_sensitivity"])
    plan = allocate(cost, size, density=0.4)
    assert plan.cost == pytest.approx(case["loss"], rel=1e-12)
    assert plan.dual_bound == pytest.approx(case["dual_bound"], rel=1e-12)
    assert plan.size == 4 * m


def test_the_answer_of_the_chapter_to_exercise_5_is_refused() -> None:
    """3:4 twice and 1:3 eight times keep 41.67 %, not 40 %."""
    kept = {i: {"3:4": 9} if i in (1, 10) else {"1:3": 4} for i in range(1, 11)}
    cost = {i: dict.fromkeys(row, 1.0) for i, row in kept.items()}
    with pytest.raises(InfeasibleError, match=r"cannot be met; the nearest that can is 50 \(41.67%") as e:
        allocate(cost, kept, density=0.4, total=120)
    assert e.value.nearest == 50
    assert isinstance(e.value, sf.FormatError)
    assert allocate(cost, kept, density=5 / 12, total=120).size == 50


def test_a_thousand_layers_of_thirty_patterns() -> None:
    rng = np.random.default_rng(0)
    size = np.sort(rng.integers(1, 2**20, (1000, 30)), axis=1)
    cost = -np.log(size) * rng.random((1000, 1))
    plan = allocate(cost, size, int(size.mean() * 700))
    assert plan.gap is not None
    assert plan.gap <= 1e-12
    proves(plan, cost, size)


def test_costs_that_follow_sizes_are_bounded_where_they_are_not_settled() -> None:
    """All choices are nearly equal: the hardest tables there are. The bound is honest."""
    rng = np.random.default_rng(0)
    size = np.sort(rng.integers(1, 2**20, (60, 10)), axis=1)
    cost = -size + rng.random((60, 10))
    plan = allocate(cost, size, int(size.mean() * 50))
    assert plan.gap is not None
    assert 0 <= plan.gap < 1e-6
    proves(plan, cost, size)


COST = {"q": {"1:4": 4.0, "2:4": 2.0, "4:4": 0.0}, "k": {"1:4": 3.0, "2:4": 1.0, "4:4": 0.0}}
SIZE = {name: {"1:4": 1, "2:4": 2, "4:4": 4} for name in COST}


def test_constraints() -> None:
    assert allocate(COST, SIZE, 6).choice == {"q": "4:4", "k": "2:4"}
    assert allocate(COST, SIZE, 6, fixed={"q": "2:4"}).choice == {"q": "2:4", "k": "4:4"}
    assert allocate(COST, SIZE, 6, maximum={"q": 3}).choice == {"q": "2:4", "k": "4:4"}
    assert allocate(COST, SIZE, 5, minimum={"q": 2, "k": 2}).choice == {"q": "2:4", "k": "2:4"}
    assert allocate(COST, SIZE, 6, groups=[("q", "k")]).choice == {"q": "2:4", "k": "2:4"}
    assert allocate(COST, SIZE, 8, allowed=["1:4", "2:4"]).choice == {"q": "2:4", "k": "2:4"}
    assert allocate(COST, SIZE, 8, allowed={"k": ["1:4"]}).choice == {"q": "4:4", "k": "1:4"}
    assert allocate(COST, SIZE, 8, inside={"q": "2:4"}).choice == {"q": "2:4", "k": "4:4"}
    outer = allocate(COST, SIZE, 4)
    assert allocate(COST, SIZE, 3, inside=outer).choice == {"q": "2:4", "k": "1:4"}


def test_constraints_that_leave_nothing() -> None:
    with pytest.raises(sf.FormatError, match="layer 'q' has no pattern left"):
        allocate(COST, SIZE, 8, fixed={"q": "3:4"})
    with pytest.raises(sf.FormatError, match="'v', which the table has not"):
        allocate(COST, SIZE, 8, minimum={"v": 1})
    with pytest.raises(sf.FormatError, match="groups: 'v'"):
        allocate(COST, SIZE, 8, groups=[("q", "v")])
    with pytest.raises(InfeasibleError, match="nearest that can is 2"):
        allocate(COST, SIZE, 1)


def test_tables_with_gaps() -> None:
    cost = {"q": {"1:4": 4.0, "2:4": None, "4:4": 0.0}, "k": {"1:4": math.nan, "2:4": 1.0, "4:4": 0.0}}
    assert allocate(cost, SIZE, 7).choice == {"q": "4:4", "k": "2:4"}
    fewer = {"q": {"1:4": 1}, "k": SIZE["k"]}
    assert allocate(COST, fewer, 9).choice == {"q": "1:4", "k": "4:4"}
    with pytest.raises(sf.FormatError, match="layer 'q' has no pattern left"):
        allocate({"q": {"1:4": None}}, {"q": {"1:4": 1}}, 9)


def test_losses_that_are_not_monotone() -> None:
    """A larger pattern that is worse is never chosen, however much room there is."""
    cost = {"q": {"1:4": 1.0, "2:4": 0.5, "4:4": 2.0}}
    assert allocate(cost, {"q": SIZE["q"]}, 99).choice == {"q": "2:4"}


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((COST, SIZE), {}, "a budget or a density"),
        ((COST, SIZE, 5), {"density": 0.5}, "a budget or a density"),
        ((COST, SIZE, -1), {}, "want a number >= 0"),
        ((COST, SIZE, math.nan), {}, "want a number >= 0"),
        ((COST, SIZE), {"density": 1.5}, "want a number in 0..1"),
        (({}, {}, 5), {}, "at least one layer"),
        ((COST, {"q": SIZE["q"]}, 5), {}, "different layers: k"),
        ((COST, {"q": {"1:4": 1.5}, "k": {"1:4": 1}}, 5), {}, "is 1.5; want a whole number"),
        ((COST, {"q": {"1:4": -1}, "k": {"1:4": 1}}, 5), {}, "is -1; want a whole number"),
        (({"q": {}}, {"q": {}}, 5), {}, "has no pattern"),
        (({"q": {"1:4": -math.inf}}, {"q": {"1:4": 1}}, 5), {}, "is -inf"),
    ],
)
def test_bad_tables(args: tuple[Any, ...], kwargs: dict[str, Any], text: str) -> None:
    with pytest.raises(sf.FormatError, match=text):
        allocate(*args, **kwargs)


def test_sequences_give_a_list() -> None:
    plan = allocate([[2.0, 0.0], [3.0, 1.0]], np.array([[1, 2], [1, 2]]), 3)
    assert plan.choice in ([0, 1], [1, 0])
    assert plan.cost == 3.0


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"groups": [["q", "q"]]}, "'q' is in no table, or there twice"),
        ({"groups": ["qu"]}, "want lists of layers, got 'qu'"),
        ({"allowed": "2:4"}, "allowed: want a list of patterns"),
        ({"minimum": {"q": "5"}}, "want sizes by layer, got '5'"),
        ({"fixed": ["2:4"]}, "fixed: want a mapping from layers, got list"),
        ({"budget": None, "density": -0.1}, "density = -0.1"),
        ({"budget": None, "density": 0.5, "total": 8.5}, "total = 8.5"),
        ({"costs": {"q": {"2:4": "1"}, "u": {"2:4": 1.0}}}, "'1'; want a number"),
        ({"costs": {"q": {"2:4": 1e300}, "u": {"2:4": 1.0}}}, "1e.300; want a number of at most 1e.280"),
        ({"costs": {"q": 3, "u": {"2:4": 1.0}}}, "layer 'q' is 3; want a figure for each pattern"),
        (
            {"costs": [[3.0, 0.0], [1.0]], "sizes": [[2, 4], [2, 4]]},
            "layer 1 has 1 costs and 2 sizes; want lists",
        ),
        ({"costs": [[3.0], [1.0, 0.0]], "sizes": [[2], [2]]}, "layer 1 has 2 costs and 1 sizes"),
        ({"costs": None}, "want at least one layer"),
        ({"sizes": {"q": {"2:4": 2**62}, "u": {"2:4": 2}}}, "want a whole number"),
    ],
)
def test_arguments_that_would_be_taken_for_others(changes: dict[str, Any], text: str) -> None:
    given: dict[str, Any] = {
        "costs": {"q": {"2:4": 3.0}, "u": {"2:4": 1.0}}, "sizes": {"q": {"2:4": 2}, "u": {"2:4": 2}}, "budget": 6,
    } | changes  # fmt: skip
    with pytest.raises(sf.FormatError, match=text):
        sf.plan.allocate(**given)


def test_sizes_whose_sum_is_beyond_int64() -> None:
    many = range(3000)
    with pytest.raises(sf.FormatError, match="count in a larger unit"):
        sf.plan.allocate([[1.0]] * len(many), [[2**52]] * len(many), 2**63)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.int64])
def test_costs_of_any_width(dtype: type) -> None:
    """Those of NumPy are compared with the largest that is allowed, which float32 does not hold."""
    costs = np.array([[3, 1], [4, 0]], dtype)
    assert sf.plan.allocate(costs, [[1, 5], [1, 5]], 6).choice == [0, 1]
    if np.dtype(dtype).kind == "f":
        costs[1, 1] = np.nan
        assert sf.plan.allocate(costs, [[1, 5], [1, 5]], 6).choice == [1, 0]


@pytest.mark.parametrize("figure", [1e281, -1e281, 10**400, -(10**400), -float("inf"), np.float32("-inf")])
def test_costs_out_of_range(figure: float) -> None:
    with pytest.raises(sf.FormatError, match=r"pattern 1 is .*; want a number of at most 1e\+280"):
        sf.plan.allocate([[1.0, figure]], [[1, 1]], 1)
