"""`sparsefmt apply`."""

import json
from functools import reduce
from pathlib import Path

import click

from sparsefmt.base.errors import DeltaError
from sparsefmt.base.words import many
from sparsefmt.checkpoint.model import open_checkpoint
from sparsefmt.cli import options
from sparsefmt.cli.paths import check_new
from sparsefmt.cli.progress import progress
from sparsefmt.delta.foreign import Chain
from sparsefmt.delta.formats import load
from sparsefmt.delta.journal import recover
from sparsefmt.delta.model import Delta


@click.command()
@options.path_argument("base", "BASE")
@click.argument("paths", metavar="DELTA... [OUT]", nargs=-1, required=True, type=options.LocalPath())
@click.option("--in-place", is_flag=True, help="Change BASE itself; after a crash it is the old version or the new.")
@options.force_option
@options.json_option
def apply(base: Path, paths: tuple[Path, ...], in_place: bool, force: bool, as_json: bool) -> None:
    """Applies one DELTA or more, in order, to BASE.

    A DELTA is a file of `sparsefmt diff`, a version folder or a patch of another tool, or a folder of versions
    (weight_v000001 ..., delta-00000001 ...), which are applied in order. The new checkpoint goes to OUT, or with
    --in-place takes the place of BASE. Both ends are checked.
    """
    deltas, out = (paths, base) if in_place else (paths[:-1], paths[-1])
    if not deltas:
        msg = "want DELTA and OUT, or --in-place"
        raise click.UsageError(msg)
    if in_place:
        recover(base)
    else:
        check_new(out, (base, *deltas), force=force)
    joined = chained([load(path) for path in deltas])
    with open_checkpoint(base) as model:
        total = model.nbytes
    with progress(total) as advance:
        joined.apply(base, None if in_place else out, in_place, progress=advance)
    if as_json:
        click.echo(json.dumps({"base": str(base), "deltas": [str(p) for p in deltas], "out": str(out)}))
    else:
        click.echo(f"applied {many(len(deltas), 'delta')}; {'changed' if in_place else 'wrote'} {out}")


def chained(found: list[Delta | Chain]) -> Delta | Chain:
    """All of them, one after the other.

    Raises:
        DeltaError: one does not begin where the one before ends, or they are of different tools.
    """
    ours = [d for d in found if isinstance(d, Delta)]
    if len(ours) == len(found):
        return reduce(Delta.compose, ours)
    others = [c for c in found if isinstance(c, Chain)]
    if ours:
        msg = "deltas of this tool and of others are mixed; apply them one after the other"
        raise DeltaError(msg)
    return Chain(tuple(v for c in others for v in c.versions))
