"""What is wrong with an input, a disk or a place is said in one line, with the exit code; nothing is half written."""

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli
from sparsefmt.checkpoint import ShardWriter, pack, unpack
from sparsefmt.checkpoint.folder import new_folder
from sparsefmt.checkpoint.model import open_checkpoint

NAMES = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "m"
    path.mkdir()
    rng = np.random.default_rng(0)
    for i, name in enumerate(NAMES):
        sf.save(path / name, {f"{i}.w": sf.prune.nm(rng.standard_normal((256, 64)))}, {"format": "pt"})
    index(path, {"0.w": NAMES[0], "1.w": NAMES[1]})
    (path / "config.json").write_text("{}")
    return path


def index(folder: Path, weight_map: dict[str, str]) -> None:
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def lacks(folder: Path) -> None:
    index(folder, {"0.w": NAMES[0], "1.w": NAMES[1], "2.w": NAMES[1]})


def gone(folder: Path) -> None:
    (folder / NAMES[1]).unlink()


def gone_by_number(folder: Path) -> None:
    (folder / INDEX).unlink()
    gone(folder)


def moved(folder: Path) -> None:
    sf.save(folder / NAMES[0], {"0.w": np.ones((64, 64)), "0.b": np.ones(64)})
    index(folder, {"0.b": NAMES[0], "0.w": NAMES[1], "1.w": NAMES[1]})


def empty(folder: Path) -> None:
    index(folder, {})


def outside(folder: Path) -> None:
    index(folder, {"0.w": "../m/" + NAMES[0], "1.w": NAMES[1]})


def variants(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    for name in ("model.safetensors", "model.fp16.safetensors"):
        sf.save(folder / name, {"w": np.ones((64, 64))})


def pointer(folder: Path) -> None:
    (folder / NAMES[0]).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def cut(folder: Path) -> None:
    os.truncate(folder / NAMES[0], 1000)


def dangling(folder: Path) -> None:
    gone(folder)
    (folder / NAMES[1]).symlink_to("/nowhere/x.safetensors")


CASES: dict[Callable[[Path], None], str] = {
    lacks: f"weight_map says that {NAMES[1]} holds '2.w', which it lacks, and no other shard has it",
    gone: f"weight_map names '{NAMES[1]}' (for '1.w'), which is no safetensors file in this folder",
    gone_by_number: f"shard {NAMES[1]} is missing",
    moved: f"weight_map says that {NAMES[1]} holds '0.w', which it lacks; it is in {NAMES[0]}",
    empty: "weight_map is empty",
    outside: "which is no safetensors file in this folder",
    variants: "tensor 'w' is in model.fp16.safetensors and in model.safetensors",
    pointer: "not a safetensors file, but a git-lfs pointer",
    cut: "the header describes 131072 bytes of data, the file holds 8",
    dangling: "the shard is missing",
}


@pytest.mark.parametrize("broken", CASES, ids=lambda f: f.__name__)
def test_folders(cli: Cli, folder: Path, tmp_path: Path, broken: Callable[[Path], None]) -> None:
    broken(folder)
    for command in (("pack", "--format", "csr"), ("unpack",), ("convert", "--format", "csr")):
        line = cli.fails(3, command[0], folder, tmp_path / "o", *command[1:])
        assert CASES[broken] in line
    assert CASES[broken] in cli.fails(3, "inspect", folder)
    cli.fails(3, "verify", folder, folder)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m"]


def test_variants_are_chosen(cli: Cli, folder: Path, tmp_path: Path) -> None:
    variants(folder)
    cli.ok("pack", folder, tmp_path / "o", "--format", "csr", "--file", "model.fp16.safetensors")
    assert "1 file" in cli.ok("inspect", folder, "--file", "model.safetensors")
    options = ("--by", "energy", "--formats", "csr", "--budget", "110%", "--file", "model.safetensors")
    cli.fails(3, "plan", folder, tmp_path / "p", *options[:-2])
    assert "energies" in cli.ok("plan", folder, tmp_path / "p", *options)
    assert "(--file model.fp16.safetensors); nothing may be wrong with them" in cli.run("doctor", folder).stdout
    assert "nothing is wrong" in cli.ok("doctor", folder, "--file", "model.safetensors")
    assert "--file" in cli.fails(3, "report", folder, "-o", tmp_path / "r.html")
    assert "wrote" in cli.ok("report", folder, "-o", tmp_path / "r.html", "--file", "model.safetensors")


def test_links_that_leave_the_folder(cli: Cli, folder: Path, tmp_path: Path) -> None:
    """A shard may be a link (caches are made of them); a linked folder elsewhere is left out, and said."""
    (tmp_path / "blob").mkdir()
    (folder / NAMES[0]).rename(tmp_path / "blob" / "x.safetensors")
    (folder / NAMES[0]).symlink_to(tmp_path / "blob" / "x.safetensors")
    (folder / "elsewhere").symlink_to(tmp_path / "blob")
    text = cli.ok("pack", folder, tmp_path / "o", "--format", "csr")
    assert "not copied: elsewhere/ (a link out of the folder)" in text
    assert not (tmp_path / "o" / NAMES[0]).is_symlink()
    assert not (tmp_path / "o" / "elsewhere").exists()


def test_torn_reads(folder: Path, tmp_path: Path) -> None:
    """A shard that is cut, or written into, while it is read is an error, and leaves nothing."""

    def torn(name: str, value: np.ndarray) -> dict[str, np.ndarray]:
        with (folder / NAMES[0]).open("r+b") as file:
            file.seek(5000)
            file.write(b"other")
        return {name: value}

    with pytest.raises(sf.CheckpointError, match=r"00001-of-00002\.safetensors was changed while it was read"):
        sf.transform(folder, tmp_path / "o", torn)
    with open_checkpoint(folder) as c:
        os.truncate(folder / NAMES[0], 2000)
        with pytest.raises(sf.CorruptFileError, match="became shorter while it was read"):
            c.rows("0.w", 200, 256)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m"]


def test_a_full_disk(folder: Path, tmp_path: Path) -> None:
    """The old result stays whole; what was finished is resumed when there is room again."""
    sf.save(folder / NAMES[1], {"1.w": np.random.default_rng(1).standard_normal((2048, 64))}, {"format": "pt"})
    out = tmp_path / "o"
    sf.transform(folder, out, unpack(), overwrite=True)
    old = {p.name: p.read_bytes() for p in out.iterdir()}
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n"  # as a full disk: write fails with an errno
        "sys.argv[0] = 'sparsefmt'\n"
        "from sparsefmt.cli.main import main; main()"
    )
    args = ["pack", str(folder), str(out), "--format", "csr", "--force"]
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert done.stderr.startswith("sparsefmt: error: ")
    assert f"{NAMES[1]}: File too large" in done.stderr
    assert {p.name: p.read_bytes() for p in out.iterdir()} == old
    assert list((tmp_path / ".o.parts").glob(f"*/new/{NAMES[0]}"))
    report = sf.transform(folder, out, pack("csr"), overwrite=True, select=["*"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "o"]
    assert report.shards == 2


def test_a_target_that_may_not_be_written(cli: Cli, folder: Path, tmp_path: Path) -> None:
    """A folder without the right to write, which root has everywhere but in filesystems of the kernel."""
    locked = tmp_path / "locked"
    if os.geteuid():
        locked.mkdir(mode=0o555)
    elif Path("/sys/kernel").is_dir():
        locked = Path("/sys/kernel")
    else:
        pytest.skip("root may write everywhere")
    line = cli.fails(4, "pack", folder, locked / "o", "--format", "csr")
    assert "denied" in line or "not permitted" in line or "Read-only" in line
    file = folder / NAMES[0]
    assert cli.fails(4, "pack", file, locked / "o.safetensors", "--format", "csr")
    assert not [p for p in locked.iterdir() if "o.parts" in p.name]


def test_targets(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    assert "exists; --force replaces it" in cli.fails(2, "pack", folder, tmp_path / "there", "--format", "csr")
    (tmp_path / "there" / "thesis.txt").write_text("years of work")
    line = cli.fails(2, "pack", folder, tmp_path / "there", "--format", "csr", "--force")
    assert "without safetensors files; it is not replaced" in line
    assert "is inside IN" in cli.fails(2, "pack", folder, folder / "sub", "--format", "csr")
    assert "are the same" in cli.fails(2, "pack", folder, folder, "--format", "csr", "--force")
    (tmp_path / "file").write_bytes(b"mine")
    assert "is a file" in cli.fails(2, "pack", folder, tmp_path / "file", "--format", "csr", "--force")
    assert "No such file" in cli.fails(4, "pack", folder, tmp_path / "no" / "o", "--format", "csr")
    assert "No such file" in cli.fails(4, "pack", tmp_path / "no", tmp_path / "o", "--format", "csr")
    assert (tmp_path / "there" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("there", [True, False])
def test_links_are_followed(cli: Cli, folder: Path, tmp_path: Path, there: bool) -> None:
    """The link stays, and its target is what is written: a folder that is there, or will be; a file as well."""
    other = tmp_path / "other"
    other.mkdir()
    for out, source, command in (("o", folder, "pack"), ("f.safetensors", folder / NAMES[0], "pack")):
        (tmp_path / out).symlink_to(other / out)
        if there:
            cli.ok(command, source, other / out, "--format", "csr")
        cli.ok(command, source, tmp_path / out, "--format", "nm2:4", *(["--force"] * there))
        assert (tmp_path / out).is_symlink()
        assert next(iter(sf.open_checkpoint(other / out).entries.values())).format == "nm2:4"
    with new_folder(tmp_path / "o") as made:  # what merges and deltas use
        (made / "more.txt").write_text("")
    assert (tmp_path / "o").is_symlink()
    assert (other / "o" / "more.txt").is_file()
    assert sorted(p.name for p in other.iterdir()) == ["f.safetensors", "o"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.safetensors", "m", "o", "other"]
    (tmp_path / "lost").symlink_to(tmp_path / "no" / "o")
    cli.fails(4, "pack", folder, tmp_path / "lost", "--format", "csr")
    assert not (tmp_path / "no").exists()


def test_names_that_differ_by_case_only(cli: Cli, folder: Path, tmp_path: Path) -> None:
    tensors = {"W": np.eye(64), "w": 2 * np.eye(64), "": np.eye(32)}
    slots = [(name, "F64", w.shape) for name, w in tensors.items()]
    with ShardWriter(tmp_path / "c.safetensors", slots) as writer:
        for name, w in tensors.items():
            writer.write(name, w)
    cli.ok("pack", tmp_path / "c.safetensors", tmp_path / "p.safetensors", "--format", "csr")
    cli.ok("unpack", tmp_path / "p.safetensors", tmp_path / "b.safetensors")
    found = sf.load(tmp_path / "b.safetensors")
    assert {n: t.tobytes() for n, t in found.items()} == {n: t.tobytes() for n, t in tensors.items()}
    cli.ok("verify", tmp_path / "c.safetensors", tmp_path / "p.safetensors", "--strict")


def test_shards_on_another_filesystem(cli: Cli, folder: Path, tmp_path: Path) -> None:
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second filesystem here")
    far = shm / f"sparsefmt-test-{os.getpid()}.safetensors"
    try:
        far.write_bytes((folder / NAMES[0]).read_bytes())
        (folder / NAMES[0]).unlink()
        (folder / NAMES[0]).symlink_to(far)
        cli.ok("pack", folder, tmp_path / "o", "--format", "csr")
        cli.ok("verify", folder, tmp_path / "o", "--strict")
    finally:
        far.unlink()


MOST_PER_TENSOR = 1000
"""Bytes of memory for a tensor of a header, about seven times its text."""


def header_of(path: Path, tensors: int) -> Path:
    header = {f"layer.{i}.weight": {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i in range(tensors)}
    text = json.dumps(header, separators=(",", ":")).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + tensors)
    return path


def test_headers_of_many_tensors_are_linear(tmp_path: Path) -> None:
    seconds = []
    for tensors in (10_000, 80_000):
        path = header_of(tmp_path / f"{tensors}.safetensors", tensors)
        runs = []
        gc.freeze()  # what other tests left is not collected again and again
        try:
            for _ in range(3):
                start = time.process_time()
                with open_checkpoint(path) as c:
                    assert len(c) == tensors
                runs.append(time.process_time() - start)
        finally:
            gc.unfreeze()
        seconds.append(min(runs))
    assert seconds[1] < 24 * seconds[0], seconds  # 8 times as many; a square would take 64 times


MEASURED = """
import resource, sys
import sparsefmt as sf
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with sf.open_checkpoint(sys.argv[1]) as c:
    last = c["layer.%d.weight" % (len(c) - 1)]
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10)
"""


def memory_of_header(path: Path) -> int:
    """Bytes that opening takes at its peak, in a process of its own."""
    return int(subprocess.run([sys.executable, "-c", MEASURED, path], check=True, capture_output=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss")
def test_memory_of_headers_is_linear_and_bounded(tmp_path: Path) -> None:
    """So much for each tensor, whatever their number."""
    for count in (50_000, 150_000):
        found = memory_of_header(header_of(tmp_path / f"{count}.safetensors", count))
        assert found < count * MOST_PER_TENSOR, (count, found)


@pytest.mark.slow
def test_a_million_tensors(tmp_path: Path) -> None:
    path = header_of(tmp_path / "million.safetensors", 1_000_000)
    assert memory_of_header(path) < 1_000_000 * MOST_PER_TENSOR
    with open_checkpoint(path) as c:
        assert len(c) == 1_000_000
        assert c["layer.999999.weight"].tolist() == [0]


def test_a_header_that_no_file_may_have(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes((100_000_001).to_bytes(8, "little") + b"{}")
    assert "the header claims 100000001 bytes, allowed 100000000" in cli.fails(3, "inspect", path)
