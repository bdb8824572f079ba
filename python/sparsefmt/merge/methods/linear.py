"""Weighted averages of the models themselves."""

from sparsefmt.kernels.merge import BY_TOTAL, PLAIN, UNDIVIDED, Rule
from sparsefmt.merge.consensus import checked_total
from sparsefmt.merge.method import Facts, Method, Settings
from sparsefmt.merge.mixing import Mixer
from sparsefmt.merge.stack import Merger, Stack


def merge(stack: Stack, settings: Settings, facts: Facts) -> Merger:
    """Sum of w_i x_i, divided by the sum of weights unless `normalize` is off."""
    normalize = bool(settings.shared["normalize"])
    total = checked_total(settings.weights) if normalize else 1.0
    rule = Rule(divide=BY_TOTAL if normalize else UNDIVIDED, basis=PLAIN)
    return Mixer(stack, rule, settings.weights, total=total, nan=settings.nan)


LINEAR = Method(
    "linear",
    "the weighted mean of the models",
    "Wortsman et al. 2022, arXiv:2203.05482, section 2",
    merge,
    base="member",
    shared={"normalize": True},
)
