"""Tables on terminals of every width: whole numbers, whole formats, names that give way in the middle."""

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.cli.tables import elided, laid_out
from sparsefmt.structures.registry import STRUCTURES

WIDTHS = (40, 60, 80, 100, 120)
NAMES = [f"model.layers.{i}.block_sparse_moe.experts.{i}.down_proj.weight" for i in range(3)]


RUN = """
import sys
from sparsefmt.cli.app import app
for words in sys.argv[1:]:
    app(words.split("|"), standalone_mode=False)
    print("=====", flush=True)
"""


def on_terminal(width: int, *commands: tuple[object, ...], **env: str) -> list[list[str]]:
    """The lines that each command shows on a pseudo-terminal of that many columns."""
    primary, secondary = os.openpty()
    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, *("|".join(map(str, words)) for words in commands)],
        stdout=secondary, stderr=subprocess.PIPE, env={**os.environ, **env},
    )  # fmt: skip
    os.close(secondary)
    shown = b""
    while True:
        try:
            part = os.read(primary, 65536)
        except OSError:  # the process has closed its end
            break
        shown += part
    os.close(primary)
    assert process.communicate()[1] == b""
    assert process.returncode == 0
    return [part.strip("\n").splitlines() for part in shown.decode().replace("\r\n", "\n").split("=====\n")[:-1]]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "packed.safetensors"
    w = np.random.default_rng(0).standard_normal((48, 64)).astype(np.float32)
    sf.save(path, {name: sf.encode(w, "nm2:4/int4:g32", prune=True) for name in NAMES} | {"bias": w[0]})
    plain = path.with_name("plain.safetensors")
    sf.save(plain, {n: t.to_dense() if isinstance(t, sf.SparseTensor) else t for n, t in sf.load(path).items()})
    return path


@pytest.mark.parametrize("width", WIDTHS)
def test_no_number_is_cut_on_a_terminal(packed: Path, width: int) -> None:
    plain = packed.with_name("plain.safetensors")
    inspected, verified, formats = on_terminal(width, ("inspect", packed), ("verify", plain, packed), ("formats",))
    assert max(map(len, [*inspected[:-1], *verified, *formats])) <= width

    words = re.split(r"\s+", "\n".join(inspected))
    info = sf.inspect(packed)[NAMES[0]]
    for cell in ("48x64", "nm2:4/int4:g32", f"{info.nbytes:,}", f"{info.bits_per_weight:.2f}", f"{info.density:.4f}"):
        assert words.count(cell) == len(NAMES), cell
    assert f"{3 * info.nbytes + 256:,}" in words
    assert sum("down_proj.weight" in line or "…" in line for line in inspected) == len(NAMES)

    text = "\n".join(verified)
    assert text.count("nm2:4/int4:g32") == len(NAMES)
    assert len(re.findall(r"\b100\.00%", text)) == len(NAMES) + 1

    words = " ".join(formats).split()
    for structure in STRUCTURES.values():
        assert structure.template in words
        assert structure.example in words


def test_a_pipe_takes_lines_of_any_length(packed: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sparsefmt", "inspect", str(packed)], capture_output=True, text=True, check=True
    )
    assert [line.split()[0] for line in done.stdout.splitlines()[:5]] == ["name", "bias", *NAMES]


def test_a_terminal_that_knows_no_width(packed: Path) -> None:
    [lines] = on_terminal(0, ("inspect", packed), COLUMNS="72")
    assert max(map(len, lines[:-1])) <= 72


def test_names_of_wide_characters_and_of_ascii_terminals() -> None:
    assert elided("重み" * 20, 11) == "重み…み重み"
    assert elided("abcdefghijkl", 8, "...") == "abc...kl"
    assert elided("short", 8) == "short"
    [_, line] = laid_out(["name", "bytes"], [["層" * 30, "1,536"]], 1, 40)
    assert line.endswith("  1,536")
    assert "…" in line


def test_names_that_would_look_alike_are_shown_whole() -> None:
    names = [f"model.layers.{i}.self_attn.{n}_proj.weight" for i in (0, 1) for n in "qkvo"]
    rows = [[name, "64x128", "16,384"] for name in names]
    lines = laid_out(["name", "shape", "bytes"], rows, 2, 38)
    assert [line for line in lines if not line.startswith(" ")] == names
    assert max(map(len, lines)) <= 38
    alike = laid_out(["name", "bytes"], [["a" * 50, "1"]] * 2, 1, 30)  # one name twice is no reason
    assert len(alike) == 3


def test_columns_without_content_go_before_names_are_elided() -> None:
    rows = [["layers.0.weight", "", "1,536"]]
    assert laid_out(["name", "energy gone", "bytes"], rows, 1, 24)[1] == "layers.0.weight  1,536"
    assert len(laid_out(["name", "energy gone", "bytes"], rows, 1)[0]) > 24
