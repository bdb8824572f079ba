"""What a folder that is replaced hands on to the new one, and folders that cannot be replaced at all."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli
from sparsefmt.checkpoint import folder as folders
from sparsefmt.checkpoint import pack

SHARD = "model.safetensors"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "m"
    (path / "sub").mkdir(parents=True)
    sf.save(path / SHARD, {"w": np.eye(64, dtype=np.float32)}, {"format": "pt"})
    (path / "config.json").write_text("{}")
    (path / "sub" / "merges.txt").write_text("a b")
    (path / "sub" / "new.txt").write_text("c")
    return path


def facts(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid


@pytest.mark.parametrize("by", ["transform", "merge", "apply"])
@pytest.mark.parametrize("swap", [True, False])
def test_files_take_over_mode_and_owner(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str, swap: bool
) -> None:
    if not swap:
        monkeypatch.setattr(folders, "exchange", lambda a, b: False)
    out = tmp_path / "o"
    sf.transform(source, out, pack("csr"))
    owner = (1234, 2345) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    names = [SHARD, "config.json", *(["sub", "sub/merges.txt"] if by == "transform" else [])]
    modes = dict(zip(names, (0o640, 0o604, 0o750, 0o600), strict=False))
    for name, mode in modes.items():
        (out / name).chmod(mode)
        os.chown(out / name, *owner)
    (out / "sub" / "new.txt").unlink()
    if by == "transform":
        sf.transform(source, out, pack("coo"), overwrite=True)
    elif by == "merge":
        recipe = {"merge_method": "linear", "models": [{"model": str(source), "parameters": {"weight": 1}}] * 2}
        sf.merge.run(recipe, out, overwrite=True)
    else:
        new = tmp_path / "n"
        sf.transform(source, new, double)
        sf.delta.diff(source, new).apply(source, out)
    assert {name: facts(out / name) for name in modes} == {name: (mode, *owner) for name, mode in modes.items()}
    if by == "transform":
        assert facts(out / "sub" / "new.txt")[1:] == (os.geteuid(), os.getegid())
    assert not list(tmp_path.glob(".*"))


def double(name: str, value: np.ndarray) -> dict[str, np.ndarray]:
    return {name: 2 * value}


def test_links_hand_on_nothing(source: Path, tmp_path: Path) -> None:
    """They are made into files, as before; what they lead to stays."""
    out, blob = tmp_path / "o", tmp_path / "blob"
    sf.transform(source, out, pack("csr"))
    (out / SHARD).rename(blob)
    blob.chmod(0o600)
    (out / SHARD).symlink_to(blob)
    before = blob.read_bytes()
    sf.transform(source, out, pack("coo"), overwrite=True)
    assert not (out / SHARD).is_symlink()
    assert facts(out / SHARD)[0] == facts(source / SHARD)[0]
    assert blob.read_bytes() == before


@pytest.mark.parametrize("name", [".", "..", "sub/.."])
def test_a_folder_seen_from_inside(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Renamed under whoever works in it, or EBUSY after all the work."""
    place = tmp_path / "o"
    (place / "sub").mkdir(parents=True)
    monkeypatch.chdir(place / "sub" if name == ".." else place)
    cli, said = Cli(), f"is a folder seen from inside, which cannot be replaced; go out of it and write to {place}"
    for words in (("pack", source, name, "--format", "csr"), ("merge", "--method", "linear", source, source, name)):
        assert said in cli.fails(2, *words, "--force")
    with pytest.raises(sf.CheckpointError, match="seen from inside"):
        sf.transform(source, name, pack("csr"), overwrite=True)
    recipe = {"merge_method": "linear", "models": [{"model": str(source), "parameters": {"weight": 1}}] * 2}
    with pytest.raises(sf.CheckpointError, match="seen from inside"):
        sf.merge.run(recipe, name, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "o"]


def test_a_mount_point(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The root of a volume, as containers have it, has no name that could change places."""
    (tmp_path / "o").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == tmp_path / "o")
    said = f"is a mount point, which cannot be replaced; write to a folder in it, such as {tmp_path / 'o' / 'model'}"
    assert said in Cli().fails(2, "pack", source, tmp_path / "o", "--format", "csr", "--force")
    with pytest.raises(sf.CheckpointError, match="is a mount point"):
        sf.transform(source, tmp_path / "o", pack("csr"), overwrite=True)
    sf.transform(source, tmp_path / "o" / "model", pack("csr"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "o"]
