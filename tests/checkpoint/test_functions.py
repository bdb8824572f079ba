"""Steps that users write: what they may give, what tells one from another, where they run."""

import functools
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "m"
    path.mkdir()
    for i, name in enumerate(SHARDS):
        sf.save(path / name, {f"{i}.w": np.ones((8, 8), np.float32), f"{i}.b": np.ones(8, np.float32)})
    weight_map = {f"{i}.{part}": name for i, name in enumerate(SHARDS) for part in "wb"}
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return path


class Scaled:
    """Multiplies; stops at the second shard if it is told to."""

    def __init__(self, by: float, stops: bool, lock: bool) -> None:
        self.by, self.stops = by, stops
        self.lock = threading.Lock() if lock else None  # cannot be pickled

    def apply(self, name: str, value: np.ndarray) -> Mapping[str, np.ndarray]:
        if self.stops and name == "1.w":
            raise RuntimeError(name)
        return {name: value * np.float32(self.by)}

    __call__ = apply


def closed(scaled: Scaled) -> Callable[..., Any]:
    return lambda name, value: scaled.apply(name, value)


def nested(scaled: Scaled) -> Callable[..., Any]:
    def step(name: str, value: np.ndarray) -> Mapping[str, np.ndarray]:
        return (lambda: scaled.apply(name, value))()

    return step


WAYS: dict[str, Callable[[Scaled], Callable[..., Any]]] = {
    "method": lambda scaled: scaled.apply,
    "object": lambda scaled: scaled,
    "partial": lambda scaled: functools.partial(Scaled.apply, scaled),
    "closure": closed,
    "nested": nested,
}


@pytest.mark.parametrize("lock", [False, True])
@pytest.mark.parametrize("way", list(WAYS))
def test_parts_of_a_step_with_other_values_are_not_taken(folder: Path, tmp_path: Path, way: str, lock: bool) -> None:
    for by, stops in ((2.0, True), (3.0, False)):
        step = WAYS[way](Scaled(by, stops, lock))
        if stops:
            with pytest.raises(RuntimeError, match=r"1\.w"):
                sf.transform(folder, tmp_path / "o", step)
            assert list((tmp_path / ".o.parts").glob(f"*/new/{SHARDS[0]}"))
        else:
            assert sf.transform(folder, tmp_path / "o", step).kept == 0
    assert {float(t.max()) for t in sf.open_checkpoint(tmp_path / "o").values()} == {3.0}


def test_a_function_with_functions_inside_goes_on(folder: Path, tmp_path: Path) -> None:
    """Its code is told by what it does, not by where it lies."""
    broken = [True]

    def make() -> Callable[..., Any]:
        code = (
            "def step(name, value):\n"
            "    if broken and name == '1.w': broken.pop(), 1 / 0\n"
            "    return (lambda: {name: value})()"
        )
        space: dict[str, Any] = {"broken": broken}
        exec(code, space)  # compiled anew, as in another process
        return space["step"]  # type: ignore[no-any-return]

    with pytest.raises(ZeroDivisionError):
        sf.transform(folder, tmp_path / "o", make())
    assert sf.transform(folder, tmp_path / "o", make()).kept == 1


def test_a_closure_whose_name_has_no_value_yet(folder: Path, tmp_path: Path) -> None:
    def step(name: str, value: np.ndarray) -> Mapping[str, np.ndarray]:
        return {name: value if name else later}

    sf.transform(folder, tmp_path / "o", step)
    later = np.ones(1)


@pytest.mark.parametrize("most", [None, 100])
def test_two_shards_with_one_name(folder: Path, tmp_path: Path, most: int | None) -> None:
    """The index could name one of them only."""

    def last(name: str, value: np.ndarray) -> Mapping[str, np.ndarray]:
        return {name.split(".")[1]: value}

    with pytest.raises(sf.CheckpointError, match="the step gives two tensors the name 'b', the other in model-00001"):
        sf.transform(folder, tmp_path / "o", last, max_shard_bytes=most)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m"]


def test_nothing_is_left(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(sf.CheckpointError, match="leaves no tensor"):
        sf.transform(folder, tmp_path / "o", lambda name, value: {})
    report = sf.transform(folder, tmp_path / "o", lambda name, value: {} if name[0] == "0" else {name: value})
    assert sorted(sf.open_checkpoint(tmp_path / "o")) == ["1.b", "1.w"]
    assert report.shards == 2


def test_a_step_that_other_processes_cannot_be_given(folder: Path, tmp_path: Path) -> None:
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(sf.CheckpointError, match=r"other processes cannot be given it: .*define it at the top"),
    ):
        sf.transform(folder, tmp_path / "o", lambda name, value: {name: value}, executor=pool)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m"]


def test_progress_of_tensors_that_get_other_names(folder: Path, tmp_path: Path) -> None:
    seen: dict[str, int] = {}
    step = lambda name, value: {f"model.{name}.{i}": half for i, half in enumerate(np.split(value, 2))}  # noqa: E731
    sf.transform(folder, tmp_path / "o", step, progress=lambda name, nbytes: seen.update({name: nbytes}))
    assert seen == {"0.w": 256, "0.b": 32, "1.w": 256, "1.b": 32}


@pytest.mark.parametrize("select", [[], (), 3, [3], {}])
def test_selections_that_select_nothing(folder: Path, tmp_path: Path, select: Any) -> None:  # noqa: ANN401
    """An empty list is what a filter gives that found nothing; it is not all."""
    with pytest.raises(sf.FormatError, match="select: want names and globs, at least one"):
        sf.transform(folder, tmp_path / "o", Scaled(2.0, False, False), select=select)


@pytest.mark.parametrize("most", [0, -1, 1.5, "1"])
def test_sizes_of_shards_that_are_none(folder: Path, tmp_path: Path, most: Any) -> None:  # noqa: ANN401
    with pytest.raises(sf.FormatError, match="max_shard_bytes = "):
        sf.transform(folder, tmp_path / "o", Scaled(2.0, False, False), max_shard_bytes=most)


def test_places_that_are_refused_before_any_work(folder: Path, tmp_path: Path) -> None:
    step = Scaled(2.0, False, False)
    sf.save(tmp_path / "f.safetensors", {"w": np.ones(4)})
    (tmp_path / "there").mkdir()
    for source, out, text in (
        (folder, folder / "inside", "inside its input"),
        (folder, tmp_path, "or around it"),
        (folder, tmp_path / "f.safetensors", "the result is a folder, but .* is a file"),
        (tmp_path / "f.safetensors", tmp_path / "there", "the result is a file, but .* is a folder"),
    ):
        with pytest.raises(sf.CheckpointError, match=text):
            sf.transform(source, out, step, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.safetensors", "m", "there"]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_appears_meanwhile_is_not_replaced(folder: Path, tmp_path: Path, kind: str) -> None:
    source = folder if kind == "folder" else folder / SHARDS[0]
    out = tmp_path / ("o" if kind == "folder" else "o.safetensors")

    def step(name: str, value: np.ndarray) -> Mapping[str, np.ndarray]:
        if kind == "folder":
            out.mkdir(exist_ok=True)
        (out / "mine.txt" if kind == "folder" else out).write_text("mine")
        return {name: value}

    with pytest.raises(FileExistsError, match="exists; overwrite=True replaces it"):
        sf.transform(source, out, step)
    assert (out / "mine.txt" if kind == "folder" else out).read_text() == "mine"
    assert sf.transform(source, out, step, overwrite=True).kept == (2 if kind == "folder" else 1)


def test_what_is_no_executor(folder: Path, tmp_path: Path) -> None:
    """A number of workers was an AttributeError, behind a folder of parts."""
    with pytest.raises(sf.FormatError, match=r"executor: want a concurrent\.futures\.Executor, or None, got 2"):
        sf.transform(folder, tmp_path / "o", sf.checkpoint.pack("csr"), executor=2)  # type: ignore[arg-type]
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
