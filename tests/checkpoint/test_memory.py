"""Memory is bounded by chunks: commands over models, and single tensors, that are far larger than the limit.

The models are sparse files of zeros, which cost no disk; the commands run in processes of their own, whose peak of
anonymous memory is read from /proc.
"""

import json
import math
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sparsefmt.checkpoint.plan import CHUNK

GIB = 1 << 30
THREADS = 2
LIMIT = (64 << 20) + 3 * CHUNK * THREADS

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


def model(path: Path, size: int, largest: int) -> Path:
    """A file of bfloat16 zeros in tensors of `largest` bytes."""
    header, at = {}, 0
    while at < size:
        shape = [largest // 2 // 4096, 4096]
        header[f"layer.{at // largest}.weight"] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + largest]}
        at += largest
    text = json.dumps(header).encode()
    text = text.ljust(-(-(len(text) + 8) // 64) * 64 - 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)
    return path


def peak(*args: object) -> int:
    """The peak of anonymous memory of a command, in bytes."""
    command = [sys.executable, "-m", "sparsefmt.cli", *map(str, args)]
    most = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as child:
        status = Path(f"/proc/{child.pid}/status")
        while child.poll() is None:
            for line in status.read_text().splitlines():
                if line.startswith("RssAnon:"):
                    most = max(most, int(line.split()[1]) << 10)
            time.sleep(0.005)
        assert child.stderr is not None
        assert child.returncode == 0, child.stderr.read()
    return most


def all_commands(tmp_path: Path, size: int, largest: int, fmt: str) -> None:
    source = model(tmp_path / "m.safetensors", size, largest)
    packed, other, back = (tmp_path / f"{name}.safetensors" for name in ("packed", "other", "back"))
    threads = ("--threads", THREADS)
    peaks = {
        "pack": peak("pack", source, packed, "--format", fmt, *threads),
        "inspect": peak("inspect", packed),
        "verify": peak("verify", source, packed, *threads),
        "convert": peak("convert", packed, other, "--format", "bitmask" if fmt == "csr" else "csr", *threads),
        "unpack": peak("unpack", packed, back, *threads),
    }
    assert abs(back.stat().st_size - source.stat().st_size) < 4096  # the headers differ by their padding
    assert max(peaks.values()) <= LIMIT, {name: f"{n / 2**20:.0f} MiB" for name, n in peaks.items()}


@pytest.mark.parametrize("fmt", ["csr"])
def test_four_gigabytes(tmp_path: Path, fmt: str) -> None:
    """One format here, for the time it takes; the others are slow tests."""
    all_commands(tmp_path, 4 * GIB, 2 * GIB, fmt)


@pytest.mark.parametrize("fmt", ["nm2:4"])
def test_half_a_gigabyte(tmp_path: Path, fmt: str) -> None:
    """More than twice the limit, in one tensor."""
    all_commands(tmp_path, GIB // 2, GIB // 2, fmt)


@pytest.mark.slow
@pytest.mark.parametrize("fmt", ["nm2:4", "bitmask", "csr", "gap", "nm2:4/int4:g128", "dense/int8"])
def test_64_gigabytes(tmp_path: Path, fmt: str) -> None:
    all_commands(tmp_path, 64 * GIB, 8 * GIB, fmt)


@pytest.mark.slow
@pytest.mark.parametrize("fmt", ["nm2:4", "bitmask", "csr", "gap", "nm2:4/int4:g128"])
def test_four_gigabytes_in_every_format(tmp_path: Path, fmt: str) -> None:
    all_commands(tmp_path, 4 * GIB, 4 * GIB, fmt)


def test_weights_of_others_go_by_rows(tmp_path: Path) -> None:
    """A gigabyte when dense, in one weight of 4 bits, more than the limit even when packed twice over."""
    rows, cols = 1 << 17, 4096
    arrays = {
        "a.weight_packed": ("I32", [rows, cols // 8], 4),
        "a.weight_scale": ("BF16", [rows, cols // 128], 2),
        "a.weight_shape": ("I64", [2], 8),
    }
    header, at = {}, 0
    for name, (dtype, shape, size) in arrays.items():
        nbytes = size * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + nbytes]}
        at += nbytes
    text = json.dumps(header).encode()
    text = text.ljust(-(-(len(text) + 8) // 64) * 64 - 8)
    (tmp_path / "old").mkdir()
    with (tmp_path / "old" / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at - 16)
        file.seek(0, 2)
        file.write(rows.to_bytes(8, "little") + cols.to_bytes(8, "little"))
    settings = {"quant_method": "compressed-tensors", "format": "pack-quantized"}
    (tmp_path / "old" / "config.json").write_text(json.dumps({"dtype": "bfloat16", "quantization_config": settings}))
    assert peak("unpack", tmp_path / "old", tmp_path / "new", "--threads", THREADS) <= LIMIT
    assert (tmp_path / "new" / "model.safetensors").stat().st_size > GIB
