"""Task arithmetic: add, amplify, negate task vectors."""

from sparsefmt.merge.consensus import Family, family_method

TASK_ARITHMETIC = family_method(
    "task_arithmetic",
    "base + lambda sum of w_i (x_i - base)",
    "Ilharco et al. 2022, arXiv:2212.04089, section 2",
    Family(None, vote=False, normalize=False, rescale=False),
)
