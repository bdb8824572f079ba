"""`sparsefmt diff`."""

import json
from pathlib import Path

import click

from sparsefmt.base.words import many
from sparsefmt.checkpoint.model import open_checkpoint
from sparsefmt.cli import options
from sparsefmt.cli.paths import check_new
from sparsefmt.cli.progress import progress, size
from sparsefmt.delta.compare import diff as make
from sparsefmt.delta.formats import save
from sparsefmt.delta.model import LEVELS, Level

FORMATS = ("sparsefmt", "hf-xor", "hf-overwrite", "skyrl")


@click.command()
@options.path_argument("old", "OLD")
@options.path_argument("new", "NEW")
@options.path_argument("out", "OUT")
@click.option("--level", type=click.Choice(LEVELS), default="wire", show_default=True, help="How OUT is stored.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="sparsefmt", show_default=True)
@click.option("--checksum", default="xxh3-128", show_default=True, help="Of the formats of others.")
@options.force_option
@options.json_option
def diff(old: Path, new: Path, out: Path, level: Level, form: str, checksum: str, force: bool, as_json: bool) -> None:
    """Writes what leads from OLD to NEW, bit for bit.

    OLD and NEW are safetensors files or folders of them. OUT is a file, or with another --format the folder of a
    version, whose name says its number (weight_v000001, delta-00000001).
    """
    check_new(out, (old, new), force=force)
    with open_checkpoint(old) as model, progress(model.nbytes) as advance:
        made = make(old, new, level, progress=advance)
    if form == "sparsefmt":
        save(out, made)
    else:
        save(out, made, form, base=old, checksum=checksum)  # type: ignore[arg-type]
    stats, written = made.stats(), nbytes(out)
    if as_json:
        found = {name: getattr(stats, name) for name in stats.__slots__}
        click.echo(json.dumps({**found, "density": stats.density, "out": str(out), "out_bytes": written}))
        return
    click.echo(
        f"{stats.changed_tensors} of {many(stats.tensors, 'tensor')} changed, "
        f"{stats.changed:,} of {stats.values:,} values ({stats.density:.2%}), {stats.one_step:,} of them by one step"
    )
    per = f", {written / stats.changed:.2f} bytes per changed value" if stats.changed else ""
    click.echo(f"wrote {out}: {size(written)}{per} (bound {size(stats.bound)})")


def nbytes(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size
