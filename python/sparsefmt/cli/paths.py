"""IN and OUT: what is refused before any work."""

import os
from pathlib import Path

import click


def check_out(source: Path, out: Path, suffixes: tuple[str, ...], *, force: bool) -> None:
    """Refuses an OUT that cannot or should not be written, before any work.

    Raises:
        UsageError: OUT is IN, or inside it or around it; it exists; it is no fit for IN.
        FileNotFoundError: IN, or the folder of OUT, does not exist.
    """
    source.stat()
    if out.exists() and out.samefile(source):
        msg = f"IN and OUT are the same, {source}; write to another path, then move it"
        raise click.UsageError(msg)
    folder = source.is_dir()
    if folder:
        a, b = source.resolve(), out.resolve()
        if a in b.parents or b in a.parents:
            msg = f"OUT {out} is inside IN {source}, or around it; write to another folder"
            raise click.UsageError(msg)
        if out.exists() and not out.is_dir():
            msg = f"IN is a folder, so OUT must be one, but {out} is a file"
            raise click.UsageError(msg)
    elif not out.name.endswith(suffixes) or out.is_dir():
        msg = f"OUT {out}: want a file that ends in {' or '.join(suffixes)}"
        raise click.UsageError(msg)
    if out.exists() and not force:
        msg = f"OUT {out} exists; --force replaces it"
        raise click.UsageError(msg)
    if folder and out.exists() and any(out.iterdir()) and not any(out.glob("*.safetensors")):
        msg = f"OUT {out} is a folder without safetensors files; it is not replaced, even with --force"
        raise click.UsageError(msg)
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(2, os.strerror(2), str(out.absolute().parent))


def check_new(out: Path, sources: tuple[Path, ...], *, force: bool) -> None:
    """Refuses an OUT that is one of the inputs, or inside or around one, or exists.

    Raises:
        UsageError: it is, and --force is not given.
        FileNotFoundError: an input, or the folder of OUT, does not exist.
    """
    for source in sources:
        source.stat()
        a, b = source.resolve(), out.resolve()
        if a == b or (source.is_dir() and a in b.parents) or b in a.parents:
            msg = f"OUT {out} is {source}, inside it or around it; write to another path"
            raise click.UsageError(msg)
    if out.exists() and not force:
        msg = f"OUT {out} exists; --force replaces it"
        raise click.UsageError(msg)
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(2, os.strerror(2), str(out.absolute().parent))
