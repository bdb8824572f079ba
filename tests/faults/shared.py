"""Eight threads that use the same tensors: `python -m faults.shared SECONDS`, with or without the interpreter's lock.

Every result is compared, bit for bit, with that of one thread.
"""

import random
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import sparsefmt as sf

THREADS = 8
FORMATS = ("csr", "csc", "coo", "bitmask", "nm2:4", "nm2:4@radix", "bsr4x4", "gap", "csr/int8:row", "nm2:4/int4:g32")


def bits(value: Any) -> Any:  # noqa: ANN401
    """What must be equal: arrays by their bytes, tensors by those of what they decode to."""
    if isinstance(value, dict):
        return {name: bits(v) for name, v in value.items()}
    if isinstance(value, sf.SparseTensor):
        return value.format, value.to_dense().tobytes()
    return np.asarray(value).tobytes()


def uses(folder: Path) -> list[Callable[[int], Any]]:
    """What is done again and again; the argument is the number of the thread, for files of its own."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal((128, 512)).astype(np.float32)
    w[:, 2::4] = w[:, 3::4] = 0
    x = rng.standard_normal((512, 5)).astype(np.float32)
    tensors = {fmt: sf.encode(w, fmt) for fmt in FORMATS}
    other = {"w": np.where(w > 1, w * 1.25, w).astype(np.float32)}
    delta = sf.delta.diff({"w": w}, other)
    common = folder / "common.safetensors"
    sf.save(common, {"w": tensors["csr"], "n": tensors["nm2:4"], "d": w})

    def saved(thread: int) -> Any:  # noqa: ANN401
        path = folder / f"{thread}.safetensors"
        sf.save(path, {"w": tensors["csr/int8:row"], "d": w})
        return dict(sf.load(path))

    def read(_: int) -> Any:  # noqa: ANN401
        with sf.open_checkpoint(common) as model:
            return {name: model[name] for name in model}

    models, base = [{"w": w * 2}, other], {"w": w}
    tensors |= {"dense/kmeans16": sf.encode(w, "dense/kmeans16")}

    def moved(thread: int) -> Any:  # noqa: ANN401
        out = folder / f"{thread}.packed.safetensors"
        sf.transform(common, out, sf.checkpoint.convert("bitmask"), overwrite=True)
        return dict(sf.load(out))

    def patched(_: int) -> Any:  # noqa: ANN401
        own = {"w": w.copy()}
        delta.apply(own, in_place=True)
        return own

    found: list[Callable[[int], Any]] = [
        *(saved, read, moved, patched),
        lambda _: delta.apply({"w": w}),
        lambda _: sf.delta.diff(base, other).apply(base),
        lambda _: sf.merge.ties(models, base=base, density=0.5),
        lambda _: sf.merge.dare_ties(models, base=base, density=0.5, seed=3),
        lambda _: sf.merge.della(models, base=base, density=0.5, seed=3),
        lambda _: sf.merge.breadcrumbs(models, base=base, density=0.5),
        lambda _: sf.merge.sce(models, base=base),
        lambda _: sf.merge.linear(models, weights=[0.25, 0.75]),
        lambda _: sf.merge.slerp(models, t=0.25),
        lambda _: sf.prune.magnitude(w, 0.3),
        lambda _: sf.prune.nm(w),
        lambda _: sf.prune.block(w, (4, 4), 0.5),
        lambda _: sf.encode(w, "dense/kmeans16"),
        lambda _: sf.dequantize(tensors["csr/int8:row"]),
        lambda _: repr(sf.compare(tensors["nm2:4/int4:g32"], w)),
    ]
    found += [lambda _, fmt=fmt: sf.encode(w, fmt) for fmt in FORMATS]
    found += [lambda _, t=t: t.to_dense() for t in tensors.values()]
    found += [lambda _, t=t: t @ x for t in tensors.values()]
    found += [lambda _, t=t: t.nnz for t in tensors.values()]
    found += [lambda _, fmt=fmt: tensors["csr"].convert(fmt) for fmt in FORMATS[:8]]
    return found


def run(seconds: float) -> tuple[int, list[str]]:
    """How often something was done, and what went wrong."""
    with tempfile.TemporaryDirectory() as name:
        all_uses = uses(Path(name))
        # Products of floats may go by BLAS or by kernels, which add in another order, as the number of threads decides.
        want: list[set[Any]] = [set() for _ in all_uses]
        for threads in range(1, 5):
            sf.set_num_threads(threads)
            for found, use in zip(want, all_uses, strict=True):
                found.add(repr(bits(use(0))))
        wrong, counts, end = list[str](), [0] * THREADS, time.monotonic() + seconds
        gate = threading.Barrier(THREADS)

        def work(thread: int) -> None:
            chance = random.Random(thread)
            gate.wait()
            while time.monotonic() < end and not wrong:
                at = chance.randrange(len(all_uses))
                try:
                    if repr(bits(all_uses[at](thread))) not in want[at]:
                        wrong.append(f"use {at}: another result")
                except Exception as e:
                    wrong.append(f"use {at}: {type(e).__name__}: {e}")
                if thread == 0 and chance.random() < 0.1:
                    sf.set_num_threads(chance.randint(1, 4))
                counts[thread] += 1

        threads = [threading.Thread(target=work, args=(i,)) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return sum(counts), wrong


if __name__ == "__main__":
    free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    done, bad = run(float(sys.argv[1]))
    print(f"{done} calls on {THREADS} threads, {'no lock' if free else 'with the lock'}, {len(bad)} wrong")
    print("\n".join(bad[:10]))
    if free and sys._is_gil_enabled():  # type: ignore[attr-defined]
        sys.exit("a module brought the lock back")
    sys.exit(bool(bad))
