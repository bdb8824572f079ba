"""The examples of the pages run, and the exercises have the reference values."""

import doctest
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = json.loads((ROOT / "tests" / "data" / "reference" / "pruning.json").read_text())


@pytest.mark.parametrize("page", ["exercises.md", "pruning.md"])
def test_examples(page: str) -> None:
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    done = doctest.testfile(str(ROOT / "docs" / page), module_relative=False, optionflags=options)
    assert done.failed == 0
    assert done.attempted > 10


def test_the_page_has_the_values_of_the_reference() -> None:
    page = (ROOT / "docs" / "exercises.md").read_text()
    assert f"({DATA['storage_ex2']['dense']}, {DATA['storage_ex2']['two_four_3bit']})" in page
    assert f"({DATA['storage_ex2']['coo_with_int32_indices']}, {DATA['storage_ex2']['csr_i32']})" in page
    assert f"{DATA['storage_ex2']['two_four_3bit'] + DATA['storage_ex2']['seed_error']:,}" in page
    assert str(DATA["task_arithmetic_ex3"]["exact_decimal"]) in page
    for case in DATA["ex4_75pct"]["all_M_le_8"]:
        assert f"({case['n']}, {case['m']}, {round(case['entropy'], 3)}, {case['ceil']})" in page
    exact = next(
        s for s in DATA["allocation_ex5"]["solutions"] if s["candidates"] == "M4" and s["edge_sensitivity"] == 2.75
    )
    assert f"({exact['loss']:.6f}, 0.0)" in page
    assert f"\n{DATA['ties_ex6']['untrimmed']['mass']}\n" in page
    assert f"({DATA['ex7']['H_2_4']:.3f}, {DATA['ex7']['H_at_most']:.3f})" in page
