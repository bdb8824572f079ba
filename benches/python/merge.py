"""Merging beside its bound: bytes read and written at the speed of a copy, and beside mergekit where it is installed.

`python benches/python/merge.py --mib 1024 --folder DIR` makes a base and three models of that size in bfloat16, four
shards each, warms the page cache, and prints a line per figure: the ratio to the bound in the same run, its bar and its
goal, and the peak of anonymous memory beside its bar. Then every method's CPU seconds beside those of TIES with the
trims of mergekit: wall times mean little on a machine that others use. `--mergekit` times mergekit's command on the
same recipes.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import ml_dtypes
import numpy as np
from records import write_named

import sparsefmt as sf
from sparsefmt.checkpoint.folder import write_index

Array = np.ndarray[Any, Any]
NAMES = ("base", "a", "b", "c")
COLS = 2048
FIGURES = (
    ("linear", {"merge_method": "linear"}, "mergekit", 1, 1.5, 1.15),
    ("task_arithmetic", {"merge_method": "task_arithmetic", "base_model": "base"}, "mergekit", 1, 1.5, 1.15),
    ("ties, whole model", {"merge_method": "ties", "base_model": "base"}, "paper", 2, 2.5, 1.5),
    ("dare_ties", {"merge_method": "dare_ties", "base_model": "base"}, "paper", 1, 3.0, 1.8),
)
OTHERS: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("ties", 3, {"density": 0.2}),
    ("linear", 3, {}),
    ("dare_ties", 3, {"density": 0.2}),
    ("breadcrumbs", 3, {"density": 0.2, "gamma": 0.01}),
    ("della", 3, {"density": 0.2, "epsilon": 0.15}),
    ("della_linear", 3, {"density": 0.2, "epsilon": 0.15}),
    ("slerp", 2, {"t": 0.5}),
    ("nuslerp", 2, {}),
    ("nuslerp", 2, {"nuslerp_flatten": False}),
    ("nuslerp", 2, {"nuslerp_flatten": False, "nuslerp_row_wise": True}),
    ("multislerp", 3, {}),
    ("karcher", 3, {}),
    ("model_stock", 3, {}),
    ("model_stock", 3, {"filter_wise": True}),
    ("sce", 3, {}),
    ("sce", 3, {"select_topk": 0.2}),
    ("nearswap", 1, {"t": 0.001}),
    ("ram", 3, {}),
    ("ramplus_tl", 3, {}),
    ("arcee_fusion", 1, {}),
    ("passthrough", 1, {}),
)
"""Methods, the number of models beside the base, and parameters."""
MEMORY_BAR = 64 << 20
CHUNK_BYTES = 16 * 65536 * 4


def small_names(layer: int) -> list[str]:
    """What mergekit wants of a model of this architecture beside the large weights."""
    inner = [f"self_attn.{x}_proj" for x in "qkvo"] + ["mlp.up_proj", "mlp.down_proj"]
    inner += ["input_layernorm", "post_attention_layernorm"]
    outer = ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"] if layer == 0 else []
    return [f"model.layers.{layer}.{x}.weight" for x in inner] + outer


def make(folder: Path, mib: int) -> None:
    """Four models in four shards each, of one random stretch that is shifted from row to row."""
    rows = mib * (1 << 20) // 2 // COLS // 4
    rng = np.random.default_rng(0)
    base = rng.standard_normal((rows, COLS), np.float32) * 0.02
    for at, name in enumerate(NAMES):
        (folder / name).mkdir(parents=True)
        weight_map = {}
        for shard in range(4):
            noise = np.roll(base, 17 * (at + 1) + shard, axis=1) * (0.01 * (at > 0))
            file = f"model-{shard + 1:05d}-of-00004.safetensors"
            large = (base + noise).astype(ml_dtypes.bfloat16)
            tensors = {f"model.layers.{shard}.mlp.gate_proj.weight": large}
            tensors |= {small: large[0, :8].copy() for small in small_names(shard)}
            sf.save(folder / name / file, tensors, metadata={"format": "pt"})
            weight_map |= dict.fromkeys(tensors, file)
        write_index(folder / name, weight_map, rows * COLS * 8)
        config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 4}
        (folder / name / "config.json").write_text(json.dumps(config))


def recipe(folder: Path, raw: dict[str, Any]) -> dict[str, Any]:
    """A recipe with the paths of the models."""
    models = [{"model": str(folder / m), "parameters": {"weight": 1.0, "density": 0.2}} for m in NAMES[1:]]
    found = {**raw, "models": models, "dtype": "float32", "out_dtype": "bfloat16"}
    if "base_model" in raw:
        found["base_model"] = str(folder / raw["base_model"])
    return found


def bound(folder: Path, models: int) -> float:
    """Seconds to read so many models and write one, at the speed of copying mapped bytes into fresh memory."""
    arrays = [np.asarray(v) for m in NAMES[:models] for v in sf.open_checkpoint(folder / m).values()]
    out = np.empty(max(a.size for a in arrays), arrays[0].dtype)
    start = time.perf_counter()
    for a in arrays:
        np.copyto(out[: a.size], a.reshape(-1))
    return time.perf_counter() - start


def timed(work: Callable[[], object], repeats: int) -> float:
    """The median of so many runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return median(times)


MEMORY = """
import json, sys, threading, time, sparsefmt as sf
from sparsefmt.merge.choices import PRESETS
peak, done = [0], threading.Event()
def anonymous():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("RssAnon")) * 1024
def watch():
    while not done.wait(0.005):
        peak[0] = max(peak[0], anonymous())
sf.set_num_threads(2)
before = anonymous()
thread = threading.Thread(target=watch)
thread.start()
sf.merge.run(json.loads(sys.argv[1]), sys.argv[2], choices=PRESETS[sys.argv[3]])
done.set()
thread.join()
print(max(peak[0] - before, 0))
"""


def others(folder: Path, out: Path) -> list[dict[str, Any]]:
    """Prints and returns CPU seconds of every method, for each model that it reads, beside those of TIES."""
    rows = []
    first = 0.0
    for name, count, parameters in OTHERS:
        base = "none" if name in ("linear", "slerp", "karcher", "passthrough") else str(folder / "base")
        found = {
            "merge_method": name,
            "models": [{"model": str(folder / m), "parameters": {"weight": 1.0}} for m in NAMES[1 : count + 1]],
            "parameters": parameters,
            "dtype": "float32",
            "out_dtype": "bfloat16",
        } | ({} if base == "none" else {"base_model": base})
        start, wall = time.process_time(), time.perf_counter()
        sf.merge.run(found, out)
        spent, wall = (time.process_time() - start) / (count + (base != "none")), time.perf_counter() - wall
        shutil.rmtree(out)
        first = first or spent
        text = " ".join(f"{k}={v}" for k, v in parameters.items())
        print(f"{name + ' ' + text:64} {spent:8.3f} CPU s a model  {spent / first:6.2f} x ties  {wall:8.3f} s in all")
        rows.append({"method": f"{name} {text}".strip(), "cpu_s_a_model": spent, "of_ties": spent / first, "s": wall})
    return rows


def memory(config: dict[str, Any], out: Path, like: str) -> int:
    """The most anonymous bytes that a merge adds to a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, json.dumps(config), str(out), like], check=True, capture_output=True, text=True
    )
    shutil.rmtree(out)
    return int(done.stdout.split()[-1])


def mergekit(folder: Path, config: dict[str, Any], out: Path) -> float | None:
    """Seconds of mergekit's command on the CPU; None where it is not installed."""
    if shutil.which("mergekit-yaml") is None:
        return None
    path = folder / "peer.yml"
    path.write_text(json.dumps(config))
    start = time.perf_counter()
    subprocess.run(["mergekit-yaml", str(path), str(out), "--random-seed", "1"], check=True, capture_output=True)
    shutil.rmtree(out)
    return time.perf_counter() - start


def main() -> int:
    """Prints the figures; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mib", type=int, default=1024, help="of each model")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--mergekit", action="store_true")
    parser.add_argument("--record", action="store_true", help="write benches/record/<machine>/<date>-merge.json")
    parser.add_argument("--methods-only", action="store_true", help="only the CPU seconds of every method")
    parser.add_argument("--figures-only", action="store_true", help="without the CPU seconds of every method")
    options = parser.parse_args()
    sf.set_num_threads(2)
    if not (options.folder / "base").exists():
        make(options.folder, options.mib)
    figures: list[dict[str, Any]] = []
    out = options.folder / "out"
    methods = [] if options.figures_only else others(options.folder, out)
    if options.methods_only:
        return 0
    for name, raw, like, passes, bar, goal in FIGURES:
        config = recipe(options.folder, raw)
        choices = sf.merge.choices.PRESETS[like]

        def work(config: dict[str, Any] = config, choices: Any = choices) -> None:  # noqa: ANN401
            sf.merge.run(config, out, choices=choices)
            shutil.rmtree(out)

        limit = median(bound(options.folder, 4 if "base_model" in raw else 3) for _ in range(options.repeats))
        seconds = timed(work, options.repeats)
        share = seconds / limit / passes
        print(f"{name:20} {seconds:8.3f} s  {share:6.2f} x the bound of {passes}  bar {bar}  goal {goal}")
        held = memory(config, out, like)
        most = MEMORY_BAR + 2 * 3 * CHUNK_BYTES
        print(f"{'':20} {held / 2**20:8.1f} MiB anonymous at most  bar {most / 2**20:.0f}")
        peer = mergekit(options.folder, config, out) if options.mergekit else None
        if peer is not None:
            print(f"{'':20} {peer / seconds:8.1f} x as fast as mergekit  bar 8  goal 20")
        row = {"what": name, "seconds": seconds, "of_bound": share, "passes": passes, "bar": bar, "goal": goal}
        more = {"anonymous": held, "anonymous_bar": most, "times_mergekit": peer and peer / seconds}
        figures.append(row | more)
    if options.record:
        write_named("merge", mib=options.mib, results=figures, methods=methods)
    return int(any(f["of_bound"] > f["bar"] for f in figures))


if __name__ == "__main__":
    sys.exit(main())
