"""The keys of JSON that docs/command_line.md lists are those that commands print."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli

PAGE = (Path(__file__).parents[2] / "docs" / "command_line.md").read_text()
LISTED = {
    row[0]: set(re.findall(r"`(\w+)`", row[1]))
    for row in re.findall(r"^\| `([a-z -]+)` \| [^|]+ \| (.*) \|$", PAGE, re.M)
}


def keys(document: object) -> set[str]:
    """All keys of a document, at every depth."""
    if isinstance(document, dict):
        return set(document).union(*map(keys, document.values()))
    return set().union(*map(keys, document)) if isinstance(document, list) else set()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models")
    w = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    sf.save(made / "m.safetensors", {"w": w, "b": np.zeros(64, np.float32)})
    sf.save(made / "n.safetensors", {"w": w * np.float32(1.001), "b": np.zeros(64, np.float32)})
    sf.save(made / "p.safetensors", {"w": sf.encode(w, "nm2:4", prune=True), "b": np.zeros(64, np.float32)})
    sf.delta.save(made / "d.safetensors", sf.delta.diff(made / "m.safetensors", made / "n.safetensors"))
    return made


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("pack", ["m", "new", "--format", "nm2:4", "--prune"]),
        ("convert", ["p", "c1", "--format=csr"]),
        ("unpack", ["p", "u1"]),
        ("inspect", ["p"]),
        ("verify", ["m", "p"]),
        ("doctor", ["p"]),
        ("diff", ["m", "n", "d2"]),
        ("log", ["d"]),
        ("apply", ["m", "d", "n2"]),
    ],
)
def test_keys(command: str, words: list[str], folder: Path) -> None:
    paths = [str(folder / f"{w}.safetensors") if re.fullmatch(r"[a-z]+\d?", w) and len(w) < 4 else w for w in words]
    assert keys(json.loads(Cli().run(command, *paths, "--json").stdout)) == LISTED[command]


def test_keys_of_errors(folder: Path) -> None:
    out = Cli().run("inspect", folder / "p.safetensors", "--against", folder / "m.safetensors", "--json").stdout
    assert keys(json.loads(out)) == LISTED["inspect"] | LISTED["inspect --against"]
