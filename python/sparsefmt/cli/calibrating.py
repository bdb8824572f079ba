"""Texts, tokens and models for the commands that calibrate."""

import codecs
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from sparsefmt.base.errors import FormatError
from sparsefmt.checkpoint.model import Checkpoint, open_checkpoint
from sparsefmt.cli import options
from sparsefmt.models.registry import Runnable, open_model
from sparsefmt.models.texts import calibration, pieces
from sparsefmt.tensor.sparse import SparseTensor

TOKENS = 31_000
_LONGEST = 64 << 20  # bytes of text: millions of tokens, and some seven times as much memory


class Prepared(NamedTuple):
    """A model, how it runs, and what it is calibrated with."""

    checkpoint: Checkpoint
    weights: dict[str, Any]
    model: Runnable
    tokens: list[list[int]]
    digest: str
    """Of the tokens."""


def prepared(
    source: Path, text: Path | None, tokenizer: Path | None, count: int, words: int, file: str | None = None
) -> Prepared:
    """Opens a model and makes its calibration tokens.

    Raises:
        FormatError: the model cannot be run here, or the text is empty or none.
        UsageError: the package tokenizers is missing, or no tokenizer was found.
    """
    checkpoint = open_checkpoint(source, file=file)
    weights = {name: checkpoint[name] for name in checkpoint}
    plain = {name: w.to_dense() if isinstance(w, SparseTensor) else w for name, w in weights.items()}
    model = open_model(plain, checkpoint.config)
    ids = encoder(tokenizer or beside(source))
    tokens = calibration(pieces(prose(text), words), ids, count, longest=getattr(model, "longest", None))
    digest = hashlib.sha256(repr(tokens).encode()).hexdigest()
    return Prepared(checkpoint, plain, model, tokens, digest)


def beside(source: Path) -> Path:
    """tokenizer.json in the folder of the model, or <name>-tokenizer.json beside its file."""
    folder = source if source.is_dir() else source.parent
    for path in (folder / "tokenizer.json", folder / f"{source.stem}-tokenizer.json"):
        if path.is_file():
            return path
    msg = f"no tokenizer.json beside {source}; name it with --tokenizer"
    raise click.UsageError(msg)


def encoder(path: Path) -> Callable[[str], Sequence[int]]:
    """Text -> token ids."""
    try:
        from tokenizers import Tokenizer  # an extra, and only for these commands
    except ImportError as e:
        msg = "the package tokenizers is missing: pip install tokenizers (it is in the extra 'examples')"
        raise click.UsageError(msg) from e
    if not path.is_file():
        raise FileNotFoundError(2, "no such file", str(path))
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as e:  # the package raises nothing narrower
        msg = f"{path}: no tokenizer: {e}"
        raise FormatError(msg) from e
    tokenizer.no_padding()

    def encode(text: str) -> Sequence[int]:
        ids: Sequence[int] = tokenizer.encode(text).ids
        return ids

    return encode


def prose(text: Path | None) -> str:
    """The calibration text: a file, or the help topics that every CPython carries.

    Raises:
        FormatError: the file is no text in UTF-8, or larger than any calibration needs.
    """
    if text is not None:
        return _decoded(text)
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


def _decoded(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_LONGEST + 1)
    if len(data) > _LONGEST:
        msg = f"{path}: more than {_LONGEST >> 20} MiB; a part is enough: head -c 8M {path} > part.txt"
        raise FormatError(msg)
    at = data.find(0)
    try:
        made = codecs.getincrementaldecoder("utf-8-sig")().decode(data)  # the last letter may be cut
    except UnicodeDecodeError as e:
        at = e.start if at < 0 else min(at, e.start)
    if at >= 0:
        way = "as text in UTF-8 (iconv -f LATIN1 -t UTF-8, or the encoding that it has)"
        msg = f"{path}: byte {at} is 0x{data[at]:02x}, which no text in UTF-8 has there; bring it {way}"
        raise FormatError(msg)
    return made


text_option = click.option(
    "--text",
    type=options.LocalPath(exists=True, dir_okay=False),
    help="Calibration text, prose like what the model will read; default: Python's help topics.",
)
tokens_option = click.option(
    "--tokens", type=click.IntRange(1), default=TOKENS, show_default=True, help="How many tokens of it."
)
words_option = click.option(
    "--words", type=click.IntRange(4), default=14, show_default=True, help="Longest piece of text, in words."
)
tokenizer_option = click.option(
    "--tokenizer", type=options.LocalPath(), help="tokenizer.json; default: the one beside the model."
)
method_option = click.option(
    "--method",
    type=click.Choice(("admm", "sparsegpt", "wanda", "magnitude")),
    default="admm",
    show_default=True,
    help="How masks are chosen.",
)
