"""DARE: drop at random and rescale."""

from sparsefmt.merge.consensus import Family, Masks, family_method, streams
from sparsefmt.merge.draw import dropped_below
from sparsefmt.merge.method import Facts, Settings
from sparsefmt.merge.stack import Stack
from sparsefmt.merge.trim import check_fraction

SOURCE = "Yu et al. 2023, arXiv:2311.03099, section 3"


def dropped(stack: Stack, settings: Settings, facts: Facts) -> Masks:
    """Each element is kept with the probability `density`."""
    densities = settings.each["density"]
    check_fraction("density", densities)
    return Masks(draws=[(dropped_below(d), s) for d, s in zip(densities, streams(stack), strict=True)])


DARE_LINEAR = family_method(
    "dare_linear",
    "drops at random, rescales, adds up",
    SOURCE,
    Family(dropped, vote=False, normalize=False, rescale=True),
)
DARE_TIES = family_method(
    "dare_ties",
    "drops at random, rescales, elects signs, adds up what agrees",
    SOURCE,
    Family(dropped, vote=True, normalize=False, rescale=True),
)
