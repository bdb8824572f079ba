"""The merger that the kernel serves: task vectors masked, weighted, voted on and averaged in one pass."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from sparsefmt.base.dtypes import DTYPES, Array, items
from sparsefmt.kernels.merge import DIFFERENCE, PLAIN, Rule, kept, masked, merge_mix, mix
from sparsefmt.merge.method import NO_BAND, Band
from sparsefmt.merge.stack import KERNEL_DTYPES, Stack, compute_dtype

EMPTY = np.zeros(0, np.uint8)


@dataclass(slots=True)
class Mixer:
    """Numbers of the kernel for one tensor; `granule` as every merger has it."""

    stack: Stack
    rule: Rule
    weights: Sequence[float]
    seed: int = 0
    bands: Sequence[Band] = ()
    draws: Sequence[tuple[int, int]] = ()
    masks: Callable[[int, int], tuple[Array, ...]] | None = None
    """Masks from outside for a stretch, uint8, empty where a model has none."""
    factors: Sequence[tuple[float, float]] = ()
    total: float = 1.0
    lam: float = 1.0
    floor: float = 0.0
    nan: str = "error"
    granule: int = 1
    numbers: tuple[Array, ...] = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.stack.models)
        compute = compute_dtype(self.stack.dtype)
        bands = np.array(self.bands or [NO_BAND] * count, np.int64).reshape(count, 4)
        draws = np.array(self.draws or [(0, 0)] * count, np.uint64).reshape(count, 2)
        factors = np.array(self.factors or [(1, 1)] * count, compute).reshape(count, 2)
        wide = np.dtype(np.float32) if compute.itemsize == 2 else compute
        total = np.array([self.total, self.lam, self.floor], wide)
        self.numbers = (np.array(self.weights, compute), factors, total, bands, draws)

    def mask_bytes(self, lo: int, hi: int) -> tuple[Array, ...]:
        """The masks from outside for a stretch."""
        return (EMPTY,) * len(self.stack.models) if self.masks is None else self.masks(lo, hi)

    def sparsified(self, model: int, lo: int, hi: int) -> Array:
        """What a task vector brings to the vote."""
        _, factors, _, bands, draws = self.numbers
        delta = self.stack.delta(model, lo, hi)
        mask = self.mask_bytes(lo, hi)[model]
        scale, divisor = factors[model]
        found = masked(delta, kept(delta, bands[model], draws[model], mask, self.seed, lo)) * scale / divisor
        return np.asarray(found)

    def write(self, lo: int, hi: int, out: Array) -> None:
        """Writes elements lo to hi."""
        if self.stack.dtype != "float32":
            self.write_slowly(lo, hi, out)
            return
        base, base_dtype = self.stack.bits(-1, lo, hi)
        if self.stack.base is None and self.rule.basis != PLAIN:
            base = np.zeros(hi - lo, np.uint32)
        found = [self.stack.bits(i, lo, hi) for i in range(len(self.stack.models))]
        direct = out.dtype.name in KERNEL_DTYPES
        target = out if direct else np.empty(hi - lo, np.float32)
        bad = merge_mix(
            base,
            tuple(bits for bits, _ in found),
            (base_dtype, *(dtype for _, dtype in found), str(target.dtype.name)),
            self.mask_bytes(lo, hi),
            self.numbers,
            self.seed,
            lo,
            tuple(self.rule),
            items(target),
        )
        if bad >= 0 and self.nan != "keep":
            self.stack.check_finite(lo, hi)
        if not direct:
            with np.errstate(all="ignore"):
                out[...] = target.astype(out.dtype)

    def write_slowly(self, lo: int, hi: int, out: Array) -> None:
        """The same in another dtype than float32."""
        stack, (weights, factors, total, bands, draws) = self.stack, self.numbers
        if self.nan != "keep":
            stack.check_finite(lo, hi)
        read = stack.delta if self.rule.basis == DIFFERENCE else stack.values
        tasks = [read(i, lo, hi) for i in range(len(stack.models))]
        with np.errstate(all="ignore"):
            keeps = [
                kept(x, band, draw, mask, self.seed, lo)
                for x, band, draw, mask in zip(tasks, bands, draws, self.mask_bytes(lo, hi), strict=True)
            ]
            merged = mix(stack.values(-1, lo, hi), tasks, keeps, weights, factors, total, self.rule)
            out[...] = merged.astype(DTYPES[out.dtype.name])
