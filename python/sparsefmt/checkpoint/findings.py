"""What the step `verify` finds out about a whole checkpoint."""

from concurrent.futures import Executor

from sparsefmt.base.errors import CheckpointError
from sparsefmt.checkpoint.jobs import TensorLine
from sparsefmt.checkpoint.model import Checkpoint, open_checkpoint
from sparsefmt.checkpoint.plan import dense_bytes
from sparsefmt.checkpoint.steps import Verify
from sparsefmt.checkpoint.ticks import Advance
from sparsefmt.checkpoint.verification import Row, verify


def findings_of(
    model: Checkpoint, step: Verify, names: frozenset[str] | None, executor: Executor | None, progress: Advance | None
) -> tuple[Row, ...]:
    """Compares a checkpoint with its original, file by file."""
    with open_checkpoint(step.original) as original:
        return tuple(
            verify(
                original, model, strict=step.strict, limit=step.limit, executor=executor, progress=progress, names=names
            )
        )


def compared_lines(model: Checkpoint, names: frozenset[str]) -> tuple[TensorLine, ...]:
    """Tensors that were read and not written."""
    found = ((name, entry) for name, entry in model.entries.items() if name in names)
    return tuple(TensorLine(name, e.format, dense_bytes(e), e.nbytes, changed=False) for name, e in found)


def check_findings(findings: tuple[Row, ...], original: str) -> None:
    """Raises CheckpointError where a tensor is not that of the original."""
    failing = [row for row in findings if row.fails]
    if failing:
        first = ", ".join(f"{row.name} ({row.status})" for row in failing[:3])
        more = ", ..." if len(failing) > 3 else ""
        msg = f"{len(failing)} of {len(findings)} tensors are not those of {original}: {first}{more}"
        raise CheckpointError(msg)
