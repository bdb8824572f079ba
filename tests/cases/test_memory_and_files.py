"""Limits of memory, files of others, full disks, and odd paths."""

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.base import limits


def group(folder: Path, version: int, limit: object, used: int, cache: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(
        f"anon 1\n{'inactive_file' if version == 2 else 'total_inactive_file'} {cache}\n"
    )


def test_cgroups_of_both_versions_and_their_parents_count(tmp_path: Path) -> None:
    group(tmp_path / "a/b", 2, "max", 10, 0)
    group(tmp_path / "a", 2, 1000, 700, 200)
    folders = limits.cgroup_folders("0::/a/b\n", tmp_path)
    assert folders == [tmp_path / "a/b", tmp_path / "a", tmp_path]
    assert limits.cgroup_room(folders) == [500]
    group(tmp_path / "memory/docker/x", 1, 800, 900, 50)
    group(tmp_path / "memory", 1, 2**63 - 4096, 5, 0)
    listing = "12:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n0::/a/b\n"
    folders = limits.cgroup_folders(listing, tmp_path)
    assert tmp_path / "memory/docker/x" in folders
    assert tmp_path / "cpu" not in folders
    assert sorted(limits.cgroup_room(folders)) == [0, 500, 2**63 - 4096 - 5]


def test_what_is_available_bounds_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < limits.available() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    monkeypatch.setattr(limits, "available", lambda: 100 << 20)
    sf.set_max_bytes(None)  # forgets what was read a moment ago
    t = sf.encode(np.ones((1, 1), np.int8), "coo")
    assert t.to_dense().shape == (1, 1)
    huge = sf.SparseTensor(
        type(t.structure)(t.structure.row, t.structure.col, (3 * 10**9, 1)), t.values, (3 * 10**9, 1)
    )
    for call in (huge.to_dense, lambda: huge.convert("csr"), lambda: huge @ np.ones(1)):
        with pytest.raises(sf.SizeError, match="would take"):
            call()


def test_the_system_is_not_asked_for_every_array(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the limits takes milliseconds; a reading holds for a moment, and for half of what is left of it only."""
    asked = []
    monkeypatch.setattr(limits, "available", lambda: asked.append(1) or (1000 << 20))
    monkeypatch.setattr(limits, "_GOOD_FOR", 3600.0)
    sf.set_max_bytes(None)
    for _ in range(20):
        limits.check_size(20 << 20, "x")
    assert len(asked) == 1
    limits.check_size(400 << 20, "x")  # of 600 MiB that are left
    assert len(asked) == 2
    with pytest.raises(sf.SizeError, match="x would take 1048576001 bytes; allowed 1048576000;"):
        limits.check_size((1000 << 20) + 1, "x")
    assert len(asked) == 3
    monkeypatch.setattr(limits, "_GOOD_FOR", -1.0)
    sf.set_max_bytes(None)
    limits.check_size(20 << 20, "x")
    limits.check_size(20 << 20, "x")
    assert len(asked) == 5


def test_integer_sums_never_wrap() -> None:
    for dtype, top in (("uint8", 255), ("int8", -128)):
        for cols in (33_025, 33_026, 131_071, 131_072):
            w = np.full((1, cols), top, dtype)
            for fmt in ("dense", "csr", "bitmask"):
                t = sf.encode(w, fmt)
                got = t @ w[0]
                assert got.tolist() == [top * top * cols]
                assert got.dtype == (np.int32 if top * top * cols < 2**31 else np.int64)
                assert (w @ t.T).tolist() == [[top * top * cols]]
    t = sf.encode(np.full((40_000, 1), 255, np.uint8), "csr")
    assert (np.full(40_000, 255, np.uint8) @ t).tolist() == [255 * 255 * 40_000]
    assert (sf.encode(np.ones((1, 40_000), bool), "csr") @ np.ones(40_000, bool)).dtype == np.int32


TOPS = {"bool": 1, "int8": -128, "uint8": 255, "int16": -32768, "uint16": 65535}


@pytest.mark.parametrize("fmt", ["dense", "coo", "csr", "csc", "bsr1x1", "bitmask", "gap", "nm4:4"])
@pytest.mark.parametrize("a", TOPS)
def test_integer_sums_on_every_way(a: str, fmt: str) -> None:
    """One term more than int32 holds of the pair, from both sides, transposed, with few and with many columns."""
    for b in ("int8", "uint8", "uint16"):
        small = {"bool", "int8", "uint8"} >= {a, b}
        cols = min(2**31 // abs(TOPS[a] * TOPS[b]) + 1, 70_000) if small else 40_000
        want = TOPS[a] * TOPS[b] * cols
        wide = np.int64 if abs(want) >= 2**31 or not small else np.int32
        wide = np.uint64 if not small and "int8" not in (a, b) and a != "int16" else wide
        t, x = sf.encode(np.full((2, cols), TOPS[a], a), fmt), np.full((cols, 3), TOPS[b], b)
        u = t if fmt in ("csr", "csc", "coo") else sf.encode(np.full((cols, 2), TOPS[a], a), fmt.replace("4:4", "2:2"))
        u = u.T if u is t else u
        ways = [t @ x, t @ x[:, 0], t @ x[:, :1], x.T @ t.T, sf.matmul(t, x[:, 0]), x.T @ u, u.T @ x, u.T @ x[:, 0]]
        for got in ways:
            assert got.dtype == wide, (b, got.dtype)
            assert (got == want).all(), (b, got, want)


DTYPES = [
    "bool", "int8", "uint16", "float16", "bfloat16", "float8_e4m3fn", "float32", "int64", "float64", "complex64",
    "complex128",
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", range(17))
def test_every_dtype_at_every_address(dtype: str, offset: int) -> None:
    kind = sf.random((4, 8), "dense", density=0.5, dtype=dtype).dtype
    want = sf.random((4, 8), "dense", density=0.5, dtype=dtype).to_dense()
    room = np.zeros(want.nbytes + 64, np.uint8)
    start = -room.ctypes.data % 16 + offset
    w = room[start : start + want.nbytes].view(kind).reshape(4, 8)
    w[...] = want
    x = np.ones(8, kind)
    for fmt in ("dense", "csr", "csc", "coo", "bitmask", "bsr2x4", *(() if kind.kind == "c" else ("nm8:8",))):
        t = sf.encode(w, fmt)
        assert t.to_dense().tobytes() == want.tobytes()
        out = np.zeros(want.nbytes + 64, np.uint8)[offset : offset + want.nbytes].view(kind).reshape(4, 8)
        t.to_dense(out)
        assert out.tobytes() == want.tobytes()
        data = {k: v for k, v in t.values.arrays().items()}["data"]
        moved = np.zeros(data.nbytes + 64, np.uint8)
        start = -moved.ctypes.data % 16 + offset
        again = moved[start : start + data.nbytes].view(kind).reshape(data.shape)
        again[...] = data
        u = sf.from_parts(t.structure, again, t.shape)
        for target in ("coo", "csr", "bitmask"):
            assert u.convert(target).to_dense().tobytes() == want.tobytes()
        assert np.array_equal(u @ x, t @ x)
        assert np.array_equal(u.T.to_dense(), want.T)
    assert np.array_equal(sf.prune.magnitude(w, 1.0), want)


def test_complex64_in_a_file_at_four_modulo_eight(tmp_path: Path) -> None:
    want = (np.arange(6) * (1 - 2j)).astype(np.complex64).reshape(2, 3)
    header = (
        b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"w":{"dtype":"C64","shape":[2,3],"data_offsets":[4,52]}}'
    )
    header += b" " * (-len(header) % 8)
    (tmp_path / "c.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4 + want.tobytes())
    w = sf.load(tmp_path / "c.safetensors")["w"]
    assert np.array_equal(w, want)
    assert np.array_equal(sf.encode(w, "csr").convert("bitmask").to_dense(), want)


def test_owner_mode_and_attributes_stay(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    sf.save(path, {"a": np.ones(2)})
    path.chmod(0o640)
    own: Any = None
    try:
        os.chown(path, 12345, 23456)
        own = (12345, 23456)
    except PermissionError:
        own = (path.stat().st_uid, path.stat().st_gid)
    marked = True
    try:
        os.setxattr(path, "user.origin", b"here")
    except OSError:
        marked = False
    sf.save(path, {"a": np.zeros(2)})
    assert (path.stat().st_uid, path.stat().st_gid) == own
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    if marked:
        assert os.getxattr(path, "user.origin") == b"here"


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"w\.safetensors") as e:
        sf.save(tmp_path / "w.safetensors", {"a": np.ones(2)})
    assert e.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


def test_paths_that_are_none(tmp_path: Path) -> None:
    for call in (
        lambda: sf.load("a\0b"),
        lambda: sf.save("a\0b", {}),
        lambda: sf.inspect("a\0b"),
        lambda: sf.interop.read_matrix_market("a\0.mtx"),
        lambda: sf.TaskStore("a\0b"),
        lambda: sf.TaskStore(tmp_path / "store", "a\0b"),
        lambda: sf.merge.run("a\0.yml", tmp_path / "out"),
        lambda: sf.plan.Plan.load("a\0b"),
    ):
        with pytest.raises(sf.FormatError, match="NUL"):
            call()
    with open(__file__, "rb") as file, pytest.raises(TypeError, match="pass its name"):
        sf.load(file)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="bytes"):
        sf.load(b"\0\1")  # type: ignore[arg-type]


def test_what_is_saved_can_be_loaded(tmp_path: Path) -> None:
    sf.save(tmp_path / "a.safetensors", {"w": np.ones((1,) * 63, np.complex128), "v": np.ones((1,) * 64)})
    assert sf.load(tmp_path / "a.safetensors")["w"].ndim == 63
    with pytest.raises(sf.FormatError, match="rank 64"):
        sf.save(tmp_path / "b.safetensors", {"w": np.ones((1,) * 64, np.complex128)})
    t = sf.encode(np.zeros((0, 8), np.float32), "nm2:4@64/int4:g4")
    assert t.values.arrays()["codes"].shape == (0, 64)
    sf.save(tmp_path / "c.safetensors", {"t": t})
    assert sf.equal(sf.load(tmp_path / "c.safetensors")["t"], t)


@pytest.mark.parametrize("ending", [".npz", ".NPY", ".mtx", ".pt", ".gguf", ".h5", ".json"])
def test_the_name_says_the_kind(tmp_path: Path, ending: str) -> None:
    """No reader of that kind would find anything there."""
    with pytest.raises(sf.FormatError, match=r"name it \.safetensors"):
        sf.save(tmp_path / f"x{ending}", {"w": np.eye(3)})
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_commands_keep_the_owner_of_what_they_replace(tmp_path: Path) -> None:
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    sf.save(source, {"w": np.eye(64, dtype=np.float32)})
    sf.save(out, {"w": np.ones(3)})
    folder = tmp_path / "model"
    folder.mkdir()
    for path in (out, folder):
        os.chown(path, 12345, 12346)
    out.chmod(0o640)
    with contextlib.suppress(OSError):  # a file system without attributes
        os.setxattr(out, "user.note", b"kept")
    attributes = os.listxattr(out)
    config = {"merge_method": "linear", "models": [{"model": str(source), "parameters": {"weight": 1}}]}
    for call in (
        lambda: sf.transform(source, out, sf.checkpoint.pack("csr"), select="*", overwrite=True),
        lambda: sf.merge.run(config, out, overwrite=True),
        lambda: sf.merge.run(config, folder, overwrite=True),
        lambda: sf.delta.diff(source, source).apply(source, out),
    ):
        call()
        held = out.stat()
        assert (held.st_uid, held.st_gid, held.st_mode & 0o777) == (12345, 12346, 0o640)
        assert os.listxattr(out) == attributes
        assert folder.stat().st_uid == 12345


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("values", [np.float32, np.float64])
@pytest.mark.parametrize("fmt", ["csr", "coo", "gap"])
def test_factors_that_repeat_one_item(fmt: str, values: Any, dtype: Any) -> None:  # noqa: ANN401
    """In another dtype such a view is as large as it looks: a product, or a SizeError."""
    n = 2**53
    t = sf.from_parts(("coo", {"row": np.zeros(1, np.int64), "col": np.full(1, 5)}), np.ones(1, values), (1, n))
    t = t.convert(fmt)
    for k in (1, 3):
        x = np.broadcast_to(dtype(2), (n, k))
        for product in (lambda: t @ x, lambda: x.T @ t.T, lambda: t @ x[:, 0]):  # noqa: B023
            try:
                assert (product() == 2).all()
            except sf.SizeError as e:
                assert "would take" in str(e)  # noqa: PT017
