"""Codebooks against scikit-learn's KMeans on real weights: our error is never larger."""

import json
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from data_files import DATA
from sparsefmt.kernels.registry import NATIVE

FOLDER = DATA / "weights"
RECORD = json.loads((FOLDER / "scikit_learn_kmeans.json").read_text())
WEIGHTS = np.load(FOLDER / RECORD["weights"])
ROUNDING = 1e-12  # of sums in float64


def error(w: np.ndarray[Any, Any], fmt: str) -> float:
    """The sum of squared errors of the stored weights."""
    t = sf.encode(w, fmt)
    return float(np.square(t.to_dense().astype(np.float64) - w.astype(np.float64)).sum())


@pytest.mark.parametrize("case", RECORD["results"], ids=lambda case: f"k={case['k']}")
def test_error_is_not_larger_than_recorded(case: dict[str, Any]) -> None:
    if case["k"] > 16 and not NATIVE:
        pytest.skip("the NumPy definition takes half a minute")
    wide = WEIGHTS.astype(np.float64)
    for fmt in ("dense", "csr"):
        assert error(wide, f"{fmt}/kmeans{case['k']}") <= case["inertia"] * (1 + ROUNDING)
    # The entries of a float16 codebook are rounded to float16.
    assert error(WEIGHTS, f"dense/kmeans{case['k']}") <= case["inertia"] * (1 + 1e-6)


@pytest.mark.parametrize("k", [2, 5, 16, 100])
def test_error_is_not_larger_than_that_of_this_version(k: int) -> None:
    cluster = pytest.importorskip("sklearn.cluster", reason="scikit-learn is not installed")
    for w in (WEIGHTS, sf.prune.nm(WEIGHTS)):
        kept = w[w != 0].astype(np.float64)
        theirs = cluster.KMeans(k, n_init=3, random_state=1, tol=0, max_iter=1000).fit(kept[:, None])
        ours = error(w.astype(np.float64), f"csr/kmeans{k}")
        assert ours <= theirs.inertia_ * (1 + ROUNDING)


def test_weighted_error_is_not_larger_than_that_of_this_version() -> None:
    cluster = pytest.importorskip("sklearn.cluster", reason="scikit-learn is not installed")
    w = WEIGHTS[:16].astype(np.float64)
    weights = np.square(np.random.default_rng(0).standard_normal(w.shape))
    theirs = cluster.KMeans(16, n_init=3, random_state=1, tol=0, max_iter=1000)
    theirs.fit(w.reshape(-1, 1), sample_weight=weights.reshape(-1))
    t = sf.cluster(sf.encode(w, "dense"), 16, weights=weights)
    assert float((weights * np.square(t.to_dense() - w)).sum()) <= theirs.inertia_ * (1 + ROUNDING)
