"""What is done to the tensors of a checkpoint: picklable steps that work on a tensor or on a range of its rows."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias, runtime_checkable

from sparsefmt.checkpoint.entry import PLAIN, Entry, Value
from sparsefmt.checkpoint.recipe import Recipe
from sparsefmt.checkpoint.remote import is_url
from sparsefmt.checkpoint.rows import joins, row_step
from sparsefmt.encoding.format_text import Format, parse
from sparsefmt.tensor.sparse import SparseTensor

Function: TypeAlias = Callable[[str, Value], Mapping[str, Value]]
"""A step of the user: name and tensor in, tensors by name out; picklable where it is to run elsewhere."""


@runtime_checkable
class Prunes(Protocol):
    """A function that says which tensors it zeroes values of, which the file it makes then says as well."""

    @property
    def pruned(self) -> Collection[str]:
        """Their names."""


class Step(ABC):
    """A step that knows how it can be cut into ranges of rows."""

    keeps_others: ClassVar[bool] = True
    """Whether tensors that are not selected are copied."""

    @abstractmethod
    def selects(self, entry: Entry) -> bool:
        """Whether the step works on a tensor where nothing else was selected."""

    @abstractmethod
    def apply(self, name: str, value: Value) -> Value:
        """The tensor, or a range of its rows, after the step."""

    def rows(self, entry: Entry) -> int | None:
        """Ranges of rows must start at multiples of this; None: the tensor is worked on whole."""
        return None

    def fixed(self, entry: Entry) -> bool:
        """Whether the size of the result follows from the shape alone."""
        return False

    def of(self, name: str) -> "Step":
        """The step for one tensor."""
        return self

    @property
    def target(self) -> Format | None:
        """The format that comes out, where it is one."""
        return None


@dataclass(frozen=True)
class Pack(Step):
    """Packs plain tensors, and packed ones anew; see `pack`."""

    recipe: Recipe

    def of(self, name: str) -> "Pack":
        """With the format that the rules of the recipe say."""
        return Pack(self.recipe.of(name)) if self.recipe.rules else self

    def selects(self, entry: Entry) -> bool:
        """By the rule of `sparsefmt pack`."""
        return not entry.is_packed and len(entry.shape) == 2 and entry.is_inexact and entry.size >= 1024

    @property
    def target(self) -> Format:
        """The format of the recipe."""
        return parse(self.recipe.fmt)

    def apply(self, name: str, value: Value) -> Value:
        """The packed tensor; as it is where the recipe skips it."""
        return self.recipe.pack(name, value)

    def rows(self, entry: Entry) -> int | None:
        """Where values and scales do not depend on other rows, and rows are those of the array."""
        moved = self.recipe.along(len(entry.shape)) not in (-1, len(entry.shape) - 1)
        whole = moved or not joins(self.target) or (self.recipe.prune and not self.target.structure.prunes)
        whole |= self.recipe.smallest
        return None if whole else row_step(self.target)

    def fixed(self, entry: Entry) -> bool:
        """For plain tensors; a skipped one has another size, and N:M fails before it is written."""
        loose = self.recipe.skip or self.recipe.smallest
        return self.target.structure.fixed_size and not loose and not entry.is_packed


@dataclass(frozen=True)
class Unpack(Step):
    """Decodes packed tensors; see `unpack`."""

    keeps_others: ClassVar[bool] = False

    def selects(self, entry: Entry) -> bool:
        """All."""
        return True

    def apply(self, name: str, value: Value) -> Value:
        """The decoded tensor."""
        return value.to_dense() if isinstance(value, SparseTensor) else value

    def rows(self, entry: Entry) -> int | None:
        """Any rows."""
        return 1


@dataclass(frozen=True)
class Convert(Step):
    """Converts packed tensors, exactly; see `convert`."""

    recipe: Recipe

    def selects(self, entry: Entry) -> bool:
        """Packed ones."""
        return entry.is_packed

    @property
    def target(self) -> Format:
        """The format of the recipe."""
        return parse(self.recipe.fmt)

    def apply(self, name: str, value: Value) -> Value:
        """The converted tensor."""
        return self.recipe.pack(name, value) if isinstance(value, SparseTensor) else value

    def rows(self, entry: Entry) -> int | None:
        """Where both formats follow the rows; coded values must do so in both."""
        return row_step(self.target) if joins(self.target) else None


@dataclass(frozen=True)
class Quantize(Step):
    """Stores values under another codec, in the structure that they have; see `quantize`."""

    codec: str

    def selects(self, entry: Entry) -> bool:
        """Packed tensors, and plain 2-d weights."""
        weights = len(entry.shape) == 2 and entry.is_inexact and entry.size >= 1024
        return entry.is_packed or weights

    def apply(self, name: str, value: Value) -> Value:
        """The tensor with coded values; dense where it was plain."""
        structure = value.structure.text if isinstance(value, SparseTensor) else "dense"
        return Recipe(f"{structure}/{self.codec}", recode=True).pack(name, value)

    def rows(self, entry: Entry) -> int | None:
        """Plain ones, where scales do not depend on other rows."""
        target = parse(f"dense/{self.codec}")
        return row_step(target) if entry.format == PLAIN and joins(target) else None


@dataclass(frozen=True)
class Verify(Step):
    """Compares with an original, and passes on; see `verify`."""

    original: str
    strict: bool = False
    limit: float | None = None

    def selects(self, entry: Entry) -> bool:
        """All."""
        return True

    def apply(self, name: str, value: Value) -> Value:
        """As it is: `sparsefmt.transform` compares whole files before."""
        return value


def pack(
    fmt: str,
    *,
    prune: bool = False,
    density: float | None = None,
    skip: bool = False,
    conv_axis: int | None = None,
) -> Pack:
    """A step that packs plain tensors: 2-d ones of floating or complex numbers with at least 1,024 elements.

    Args:
        fmt: the format text, e.g. "nm2:4" or "nm2:4/int4:g128".
        prune: zero what the format cannot keep: N:M by magnitude, bsr by block, others by magnitude.
        density: the share of weights (bsr: of blocks) to keep; for all but N:M.
        skip: leave tensors plain that have not the pattern, or that the codec does not hold.
        conv_axis: the axis that groups of tensors of rank 3 and 4 run along, 1 for the input channels of convolutions;
            default the last one.

    Raises:
        FormatError: the format is unknown, or the arguments contradict each other.

    >>> pack("nm2:4", prune=True).target.structure.kind
    'nm'
    """
    parse(fmt)
    recipe = Recipe(fmt, prune, density, skip, conv_axis=conv_axis)
    recipe.check()
    return Pack(recipe)


def unpack() -> Unpack:
    """A step that decodes packed tensors and drops tensors that are not selected.

    >>> unpack().keeps_others
    False
    """
    return Unpack()


def convert(fmt: str, *, skip: bool = False) -> Convert:
    """A step that converts packed tensors to another format, exactly; plain ones stay.

    Args:
        fmt: the format text; without a codec, or with the one that the tensors have.
        skip: leave tensors as they are that have not the pattern.

    Raises:
        FormatError: the format is unknown.

    >>> convert("csr").target.structure.kind
    'csr'
    """
    parse(fmt)
    return Convert(Recipe(fmt, skip=skip, exact=True))


def quantize(codec: str) -> Quantize:
    """A step that stores the values of packed tensors, and of plain 2-d weights, under another codec.

    Args:
        codec: the codec text, e.g. "int4:g128" or "kmeans16"; "raw" decodes codes.

    Raises:
        CodecError: it is unknown.

    >>> quantize("int8").codec
    'int8'
    """
    parse(f"dense/{codec}")
    return Quantize(codec)


def verify(original: str | os.PathLike[str], *, strict: bool = False, limit: float | None = None) -> Verify:
    """A step that compares every tensor with that of an original, as `sparsefmt verify` does.

    With `dst` None, `sparsefmt.transform` writes nothing; `.findings` of its report have a row per tensor of either,
    and `.verified` says whether all are what they should be. With a path the checkpoint is copied if they are, and a
    CheckpointError names those that are not.

    Args:
        original: path or URL of the original.
        strict: accept nothing but exact tensors, also where `pack` pruned or rounded.
        limit: the relative error up to which a tensor is accepted; default: what happened to it decides.

    >>> verify("model").strict
    False
    """
    where = os.fspath(original)
    return Verify(where if is_url(where) else os.path.abspath(where), strict, limit)
