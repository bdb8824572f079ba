"""What a transform did."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparsefmt.checkpoint.jobs import TensorLine
from sparsefmt.checkpoint.verification import Row


@dataclass(frozen=True)
class TransformReport:
    """What a transform did.

    Args:
        out: path of the result; None where nothing was written.
        tensors: one line per tensor: name, format, dense bytes, bytes in the file, whether the step worked on it.
        shards: files that were written.
        kept: of these, how many an earlier, interrupted run had finished.
        left_out: shards and tensors of the input that its index does not name.
        not_copied: what stayed behind: weights of other kinds, links out of the folder; of an npz archive texts, dates,
            records and objects.
        findings: of the step `verify`: a row per tensor of either checkpoint.
    """

    out: Path | None
    tensors: tuple[TensorLine, ...]
    shards: int
    kept: int
    left_out: tuple[str, ...]
    not_copied: tuple[str, ...]
    findings: tuple[Row, ...] = ()

    @property
    def changed(self) -> tuple[TensorLine, ...]:
        """The tensors that the step worked on."""
        return tuple(t for t in self.tensors if t.changed)

    @property
    def verified(self) -> bool:
        """Whether the step `verify` accepted every tensor."""
        return not any(row.fails for row in self.findings)

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        lines = [dict(vars(t)) for t in self.tensors]
        found = {**vars(self), "out": None if self.out is None else str(self.out), "tensors": lines}
        rows = found.pop("findings")
        return {**found, "findings": [row.to_json() for row in rows]} if rows else found
