"""TIES: trim, elect signs, merge what agrees."""

from collections.abc import Sequence

from sparsefmt.merge.consensus import Family, Masks, family_method
from sparsefmt.merge.method import Each, Facts, Settings, Source
from sparsefmt.merge.stack import Stack
from sparsefmt.merge.trim import check_fraction, here, magnitude_bands


def trimmed(stack: Stack, settings: Settings, facts: Facts) -> Masks:
    """The largest magnitudes of the model, which the survey found, or of this tensor."""
    if facts.bands:
        return Masks(facts.bands)
    densities = settings.each["density"]
    check_fraction("density", densities)
    return Masks(magnitude_bands([Source(lambda: stack, settings)], densities, settings.choices, here)[0])


def survey(sources: Sequence[Source], each: Each) -> Sequence[Facts]:
    """Bands of the whole model; tensors with densities of their own form groups that are trimmed apart."""
    facts = [Facts()] * len(sources)
    groups: dict[tuple[float, ...], list[int]] = {}
    for at, source in enumerate(sources):
        if source.settings.choices.trim != "tensor" and source.settings.masks is None:
            groups.setdefault(tuple(source.settings.each["density"]), []).append(at)
    for densities, members in groups.items():
        check_fraction("density", densities)
        chosen = [sources[at] for at in members]
        found = magnitude_bands(chosen, densities, chosen[0].settings.choices, each)
        for at, bands in zip(members, found, strict=True):
            facts[at] = Facts(bands)
    return facts


TIES = family_method(
    "ties",
    "keeps the largest of each task vector, elects a sign for each weight, averages what agrees with it",
    "Yadav et al. 2023, arXiv:2306.01708, algorithm 1",
    Family(trimmed, vote=True, normalize=True, rescale=False),
    survey=survey,
)
