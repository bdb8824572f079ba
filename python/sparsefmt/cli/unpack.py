"""`sparsefmt unpack`."""

from pathlib import Path

import click

from sparsefmt.base.errors import FormatError
from sparsefmt.base.words import many
from sparsefmt.checkpoint.companions import quantised_by
from sparsefmt.checkpoint.findings import compared_lines
from sparsefmt.checkpoint.joined import OWN, only_config_is_quantised
from sparsefmt.checkpoint.model import Checkpoint, open_checkpoint
from sparsefmt.checkpoint.outputs import DENSE_SUFFIXES, write_arrays
from sparsefmt.checkpoint.select import Selection, nothing_selected
from sparsefmt.checkpoint.steps import Unpack
from sparsefmt.checkpoint.transform_report import TransformReport
from sparsefmt.cli import options
from sparsefmt.cli.packed import say_json
from sparsefmt.cli.paths import check_out
from sparsefmt.cli.progress import progress
from sparsefmt.cli.runs import run_step


@click.command()
@options.path_argument("source", "IN", remote=True)
@options.path_argument("out", "OUT", remote=True)
@options.include_option
@options.exclude_option
@options.run_options
@options.json_option
def unpack(
    source: Path, out: Path, include: tuple[str, ...], exclude: tuple[str, ...], run: options.Run, as_json: bool
) -> None:
    """Decodes the packed tensors of IN.

    OUT is .safetensors or .npz (all tensors), .npy (one tensor, dense) or .mtx (one matrix: coordinates
    if it is packed); a folder if IN is one. bfloat16 and float8 go to .safetensors only.
    """
    check_out(source, out, DENSE_SUFFIXES, force=run.force, sharded=run.max_shard_bytes is not None)
    model = open_checkpoint(source, file=run.file)
    with options.usage():
        chosen = Selection(include, exclude).chosen(model)
    behind = {} if include else {n: dtype for n, dtype in model.no_numbers.items() if n in chosen}
    chosen -= set(behind)
    if not chosen:
        raise nothing_selected(model.entries, "is chosen")
    packed = sum(model.entries[name].is_packed or bool(model.origin(name)) for name in chosen)
    if out.name.endswith(".safetensors") or model.is_folder or run.max_shard_bytes is not None:
        if not packed and not include and not exclude and not has_purpose(model):
            raise nothing_packed(model)
        with progress(sum(model.entries[n].nbytes for n in chosen), quiet=run.quiet) as advance:
            report = run_step(model, out, Unpack(), chosen, run, advance)
    else:
        write_arrays(out, model, [name for name in model if name in chosen])
        model.check()
        not_copied = tuple(f"{n} ({dtype}, for which {out.suffix} has no place)" for n, dtype in behind.items())
        not_copied += tuple(f"{other} (not read)" for other in model.others)
        report = TransformReport(out, compared_lines(model, frozenset(chosen)), 1, 0, model.left_out, not_copied)
    if as_json:
        say_json(report)
        return
    if run.quiet:
        return
    among = many(len(model.entries), "tensor")
    if packed:
        plain = len(chosen) - packed
        copied = f", copied {plain} that {'is' if plain == 1 else 'are'} not packed" if plain else ""
        click.echo(f"unpacked {packed} of {among}{copied}; wrote {out}")
    else:
        click.echo(f"copied {len(chosen)} of {among}, none of which is packed; wrote {out}")
    options.say_left_out(report)


def has_purpose(model: Checkpoint) -> bool:
    """Whether a copy of plain tensors differs from the input: in the kind of its file, or in its config.json."""
    return model.reader not in OWN or only_config_is_quantised(model)


def nothing_packed(model: Checkpoint) -> FormatError:
    """The error for a checkpoint with nothing to unpack."""
    by = quantised_by(model)
    hint = f"; its weights are quantised by {by}, which no reader here decodes" if by else ""
    return FormatError(f"{model.path} holds no packed tensor, so there is nothing to unpack{hint}")
