"""`sparsefmt report`."""

from pathlib import Path

import click

import sparsefmt as sf
from sparsefmt.cli import options
from sparsefmt.cli.progress import progress


@click.command()
@options.path_argument("model", "MODEL")
@click.option("-o", "--out", type=options.LocalPath(), required=True, metavar="REPORT.html", help="The file.")
@click.option(
    "--against",
    type=options.LocalPath(),
    metavar="ORIGINAL",
    help="Measure what packing took, against ORIGINAL, of any kind that pack reads.",
)
@click.option("--plan", type=options.LocalPath(), metavar="PLAN.json", help="Show what this plan chose.")
@click.option(
    "--merge", type=options.LocalPath(), metavar="FILE", help="Show what `sparsefmt merge --report FILE` wrote."
)
@options.file_option
@options.force_option
def report(
    model: Path, out: Path, against: Path | None, plan: Path | None, merge: Path | None, file: str | None, force: bool
) -> None:
    """Writes one HTML file about MODEL: a summary, all tensors in a table, and drawings of each.

    MODEL may be a delta: what changed, where, and by how many steps.
    The file loads nothing from elsewhere and opens from disk. A link such as report.html#filter=attention&sort=error
    keeps what is looked at.
    """
    if out.exists() and not force:
        msg = f"{out} exists; --force replaces it"
        raise click.UsageError(msg)
    with sf.open_checkpoint(model, file=file) as c, progress(c.nbytes) as advance:
        shown = model if file is None else c  # a path may be that of a delta
        path = sf.report.html(shown, out, against=against, plan=plan, merge=merge, progress=advance)
    click.echo(f"wrote {path}, {path.stat().st_size:,} bytes")
