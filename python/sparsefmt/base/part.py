"""The base of what a tensor is made of: named arrays and JSON parameters."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from sparsefmt.base.coerce import frozen
from sparsefmt.base.dtypes import Array, name_of


class Form(NamedTuple):
    """What is known of an array without its items."""

    shape: tuple[int, ...]
    dtype: str


class Part:
    """A frozen, slotted dataclass of arrays and parameters.

    Saving, moving between devices, pickling and counting bytes are written once against this class.
    """

    __slots__ = ()

    kind: ClassVar[str]
    """Its name in files and format strings."""

    since: ClassVar[int] = 1
    """The version of the file format that knows it first."""

    array_names: ClassVar[tuple[str, ...]] = ()
    """Its fields that are arrays."""

    def arrays(self) -> dict[str, Array]:
        """The arrays that are stored in files and moved between devices."""
        return {name: getattr(self, name) for name in self.array_names}

    def params(self) -> dict[str, Any]:
        """What else is needed to build it again, as JSON."""
        return {}

    @classmethod
    def text_of(cls, params: Mapping[str, Any], forms: Mapping[str, Form]) -> str:
        """The text of one with these parameters and arrays, from which a header alone can say what it is."""
        return cls.kind

    def forms(self) -> dict[str, Form]:
        """Shapes and dtypes of its arrays."""
        return {name: Form(a.shape, name_of(a.dtype)) for name, a in self.arrays().items()}

    def map(self, f: Callable[[Array], Array]) -> Self:
        """The same with `f` applied to every array."""
        changed = {name: f(a) for name, a in self.arrays().items()}
        return dataclasses.replace(self, check=False, **changed)  # type: ignore[type-var]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(a.nbytes for a in self.arrays().values())

    def freeze(self) -> None:
        """Makes the arrays of the CPU read-only views; the caller's own arrays stay writable."""
        for name in self.array_names:
            a = getattr(self, name)
            if isinstance(a, np.ndarray) and a.flags.writeable:
                object.__setattr__(self, name, frozen(a))
