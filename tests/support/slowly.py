"""A step that takes its time, so that a run can be killed in the middle of it."""

import time
from collections.abc import Mapping

import numpy as np

import sparsefmt as sf


def packed_slowly(name: str, value: np.ndarray) -> Mapping[str, sf.SparseTensor]:
    """Packs as csr, after a while."""
    time.sleep(0.03)
    return {name: sf.encode(value, "csr")}
