"""Deltas of checkpoints take the memory of a few pieces, whatever the size of tensors and of the delta."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf

CHUNK = 8 << 20
BAR = (64 << 20) + 3 * CHUNK
SCRIPT = """
import json, sys, threading, time
import sparsefmt as sf
peak, done = [0], threading.Event()
def anonymous():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) * 1024
def watch():
    while not done.wait(0.02):
        peak[0] = max(peak[0], anonymous())
sf.set_num_threads(1)
old, new, folder, level = sys.argv[1:]
sf.cpu_features()
before, found = anonymous(), {}
thread = threading.Thread(target=watch, daemon=True)  # an error ends the script
thread.start()
def step(name, work):
    peak[0] = 0
    made = work()
    found[name] = max(peak[0], anonymous()) - before
    return made
d = step("diff", lambda: sf.delta.diff(old, new, level=level))
step("stats", d.stats)
step("save", lambda: sf.delta.save(folder + "/d.safetensors", d))
del d
e = step("load", lambda: sf.delta.load(folder + "/d.safetensors"))
step("apply", lambda: e.apply(old, out=folder + "/made"))
back = step("invert", e.invert)
step("compose", lambda: back.compose(e))
alone = sf.delta.diff(folder + "/old-alone", folder + "/new-alone")
step("in place", lambda: alone.apply(folder + "/old-alone", in_place=True, durable=False))
done.set()
thread.join()
print(json.dumps(found))
"""


def versions(folder: Path, one_in: int, mib: int, dtype: str) -> tuple[Path, Path]:
    """Two versions of a checkpoint: one tensor of so many MiB, one that comes, and one that goes."""
    width = np.dtype(dtype).itemsize
    old = np.zeros((mib, (1 << 20) // width), dtype)
    new = old.copy()
    new.reshape(-1)[::one_in] = np.arange(-(-new.size // one_in)) % 250 + 1
    more = np.ones((mib // 2, 1 << 18), np.float32)
    both = {"old": {"w": old, "gone": more}, "new": {"w": new, "here": more}}
    alone = {"old-alone": {"w": old}, "new-alone": {"w": new}}  # what changes in place keeps its tensors
    for name, held in (both | alone).items():
        (folder / name).mkdir()
        sf.save(folder / name / "model.safetensors", held)
    return folder / "old", folder / "new"


@pytest.mark.slow
@pytest.mark.parametrize(("level", "one_in", "dtype"), [("store", 64, "uint16"), ("wire", 16, "uint16")])
def test_a_delta_of_checkpoints_takes_little_memory(level: str, one_in: int, dtype: str, tmp_path: Path) -> None:
    old, new = versions(tmp_path, one_in, 112, dtype)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(old), str(new), str(tmp_path), level],
        check=False, capture_output=True, text=True, env={"PATH": "", "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert {k: v for k, v in found.items() if v > BAR} == {}
