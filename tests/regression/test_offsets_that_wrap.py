"""Differences of hostile offsets overflow; the check must compare, not subtract."""

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.kernels import checks
from sparsefmt.kernels import csr as csr_kernels
from sparsefmt.structures.csr import Csr


@pytest.mark.parametrize(("dtype", "half"), [(np.int32, 2**30), (np.int64, 2**62)])
def test_offsets_whose_differences_wrap_are_seen_to_fall(dtype: type, half: int) -> None:
    indptr = np.array([0, half + 9, -half - 9, 5], dtype)
    with pytest.raises(sf.FormatError, match="indptr falls"):
        Csr(indptr, np.arange(5, dtype=dtype), (3, 5))
    definition = getattr(csr_kernels.csr_check, "__wrapped__", csr_kernels.csr_check)
    assert definition(indptr, np.arange(5, dtype=dtype), 5) == (checks.FALLS, 1)
