"""Whole checkpoints beside their bound: the input read and the output written by two threads, in the same run.

    python benches/python/checkpoint.py --gb 4 --folder DIR --record

makes a bfloat16 model in eight shards in DIR, warms the page cache, and prints a line per path: wall and CPU seconds,
the bound, the ratio, its bar and its goal. `--quick` is a smoke test. The peer is a loop over safetensors and NumPy, as
one writes it by hand.
"""

import argparse
import functools
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import ml_dtypes
import numpy as np
from records import write_named
from safetensors.numpy import load_file, save_file

import sparsefmt as sf
from sparsefmt.checkpoint import pack, unpack
from sparsefmt.checkpoint.folder import write_index
from sparsefmt.checkpoint.verification import verify

SHARDS, COLS, THREADS, PIECE = 8, 4096, 2, 8 << 20


@dataclass(frozen=True)
class Line:
    """A figure: seconds of wall and CPU, the bound in seconds of wall, and what the ratio may be."""

    name: str
    wall: float
    cpu: float
    bound: float | None
    bar: float | None
    goal: float | None

    @property
    def ratio(self) -> float | None:
        """Wall seconds over the bound."""
        return None if self.bound is None else self.wall / self.bound

    @property
    def missed(self) -> bool:
        """Whether it is beyond its bar."""
        return self.ratio is not None and self.bar is not None and self.ratio > self.bar

    def text(self) -> str:
        """For the table."""
        cells = [f"{self.name:<44}", f"{self.wall:8.3f} s", f"{self.cpu:8.3f} s cpu"]
        if self.ratio is not None:
            cells.append(f"bound {self.bound:8.3f} s  x {self.ratio:5.2f}")
        if self.bar is not None:
            cells.append(f"bar {self.bar:g}, goal {self.goal:g}{'  MISSED' if self.missed else ''}")
        return "  ".join(cells)


def make(folder: Path, nbytes: int) -> None:
    """A model in eight shards of random weights; a stretch is shifted from tensor to tensor."""
    folder.mkdir(parents=True)
    rows = max(min(nbytes // SHARDS // (2 * COLS), 4096), 8)
    per_shard = max(nbytes // SHARDS // (2 * COLS * rows), 1)
    base = np.random.default_rng(0).standard_normal((rows, COLS), np.float32) * 0.02
    weight_map: dict[str, str] = {}
    for shard in range(SHARDS):
        file = f"model-{shard + 1:05d}-of-{SHARDS:05d}.safetensors"
        made = {
            f"layers.{shard}.{i}.weight": np.roll(base, shard * per_shard + i, 1).astype(ml_dtypes.bfloat16)
            for i in range(per_shard)
        }
        sf.save(folder / file, made, {"format": "pt"})
        weight_map |= dict.fromkeys(made, file)
    write_index(folder, weight_map, SHARDS * per_shard * rows * COLS * 2)


def many(folder: Path, shards: int, tensors: int) -> None:
    """A folder with many names."""
    folder.mkdir()
    weight_map = {}
    for s in range(shards):
        file = f"model-{s + 1:05d}-of-{shards:05d}.safetensors"
        names = [f"model.layers.{s}.experts.{i}.weight" for i in range(tensors // shards)]
        header = {
            n: {"dtype": "U8", "shape": [4, 4], "data_offsets": [16 * i, 16 * i + 16]} for i, n in enumerate(names)
        }
        text = json.dumps(header).encode()
        (folder / file).write_bytes(len(text).to_bytes(8, "little") + text + bytes(16 * len(names)))
        weight_map |= dict.fromkeys(names, file)
    write_index(folder, weight_map, 16 * tensors)


def files(folder: Path) -> list[Path]:
    """The shards."""
    return sorted(folder.glob("*.safetensors")) if folder.is_dir() else [folder]


def copied(job: tuple[Sequence[Path], Path, int]) -> None:
    """Reads files, and writes so many bytes to another one that reaches the disk."""
    sources, target, left = job
    buffer = bytearray(PIECE)
    for source in sources:
        with source.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    if left:
        with target.open("wb", buffering=0) as file:
            while left:
                left -= file.write(memoryview(buffer)[: min(left, PIECE)])
            os.fsync(file.fileno())


def bound(sources: Sequence[Path], written: int, folder: Path, threads: int = THREADS) -> float:
    """Wall seconds of reading these files and writing so many bytes, by threads."""
    room = folder / "bound"
    room.mkdir()
    jobs = [(sources[i::threads], room / str(i), written // threads) for i in range(threads)]
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(copied, jobs))
    seconds = time.perf_counter() - start
    shutil.rmtree(room)
    return seconds


def timed(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Medians of wall and CPU seconds; those of child processes count."""
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), sum(os.times()[:4])
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(sum(os.times()[:4]) - cpu)
    return median(walls), median(cpus)


def by_hand_pack(source: Path, out: Path) -> None:
    """2:4 with NumPy and the package safetensors: the values and a byte of positions per group, file by file."""
    out.mkdir()
    for path in files(source):
        made: dict[str, Any] = {}
        for name, w in load_file(path).items():
            groups = w.view(np.uint16).reshape(-1, 4)
            order = np.argsort(groups & 0x7FFF, axis=1)[:, 2:]
            order.sort(axis=1)
            made[f"{name}.values"] = np.take_along_axis(groups, order, 1)
            made[f"{name}.positions"] = (order[:, 0] | order[:, 1] << 2).astype(np.uint8)
        save_file(made, out / path.name)


def by_hand_unpack(source: Path, out: Path) -> None:
    """The way back."""
    out.mkdir()
    for path in files(source):
        held, made = load_file(path), {}
        for key, values in held.items():
            name, _, kind = key.rpartition(".")
            if kind != "values":
                continue
            positions = held[f"{name}.positions"]
            w = np.zeros((len(values), 4), np.uint16)
            np.put_along_axis(w, np.stack([positions & 3, positions >> 2], 1).astype(np.int64), values, 1)
            made[name] = w.reshape(-1, COLS)
        save_file(made, out / path.name)


def compared(original: Path, packed: Path) -> None:
    """Verifies; every tensor must be exact."""
    with sf.open_checkpoint(original) as a, sf.open_checkpoint(packed) as b:
        assert {row.status for row in verify(a, b)} == {"exact"}


def measured(folder: Path, repeats: int, tensors: int) -> list[Line]:
    """All figures."""
    model = folder / "model"
    lines: list[Line] = []

    def add(name: str, work: Callable[[Path], object], source: Path, bar: float | None, goal: float | None) -> Path:
        out = folder / name.replace(" ", "-").replace("/", "-").replace(":", "-")

        def fresh() -> None:
            shutil.rmtree(out, ignore_errors=True)
            work(out)

        fresh()
        wall, cpu = timed(fresh, repeats)
        written = sum(p.stat().st_size for p in files(out))
        limit = median(bound(files(source), written, folder) for _ in range(repeats))
        lines.append(Line(name, wall, cpu, limit, bar, goal))
        print(lines[-1].text(), flush=True)
        return out

    sf.set_num_threads(THREADS)
    for fmt in ("nm2:4", "nm2:4/int4:g128"):
        step = pack(fmt, prune=True)
        packed = add(f"pack {fmt} --prune", lambda out, s=step: sf.transform(model, out, s), model, 1.6, 1.2)
        back = add(f"unpack {fmt}", lambda out, p=packed: sf.transform(p, out, unpack()), packed, 1.6, 1.2)
        if fmt == "nm2:4":
            wall, cpu = timed(functools.partial(compared, back, packed), repeats)
            limit = median(bound([*files(packed), *files(back)], 0, folder) for _ in range(repeats))
            lines.append(Line("verify exact, against reading both", wall, cpu, limit, 1.3, 1.1))
            print(lines[-1].text(), flush=True)
            first = lines[0].wall
            with ProcessPoolExecutor(THREADS, mp_context=get_context("spawn")) as pool:
                list(pool.map(abs, range(2 * THREADS)))
                sf.transform(model, folder / "warm", step, executor=pool)
                add("2 workers", lambda out, p=pool, s=step: sf.transform(model, out, s, executor=p), model, None, None)
            lines[-1] = Line("2 workers, against 1 with 2 threads", lines[-1].wall, lines[-1].cpu, first, 1 / 0.9, 1.0)
            print(lines[-1].text(), flush=True)
    hand = add("by hand: safetensors and NumPy, pack 2:4", lambda out: by_hand_pack(model, out), model, None, None)
    add("by hand: unpack 2:4", lambda out: by_hand_unpack(hand, out), hand, None, None)
    if importlib.util.find_spec("compressed_tensors") is None:
        print("compressed-tensors is not installed: not compared")
    many(folder / "many", 200, tensors)

    def listed() -> None:
        with sf.open_checkpoint(folder / "many") as c:
            assert len(list(c)) == tensors

    listed()
    wall, cpu = timed(listed, repeats)
    lines.append(Line(f"open 200 shards, {tensors:,} tensors; bars are seconds", wall, cpu, 1.0, 2.0, 0.5))
    print(lines[-1].text(), flush=True)
    return lines


def main() -> int:
    """Prints the figures; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--gb", type=float, default=4.0, help="of the model")
    parser.add_argument(
        "--folder", type=Path, help="an empty folder with room for six times the model; default: temporary"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a smoke test: a small model, once")
    parser.add_argument("--record", action="store_true", help="write benches/record/<machine>/<date>-checkpoint.json")
    options = parser.parse_args()
    nbytes = 8 << 20 if options.quick else int(options.gb * 1e9)
    repeats = 1 if options.quick else options.repeats
    room = Path(tempfile.mkdtemp(dir=options.folder, prefix="checkpoints-"))
    try:
        make(room / "model", nbytes)
        lines = measured(room, repeats, 2_000 if options.quick else 100_000)
    finally:
        shutil.rmtree(room)
    missed = sum(line.missed for line in lines)
    print(f"{len(lines)} figures, {missed} bars missed")
    if options.record and not options.quick:
        write_named("checkpoint", bytes=nbytes, results=[{**asdict(line), "ratio": line.ratio} for line in lines])
    return 0 if options.quick else int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
