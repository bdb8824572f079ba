"""IN and OUT: what is refused before any work."""

import os
from pathlib import Path

import click

from sparsefmt.checkpoint.folder import immovable
from sparsefmt.checkpoint.places import overlap
from sparsefmt.checkpoint.readers import hierarchical
from sparsefmt.checkpoint.remote import remote
from sparsefmt.io.paths import check_parent, naming_file, real
from sparsefmt.io.temporary import Temporary


def check_out(source: Path, out: Path, suffixes: tuple[str, ...], *, force: bool, sharded: bool = False) -> None:
    """Refuses an OUT that cannot or should not be written, before any work; `sharded`: it becomes a folder of shards.

    Raises:
        UsageError: OUT is IN, or inside it or around it; it exists; it is no fit for IN.
        FileNotFoundError: IN, or the folder of OUT, does not exist.
    """
    source.stat()
    if sharded and out.suffix in suffixes:
        msg = f"OUT {out}: --max-shard-bytes writes a folder of shards; leave out {out.suffix}"
        raise click.UsageError(msg)
    if remote(source) is not None or remote(out) is not None:
        check_far(source, out, suffixes, force=force, sharded=sharded)
        return
    if out.exists() and out.samefile(source):
        msg = f"IN and OUT are the same, {source}; write to another path, then move it"
        raise click.UsageError(msg)
    of_shards = source.is_dir() and not hierarchical.sniff(source)  # Zarr: a folder that is read as one file
    folder = of_shards or sharded
    if source.is_dir() or sharded:
        a, b = real(source), real(out)
        if a in b.parents or b in a.parents:
            msg = f"OUT {out} is inside IN {source}, or around it; write to another folder"
            raise click.UsageError(msg)
    if folder:
        if out.exists() and not out.is_dir():
            why = "IN is a folder" if of_shards else "--max-shard-bytes writes a folder"
            msg = f"{why}, so OUT must be one, but {out} is a file"
            raise click.UsageError(msg)
    elif not out.name.endswith(suffixes) or out.is_dir():
        msg = f"OUT {out}: want a file that ends in {' or '.join(suffixes)}"
        raise click.UsageError(msg)
    if out.exists() and not force:
        msg = f"OUT {out} exists; --force replaces it"
        raise click.UsageError(msg)
    if (reason := immovable(out)) is not None:
        msg = f"OUT {reason}"
        raise click.UsageError(msg)
    if folder and out.exists() and any(out.iterdir()) and not any(out.glob("*.safetensors")):
        msg = f"OUT {out} is a folder without safetensors files; it is not replaced, even with --force"
        raise click.UsageError(msg)
    check_parent(out)


def check_far(source: Path, out: Path, suffixes: tuple[str, ...], *, force: bool, sharded: bool) -> None:
    """The same where one of the two is behind a URL."""
    folder = source.is_dir() or sharded
    if str(source) == str(out) or (remote(source) and f"{out}/".startswith(f"{source}/")):
        msg = f"OUT {out} is IN {source}, or inside it; write to another path"
        raise click.UsageError(msg)
    allowed = suffixes if remote(out) is None else (".safetensors",)
    if not folder and not out.name.endswith(allowed):
        msg = f"OUT {out}: want a file that ends in {' or '.join(allowed)}"
        raise click.UsageError(msg)
    if out.exists() and not force:
        msg = f"OUT {out} exists; --force replaces it"
        raise click.UsageError(msg)


def check_new(out: Path, sources: tuple[Path, ...], *, force: bool) -> None:
    """Refuses an OUT that is one of the inputs, or inside or around one, or exists.

    Raises:
        UsageError: it is, and --force is not given.
        FileNotFoundError: an input, or the folder of OUT, does not exist.
    """
    for source in sources:
        source.stat()
        if overlap(source, out):
            msg = f"OUT {out} is {source}, inside it or around it; write to another path"
            raise click.UsageError(msg)
    if out.exists() and not force:
        msg = f"OUT {out} exists; --force replaces it"
        raise click.UsageError(msg)
    if (reason := immovable(out)) is not None:
        msg = f"OUT {reason}"
        raise click.UsageError(msg)
    check_parent(out)


def check_writable(out: Path, nbytes: int = 1) -> None:
    """Refuses an OUT on a disk that takes no file, or none of so many bytes, before minutes of work.

    Raises:
        OSError: it takes none; the error names OUT.
    """
    if remote(out) is not None:
        return
    with naming_file(out):
        temporary = Temporary(out.absolute().parent)
        try:
            with open(temporary.number, "wb") as file:
                file.write(bytes(nbytes))
        finally:
            temporary.discard()


def check_beside(path: Path, others: tuple[Path, ...], option: str) -> None:
    """Refuses to write a file beside the result that would replace something the command reads, or the result.

    Raises:
        UsageError: it is one of `others`, or lies in one, under its own name or where links lead.
        OSError: its folder does not exist, or a folder has its name.
    """
    for other in others:
        names = {other.absolute(), real(other)}
        for where in (Path(os.path.abspath(path)), real(path)):
            if names & {where, *where.parents}:
                msg = f"{option} {path} is {other}, or lies in it; write to another file"
                raise click.UsageError(msg)
    if path.is_dir():
        raise IsADirectoryError(21, os.strerror(21), str(path))
    check_parent(path)
