"""SCE: select by variance, calculate weights by energy, erase minority signs."""

import math
from dataclasses import dataclass

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.merge import BY_WEIGHTS, GIVEN, KEEP_BASE, MASS, PLUS, Rule, above, block_sums, keys, merge_gram
from sparsefmt.merge.method import Facts, Method, Settings, Source
from sparsefmt.merge.mixing import Mixer
from sparsefmt.merge.norms import add_up, blocks_of
from sparsefmt.merge.order import cuts, shares
from sparsefmt.merge.remembered import Kept, Remembered
from sparsefmt.merge.stack import Merger, Stack
from sparsefmt.merge.trim import check_fraction, here

NO_ITEMS = np.zeros(0, np.uint32)


@dataclass(frozen=True, slots=True)
class Variance:
    """The variance over models of each element, as a tensor that can be read."""

    stack: Stack
    dtype: str = "float32"

    def read(self, lo: int, hi: int) -> Array:
        """Elements lo to hi."""
        count = len(self.stack.models)
        tasks = [self.stack.delta(i, lo, hi).astype(np.float64) for i in range(count)]
        with np.errstate(all="ignore"):
            mean = tasks[0].copy()
            for task in tasks[1:]:
                mean += task
            mean /= count
            for task in tasks:
                task -= mean
                task *= task
            total = tasks[0]
            for task in tasks[1:]:
                total += task
            total /= count
            return np.asarray(total.astype(np.float32))


def selection(stack: Stack, share: float, settings: Settings) -> tuple[Stack, int, int] | None:
    """The tensor of variances, and above which magnitude and place it is selected; None: everywhere."""
    if share >= 1:
        return None
    spread = Stack(stack.name, stack.shape, None, (Remembered(Variance(stack), Kept(stack.size)),), ("variance",))
    nonzero = sum(int(np.count_nonzero(spread.values(0, lo, hi))) for lo, hi in stack.chunks())
    rank = int(nonzero * share)
    if rank == 0:
        return spread, 1 << 32, 0
    sources = [Source(lambda: spread, settings)]
    [cut] = cuts(sources, [(0, rank)], here)
    [[place]] = shares(sources, [(0, cut)], here)
    return spread, cut.key, place


def energies(stack: Stack, lo: int, hi: int, keep: Array | None) -> Array:
    """Sums of the squares of what each task vector keeps, (blocks, models), by blocks."""
    found = np.zeros((blocks_of(hi - lo), len(stack.models)))
    column = np.zeros((len(found), 1))
    for i in range(len(stack.models)):
        delta = stack.delta(i, lo, hi)
        kept = delta if keep is None else np.where(keep, delta, delta.dtype.type(0))
        if kept.dtype == np.float64:
            with np.errstate(all="ignore"):
                found[:, i] = block_sums(kept * kept)
            continue
        kept = kept.astype(np.float32, copy=False)
        merge_gram(NO_ITEMS, (kept.view(np.uint32),), ("float32", "float32"), GIVEN, column)
        found[:, i] = column[:, 0]
    return found


def merge(stack: Stack, settings: Settings, facts: Facts) -> Merger:
    """The selected elements of task vectors, weighted by their energy, where they agree with the sum."""
    count, share = len(stack.models), float(settings.shared["select_topk"])
    check_fraction("select_topk", [share])
    selected = selection(stack, share, settings)

    def mask(lo: int, hi: int) -> Array | None:
        if selected is None:
            return None
        spread, key, place = selected
        return above(keys(spread.values(0, lo, hi)), np.arange(lo, hi), key, place)

    sums = [energies(stack, lo, hi, mask(lo, hi)) for lo, hi in stack.chunks()]
    energy = add_up(np.concatenate(sums)) / max(stack.size, 1) if sums else np.zeros(count)
    whole = float(energy.sum())
    even = abs(whole) < 1e-6 if settings.choices.small == "floor" else whole == 0
    weights = (np.full(count, 1 / count) if even or not math.isfinite(whole) else energy / whole).tolist()
    zero = KEEP_BASE if settings.choices.zero_vote == "base" else PLUS
    rule = Rule(MASS, 0, zero, BY_WEIGHTS, stack.basis)

    def masks(lo: int, hi: int) -> tuple[Array, ...]:
        keep = mask(lo, hi)
        one = np.zeros(0, np.uint8) if keep is None else keep.view(np.uint8)
        return (one,) * count

    return Mixer(stack, rule, weights, masks=masks, floor=1e-6, nan=settings.nan)


SCE = Method(
    "sce",
    "selects elements by variance, weighs models by energy, erases what disagrees",
    "Wan et al. 2024, arXiv:2408.07990, section 3.3",
    merge,
    base="needed",
    weighted=False,
    shared={"select_topk": 1.0, "int8_mask": False},
)
