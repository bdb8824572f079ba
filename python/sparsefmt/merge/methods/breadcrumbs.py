"""Model Breadcrumbs: without the outliers and without the small."""

from sparsefmt.merge.consensus import Family, Masks, family_method
from sparsefmt.merge.method import Facts, Settings, Source
from sparsefmt.merge.stack import Stack
from sparsefmt.merge.trim import check_fraction, outlier_bands

SOURCE = "Davari and Belilovsky 2023, arXiv:2312.06795, section 3"


def trimmed(stack: Stack, settings: Settings, facts: Facts) -> Masks:
    """What lies between the largest and the small of this tensor."""
    check_fraction("density", settings.each["density"])
    check_fraction("gamma", settings.each["gamma"])
    source = Source(lambda: stack, settings)
    return Masks(outlier_bands([source], settings.each["density"], settings.each["gamma"])[0])


BREADCRUMBS = family_method(
    "breadcrumbs",
    "drops the largest share gamma, keeps the next share density, adds up",
    SOURCE,
    Family(trimmed, vote=False, normalize=False, rescale=False),
    each={"gamma": 0.01},
)
BREADCRUMBS_TIES = family_method(
    "breadcrumbs_ties",
    "drops the largest share gamma, keeps the next share density, elects signs, adds up what agrees",
    SOURCE,
    Family(trimmed, vote=True, normalize=False, rescale=False),
    each={"gamma": 0.01},
)
