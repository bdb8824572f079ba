"""`sparsefmt prune`."""

import contextlib
import fnmatch
import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

import sparsefmt as sf
from sparsefmt.base.words import many
from sparsefmt.checkpoint.entry import Value
from sparsefmt.checkpoint.folder import followed
from sparsefmt.checkpoint.parts import Parts
from sparsefmt.cli import calibrating, options
from sparsefmt.cli.paths import check_out, check_writable
from sparsefmt.cli.progress import progress, size
from sparsefmt.plan import Plan, format_bytes
from sparsefmt.prune.coded import packed_format
from sparsefmt.prune.estimate import estimate
from sparsefmt.prune.layerwise import Run as RunResult
from sparsefmt.prune.layerwise import in_order, run
from sparsefmt.prune.moments import CalibrationWarning
from sparsefmt.prune.patterns import pattern_of
from sparsefmt.prune.result import Compensated
from sparsefmt.prune.resume import Kept


@dataclass(frozen=True)
class Job:
    """What the command was asked for."""

    source: Path
    out: Path
    fmt: str | None
    plan: Path | None
    text: Path | None
    tokens: int = calibrating.TOKENS
    words: int = 14
    tokenizer: Path | None = None
    method: str = "admm"
    density: float | None = None
    rules: tuple[tuple[str, str], ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    dry_run: bool = False
    resume: bool = True
    force: bool = False
    quiet: bool = False
    threads: int | None = None
    as_json: bool = False
    file: str | None = None


@dataclass(frozen=True)
class Replaced:
    """A step that puts tensors that are at hand in the place of those of their names."""

    tensors: dict[str, Value]

    def __call__(self, name: str, value: Value) -> Mapping[str, Value]:
        """The new tensor."""
        return {name: self.tensors[name]}


def checked_pattern(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuses a pattern that does not parse."""
    if value is None:
        return None
    try:
        pattern_of(value)
        sf.encode(np.zeros((1, 1), np.float32), packed_format(value))
    except sf.SparsefmtError as e:
        raise click.BadParameter(str(e), ctx, param) from e
    return value


@click.command()
@options.path_argument("source", "MODEL")
@options.path_argument("out", "OUT")
@click.option(
    "--format",
    "fmt",
    callback=checked_pattern,
    help="Pattern and codec, such as nm2:4, nm4:8/int4:g128, dense/int4:g128, bsr16x16, t2:4.",
)
@click.option("--plan", type=options.LocalPath(exists=True, dir_okay=False), help="A format per layer.")
@calibrating.text_option
@calibrating.tokens_option
@calibrating.words_option
@calibrating.tokenizer_option
@calibrating.method_option
@click.option("--density", type=click.FloatRange(0, 1), help="For blocks and free patterns; default 0.5.")
@click.option(
    "--rule",
    "rules",
    multiple=True,
    callback=partial(options.checked_rules, check=checked_pattern),
    metavar="GLOB=FORMAT",
    help="Another format for layers whose name matches; may be repeated, the last one counts.",
)
@options.include_option
@options.exclude_option
@click.option("--dry-run", is_flag=True, help="Print layers, bytes, memory and time, and stop.")
@click.option("--resume/--no-resume", default=True, help="Go on with layers that an earlier run left behind.")
@options.file_option
@options.force_option
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("--threads", type=click.IntRange(1, 1024), help="Threads; default: all CPUs.")
@options.json_option
def prune(**given: Any) -> None:  # noqa: ANN401
    """Prunes and quantizes the linear layers of MODEL so that its outputs stay, and packs it as OUT.

    MODEL is a safetensors file or folder of a model that is run here: encoders of BERT's kind. Layer by
    layer, what stays is fitted to the outputs of the dense model on calibration text; biases are
    corrected. Memory: the model, the activations of one layer for all tokens, and its moments. A run
    that is cut goes on where it was.
    """
    prune_model(Job(**given))


def prune_model(job: Job) -> None:
    """What the command does.

    Raises:
        UsageError: neither a format nor a plan, or both.
        FormatError: the model cannot be run here.
        BusyError: another run writes OUT.
    """
    if (job.fmt is None) is (job.plan is None):
        msg = "want --format or --plan, one of them"
        raise click.UsageError(msg)
    check_out(job.source, job.out, (".safetensors",), force=job.force)
    if job.threads is not None:
        sf.set_num_threads(job.threads)
    if job.dry_run:
        prune_alone(job)
        return
    check_writable(job.out)
    with Parts(followed(job.out)).held(lend=True):  # from the first layer on
        prune_alone(job)


def prune_alone(job: Job) -> None:
    """The same where nobody else writes OUT."""
    ready = calibrating.prepared(job.source, job.text, job.tokenizer, job.tokens, job.words, job.file)
    formats = chosen_formats(ready.model.linear_names(), job)
    count = sum(map(len, ready.tokens))
    if job.dry_run:
        show_estimate(formats, ready.weights, count, job)
        return
    ended: list[str] = []
    with going_on(ended, len(formats), job):
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", CalibrationWarning)
            made = fitted(ready, formats, job, ended)
        packed = packed_layers(made, formats)
        report = sf.transform(
            ready.checkpoint, job.out, Replaced(packed), select=list(packed), overwrite=job.force, resume=False
        )
    layers_of(job.out, {}).clear()
    old = sum(ready.weights[f"{name}.weight"].nbytes for name in made.layers)
    new = sum(packed[f"{name}.weight"].nbytes for name in made.layers)
    errors = {name: done.output_error for name, done in made.layers.items()}
    if job.as_json:
        want = 4 * max(done.weight.shape[1] for done in made.layers.values())
        about = {"method": job.method, "tokens": count, "tokens_wanted": want, "output_error": errors}
        about |= {"dense_nbytes": old, "nbytes": new}
        click.echo(json.dumps({**report.to_json(), "prune": about}, indent=2))
        return
    if job.quiet:
        return
    click.echo(
        f"pruned {many(len(made.layers), 'layer')} with {many(count, 'token')} by {job.method}: "
        f"{size(old)} -> {size(new)}; wrote {job.out}"
    )
    click.echo(f"output error of layers: mean {np.mean([*errors.values()]):.4f}, largest {max(errors.values()):.4f}")
    for text in dict.fromkeys(str(w.message) for w in warned):
        click.echo(f"warning: {text}")
    options.say_left_out(report)


@contextlib.contextmanager
def going_on(ended: list[str], count: int, job: Job) -> Iterator[None]:
    """An interrupt, and a disk that is full or gone, say how many layers are done and will not be done again."""
    same = "the same command" if job.resume else "the same command without --no-resume"
    try:
        yield
    except KeyboardInterrupt:
        msg = f"{len(ended)} of {count} layers are done; {same} goes on from there"
        raise KeyboardInterrupt(msg) from None
    except OSError as e:
        if ended and e.strerror:
            e.strerror = f"{e.strerror}; {len(ended)} of {count} layers are done; {same} goes on from there"
        raise


def packed_layers(made: RunResult, formats: Mapping[str, str]) -> dict[str, Any]:
    """Weights as they are stored, and biases that were corrected."""
    packed: dict[str, Any] = {}
    for name, done in made.layers.items():
        weight = done.tensor if done.tensor is not None else sf.encode(done.weight, packed_format(formats[name]))
        packed[f"{name}.weight"] = weight
        if done.bias is not None:
            packed[f"{name}.bias"] = done.bias
    return packed


def layers_of(out: Path, job: dict[str, Any]) -> Kept:
    """Where layers that are done are kept until all are."""
    return Kept(out.with_name(out.name + ".layers"), job)


def fitted(ready: calibrating.Prepared, formats: dict[str, str], job: Job, ended: list[str]) -> RunResult:
    """Fits the layers, and goes on with those that an earlier run left behind; `ended` grows with those on the disk."""
    about = {"formats": formats, "method": job.method, "density": job.density}
    kept = layers_of(job.out, {**about, "texts": ready.digest, "model": fingerprint(ready)})
    before = kept.done(list(formats)) if job.resume else {}
    ended += before
    if before and not job.quiet and not job.as_json:
        click.echo(f"{len(before)} of {many(len(formats), 'layer')} were done before")
    with progress(sum(ready.weights[f"{name}.weight"].size for name in formats), quiet=job.quiet) as advance:

        def layer_done(name: str, done: Compensated) -> None:
            if name not in before:
                kept.keep(name, done)
                ended.append(name)
            advance(name, done.weight.size)

        return run(
            ready.weights,
            list(formats),
            in_order(ready.model.steps(ready.tokens)),
            formats,
            method=job.method,  # type: ignore[arg-type]
            density=job.density,
            done=before,
            progress=layer_done,
        )


def chosen_formats(names: list[str], job: Job) -> dict[str, str]:
    """Layer -> format, in the order in which layers run.

    Raises:
        FormatError: a plan that names other layers.
        UsageError: no layer is chosen, or a rule matches none.
    """
    plan, fmt = job.plan, job.fmt
    by_plan = Plan.load(plan).formats() if plan is not None else None
    if by_plan is not None:
        by_plan = {name.removesuffix(".weight"): f for name, f in by_plan.items()}
        odd = next((name for name in by_plan if name not in names), None)
        if odd is not None:
            msg = f"{plan} names {odd!r}, which is no linear layer of the model"
            raise sf.FormatError(msg)
    for option, globs in (("--include", job.include), ("--exclude", job.exclude)):
        check_globs(option, globs, names)
    ruled = {name: text for glob, text in job.rules for name in names if matches(name, (glob,))}
    check_globs("--rule", tuple(glob for glob, _ in job.rules), names)
    made: dict[str, str] = {}
    for name in names:
        one = ruled.get(name, fmt if by_plan is None else by_plan.get(name))
        if one is not None and (matches(name, job.include) or not job.include) and not matches(name, job.exclude):
            made[name] = one
    if not made:
        msg = f"no layer is chosen; the model has {', '.join(names[:3])} ..."
        raise click.UsageError(msg)
    if job.density is not None and all(":" in f.partition("/")[0] or f.startswith("dense") for f in made.values()):
        msg = "--density makes no sense here: the formats say what is kept; it is for blocks and free patterns"
        raise click.UsageError(msg)
    return made


def check_globs(option: str, globs: tuple[str, ...], names: list[str]) -> None:
    """Refuses a glob that matches no layer.

    Raises:
        UsageError: it does not.
    """
    idle = next((glob for glob in globs if not any(matches(name, (glob,)) for name in names)), None)
    if idle is not None:
        msg = f"{option} {idle!r} matches no layer; the model has {', '.join(names[:3])} ..."
        raise click.UsageError(msg)


def matches(name: str, globs: tuple[str, ...]) -> bool:
    """Whether a glob matches the name of a layer or of its weight."""
    return any(fnmatch.fnmatchcase(f"{name}{end}", glob) for end in ("", ".weight") for glob in globs)


def fingerprint(ready: calibrating.Prepared) -> str:
    """What tells one model from another: all its weights."""
    import hashlib

    digest = hashlib.sha256()
    for name in sorted(ready.weights):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(ready.weights[name]).view(np.uint8).data)
    return digest.hexdigest()


def show_estimate(formats: Mapping[str, str], weights: Mapping[str, Any], tokens: int, job: Job) -> None:
    """Prints what would be done."""
    density = 0.5 if job.density is None else job.density
    rows: dict[str, dict[str, Any]] = {}
    for name, fmt in formats.items():
        w = weights[f"{name}.weight"]
        nbytes = format_bytes(w.shape, w.dtype, fmt, density=density)
        rows[name] = {"shape": list(w.shape), "format": fmt, "dense": w.nbytes, "nbytes": nbytes}
    old, new = (sum(row[key] for row in rows.values()) for key in ("dense", "nbytes"))
    found = estimate([weights[f"{n}.weight"].shape for n in formats], tokens, method=job.method)
    want = 4 * max(weights[f"{n}.weight"].shape[1] for n in formats)
    if job.as_json:
        total = {"dense_nbytes": old, "nbytes": new, "seconds": found.seconds, "memory_nbytes": found.nbytes}
        about = {"method": job.method, "tokens": tokens, "tokens_wanted": want, **total}
        click.echo(json.dumps({"dry_run": True, "layers": rows, "prune": about}, indent=2))
        return
    for name, row in rows.items():
        rows_cols = "x".join(map(str, row["shape"]))
        click.echo(f"{name}  {rows_cols}  {row['format']}  {size(row['dense'])} -> {size(row['nbytes'])}")
    click.echo(f"{many(len(formats), 'layer')}, {many(tokens, 'token')}: {size(old)} -> {size(new)}")
    click.echo(f"about {found.seconds:.0f} s, {size(found.nbytes)} beside the model")
    if tokens < want:
        click.echo(f"{tokens} tokens are few for {want // 4} columns; want at least {want}")
