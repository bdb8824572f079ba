"""A weight that a file holds in several arrays."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sparsefmt.base.dtypes import DTYPES, FLOATS, Array, Dtype
from sparsefmt.base.errors import CheckpointError
from sparsefmt.checkpoint.entry import Entry, Value

Parts = Mapping[str, Array]
Build = Callable[[Parts], tuple[Value, str]]


class Context(NamedTuple):
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
    """

    name: str
    keys: Mapping[str, str]
    shape: tuple[int, ...]
    dtype: str
    format: str
    build: Build
    dropped: tuple[str, ...] = ()


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


ACTIVATIONS = ("input_scale", "input_zero_point", "input_global_scale", "output_scale", "k_scale", "v_scale")
"""Parts of a layer that scale activations."""


def layers(entries: Mapping[str, Entry], roles: frozenset[str]) -> Iterator[Layer]:
    """Groups keys `<prefix>.<role>` by prefix, in the order of the keys."""
    found: dict[str, Layer] = {}
    for key in entries:
        prefix, _, role = key.rpartition(".")
        if prefix and (role in roles or role in ACTIVATIONS):
            found.setdefault(prefix, Layer(prefix)).parts[role] = key
    return iter(found.values())


def dropped(layer: Layer) -> tuple[str, ...]:
    """Keys of the scales of activations."""
    return tuple(key for role, key in layer.parts.items() if role in ACTIVATIONS)


def weight_dtype(context: Context, scale: Entry) -> Dtype:
    """The dtype of a weight: that of 16-bit scales, else what config.json says, else bfloat16."""
    if scale.dtype in ("float16", "bfloat16"):
        return DTYPES[scale.dtype]
    return context.dtype or DTYPES["bfloat16"]


def named_dtype(config: Mapping[str, Any]) -> Dtype | None:
    """The dtype that config.json names ("bfloat16", "torch.float16"), also within the settings of a text model."""
    for part in (config, config.get("text_config")):
        if isinstance(part, Mapping):
            for key in ("dtype", "torch_dtype"):
                short = str(part.get(key)).removeprefix("torch.")
                if short in FLOATS:
                    return DTYPES[short]
    return None
