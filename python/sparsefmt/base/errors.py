"""Every error that the package raises on purpose.

A message says what, where, what was got, what is allowed, and the way out. Tracebacks name the classes as callers do:
`sparsefmt.PatternError`.
"""


class SparsefmtError(Exception):
    """Base of all errors of this package."""


class FormatError(SparsefmtError, ValueError):
    """Arrays that contradict each other, a shape or a format text that makes no sense, or an unusable `out=`."""


class PatternError(SparsefmtError, ValueError):
    """The values do not have the pattern that the format stores; prune first."""


class CodecError(SparsefmtError, ValueError):
    """The codec cannot hold these values, or it is not the codec that the tensor has."""


class DtypeError(CodecError, TypeError):
    """A dtype that no format here can hold."""


class SizeError(SparsefmtError, ValueError):
    """The result would need more memory than allowed; see `sparsefmt.set_max_bytes`."""


class CorruptFileError(FormatError):
    """A file that contradicts itself or its header."""


class VersionError(CorruptFileError):
    """A file written by a version that this one does not know."""


class BackendError(SparsefmtError, RuntimeError):
    """A GPU library is missing or refuses."""


class CheckpointError(FormatError):
    """A checkpoint that does not hold together: its index, its shards, or files that changed while they were read."""


class BusyError(SparsefmtError, RuntimeError):
    """Another process, or another thread, is writing the same result."""


class MergeError(SparsefmtError, ValueError):
    """Models that do not fit together, or a merge that is not defined for them."""


class DeltaError(SparsefmtError, ValueError):
    """A delta that does not fit: another base, applied twice, out of order, or damaged."""


class naming:
    """Puts the name of the tensor in front of an error."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SparsefmtError):
            text = f"{self.name}: {error}"
            raise type(error)(text) from error


for _found in tuple(globals().values()):
    if isinstance(_found, type) and issubclass(_found, SparsefmtError):
        _found.__module__ = "sparsefmt"
