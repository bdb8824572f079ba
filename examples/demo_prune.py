"""The last part of `make demo`: pruning by magnitude beside pruning with data, at equal bytes.

2:4 on all linear weights of all-MiniLM-L6-v2. The calibration text is Python's own help topics, 2,000 tokens of them:
enough to see what compensation is worth, in under two minutes. docs/pruning.md has what more text brings.
"""

import sys
import time
import warnings
from pathlib import Path

import numpy as np
from minilm import topics

import sparsefmt as sf
from sparsefmt.models import Bert
from sparsefmt.models.texts import calibration, pieces
from sparsefmt.prune import CalibrationWarning, in_order, run

TOKENS = 2_000


def compare(model: Path, tokenizer: Path) -> str:
    """Prunes the model in both ways; gives what to say."""
    from pydoc_data.topics import topics as help_topics

    from tokenizers import Tokenizer

    weights = dict(sf.load(model))
    bert = Bert.from_weights(weights)
    made = Tokenizer.from_file(str(tokenizer))
    made.no_padding()
    prose = "\n\n".join(help_topics[name] for name in sorted(help_topics))
    texts = calibration(pieces(prose), lambda text: made.encode(text).ids, TOKENS)
    sentences = [made.encode(text).ids for topic in topics() for text in topic]
    dense = bert.encode(sentences, weights)
    names = bert.linear_names()
    blind = {**weights, **{f"{n}.weight": sf.prune.nm(weights[f"{n}.weight"], 2, 4) for n in names}}
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CalibrationWarning)  # few tokens, and said so
        fitted = run(weights, names, in_order(bert.steps(texts)), "nm2:4", method="wanda", target="weights").weights
    seconds = time.perf_counter() - start
    cosines = [float((bert.encode(sentences, w) * dense).sum(axis=1).mean()) for w in (blind, fitted)]
    nbytes = sum(sf.encode(np.asarray(fitted[f"{n}.weight"]), "nm2:4").nbytes for n in names)
    return (
        f"pruning to 2:4, {nbytes:,} bytes either way: mean cosine of 30 embeddings to the dense model's "
        f"{cosines[0]:.3f} by magnitude, {cosines[1]:.3f} fitted to {TOKENS:,} tokens of text ({seconds:.0f} s); "
        "see docs/pruning.md"
    )


def show(cache: Path) -> None:
    """Prints the comparison, or why there is none."""
    from minilm_model import download

    files = download(cache)
    try:
        import tokenizers  # noqa: F401
    except ImportError:
        files = None
        print("pruning with data is left out: pip install tokenizers", file=sys.stderr)
    if files is not None:
        print(compare(files.weights, files.tokenizer))


if __name__ == "__main__":
    show(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(".cache"))
