"""Steps of commands: on this process, on workers, or on a cluster."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from sparsefmt.checkpoint.model import Checkpoint
from sparsefmt.checkpoint.steps import Function, Step
from sparsefmt.checkpoint.transform import transform
from sparsefmt.checkpoint.transform_report import TransformReport
from sparsefmt.cli.options import Run
from sparsefmt.cli.workers import Workers
from sparsefmt.kernels.settings import set_num_threads


def run_step(
    model: Checkpoint, out: Path, step: Step | Function, chosen: set[str], run: Run, advance: Callable[[str, int], None]
) -> TransformReport:
    """Runs a step over the chosen tensors of a checkpoint."""
    if run.threads is not None:
        set_num_threads(run.threads)
    with executor(run) as pool:
        return transform(
            model, out, step,
            select=lambda name, _: name in chosen, executor=pool, overwrite=run.force, progress=advance,
            max_shard_bytes=run.max_shard_bytes,
        )  # fmt: skip


@contextmanager
def executor(run: Run) -> Iterator[Executor | None]:
    """The executor that the options ask for.

    Raises:
        UsageError: there is no Dask, or the address is none.
    """
    if run.scheduler is not None:
        try:
            from distributed import Client  # not at the top: takes long, and is only an extra
        except ModuleNotFoundError:
            msg = "--scheduler needs Dask: pip install 'sparsefmt[dask]'"
            raise click.UsageError(msg) from None
        client_of: Any = Client
        try:
            connected = client_of(run.scheduler)
        except ValueError as e:
            msg = f"--scheduler {run.scheduler!r}: {e}; want tcp://host:8786"
            raise click.UsageError(msg) from e
        with connected as client:
            yield client.get_executor()
    elif run.workers > 1:
        with Workers(run.workers) as pool:
            yield pool
    else:
        yield None
