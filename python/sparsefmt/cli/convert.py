"""`sparsefmt convert`."""

from pathlib import Path

import click

from sparsefmt.base.errors import FormatError
from sparsefmt.base.words import many
from sparsefmt.checkpoint.entry import PLAIN
from sparsefmt.checkpoint.joined import OWN
from sparsefmt.checkpoint.model import open_checkpoint
from sparsefmt.checkpoint.recipe import Recipe
from sparsefmt.checkpoint.select import Selection
from sparsefmt.checkpoint.steps import Convert, Pack, Quantize, Step
from sparsefmt.cli import options
from sparsefmt.cli.packed import say_json
from sparsefmt.cli.paths import check_out
from sparsefmt.cli.progress import progress, size
from sparsefmt.cli.runs import run_step


@click.command()
@options.path_argument("source", "IN", remote=True)
@options.path_argument("out", "OUT", remote=True)
@options.optional_format_option
@click.option("--quantize", "codec", metavar="CODEC", callback=options.checked_codec, help="The codec of the values.")
@click.option("--skip", is_flag=True, help="Leave tensors as they are that have not the pattern, instead of stopping.")
@options.include_option
@options.exclude_option
@options.run_options
@options.json_option
def convert(
    source: Path,
    out: Path,
    fmt: str | None,
    codec: str | None,
    skip: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    run: options.Run,
    as_json: bool,
) -> None:
    """Converts the packed tensors of IN to another format, exactly; plain tensors stay plain.

    IN is a file that `sparsefmt pack` wrote, or a folder of them; OUT is then a folder too. --quantize
    (int4:g128, kmeans16, raw, ...) rounds the values, in the structure that they have or in --format.
    IN may be in a format of others; without --format and --quantize its tensors stay as they are packed there.
    """
    if fmt is not None and codec is not None and "/" in fmt:
        msg = f"--format {fmt} names a codec, and --quantize {codec} another one; leave out one of them"
        raise click.UsageError(msg)
    check_out(source, out, (".safetensors",), force=run.force, sharded=run.max_shard_bytes is not None)
    model = open_checkpoint(source, file=run.file)
    as_it_is = fmt is None and codec is None
    own = model.reader in OWN and not any(entry.lone and entry.is_packed for entry in model.entries.values())
    if as_it_is and (own or include or exclude):
        msg = "missing option '--format'; or --quantize CODEC"
        raise click.UsageError(msg)
    packed = [name for name, entry in model.entries.items() if entry.is_packed and name not in model.no_numbers]
    if not packed:
        msg = f"{source} holds no packed tensor; use sparsefmt pack"
        raise FormatError(msg)
    with options.usage():
        chosen = Selection(include, exclude).chosen(packed)
    step: Step
    if as_it_is:
        step = Convert(Recipe("dense"))
    elif codec is None:
        step = Convert(Recipe(str(fmt), skip=skip, exact=True))
    elif fmt is None:
        step = Quantize(codec)
    else:
        step = Pack(Recipe(f"{fmt}/{codec}", skip=skip))
    with progress(model.nbytes, quiet=run.quiet) as advance:
        report = run_step(model, out, step, set() if as_it_is else chosen, run, advance)
    if as_json:
        say_json(report)
        return
    if run.quiet:
        return
    changed = [t for t in report.tensors if t.format != PLAIN] if as_it_is else report.changed
    before = sum(model.entries[t.name].nbytes for t in changed)
    after = sum(t.nbytes for t in changed)
    what = "/".join(part for part in (fmt, codec) if part) or "packed ones of the same codes"
    click.echo(f"converted {many(len(changed), 'tensor')} to {what}: {size(before)} -> {size(after)}; wrote {out}")
    options.say_left_out(report)
