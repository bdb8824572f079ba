"""What pruning and quantising with data leave of a sentence encoder, and how long it takes.

all-MiniLM-L6-v2, all 36 weights of its linear layers. EX: mean cosine of the embeddings of the thirty sentences of
docs/choosing.md to those of the dense model, the worst, and how many keep their nearest neighbour; EV: the mean cosine
of 120 other sentences. Calibration text: news of the Lee corpus, which the PyPI package gensim carries; EV is taken
from its last documents, which calibration never sees. Errors do not depend on the load of the machine; times do.

    python benches/python/prune.py --case 'nm2:4 31k' --record
    python benches/python/prune.py --all --record
"""

import argparse
import fnmatch
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import sparsefmt as sf
from sparsefmt.models import Bert
from sparsefmt.models.texts import calibration, pieces
from sparsefmt.plan import allocate, format_table, measure
from sparsefmt.prune import in_order, run

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples"))
from machine import describe  # noqa: E402
from minilm import neighbours, topics  # noqa: E402
from minilm_model import download  # noqa: E402

MEMBER = "gensim/test/test_data/lee_background.cor"
HELD_OUT = 40  # documents at the end of the corpus
FEW, MANY = 6_000, 31_000


class Case(NamedTuple):
    """A way to make a model small."""

    name: str
    pattern: str
    tokens: int
    options: dict[str, Any]
    bar: float | None = None


def case(name: str, pattern: str, tokens: int = MANY, bar: float | None = None, **options: Any) -> Case:  # noqa: ANN401
    """A case; options as of `sparsefmt.prune.run`."""
    return Case(name, pattern, tokens, options, bar)


FREER = ("nm2:4", "nm4:8", "nm8:16", "bitmask")  # bitmask: any half of the matrix
ONCE = {"target": "weights", "refit": False}
CASES = [
    *(case(f"{p} magnitude", p, FEW, method="magnitude", **ONCE) for p in FREER),
    *(case(f"{p} wanda", p, FEW, method="wanda", **ONCE) for p in FREER),
    *(case(f"{p} sparsegpt", p, FEW, method="sparsegpt", **ONCE) for p in FREER),
    case("nm2:4 6k", "nm2:4", FEW, 0.895),
    *(case(f"{p} 6k", p, FEW) for p in (*FREER[1:], "bsr16x16")),
    *(case(f"nm2:4/{c} 6k", f"nm2:4/{c}", FEW) for c in ("int8:g128", "int4:g128", "kmeans16")),
    case("nm2:4 sparsegpt 31k", "nm2:4", method="sparsegpt"),
    case("nm2:4 31k", "nm2:4", bar=0.93),
    case("nm4:8 31k", "nm4:8", bar=0.945),
    case("nm8:16 31k", "nm8:16"),
    case("bitmask 31k", "bitmask"),
    case("bsr16x16 31k", "bsr16x16"),
    case("nm2:4/int8 31k", "nm2:4/int8:g128"),
    case("nm2:4/int4 31k", "nm2:4/int4:g128", bar=0.915),
    case("nm2:4/kmeans16 31k", "nm2:4/kmeans16"),
    case("dense/int4 31k", "dense/int4:g128", bar=0.98),
    case("dense/int3 31k", "dense/int3:g128", bar=0.95),
    case("dense/kmeans16 31k", "dense/kmeans16"),
]
PLANS = {"planned N:8": ("", None, None), "planned N:8/int4": ("/int4:g128", 2.92, 0.945)}
"""Codec, bits per weight (None: half of the values), and the bar."""


class Bench:
    """The model, the texts, and the dense embeddings."""

    def __init__(self, cache: Path, short: bool) -> None:
        from tokenizers import Tokenizer

        files = download(cache)
        if files is None:
            sys.exit("no package registry: the model cannot be had")
        self.weights: dict[str, Any] = dict(sf.load(files.weights))
        self.bert = Bert.from_weights(self.weights)
        tokenizer = Tokenizer.from_file(str(files.tokenizer))
        tokenizer.no_padding()
        self.ids = lambda text: tokenizer.encode(text).ids
        documents = news(cache).splitlines()
        self.texts = pieces("\n\n".join(documents[:-HELD_OUT]))
        other = [t for t in pieces("\n\n".join(documents[-HELD_OUT:])) if t not in set(self.texts)]
        self.ex = [self.ids(text) for topic in topics() for text in topic]
        self.ev = [self.ids(text) for text in other[:: max(len(other) // 120, 1)][:120]]
        self.names = self.bert.linear_names()[: 4 if short else None]
        self.dense = [self.bert.encode(tokens, self.weights) for tokens in (self.ex, self.ev)]

    def tokens(self, count: int) -> list[list[int]]:
        """Calibration texts."""
        return calibration(self.texts, self.ids, count)

    def figures(self, weights: Mapping[str, Any]) -> dict[str, Any]:
        """How near the embeddings are."""
        ex, ev = (self.bert.encode(tokens, weights) for tokens in (self.ex, self.ev))
        cosine = (ex * self.dense[0]).sum(axis=1)
        return {
            "ex": round(float(cosine.mean()), 4),
            "ex_worst": round(float(cosine.min()), 4),
            "neighbours": int((neighbours(ex) == neighbours(self.dense[0])).sum()),
            "ev": round(float((ev * self.dense[1]).sum(axis=1).mean()), 4),
        }

    def pruned(self, pattern: Any, tokens: int, **options: Any) -> tuple[dict[str, Any], float, float]:  # noqa: ANN401
        """Weights, seconds, and bits per weight of a float16 model."""
        texts, start = self.tokens(tokens), time.perf_counter()
        made = run(self.weights, self.names, in_order(self.bert.steps(texts)), pattern, **options)
        seconds = time.perf_counter() - start
        by_name = pattern if isinstance(pattern, Mapping) else dict.fromkeys(self.names, pattern)
        sizes = format_table(
            {n: self.weights[f"{n}.weight"].astype(np.float16) for n in self.names}, sorted(set(by_name.values()))
        )
        nbytes = sum(sizes[n][by_name[n]] for n in self.names)
        return made.weights, seconds, 8 * nbytes / sum(self.weights[f"{n}.weight"].size for n in self.names)

    def plan(self, codec: str, bits: float | None, tokens: int) -> dict[str, str]:
        """A measured plan: the loss of the embeddings of calibration texts with one layer at a time pruned."""
        texts = self.tokens(tokens)
        probe = texts[:96]
        want = self.bert.encode(probe, self.weights)
        walk = in_order(self.bert.steps(texts))
        stats = {}
        for name in self.names:
            site = walk(self.weights, name)
            m = stats[name] = sf.prune.Moments(site.inputs[0].shape[-1])
            for x in site.inputs:
                m.update(x)
        patterns = [f"nm{n}:8" for n in range(1, 9)]

        def loss(name: str, pattern: str) -> float:
            bias = self.weights[f"{name}.bias"]
            done = sf.prune.compensated(self.weights[f"{name}.weight"], pattern, stats[name], method="wanda", bias=bias)
            changed = {**self.weights, f"{name}.weight": done.weight, f"{name}.bias": done.bias}
            return 1 - float((self.bert.encode(probe, changed) * want).sum(axis=1).mean())

        table = measure(loss, self.names, patterns)
        weights = {n: self.weights[f"{n}.weight"].astype(np.float16) for n in self.names}
        if bits is None:
            kept = {n: {p: w.size // 8 * int(p[2]) for p in patterns} for n, w in weights.items()}
            made = allocate(table, kept, density=0.5)
        else:
            stored = format_table(weights, [p + codec for p in patterns])
            sizes = {n: {p: stored[n][p + codec] for p in patterns} for n in self.names}
            made = allocate(table, sizes, budget=bits / 8 * sum(w.size for w in weights.values()))
        print(f"plan: gap {made.gap}, {json.dumps(made.choice)}", flush=True)
        return {name: pattern + codec for name, pattern in made.choice.items()}


def news(cache: Path) -> str:
    """The Lee corpus, from the cache or from the PyPI package gensim."""
    path = cache / "lee_background.txt"
    if not path.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "gensim"]
        if subprocess.run([*command, "--dest", str(cache)], check=False).returncode:
            sys.exit("no package registry: the calibration text cannot be had")
        wheel = next(cache.glob("gensim-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            path.write_bytes(archive.read(MEMBER))
        wheel.unlink()
    return path.read_text()


def main() -> int:
    """Runs the cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache")
    parser.add_argument("--case", action="append", default=[], help="glob; may be repeated")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--short", action="store_true", help="four layers, few tokens: does it run?")
    parser.add_argument("--table", type=Path, metavar="RECORD", help="print the rows of a record as Markdown, and stop")
    parser.add_argument("--record", action="store_true", help="add to benches/record/<machine>/<date>-prune.json")
    args = parser.parse_args()
    if args.table:
        print(table(json.loads(args.table.read_text())["rows"]))
        return 0
    names = [c.name for c in CASES] + list(PLANS)
    chosen = [n for n in names if args.all or any(fnmatch.fnmatchcase(n, glob) for glob in args.case)]
    if args.list or not chosen:
        print("\n".join(names))
        return 0 if args.list else 2
    bench = Bench(args.cache, args.short)
    rows: dict[str, Any] = {}
    for name in chosen:
        known = {c.name: c for c in CASES}
        if name in PLANS:
            codec, bits, bar = PLANS[name]
            pattern: Any = bench.plan(codec, bits, 1_000 if args.short else MANY)
            tokens, options = MANY, {}
        else:
            _, pattern, tokens, options, bar = known[name]
        weights, seconds, bits = bench.pruned(pattern, 1_000 if args.short else tokens, **options)
        row = rows[name] = {
            "bits": round(bits, 3),
            "tokens": tokens,
            **bench.figures(weights),
            "seconds": round(seconds),
        }
        met = "" if bar is None or args.short else f"  bar {bar}: {'met' if row['ex'] >= bar else 'MISSED'}"
        print(f"{name:24}", json.dumps(row) + met, flush=True)
        if args.record and not args.short:
            save(rows)
    return 0


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Rows of a record as Markdown, in the order of the cases."""
    lines = [
        "| case | bits per weight | tokens | EX mean | worst | neighbours | EV mean |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name in (*(c.name for c in CASES), *PLANS):
        if row := rows.get(name):
            figures = f"{row['ex']:.3f} | {row['ex_worst']:.3f} | {row['neighbours']} of 30 | {row['ev']:.3f}"
            lines.append(f"| {name} | {row['bits']:.3f} | {row['tokens']:,} | {figures} |")
    return "\n".join(lines)


def save(rows: dict[str, Any]) -> None:
    """Adds rows to the record of today."""
    about = describe()
    path = ROOT / "benches" / "record" / about["machine"]["name"] / f"{date.today().isoformat()}-prune.json"
    held = json.loads(path.read_text()) if path.exists() else {**about, "rows": {}}
    held["rows"] |= rows
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(held, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
