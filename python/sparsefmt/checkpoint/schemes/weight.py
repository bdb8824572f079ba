"""A weight that a file holds in several arrays."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sparsefmt.base.dtypes import DTYPES, FLOATS, Array, Dtype
from sparsefmt.base.errors import CheckpointError
from sparsefmt.base.forks import kept
from sparsefmt.checkpoint.entry import Entry, Value

Parts = Mapping[str, Array]
Build = Callable[[Parts], tuple[Value, str]]
Cut = Callable[[Parts, int, int], Parts]


@dataclass(frozen=True)
class Context:
    """What a scheme knows of a checkpoint.

    Args:
        entries: of all arrays, by key.
        read: an array by its key.
        settings: the quantisation settings of config.json, empty without any.
        metadata: texts of the files.
        dtype: of the weights as config.json names it; None: it does not.
    """

    entries: Mapping[str, Entry]
    read: Callable[[str], Array]
    settings: Mapping[str, Any]
    metadata: Mapping[str, str]
    dtype: Dtype | None

    @property
    @kept
    def layers(self) -> Collection["Layer"]:
        """Keys `<prefix>.<role>` by prefix, in the order of the keys; of all roles that any scheme knows."""
        found: dict[str, Layer] = {}
        for key in self.entries:
            prefix, _, role = key.rpartition(".")
            if role in ROLES and prefix:
                layer = found.get(prefix)
                if layer is None:
                    layer = found[prefix] = Layer(prefix)
                layer.parts[role] = key
        return found.values()


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor and the arrays that it is made of.

    Args:
        name: of the tensor.
        keys: the array of each role; the first is the one whose file the tensor belongs to.
        shape: of the dense tensor.
        dtype: of its elements.
        format: what it becomes if its scales allow that.
        build: makes the tensor from the arrays by role, and says why it is not packed, if it is not.
        dropped: arrays that belong to it and have no place in a weight: scales of activations.
        cut: gives the arrays of some rows, which `build` makes a tensor of; None: only all together make sense.
        step: ranges of rows for `cut` begin at multiples of it, and end there or with the last row.
        group: columns of a scale, where settings say so.
    """

    name: str
    keys: Mapping[str, str]
    shape: tuple[int, ...]
    dtype: str
    format: str
    build: Build
    dropped: tuple[str, ...] = ()
    cut: Cut | None = None
    step: int = 1
    group: int | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """The arrays whose keys begin alike, by what follows."""

    prefix: str
    parts: dict[str, str] = field(default_factory=dict)

    def key(self, role: str, entries: Mapping[str, Entry]) -> Entry:
        """The entry of a part.

        Raises:
            CheckpointError: it is missing.
        """
        if role not in self.parts:
            msg = f"{self.prefix}: {role} is missing beside {', '.join(sorted(self.parts))}"
            raise CheckpointError(msg)
        return entries[self.parts[role]]


ACTIVATIONS = (
    "input_scale", "input_zero_point", "input_global_scale", "output_scale", "output_zero_point", "output_global_scale",
    "k_scale", "v_scale",
)  # fmt: skip
"""Parts of a layer that scale activations."""

AS_THEY_ARE = "reader='safetensors' opens the arrays as they are"
"""The way out where weights of others are not read."""


ROLES = frozenset(
    {
        "weight", "weight_scale", "weight_scale_inv", "weight_scale_2", "weight_global_scale", "weight_zero_point",
        "weight_packed", "weight_shape", "weight_g_idx", "scale_packed", "meta",
        "compressed", "bitmask", "shape", "row_offsets",
        "qweight", "qzeros", "scales", "g_idx",
        *ACTIVATIONS,
    }
)  # fmt: skip
"""Parts of a layer that a scheme knows."""


def dropped(layer: Layer) -> tuple[str, ...]:
    """Keys of the scales of activations."""
    return tuple(key for role, key in layer.parts.items() if role in ACTIVATIONS)


def weight_dtype(context: Context, scale: Entry) -> Dtype:
    """The dtype of a weight: that of 16-bit scales, else what config.json says, else bfloat16.

    Whoever wrote codes of one dtype with scales of another may have left a text that names the first.
    """
    if (named := named_dtype(context.metadata)) is not None:
        return named
    if scale.dtype in ("float16", "bfloat16"):
        return DTYPES[scale.dtype]
    return context.dtype or DTYPES["bfloat16"]


def named_dtype(config: Mapping[str, Any]) -> Dtype | None:
    """The dtype that config.json names ("bfloat16", "torch.float16"), also for its text model, or a text of a file."""
    for part in (config, config.get("text_config")):
        if isinstance(part, Mapping):
            for key in ("dtype", "torch_dtype"):
                short = str(part.get(key)).removeprefix("torch.")
                if short in FLOATS:
                    return DTYPES[short]
    return None


def of_rows(parts: Parts, rows: int, low: int, high: int, *whole: str) -> dict[str, Array]:
    """Arrays of which those with a first axis of `rows` are cut, but for single ones and those of the roles `whole`."""
    return {
        role: a if role in whole or a.size == 1 or not a.ndim or len(a) != rows else a[low:high]
        for role, a in parts.items()
    }


def of_columns(parts: Parts, low: int, high: int, **per: int) -> dict[str, Array]:
    """Arrays whose last axis stands for rows of the weight, by role and 32nds of a column for each row."""
    return {
        role: a[:, low * per[role] // 32 : -(-high * per[role] // 32)] if role in per else a
        for role, a in parts.items()
    }
