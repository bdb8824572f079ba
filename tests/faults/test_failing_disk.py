"""Full disks, quotas, limits, broken disks, calls that do half: an error that says so, the old result or the new."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from faults.shim import compiled
from faults.work import WORK
from property.peak_memory import environment


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("shim"))


def let_fail(name: str, most: int, folder: Path, shim: Path) -> None:
    command = [sys.executable, "-m", "faults.disk", name, str(most), str(folder)]
    env = environment() | {"LD_PRELOAD": str(shim)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", WORK)
def test_calls_that_fail(name: str, tmp_path: Path, shim: Path) -> None:
    let_fail(name, 2, tmp_path, shim)


@pytest.mark.slow
@pytest.mark.parametrize("name", WORK)
def test_every_call_fails(name: str, tmp_path: Path, shim: Path) -> None:
    let_fail(name, 1_000_000, tmp_path, shim)


@pytest.mark.slow
def test_a_full_disk_under_a_mapping(tmp_path: Path) -> None:
    """Holes of a file that is changed in place need room: without any, an error and the old bytes, and no signal."""
    if os.getuid() != 0 or not Path("/proc/self/mounts").exists():
        pytest.skip("mounts need root")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], check=False).returncode:
        pytest.skip("no mounts here")
    program = (
        "import sys, errno, numpy as np, sparsefmt as sf\n"
        "w = sys.argv[1] + '/w.safetensors'\n"
        "old = {'w': np.zeros((1024, 1024), np.float32)}\n"
        "with sf.checkpoint.ShardWriter(w, [('w', 'F32', (1024, 1024))]) as writer:\n"
        "    writer.write('w', old['w'])\n"
        "delta = sf.delta.diff(old, {'w': np.full((1024, 1024), 3, np.float32)})\n"
        "for _ in range(2):\n"
        "    try:\n"
        "        delta.apply(w, in_place=True)\n"
        "    except OSError as e:\n"
        "        assert e.errno == errno.ENOSPC and e.filename == w, e\n"
        "    else:\n"
        "        raise AssertionError\n"
        "assert not sf.delta.recover(w)\n"
        "data = open(w, 'rb').read()\n"  # not mapped: a hole of a tmpfs takes room when it is read so
        "assert len(data) > 4 << 20 and not any(data[-(4 << 20):])\n"
    )
    try:
        command = [sys.executable, "-c", program, str(disk)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        names = os.listdir(disk)
    finally:
        subprocess.run(["umount", str(disk)], check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert names == ["w.safetensors"]
