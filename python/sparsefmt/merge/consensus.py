"""The family of task arithmetic: sparsify each task vector, vote on signs, combine. A method names its pieces."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import MergeError
from sparsefmt.kernels import merge as kernel
from sparsefmt.kernels.merge import Rule, masked, merge_norms
from sparsefmt.merge.draw import stream
from sparsefmt.merge.method import NO_FACTS, Band, Each, Facts, Method, Settings, Source
from sparsefmt.merge.mixing import EMPTY, Mixer
from sparsefmt.merge.norms import add_up, blocks_of
from sparsefmt.merge.remembered import Kept
from sparsefmt.merge.stack import FlatArray, Stack, compute_dtype

SHARED = {"normalize": None, "rescale": None, "lambda": 1.0, "int8_mask": False}
"""Parameters that every method of the family has; None: the method's own default."""


@dataclass(frozen=True, slots=True)
class Masks:
    """What a sparsify piece found for one tensor: bands, draws, or masks of its own for each stretch."""

    bands: Sequence[Band] = ()
    draws: Sequence[tuple[int, int]] = ()
    rows: "RowMasks | None" = None


@dataclass(frozen=True, slots=True)
class RowMasks:
    """Masks that depend on whole rows: of each element of a stretch that is a multiple of `granule`."""

    granule: int
    find: Callable[[int, Array, int], tuple[Array, Array | None]]
    """(model, task vector, position of its first element) -> keep, divisors."""


Sparsify = Callable[[Stack, Settings, Facts], Masks]


@dataclass(frozen=True, slots=True)
class Family:
    """A method by its pieces."""

    sparsify: Sparsify | None
    vote: bool
    normalize: bool
    rescale: bool
    by_rows: bool = False
    """Whether sparsify ranks within rows, and takes masks from outside itself."""

    def __call__(self, stack: Stack, settings: Settings, facts: Facts) -> "Mixer | ByRows":
        """The merger of one tensor."""
        own = self.sparsify is not None and (settings.masks is None or self.by_rows)
        masks = self.sparsify(stack, settings, facts) if self.sparsify and own else Masks()
        if masks.rows is not None:
            return ByRows(self, stack, settings, facts, masks.rows)
        mixer = Mixer(
            stack,
            rule_of(self, settings, facts, stack.basis),
            weights_of(settings, len(stack.models)),
            settings.seed,
            masks.bands,
            masks.draws,
            mask_reader(settings),
            total=total_of(self, settings),
            lam=float(settings.shared["lambda"]),
            nan=settings.nan,
        )
        factors = self.factors(mixer, settings)
        return replace(mixer, factors=factors) if factors else mixer

    def factors(self, mixer: Mixer, settings: Settings) -> list[tuple[float, float]]:
        """What each task vector is multiplied and divided by to make up for what was dropped."""
        if not wanted(settings, "rescale", self.rescale) or self.sparsify is None:
            return []
        if settings.choices.rescale_by == "none":
            return []
        if settings.choices.rescale_by == "density" and self.rescale:
            return [(1.0, d if d > 0 else 1.0) for d in settings.each["density"]]
        return [(ratio(*norms(mixer, k)), 1.0) for k in range(len(mixer.stack.models))]


@dataclass(slots=True)
class ByRows:
    """The merger of one tensor whose masks depend on whole rows."""

    family: Family
    stack: Stack
    settings: Settings
    facts: Facts
    rows: RowMasks
    scales: list[float] | None = None
    kept: dict[int, Kept] = field(default_factory=dict)
    """What is left of each task vector, from the pass that sums magnitudes."""

    @property
    def granule(self) -> int:
        """Elements of the part in which magnitudes are ranked."""
        return self.rows.granule

    def pair(self, model: int, lo: int, hi: int) -> tuple[Array, Array]:
        """A stretch of a task vector, and what is left of it."""
        delta = self.stack.delta(model, lo, hi)
        keep, divisors = self.rows.find(model, delta, lo)
        after = masked(delta, keep)
        if divisors is not None and self.rescaled_by("density"):
            with np.errstate(all="ignore"):
                after = after / divisors.astype(after.dtype)
        return delta, after

    def rescaled_by(self, rule: str) -> bool:
        """Whether that is what makes up for what was dropped."""
        return self.settings.choices.rescale_by == rule and wanted(self.settings, "rescale", self.family.rescale)

    def scale(self, model: int) -> float:
        """What a task vector is multiplied by."""
        if not self.rescaled_by("l1"):
            return 1.0
        self.kept[model] = Kept(self.stack.size)
        sums = []
        for lo, hi in self.stack.chunks(self.granule):
            pair = self.pair(model, lo, hi)
            self.kept[model].put(lo, hi, pair[1])
            sums.append(np.stack([magnitude_sums(x, self.granule) for x in pair], axis=1))
        before, after = add_up(np.concatenate(sums) if sums else np.zeros((0, 2)))
        return ratio(float(before), float(after))

    def sparsified(self, model: int, lo: int, hi: int) -> Array:
        """What a task vector brings to the vote."""
        if self.scales is None:
            self.scales = [self.scale(m) for m in range(len(self.stack.models))]
        kept = self.kept[model].get(lo, hi) if model in self.kept else None
        after = self.pair(model, lo, hi)[1] if kept is None else kept
        scale = after.dtype.type(self.scales[model])
        return after if scale == 1 else np.asarray(after * scale)

    def write(self, lo: int, hi: int, out: Array) -> None:
        """Writes elements lo to hi."""
        stack, settings = self.stack, self.settings
        if settings.nan != "keep":
            stack.check_finite(lo, hi)
        tasks = tuple(FlatArray(self.sparsified(m, lo, hi)) for m in range(len(stack.models)))
        given = replace(stack, shape=(hi - lo,), base=FlatArray(stack.values(-1, lo, hi)), models=tasks)
        rule = rule_of(self.family, settings, self.facts, kernel.GIVEN)
        total, lam = total_of(self.family, settings), float(settings.shared["lambda"])
        mixer = Mixer(given, rule, weights_of(settings, len(tasks)), total=total, lam=lam, nan="keep")
        mixer.write(0, hi - lo, out)


def magnitude_sums(x: Array, granule: int) -> Array:
    """Sums of magnitudes of every run of `granule`, in float64."""
    return np.asarray(np.abs(x.astype(np.float64)).reshape(-1, granule).sum(axis=1))


def mask_reader(settings: Settings) -> Callable[[int, int], tuple[Array, ...]] | None:
    """Masks from outside by stretches."""
    if settings.masks is None:
        return None
    flat = [mask.reshape(-1).view(np.uint8) for mask in settings.masks]
    return lambda lo, hi: tuple(mask[lo:hi] for mask in flat)


def wanted(settings: Settings, name: str, default: bool) -> bool:
    """A parameter of the family that defaults to what the method says."""
    found = settings.shared[name]
    return default if found is None else bool(found)


def weights_of(settings: Settings, count: int) -> tuple[float, ...]:
    """The weights, where the choice is that there are any."""
    if settings.choices.weighting != "none":
        return settings.weights
    if any(w != 1 for w in settings.weights):
        msg = "weights other than 1 have no place where weighting is 'none'; give weighting='mean' or 'vote'"
        raise MergeError(msg)
    return (1.0,) * count


def total_of(family: Family, settings: Settings) -> float:
    """The sum of the weights in float32, where the sum of task vectors is divided by it."""
    if family.vote or not wanted(settings, "normalize", family.normalize):
        return 1.0
    return checked_total(settings.weights)


def checked_total(weights: Sequence[float]) -> float:
    """The sum of weights that something is divided by.

    Raises:
        MergeError: they cancel.
    """
    total = np.float32(0)
    for weight in weights:
        total += np.float32(weight)
    if abs(total) < 1e-8:
        listed = ", ".join(f"{w:g}" for w in weights)
        msg = f"weights {listed} add up to 0; with normalize they must not: give normalize=False"
        raise MergeError(msg)
    return float(total)


def rule_of(family: Family, settings: Settings, facts: Facts, basis: int) -> Rule:
    """The rule of the kernel that the choices make."""
    choices = settings.choices
    normalize = wanted(settings, "normalize", family.normalize or (family.vote and choices.divides == "vote"))
    if not family.vote:
        return Rule(divide=kernel.BY_TOTAL if normalize else kernel.UNDIVIDED, basis=basis)
    zero = kernel.KEEP_BASE
    if choices.zero_vote == "plus" or (choices.zero_vote == "majority" and facts.majority > 0):
        zero = kernel.PLUS
    elif choices.zero_vote == "majority" and facts.majority < 0:
        zero = kernel.MINUS
    divide = kernel.BY_WEIGHTS if choices.mean == "weights" else kernel.BY_NUMBER
    return Rule(
        kernel.MASS if choices.vote == "mass" else kernel.COUNT,
        int(choices.weighting == "vote"),
        zero,
        divide if normalize else kernel.UNDIVIDED,
        basis,
    )


def norms(mixer: Mixer, model: int) -> tuple[float, float]:
    """What the magnitudes of a task vector sum to before and after its mask."""
    stack, (_, _, _, bands, draws) = mixer.stack, mixer.numbers
    sums = np.zeros((blocks_of(stack.size), 2))
    at = 0
    for lo, hi in stack.chunks():
        base, base_dtype = stack.bits(-1, lo, hi)
        bits, dtype = stack.bits(model, lo, hi)
        mask = mixer.mask_bytes(lo, hi)[model] if mixer.masks else EMPTY
        part = sums[at : at + blocks_of(hi - lo)]
        merge_norms(
            base, bits, (base_dtype, dtype), stack.basis, mask, (bands[model], draws[model]), mixer.seed, lo, part
        )
        at += len(part)
    before, after = add_up(sums)
    return float(before), float(after)


def ratio(before: float, after: float) -> float:
    """What brings a sum of magnitudes back to what it was; 1 where one of them vanishes."""
    if before < 1e-7 or after < 1e-7:
        return 1.0
    with np.errstate(all="ignore"):
        return float(np.float32(before) / np.float32(after))


def majority(job: tuple[Source, Family, Facts]) -> float:
    """The sum of the signs of all votes of one tensor."""
    source, family, facts = job
    stack, settings = source.stack(), source.settings
    merger = family(stack, settings, facts)
    weights = settings.weights if settings.choices.weighting == "vote" else [1.0] * len(stack.models)
    total = 0.0
    for lo, hi in stack.chunks(merger.granule):
        votes = np.zeros(hi - lo, compute_dtype(stack.dtype))
        with np.errstate(all="ignore"):
            for model, weight in enumerate(weights):
                term = merger.sparsified(model, lo, hi) * votes.dtype.type(weight)
                votes += term if settings.choices.vote == "mass" else np.sign(term)
        total += float(np.nansum(np.sign(votes), dtype=np.float64))  # NaN has no sign
    return total


def with_majority(sources: Sequence[Source], family: Family, facts: Sequence[Facts], each: Each) -> list[Facts]:
    """Facts that also tell which sign a vote of 0 takes, where the choice asks for it."""
    if not sources or not family.vote or sources[0].settings.choices.zero_vote != "majority":
        return list(facts)
    total = sum(each(majority, [(s, family, f) for s, f in zip(sources, facts, strict=True)]))
    return [f._replace(majority=int(np.sign(total))) for f in facts]


def family_method(
    name: str,
    summary: str,
    source: str,
    family: Family,
    each: dict[str, Any] | None = None,
    survey: Callable[[Sequence[Source], Each], Sequence[Facts]] | None = None,
) -> Method:
    """A method of the family for the registry."""

    def look(sources: Sequence[Source], mapper: Each) -> Sequence[Facts]:
        found = survey(sources, mapper) if survey else [NO_FACTS] * len(sources)
        return with_majority(sources, family, found, mapper)

    return Method(name, summary, source, family, each={"density": 1.0, **(each or {})}, shared=SHARED, survey=look)


def streams(stack: Stack) -> list[int]:
    """The stream of each model's random numbers."""
    return [stream(stack.name, model) for model in range(len(stack.models))]
