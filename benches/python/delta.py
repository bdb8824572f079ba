"""What deltas cost: bytes per changed weight beside XOR and zstd, and times beside copies of the same bytes.

The data is made here: float32 masters with the shapes of a sentence encoder, Adam steps with seeded gradients, both
versions rounded to bfloat16. Sizes are exact on any machine; times are ratios within one run. `--pair` compares the two
versions of the PyPI package chgnet instead, one fine-tuned from the other (needs torch to open them).
"""

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import ml_dtypes
import numpy as np
from records import write_named

import sparsefmt as sf
from sparsefmt.delta.units import compressed

Array = np.ndarray[Any, Any]
Model = dict[str, Array]
RATES = (1e-6, 5e-6, 2e-5)  # of Adam: 1.5, 5.5 and 16 % of the weights change
WIRE = (1.40, 1.15, 1.00)  # bytes per changed weight at most
ARCHIVE = 1.06  # of the bound at most
BESIDE_XOR = 0.6  # of the bytes of XOR and zstd at 1.5 %
TIMES = {"diff": 1.3, "apply to a new file": 1.5, "apply in place": 0.3, "switch": 0.1}
LINE = 64  # bytes that a core fetches at once


@dataclass
class Row:
    """A figure beside its bar."""

    what: str
    got: float
    bar: float

    @property
    def met(self) -> bool:
        """Whether it is within the bar."""
        return self.got <= self.bar


def masters(layers: int, width: int) -> Model:
    """Float32 weights, seeded."""
    rng = np.random.default_rng(0)
    shapes = [(width, width)] * 4 + [(4 * width, width), (width, 4 * width)]
    return {
        f"layer.{i}.{k}": rng.standard_normal(shape, np.float32) * np.float32(0.05)
        for i in range(layers)
        for k, shape in enumerate(shapes)
    }


def updated(model: Model, rate: float) -> Model:
    """One Adam step: of a gradient that is new every step, about rate times a clipped normal number."""
    rng = np.random.default_rng(1)
    steps = {n: np.clip(rng.standard_normal(w.shape, np.float32), -1.5, 1.5) for n, w in model.items()}
    return {n: w - np.float32(rate) * steps[n] for n, w in model.items()}


def rounded(model: Model) -> Model:
    """In bfloat16."""
    return {n: w.astype(ml_dtypes.bfloat16) for n, w in model.items()}


def file_size(folder: Path, delta: sf.delta.Delta) -> int:
    """Bytes of the file."""
    sf.delta.save(folder / "d.safetensors", delta)
    return (folder / "d.safetensors").stat().st_size


def xored(old: Model, new: Model) -> int:
    """Bytes of XOR and zstd level 1, tensor by tensor."""
    return sum(
        len(compressed((a.view(np.uint8) ^ new[n].view(np.uint8)).tobytes(), 1)) for n, a in old.items() if a.size
    )


def sizes(old: Model, news: list[Model]) -> list[Row]:
    """Bytes per changed weight in every level."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for i, new in enumerate(news):
            delta = sf.delta.diff(old, new)
            stats = delta.stats()
            found = {level: file_size(folder, sf.delta.diff(old, new, level=level)) for level in ("store", "wire")}
            found["archive"] = file_size(folder, sf.delta.diff(old, new, level="archive"))
            beside = xored(old, new)
            at = f"at {stats.density:.1%}"
            each = {k: f"{v / stats.changed:.3f}" for k, v in {**found, "XOR": beside, "bound": stats.bound}.items()}
            print(f"{at}: bytes per changed weight {each}")
            if i < len(WIRE):
                rows.append(Row(f"wire, bytes per changed weight {at}", found["wire"] / stats.changed, WIRE[i]))
            rows.append(Row(f"archive, of the bound {at}", found["archive"] / stats.bound, ARCHIVE))
            if i == 0:
                rows.append(Row(f"wire, of XOR and zstd {at}", found["wire"] / beside, BESIDE_XOR))
    return rows


def seconds(run: Callable[[], object], rounds: int, before: Callable[[], object] = lambda: None) -> float:
    """The median time."""
    found = []
    for _ in range(rounds):
        before()
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return median(found)


def times(old: Model, new: Model, few: Model, rounds: int) -> list[Row]:
    """Ratios to a copy of the same bytes; `few` differs at one weight in a hundred."""
    nbytes = sum(a.nbytes for a in old.values())
    warm = {n: np.empty_like(a) for n, a in old.items()}
    copy = seconds(lambda: [np.copyto(warm[n], a) for n, a in old.items()], rounds)
    delta = sf.delta.diff(old, new)
    rows = [Row("diff, of two copies", seconds(lambda: sf.delta.diff(old, new), rounds) / (2 * copy), TIMES["diff"])]

    def again() -> None:
        for n, a in old.items():
            np.copyto(warm[n], a)

    for verify in ("moved", "whole"):
        found = seconds(lambda v=verify: delta.apply(warm, in_place=True, verify=v), rounds, again)
        rows.append(Row(f"apply to arrays in place, {verify}, of a copy", found / copy, TIMES["apply in place"]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base, mine, out = (folder / f"{k}.safetensors" for k in ("base", "mine", "out"))
        sf.save(base, old)

        def copied(durable: bool) -> None:
            shutil.copyfile(base, mine)
            if durable:
                with open(mine, "rb") as file:
                    os.fsync(file.fileno())

        copies = {durable: seconds(lambda d=durable: copied(d), rounds) for durable in (True, False)}
        files = sf.delta.diff(base, base)
        assert files.stats().changed == 0
        apply = seconds(lambda: delta.apply(base, out=out), rounds)
        rows.append(Row("apply to a new file, of a copy", apply / copies[True], TIMES["apply to a new file"]))
        for verify, durable in (("moved", False), ("whole", False), ("moved", True), ("whole", True)):
            found = seconds(
                lambda v=verify, d=durable: delta.apply(mine, in_place=True, verify=v, durable=d),
                rounds,
                lambda: copied(True),
            )
            what = f"apply to a file in place, {verify}, {'to the disk' if durable else 'in the page cache'}, of a copy"
            rows.append(Row(what, found / copies[durable], TIMES["apply in place"]))
        store = sf.TaskStore(base)
        store.add("a", few)
        store.precompute(["a"])
        switch = seconds(lambda: store.activate("a"), rounds, store.deactivate)
        rows.append(Row("switch of a task at 1 %, of a copy", switch / copy, TIMES["switch"]))
        roomy = sf.TaskStore(base, max_bytes=4 * nbytes)
        roomy.precompute(["a"], whole=True)
        merged = seconds(lambda: roomy.activate("a"), rounds, roomy.deactivate)
        rows.append(Row("switch to a merged task at 1 %, of a copy", merged / copy, TIMES["switch"]))
        lines = [
            np.unique(np.flatnonzero(as_words(a) != as_words(few[n])) * a.itemsize // LINE) for n, a in old.items()
        ]
        share = LINE * sum(map(len, lines)) / nbytes
        print(f"a task at 1 % lies in {share:.0%} of the cache lines: a switch in place reads and writes these")
    print(
        f"{nbytes:,} bytes; a copy takes {copy * 1e3:.1f} ms, of the file {copies[False] * 1e3:.1f} ms, "
        f"to the disk {copies[True] * 1e3:.1f} ms"
    )
    return rows


def as_words(a: Array) -> Array:
    """The bits of the items, flat."""
    return a.reshape(-1).view(f"u{a.itemsize}")


def one_in(model: Model, every: int) -> Model:
    """The model with one weight in so many, by chance, one step further."""
    rng, made = np.random.default_rng(2), {}
    for name, a in model.items():
        bits = as_words(a).copy()
        bits[rng.random(bits.size, np.float32) < 1 / every] ^= 1
        made[name] = bits.view(a.dtype).reshape(a.shape)
    return made


def pair(cache: Path) -> tuple[Model, Model]:
    """The two versions of chgnet."""
    import torch

    cache.mkdir(parents=True, exist_ok=True)
    if not list(cache.glob("chgnet-*.whl")):
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(cache), "chgnet"], check=True
        )
    found = []
    with zipfile.ZipFile(next(cache.glob("chgnet-*.whl"))) as archive:
        for name in sorted(n for n in archive.namelist() if n.endswith((".pth.tar", ".pth"))):
            state = torch.load(io.BytesIO(archive.read(name)), map_location="cpu", weights_only=False)
            state = state.get("model", state).get("state_dict", state)
            found.append({k: v.numpy() for k, v in state.items() if hasattr(v, "numpy")})
    old, new = found[:2]
    both = sorted(set(old) & set(new))
    return {k: old[k] for k in both}, {k: new[k] for k in both}


def main() -> int:
    """Prints the figures; gives 1 if a bar is missed and --strict is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes: the script runs, times mean nothing")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--timed-layers", type=int, default=24, help="of width --timed-width: 24 x 1024 are 604 MB")
    parser.add_argument("--timed-width", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes-only", action="store_true")
    parser.add_argument("--pair", type=Path, metavar="CACHE", help="also the pair of chgnet, downloaded to CACHE")
    parser.add_argument("--json", type=Path, help="write the rows there")
    parser.add_argument("--record", action="store_true", help="write benches/record/<machine>/<date>-delta.json")
    parser.add_argument("--strict", action="store_true")
    args = parser.parse_args()
    layers, width = (2, 96) if args.quick else (args.layers, args.width)
    model = masters(layers, width)
    rows = sizes(rounded(model), [rounded(updated(model, rate)) for rate in RATES])
    if not args.sizes_only:
        layers, width = (2, 96) if args.quick else (args.timed_layers, args.timed_width)
        model = masters(layers, width)
        old = rounded(model)
        rows += times(old, rounded(updated(model, RATES[0])), one_in(old, 100), 1 if args.quick else args.rounds)
    real: dict[str, Any] = {}
    if args.pair:
        old, new = pair(args.pair)
        changed = sf.delta.diff(old, new).stats()
        beside = xored(old, new)
        print(f"chgnet: {changed.changed:,} of {changed.values:,} values changed; XOR and zstd {beside:,} bytes")
        real = {"chgnet": {"changed": changed.changed, "values": changed.values, "xor_zstd": beside}}
        with tempfile.TemporaryDirectory() as name:
            for level in ("store", "wire", "archive"):
                real["chgnet"][level] = file_size(Path(name), sf.delta.diff(old, new, level=level))
                print(f"  {level}: {real['chgnet'][level]:,} bytes")
    for row in rows:
        print(f"{'met ' if row.met else 'MISS'}  {row.what}: {row.got:.3f}, bar {row.bar:g}")
    found = [{**asdict(r), "met": r.met} for r in rows]
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    if args.record:
        write_named("delta", results=found, **real)
    return int(args.strict and not all(row.met for row in rows))


if __name__ == "__main__":
    sys.exit(main())
