"""Forks and the end of the interpreter while kernels run; readers and writers of one path."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from property.peak_memory import environment
from sparsefmt.kernels.registry import NATIVE


def program(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"faults.{name}", *map(str, arguments)]
    env = environment() | {"OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=600, check=False)


# What the lock that a fork leaves behind belongs to (here: functools.lru_cache) is the interpreter's, not ours.
WITH_GIL = pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(),
    reason="CPython without the GIL may leave a lock of its own held in a fork of running threads",
)


@WITH_GIL
def test_forks_during_use() -> None:
    done = program("forks", 2)
    assert done.returncode == 0, done.stdout + done.stderr


@WITH_GIL
@pytest.mark.slow
def test_forks_during_use_for_long() -> None:
    done = program("forks", 100)
    assert done.returncode == 0, done.stdout + done.stderr


def first_calls(trials: int) -> None:
    for trial in range(trials):
        done = program("forks", 0.1)
        assert done.returncode == 0, f"{trial}: {done.stdout + done.stderr}"


@WITH_GIL
def test_forks_during_the_first_calls() -> None:
    """What is made when it is first asked for is made without a lock, or when the package is loaded."""
    first_calls(5)


@WITH_GIL
@pytest.mark.slow
def test_forks_during_the_first_calls_often() -> None:
    first_calls(200)


@pytest.mark.skipif(not NATIVE, reason="the definitions have no threads")
def test_forks_of_forks() -> None:
    """70 generations; the last few work alone."""
    code = (
        "import os, warnings, faults.forks as f, sparsefmt as sf\n"
        "warnings.simplefilter('ignore', DeprecationWarning)\n"  # Python 3.12: fork of a process with threads
        "w = f.weights()\n"
        "sf.set_num_threads(3)\n"
        "for generation in range(70):\n"
        "    f.work(w, 'csr')\n"
        "    assert sf.get_num_threads() == (3 if generation < 64 else 1)\n"
        "    child = os.fork()\n"
        "    if child:\n"
        "        os._exit(os.waitpid(child, 0)[1] != 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=False)
    assert (done.returncode, done.stderr) == (0, "")


def ended(trials: int) -> None:
    for seed in range(trials):
        done = program("shutdown", seed)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), seed


def test_the_interpreter_ends_during_use() -> None:
    """Before 3.14 it ends threads by unwinding them, which frames of Rust do not survive: they stay in the kernel."""
    ended(3)


@pytest.mark.slow
def test_the_interpreter_ends_during_use_often() -> None:
    ended(100)


def replaced(folder: Path, times: int) -> tuple[int, int]:
    """Readers of a folder that is replaced again and again: how often they read it, and how often they were refused."""
    path = folder / "m"
    made = [{f"w{i}": np.full((64, 64), v, np.float32) for i in range(4)} for v in (1, 2)]
    for at, tensors in enumerate(made):
        sf.save(folder / f"{at}.safetensors", tensors, {"format": "pt"})
    code = (
        "import sys, sparsefmt as sf\n"
        "for i in range(int(sys.argv[2])):\n"
        "    source = f'{sys.argv[1]}/{i % 2}.safetensors'\n"
        "    step = sf.checkpoint.pack('csr')\n"
        "    sf.transform(source, sys.argv[1] + '/m', step, overwrite=True, max_shard_bytes=1 << 15)\n"
    )
    read = refused = 0
    with subprocess.Popen([sys.executable, "-c", code, str(folder), str(times)]) as writer:
        while writer.poll() is None:
            if not path.exists():
                assert read == 0, "the folder was gone"
                continue
            try:
                with sf.open_checkpoint(path) as model:
                    values = {float(np.asarray(model[name].to_dense())[0, 0]) for name in model}
            except sf.CheckpointError:
                refused += 1  # replaced while it was read
                continue
            assert values in ({1.0}, {2.0})
            read += 1
    assert writer.returncode == 0
    return read, refused


def test_readers_of_a_folder_that_is_replaced(tmp_path: Path) -> None:
    read, _ = replaced(tmp_path, 40)
    assert read > 0


@pytest.mark.slow
def test_readers_of_a_folder_that_is_replaced_often(tmp_path: Path) -> None:
    read, _ = replaced(tmp_path, 1000)
    assert read > 100


def test_eight_threads_on_the_same_tensors() -> None:
    done = program("shared", 3)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_eight_threads_on_the_same_tensors_for_long() -> None:
    done = program("shared", 60)
    assert done.returncode == 0, done.stdout + done.stderr
