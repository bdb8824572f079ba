"""One scale for a tensor, in two passes over its rows: the extremes of all, then the codes of each range."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from sparsefmt.base.dtypes import INTEGERS, Array
from sparsefmt.base.errors import CodecError, naming
from sparsefmt.checkpoint.entry import Entry, Value
from sparsefmt.checkpoint.rows import one_scale, row_step
from sparsefmt.checkpoint.steps import Pack, Step
from sparsefmt.codecs.affine import Affine
from sparsefmt.codecs.codes import code_range
from sparsefmt.codecs.scales import TENSOR, extremes, make_scales
from sparsefmt.encoding.format_text import Format
from sparsefmt.tensor.sparse import SparseTensor

_NONE = np.empty((0, 0), np.uint8)


def scaled_together(step: Step, entry: Entry) -> bool:
    """Whether a step packs this tensor under one scale, and rows can be packed apart once that is known."""
    if not isinstance(step, Pack) or entry.is_packed:
        return False
    recipe, target = step.recipe, step.target
    moved = recipe.along(len(entry.shape)) not in (-1, len(entry.shape) - 1)
    whole = moved or recipe.smallest or (recipe.prune and not target.structure.prunes)
    return not whole and one_scale(target)


def scaled_target(step: Step) -> Format:
    """The format of the step."""
    assert step.target is not None
    return step.target


@dataclass(frozen=True, eq=False)
class Scaled(Step):
    """Packs rows under a scale that is known.

    Args:
        raw: packs them with values as they are.
        full: the step that this is a part of.
        codec: without codes.
    """

    raw: Pack
    full: Pack
    codec: Affine

    def selects(self, entry: Entry) -> bool:
        """As the whole step."""
        return self.full.selects(entry)

    @property
    def target(self) -> Format:
        """That of the whole step."""
        return self.full.target

    def apply(self, name: str, value: Value) -> Value:
        """The packed rows."""
        t = self.raw.apply(name, value)
        if not isinstance(t, SparseTensor):
            return t
        values = np.asarray(t.values.decode(t.structure))
        with naming(name):
            codes = self.codec.quantized(t.structure, values)
            return SparseTensor.from_checked(t.structure, self.codec.lower(t.structure, codes), t.shape)

    def rows(self, entry: Entry) -> int | None:
        """As the format says."""
        return row_step(self.target)

    def fixed(self, entry: Entry) -> bool:
        """As with values as they are."""
        return self.raw.fixed(entry)


def with_scale(step: Step, name: str, parts: Iterable[Array]) -> Scaled | None:
    """The step with the scale of all rows; None where it leaves the tensor plain.

    Raises:
        CodecError: a value that has no code, unless the step skips such tensors.
    """
    assert isinstance(step, Pack)
    target = step.target
    codec = target.codec
    assert codec is not None
    assert issubclass(codec, Affine)
    raw = Pack(replace(step.recipe, fmt=step.recipe.fmt.partition("/")[0]))
    low: Array | None = None
    high: Array | None = None
    try:
        with naming(name):
            for part in parts:
                t = raw.apply(name, part)
                if not isinstance(t, SparseTensor):
                    return None
                if t.dtype.name == "bool" or t.dtype.kind == "c":
                    msg = f"{codec.kind} does not hold {t.dtype}"
                    raise CodecError(msg)
                some = extremes(t.structure, np.asarray(t.values.decode(t.structure)), TENSOR)
                low = some[0] if low is None else np.minimum(low, some[0])
                high = some[1] if high is None else np.maximum(high, some[1])
            assert low is not None
            assert high is not None
            asym, dtype = target.options["asym"], t.dtype
            scale, point = make_scales(
                low, high, code_range(codec.bits, asym=asym), asym, target.options["dtype"], dtype.name in INTEGERS
            )
    except CodecError:
        if step.recipe.skip:
            return None
        raise
    return Scaled(raw, step, codec(_NONE, scale, point, TENSOR, dtype, check=False))
