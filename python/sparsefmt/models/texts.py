"""Calibration text: prose cut into short pieces, and pieces into tokens."""

import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from sparsefmt.base.errors import FormatError

_LEAST = 4


def pieces(text: str, words: int = 14) -> list[str]:
    """Sentences, longer ones cut into equal parts of at most so many words.

    Left out are those of fewer than four words, and what came before.

    >>> pieces("It rained all night long. Yes. The river rose above the bridge and took it along.", 6)
    ['It rained all night long.', 'The river rose above the', 'bridge and took it along.']
    """
    if words < _LEAST:
        msg = f"words = {words}; want at least {_LEAST}"
        raise FormatError(msg)
    made: dict[str, None] = {}
    for line in re.split(r"\n\s*\n", text):
        for sentence in re.split(r"(?<=[.?!])\s+", line):
            held = sentence.split()
            parts = -(-len(held) // words)
            for i in range(parts):
                some = held[len(held) * i // parts : len(held) * (i + 1) // parts]
                if len(some) >= _LEAST:
                    made[" ".join(some)] = None
    return list(made)


def calibration(
    texts: Sequence[str],
    encode: Callable[[str], Sequence[int]],
    tokens: int,
    *,
    avoid: Iterable[str] = (),
    longest: int | None = None,
) -> list[list[int]]:
    """Token ids of texts in an order drawn from counters, until there are as many tokens as wanted.

    Args:
        texts: to draw from.
        encode: gives the token ids of a text.
        tokens: how many are wanted; where the texts have fewer, all are taken.
        avoid: texts that may not be among them, such as those of an evaluation.
        longest: the most tokens that the model takes; texts of more, or of none, are left out.

    Raises:
        FormatError: no text is left.
    """
    barred = set(avoid)
    order = np.random.Generator(np.random.Philox(0)).permutation(len(texts))
    made: list[list[int]] = []
    count = over = 0
    for i in order:
        if texts[i] in barred:
            continue
        ids = list(encode(texts[i]))
        if longest is not None and not 0 < len(ids) <= longest:
            over += len(ids) > longest
            continue
        made.append(ids)
        count += len(ids)
        if count >= tokens:
            break
    if not made:
        why = f"; {over} have more than the {longest} tokens that the model takes" if over else ""
        msg = f"no text to calibrate with: of {len(texts)} texts none is left{why}; bring a file of sentences"
        raise FormatError(msg)
    return made
