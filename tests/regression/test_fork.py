"""Work in a child made by fork, where the parent's threads do not exist."""

import multiprocessing
import warnings

import numpy as np

import sparsefmt as sf


def packed_sum(w: np.ndarray) -> float:
    return float(sf.encode(w, "csr").to_dense().sum())


def test_a_forked_child_has_threads_of_its_own() -> None:
    w = np.eye(1500)
    want = packed_sum(w)  # the parent's pool exists now
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: fork of a process with threads
        with multiprocessing.get_context("fork").Pool(1) as pool:
            assert pool.apply_async(packed_sum, (w,)).get(timeout=60) == want
