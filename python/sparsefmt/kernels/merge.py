"""Definitions of the kernels for merging: one stretch of one tensor in all models at once.

Items come as they are stored, unsigned integers of the width of their dtype, whose name goes beside them. Each is
widened to float32, every step is one rounding in float32, and the result is rounded once to the dtype of `out`.
Sums over a tensor are float64 over blocks of `BLOCK` elements, so that threads, chunks and shards change no bit.

A model's mask is what three rules keep together: a band of magnitudes, a drawn number, and bytes from outside.
A band is (low, low_cut, high, high_cut): kept is what is above (low, low_cut) and not above (high, high_cut).
An element is above (key, cut) if its magnitude as an integer is above `key`, or equals it at a position below `cut`.
"""

from typing import NamedTuple

import numpy as np

from sparsefmt.base.dtypes import DTYPES, Array, Dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.philox import philox_words
from sparsefmt.kernels.registry import kernel

BLOCK = 1 << 16
LANES = 64
OPEN = (-1, 0, 1 << 32, 0)
"""The band that keeps everything."""

PLAIN, DIFFERENCE, GIVEN = range(3)
NONE, MASS, COUNT = range(3)
KEEP_BASE, PLUS, MINUS = range(3)
UNDIVIDED, BY_WEIGHTS, BY_NUMBER, BY_TOTAL = range(4)


class Rule(NamedTuple):
    """How the task vectors of one element become one."""

    vote: int = NONE
    """NONE: all agree; MASS: the sign of the sum; COUNT: the sign of the sum of signs."""
    weighted_vote: int = 0
    """1: weights count in the vote, 0: they come after it."""
    zero_vote: int = KEEP_BASE
    """What a vote of 0 elects: nothing, plus, or minus."""
    divide: int = UNDIVIDED
    """What the sum is divided by: nothing, the weights of those that agree, their number, or `total`."""
    basis: int = DIFFERENCE
    """PLAIN: the models themselves are added up, see `fused`, without a vote; DIFFERENCE: their differences from
    `base` are merged and added to it; GIVEN: the models are such differences already."""


def widened(bits: Array, dtype: str, compute: Dtype) -> Array:
    """Stored items as values of the dtype that is computed in."""
    with np.errstate(all="ignore"):
        return bits.view(DTYPES[dtype]).astype(compute)


def keys(values: Array) -> Array:
    """The magnitudes of float32 values as integers in the same order; NaN are the largest, one behind infinity."""
    return np.asarray(np.minimum(values.view(np.uint32) & np.uint32(0x7FFFFFFF), np.uint32(0x7F800001)))


def above(key: Array, position: Array, least: int, cut: int) -> Array:
    """What is above (least, cut), see the head of this file."""
    wide = key.astype(np.int64)
    return np.asarray((wide > least) | ((wide == least) & (position < cut)))


def kept(delta: Array, band: Array, draw: Array, mask: Array, seed: int, start: int) -> Array:
    """Which elements of a task vector its mask keeps; `start` is the position of the first in its tensor."""
    low, low_cut, high, high_cut = (int(v) for v in band)
    keep = np.ones(len(delta), bool)
    if (low, low_cut, high, high_cut) != OPEN:
        key, position = keys(delta.astype(np.float32, copy=False)), np.arange(start, start + len(delta))
        keep &= above(key, position, low, low_cut) & ~above(key, position, high, high_cut)
    dropped, stream = int(draw[0]), int(draw[1])
    if dropped:
        words = np.empty(len(delta), np.uint32)
        philox_words(seed, stream, start, words)
        keep &= words.astype(np.uint64) >= np.uint64(dropped)
    if mask.size:
        keep &= mask != 0
    return keep


def masked(delta: Array, keep: Array) -> Array:
    """`delta` with zeros of its sign where nothing is kept."""
    return np.where(keep, delta, np.copysign(delta.dtype.type(0), delta))


def mix(
    base: Array, tasks: list[Array], keeps: list[Array], weights: Array, factors: Array, total: Array, rule: Rule
) -> Array:
    """Merges task vectors of the dtype of `weights`, see `merge_mix`.

    A sum of 16-bit floats is taken in float32 and rounded once.
    """
    compute = weights.dtype
    wide = np.dtype(np.float32) if compute.itemsize == 2 else compute
    unit = compute.type(1)

    def summed(terms: list[Array]) -> Array:
        found = np.zeros(len(tasks[0]), wide)
        for term in terms:
            found += term.astype(wide, copy=False)
        return found.astype(compute, copy=False)

    deltas = [masked(d, keep) for d, keep in zip(tasks, keeps, strict=True)]
    for k, (scale, divisor) in enumerate(factors):
        deltas[k] = deltas[k] * scale if scale != unit else deltas[k]
        deltas[k] = deltas[k] / divisor if divisor != unit else deltas[k]
    if rule.basis == PLAIN:
        mixed = fused(weights, deltas)
        return mixed / total[0] if rule.divide == BY_TOTAL else mixed
    terms = [w * d for w, d in zip(weights, deltas, strict=True)]
    agreeing = [np.ones(len(tasks[0]), bool)] * len(terms)
    if rule.vote != NONE:
        voters = terms if rule.weighted_vote else deltas
        votes = summed(voters) if rule.vote == MASS else summed([np.sign(v) for v in voters])
        elected = np.sign(votes)
        if rule.zero_vote != KEEP_BASE:
            elected = np.where(elected == 0, compute.type(1 if rule.zero_vote == PLUS else -1), elected)
        agreeing = [(np.sign(v) == elected) & (v != 0) for v in voters]
    mixed = summed([masked(t, m) for t, m in zip(terms, agreeing, strict=True)])
    if rule.divide in (BY_WEIGHTS, BY_NUMBER):
        shares = weights if rule.divide == BY_WEIGHTS else np.ones_like(weights)
        divisor = summed([np.where(m, w, compute.type(0)) for w, m in zip(shares, agreeing, strict=True)])
        if total[2] > 0:
            divisor = np.maximum(divisor, total[2])
        mixed = mixed / np.where(divisor == 0, unit, divisor)
    elif rule.divide == BY_TOTAL:
        mixed = mixed / total[0].astype(compute)
    if total[1] != 1:
        mixed = (mixed.astype(wide, copy=False) * total[1]).astype(compute, copy=False)
    return base + mixed


def fused(weights: Array, values: list[Array]) -> Array:
    """The weighted sum, one after the other, where product and sum are rounded together: by way of float64."""
    found = weights[0] * values[0]
    for weight, value in zip(weights[1:], values[1:], strict=True):
        found = (weight.astype(np.float64) * value + found).astype(weights.dtype)
    return np.asarray(found)


@kernel
def merge_mix(
    base: Array,
    models: tuple[Array, ...],
    dtypes: tuple[str, ...],
    masks: tuple[Array, ...],
    numbers: tuple[Array, ...],
    seed: int,
    start: int,
    rule: tuple[int, ...],
    out: Array,
) -> int:
    """Writes one merged stretch; gives the position in it of the first item that is NaN or infinite, or -1.

    `dtypes`: of `base`, of each model, of `out`. `masks`: uint8 for each model, or empty. `numbers`: weights (models,)
    float32; factors (models, 2) float32, what kept values are multiplied and then divided by; total (3,) float32, see
    `Rule.divide`, lambda, and what a divisor is at least, if positive; bands (models, 4) int64; draws (models, 2)
    uint64: an element whose word is below the first number is dropped (0: none), and the stream. `start`: position of
    the first element. `rule`: a `Rule`.
    """
    weights, factors, total, bands, draws = numbers
    way = Rule(*rule)
    bad = np.zeros(len(out), bool)
    with np.errstate(all="ignore"):
        anchor = widened(base, dtypes[0], weights.dtype)
        tasks = [widened(m, d, weights.dtype) for m, d in zip(models, dtypes[1:-1], strict=True)]
        for values in [anchor, *tasks] if way.basis != PLAIN else tasks:
            bad |= ~np.isfinite(values)
        if way.basis == DIFFERENCE:
            tasks = [x - anchor for x in tasks]
        keeps = [
            kept(x, band, draw, mask, seed, start)
            for x, band, draw, mask in zip(tasks, bands, draws, masks, strict=True)
        ]
        merged = mix(anchor, tasks, keeps, weights, factors, total, way)
        merged[np.isnan(merged)] = np.nan  # one NaN, whatever it came from
        out.view(DTYPES[dtypes[-1]])[...] = merged.astype(DTYPES[dtypes[-1]])
    return int(np.argmax(bad)) if bad.any() else -1


@kernel
def merge_histogram(
    base: Array, model: Array, dtypes: tuple[str, ...], basis: int, shift: int, prefix: int, counts: Array
) -> None:
    """Adds to `counts` (int64) how often each magnitude of a task vector occurs.

    `prefix` < 0: the bin is the magnitude as an integer, shifted right by `shift`. Else only magnitudes whose shifted
    integer is `prefix` count, and the bin is the low `shift` bits.
    """
    key = keys(difference(base, model, dtypes, basis)).astype(np.int64)
    if prefix >= 0:
        key = key[(key >> shift) == prefix] & ((1 << shift) - 1)
    else:
        key >>= shift
    counts += np.bincount(key, minlength=len(counts))


GROUP, TURN = 32, 37


@kernel
def merge_between(
    base: Array, model: Array, dtypes: tuple[str, ...], basis: int, low: int, high: int, every: int, found: Array
) -> tuple[int, int, int]:
    """Writes the magnitudes of a task vector from `low` to below `high`, in order, to `found` (uint32) if room is left.

    Of every run r of `GROUP` * `every` elements only the `GROUP` from `GROUP` * (`TURN` r mod `every`) on are read.
    Gives how many of these are `high` or more, how many there were to write, and how many were looked at.

    Raises:
        FormatError: `every` is 0.
    """
    if every < 1:
        msg = f"every = {every} is out of range"
        raise FormatError(msg)
    key = keys(difference(base, model, dtypes, basis))
    place = np.arange(len(key))
    run = place // (GROUP * every)
    key = key[place // GROUP % every == TURN * run % every].astype(np.int64)
    within = key[(key >= low) & (key < high)]
    if len(within) <= len(found):
        found[: len(within)] = within
    return int(np.count_nonzero(key >= high)), len(within), len(key)


def difference(base: Array, model: Array, dtypes: tuple[str, ...], basis: int) -> Array:
    """A task vector in float32, or the model itself where that is the basis."""
    x = widened(model, dtypes[1], np.dtype(np.float32))
    with np.errstate(all="ignore"):
        return x - widened(base, dtypes[0], np.dtype(np.float32)) if basis == DIFFERENCE else x


def block_sums(terms: Array) -> Array:
    """Sums of blocks of float64: `LANES` running sums of each block, then halves are added until one is left."""
    blocks = -(-len(terms) // BLOCK)
    padded = np.zeros(blocks * BLOCK)
    padded[: len(terms)] = terms
    lanes = np.zeros((blocks, LANES))
    for row in np.moveaxis(padded.reshape(blocks, BLOCK // LANES, LANES), 1, 0):
        lanes += row
    while lanes.shape[1] > 1:
        half = lanes.shape[1] // 2
        lanes = lanes[:, :half] + lanes[:, half:]
    return lanes[:, 0]


@kernel
def merge_gram(base: Array, models: tuple[Array, ...], dtypes: tuple[str, ...], basis: int, sums: Array) -> None:
    """Writes the products of all pairs of task vectors (i, j), i <= j, to `sums` (blocks, pairs) float64, by blocks."""
    with np.errstate(all="ignore"):
        tasks = [
            difference(base, m, (dtypes[0], d), basis).astype(np.float64)
            for m, d in zip(models, dtypes[1:], strict=True)
        ]
        pairs = [(a, b) for k, a in enumerate(tasks) for b in tasks[k:]]
        for column, (a, b) in enumerate(pairs):
            sums[:, column] = block_sums(a * b)


@kernel
def merge_norms(
    base: Array,
    model: Array,
    dtypes: tuple[str, ...],
    basis: int,
    mask: Array,
    numbers: tuple[Array, ...],
    seed: int,
    start: int,
    sums: Array,
) -> None:
    """Writes what the magnitudes of a task vector sum to before and after its mask to `sums` (blocks, 2) float64.

    `numbers`: one band (4,) and one draw (2,), see `merge_mix`.
    """
    delta = difference(base, model, dtypes, basis)
    keep = kept(delta, numbers[0], numbers[1], mask, seed, start)
    with np.errstate(all="ignore"):
        sums[:, 0] = block_sums(np.abs(delta).astype(np.float64))
        sums[:, 1] = block_sums(np.abs(masked(delta, keep)).astype(np.float64))


@kernel
def merge_finite(items: Array, dtype: str) -> int:
    """The position of the first item that is NaN or infinite, or -1."""
    bad = ~np.isfinite(widened(items, dtype, np.dtype(np.float32)))
    return int(np.argmax(bad)) if bad.any() else -1
