"""How many threads there are, and on which CPUs, is the user's to say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sparsefmt as sf
from sparsefmt.kernels.registry import NATIVE

pytestmark = pytest.mark.skipif(not NATIVE, reason="without the extension there is one thread")
COUNT = "import sparsefmt as sf; print(sf.get_num_threads())"
ON_LINUX = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="masks of CPUs are Linux's")


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: text for name, text in os.environ.items() if name != "SPARSEFMT_NUM_THREADS"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**kept, **variables})


def test_what_is_set_is_told() -> None:
    for n in (1, 3, 1024):
        sf.set_num_threads(n)
        assert sf.get_num_threads() == n
    sf.set_num_threads(None)
    assert sf.get_num_threads() >= 1


def test_the_environment_names_a_number() -> None:
    assert run(COUNT, SPARSEFMT_NUM_THREADS="3").stdout == "3\n"
    again = "import sparsefmt as sf; sf.set_num_threads(2); sf.set_num_threads(None); print(sf.get_num_threads())"
    assert run(again, SPARSEFMT_NUM_THREADS="5").stdout == "5\n"
    assert run(COUNT, SPARSEFMT_NUM_THREADS="").stdout == run(COUNT).stdout


@pytest.mark.parametrize("text", ["0", "-2", "1025", "many"])
def test_no_number_is_an_error(text: str) -> None:
    found = run(COUNT, SPARSEFMT_NUM_THREADS=text)
    assert found.returncode != 0
    assert f"SPARSEFMT_NUM_THREADS={text} is no number of threads; give 1 to 1024" in found.stderr


@ON_LINUX
def test_the_mask_of_cpus_bounds_the_default() -> None:
    code = f"import os; os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}}); {COUNT}"
    assert run(code).stdout == "1\n"


def quota_group() -> Path:
    """A control group of version 2 whose processes may use half a CPU, with a child that sets no quota."""
    root = Path("/sys/fs/cgroup")
    if not (root / "cgroup.controllers").exists():
        pytest.skip("no control groups of version 2")
    own = next((line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line[:3] == "0::"), "/")
    parent = root / own.lstrip("/")
    parent = parent if parent.exists() else root
    group = parent / f"sparsefmt-{os.getpid()}"
    try:
        group.mkdir()
        (group / "cpu.max").write_text("50000 100000")
        (group / "child").mkdir()
    except OSError as error:
        if group.exists():
            group.rmdir()
        pytest.skip(f"no control groups to make here: {error}")
    return group


@ON_LINUX
def test_the_quota_of_a_parent_bounds_the_default() -> None:
    group = quota_group()
    try:
        enter = f"open({str(group / 'child' / 'cgroup.procs')!r}, 'w').write(str(__import__('os').getpid()))"
        assert run(f"{enter}; {COUNT}").stdout == "1\n"
    finally:
        (group / "child").rmdir()
        group.rmdir()


CHOSEN = """
import os, threading, time
import numpy as np
import sparsefmt as sf
sf.set_num_threads(2)
w = np.where(np.arange(1 << 21).reshape(1 << 10, -1) % 3, 0, 1).astype(np.float32)
for _ in range(50):
    packed = sf.encode(w, "csr")
main, cpus = threading.get_native_id(), sorted(os.sched_getaffinity(0))
workers = [int(t) for t in os.listdir("/proc/self/task") if open(f"/proc/self/task/{t}/comm").read() == "sparsefmt\\n"]
assert workers and main not in workers
time.sleep(0.01)
for worker in workers:
    assert os.sched_getaffinity(worker) == set(cpus)
    os.sched_setaffinity(worker, {cpus[-1]})
os.sched_setaffinity(main, {cpus[0]})
for call in range(50):
    assert (sf.encode(w, "csr").to_dense() == w).all()
    time.sleep(0.001 * (call % 3))
    for worker in workers:
        assert os.sched_getaffinity(worker) <= {cpus[-1]}, os.sched_getaffinity(worker)
assert os.sched_getaffinity(main) == {cpus[0]}
print("as chosen")
"""


@ON_LINUX
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one CPU leaves no choice")
def test_masks_set_on_threads_stay() -> None:
    found = run(CHOSEN)
    assert found.stdout == "as chosen\n", found.stderr
