"""Calls with less and less memory: `python -m faults.memory STEPS FOLDER`. Prints what ended otherwise than it should.

Each call runs in a fork whose memory (RLIMIT_AS) is limited to what the program has and a share of what the call needs:
it must give its result, or MemoryError or SizeError; never a signal, never a torn file.
"""

import ctypes
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import sparsefmt as sf
from property.peak_memory import status

PATIENCE = 120.0
RESULT, MEMORY, OTHER = 0, 3, 4
SHAPE = (768, 1024)


def calls(folder: Path) -> dict[str, Callable[[], Any]]:
    """What is called, by name; the arguments exist before."""
    w = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    w[:, 2::4] = w[:, 3::4] = 0
    x = np.ones((SHAPE[1], 8), np.float32)
    csr, nm, bits = (sf.encode(w, fmt) for fmt in ("csr", "nm2:4", "bitmask"))
    dense = np.ascontiguousarray(w + 1)
    old, new = {"w": w}, {"w": np.where(w > 2, w * 1.5, w).astype(np.float32)}
    path, torn = folder / "w.safetensors", folder / "c.safetensors"
    sf.save(path, {"w": csr, "d": w})
    delta = sf.delta.diff(old, new)
    sf.save(folder / "base.safetensors", old)
    store = sf.TaskStore(folder / "base.safetensors")
    store.add("one", new)

    return {
        **{f"encode {f}": (lambda f=f: sf.encode(w, f)) for f in ("csr", "csc", "coo", "bitmask", "nm2:4", "bsr4x4")},
        **{
            f"encode {f}": (lambda f=f: sf.encode(w, f)) for f in ("gap", "csr/int4:g64", "csr/kmeans16", "nm2:4@radix")
        },
        **{f"convert {f}": (lambda f=f: csr.convert(f)) for f in ("csc", "bsr4x4", "bitmask", "nm2:4", "coo", "gap")},
        "to_dense": lambda: [t.to_dense() for t in (csr, nm, bits)],
        "product": lambda: [t @ x for t in (csr, nm, bits)],
        "quantize": lambda: sf.quantize(csr, "int8:row"),
        "cluster": lambda: sf.cluster(csr, 16),
        "magnitude": lambda: sf.prune.magnitude(dense, 0.5),
        "nm": lambda: sf.prune.nm(dense, 2, 4),
        "transposable": lambda: sf.prune.transposable(dense[:64], 2, 4),
        "compare": lambda: sf.compare(csr, w),
        "load": lambda: sf.load(path, mmap=False),
        "map": lambda: sf.load(path),
        "sparsegpt": lambda: sf.prune.sparsegpt(dense[:256, :256], "2:4", x[:256] @ x[:256].T + np.eye(256)),
        "tasks": lambda: [store.activate("one"), store.deactivate()],
        "save": lambda: sf.save(torn, {"w": csr, "d": dense}),
        "diff": lambda: sf.delta.diff(old, new),
        "apply": lambda: delta.apply(old),
        "ties": lambda: sf.merge.ties([old, new], base={"w": dense}, density=0.5),
    }


def limited(call: Callable[[], Any], room: int | None, told: int) -> None:
    """Calls within so many bytes more than there are now; None: as many as it wants, and says how many those are."""
    sf.set_cache_bytes(0)  # or what was freed before serves the call
    ctypes.CDLL(None).malloc_trim(0)
    before = status("VmSize")
    try:
        if room is None:
            sf.set_num_threads(1)  # threads are started where there is room for many
        else:
            resource.setrlimit(resource.RLIMIT_AS, (before + room, resource.RLIM_INFINITY))
        call()
    except (MemoryError, sf.SizeError):
        os._exit(MEMORY)
    except BaseException:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        traceback.print_exc()
        os._exit(OTHER)
    if room is None:
        os.write(told, str(status("VmPeak") - before).encode())
    os._exit(RESULT)


def outcome(call: Callable[[], Any], room: int | None = None) -> tuple[str, int]:
    """How a call ended, and what it told."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        limited(call, room, write)
    os.close(write)
    start = time.monotonic()
    while not (done := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() - start > PATIENCE:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(read)
            return "hung", 0
        time.sleep(0.001)
    told = os.read(read, 100)
    os.close(read)
    code = os.waitstatus_to_exitcode(done[1])
    how = {RESULT: "result", MEMORY: "memory", OTHER: "another error"}.get(code, f"exit {code}")
    return how, int(told or 0)


def whole(path: Path) -> bool:
    """Whether a file that stands there can be read."""
    if path.exists():
        with sf.open_checkpoint(path) as model:
            _ = [np.asarray(v.to_dense() if isinstance(v, sf.SparseTensor) else v) for v in model.values()]
    return True


def run(steps: int, folder: Path) -> tuple[dict[str, int], list[str]]:
    """How often each end was met, and what was none of those that should be."""
    ends, wrong = dict[str, int](), list[str]()
    folder.mkdir(parents=True)
    for name, call in calls(folder).items():
        how, need = outcome(call)
        if how != "result":
            wrong.append(f"{name}: {how} without a limit")
            continue
        for step in range(steps + 1):
            room = need * (steps - step) // steps
            how, _ = outcome(call, room)
            ends[how] = ends.get(how, 0) + 1
            whole(folder / "c.safetensors")
            if how not in ("result", "memory"):
                wrong.append(f"{name}: {how} with {room:,} of {need:,} bytes")
    return ends, wrong


if __name__ == "__main__":
    met, bad = run(int(sys.argv[1]), Path(sys.argv[2]))
    print(met, f"{len(bad)} wrong")
    print("\n".join(bad))
    sys.exit(bool(bad))
