"""A step that takes its time, so that a run can be killed in the middle of it."""

import os
import time
from collections.abc import Mapping

import numpy as np

import sparsefmt as sf


def packed_slowly(name: str, value: np.ndarray) -> Mapping[str, sf.SparseTensor]:
    """Packs as csr, after a while."""
    time.sleep(0.03)
    return {name: sf.encode(value, "csr")}


GO = "SPARSEFMT_TEST_GO"
"""The variable of the environment that names the file which `packed_on_demand` waits for."""


def packed_on_demand(name: str, value: np.ndarray) -> Mapping[str, sf.SparseTensor]:
    """Packs as csr: what begins with 0 at once, the rest when a file is there."""
    while not (name.startswith("0.") or os.path.exists(os.environ[GO])):
        time.sleep(0.005)
    return {name: sf.encode(value, "csr")}
