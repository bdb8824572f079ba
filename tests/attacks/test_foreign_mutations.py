"""Files of others with something wrong: their tensors or a typed error in one line, within the limits.

`make test` runs 10,000 changes of every format: of the arrays and settings of a scheme (its files share a container,
which 200 changes more for each of them try), of what HDF5 and Zarr hold (their files take up to 30 milliseconds in the
packages that read them: a hundred), and of the files of all others. `make slow` runs a million of every format, of
files of HDF5, Zarr and ONNX a hundredth of that.
"""

import contextlib
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from mutations import judge, trees
from mutations.formats import FORMATS
from mutations.weights import SCHEMES

QUICK = 10_000
MANY = 1_000_000
SLOWER = 100  # how much slower the packages of other containers are


@pytest.fixture
def path(name: str, tmp_path: Path) -> Path:
    if FORMATS[name].needs:
        pytest.importorskip(FORMATS[name].needs)
    return tmp_path


@pytest.mark.parametrize("name", SCHEMES)
def test_arrays_and_settings(name: str) -> None:
    assert judge.build(SCHEMES[name].arrays, {"quantization_config": SCHEMES[name].settings}) == 1
    with judge.bounded():
        assert not judge.failures(judge.array_change(SCHEMES[name]), range(QUICK))


def test_what_hdf5_and_zarr_hold() -> None:
    assert trees.read(trees.tree()) == 3
    with judge.bounded():
        assert not judge.failures(trees.change, range(QUICK))


@pytest.mark.slow
def test_a_million_changes_of_what_hdf5_and_zarr_hold() -> None:
    with judge.bounded():
        assert not judge.failures(trees.change, range(QUICK, QUICK + MANY))


def test_every_format_has_its_ten_thousand() -> None:
    """Of files, but where the contents have them."""
    assert {n for n, f in FORMATS.items() if f.quick < QUICK} == {*SCHEMES, "hdf5", "zarr"}


@pytest.mark.parametrize("name", FORMATS)
def test_files(name: str, path: Path) -> None:
    assert judge.read(FORMATS[name].sound(path))
    with judge.bounded():
        assert not judge.failures(judge.file_change(FORMATS[name].wrong, path), range(FORMATS[name].quick))


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_a_million_changes(name: str, path: Path) -> None:
    judge.read(FORMATS[name].sound(path))
    if name in SCHEMES:
        change, many = judge.array_change(SCHEMES[name]), MANY
    else:
        change, many = judge.file_change(FORMATS[name].wrong, path), MANY // (SLOWER if FORMATS[name].needs else 1)
    with judge.bounded():
        assert not judge.failures(change, range(10_000, 10_000 + many))


@pytest.mark.parametrize("name", [n for n in FORMATS if n != "zarr"])
def test_cut_at_every_byte(name: str, path: Path) -> None:
    """A shorter file is an error, but where it ends between lines or before padding."""
    found = FORMATS[name].sound(path)
    file = found / "model.safetensors" if found.is_dir() else found
    whole = file.read_bytes()
    step = 1 if name not in SCHEMES or name == "gptq" else 17  # all schemes share a container
    step = 199 if FORMATS[name].needs == "h5py" else step  # libhdf5 compares the length of the file first
    read = 0
    for size in range(0, len(whole), step):
        file.unlink()
        file.write_bytes(whole[:size])
        with contextlib.suppress(sf.SparsefmtError):
            judge.read(found)
            read += 1
    assert read <= {"matrix-market": 4, "gguf": 0, "onnx": 3}.get(name, 0)


def test_the_changes_reach_both_ends(tmp_path: Path) -> None:
    """Some changes leave a file that is read, others one that is not: the tests above look at something."""
    for name in ("pack-quantized", "gguf", "scipy-npz", "matrix-market"):
        ends = set()
        for i in range(60):
            wrong = FORMATS[name].wrong(tmp_path, np.random.default_rng(i))
            try:
                ends.add(judge.read(wrong) > 0)
            except sf.SparsefmtError:
                ends.add(False)
        assert ends == {True, False}
