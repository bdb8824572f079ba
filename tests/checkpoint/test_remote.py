"""Checkpoints behind URLs: in memory, and in S3 of moto's server on loopback; bytes over the wire are counted."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
from moto.server import ThreadedMotoServer

import sparsefmt as sf
from commandline import Cli
from sparsefmt.checkpoint import pack, unpack
from sparsefmt.checkpoint.remote import _Asked

MIB = 1 << 20
FILES = [
    "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
    "model.safetensors.index.json", "tokenizer/words.txt",
]  # fmt: skip


class Counted:
    """A proxy before a server of this machine, which counts the bytes that the server sends."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.received = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, True), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                self.received += len(data) if counts else 0
                target.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, target):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(scope="module")
def wire() -> Iterator[Counted]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    proxy = Counted(server.get_host_and_port()[1])
    patch = pytest.MonkeyPatch()
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "testing"), ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}"), ("no_proxy", "127.0.0.1"), ("NO_PROXY", "127.0.0.1"),
    ):  # fmt: skip
        patch.setenv(name, value)
    fsspec.filesystem("s3").mkdir("models")
    yield proxy
    fsspec.filesystem("s3").rm("models", recursive=True)
    proxy.close()
    server.stop()
    patch.undo()


@pytest.fixture(params=["memory", "s3"])
def root(request: pytest.FixtureRequest) -> str:
    if request.param == "s3":
        request.getfixturevalue("wire")
    return f"{request.param}://models/{request.node.name.partition('[')[0]}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "m"
    (path / "tokenizer").mkdir(parents=True)
    weight_map = {}
    for i in (1, 2):
        name = f"model-0000{i}-of-00002.safetensors"
        tensors = {f"{i}.w": sf.prune.nm(rng.standard_normal((64, 48)).astype(np.float32)), f"{i}.b": rng.random(48)}
        sf.save(path / name, tensors, {"format": "pt"})
        weight_map |= dict.fromkeys(tensors, name)
    (path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (path / "config.json").write_text('{"model_type": "x"}')
    (path / "tokenizer" / "words.txt").write_text("a b")
    return path


def put(folder: Path, url: str) -> str:
    fs, key = fsspec.url_to_fs(url)
    fs.put(f"{folder}/", key, recursive=True)
    return url


def contents(url: str) -> dict[str, bytes]:
    fs, key = fsspec.url_to_fs(url)
    fs.invalidate_cache()
    return {name.partition(key.strip("/") + "/")[2]: fs.cat_file(name) for name in sorted(fs.find(key))}


def local(path: Path) -> dict[str, bytes]:
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def test_from_a_url_to_a_url(root: str, folder: Path, tmp_path: Path) -> None:
    source = put(folder, f"{root}/m")
    with sf.open_checkpoint(source) as c, sf.open_checkpoint(folder) as here:
        assert list(c) == list(here)
        assert dict(c.entries) == dict(here.entries)
        assert c.config == {"model_type": "x"}
        assert c["1.w"].tobytes() == here["1.w"].tobytes()
        assert c.rows("2.w", 3, 9).tobytes() == here.rows("2.w", 3, 9).tobytes()
        c.check()
    sf.transform(folder, tmp_path / "p", pack("nm2:4"))
    report = sf.transform(source, f"{root}/p", pack("nm2:4"))
    assert (report.shards, len(report.changed)) == (2, 2)
    assert contents(f"{root}/p") == local(tmp_path / "p")
    assert sorted(contents(f"{root}/p")) == FILES
    sf.transform(f"{root}/p", tmp_path / "back", unpack())
    assert sorted(local(tmp_path / "back")) == FILES
    assert sf.load(f"{root}/p").keys() == sf.load(folder).keys()
    with pytest.raises(FileExistsError):
        sf.transform(source, f"{root}/p", pack("nm2:4"))
    sf.transform(source, f"{root}/p", pack("csr"), overwrite=True)
    assert sf.load(f"{root}/p", ["1.w"])["1.w"].format == "csr"


def test_one_file(root: str, folder: Path, tmp_path: Path) -> None:
    file = folder / "model-00001-of-00002.safetensors"
    sf.transform(file, f"{root}/one.safetensors", pack("nm2:4"))
    sf.transform(file, tmp_path / "one.safetensors", pack("nm2:4"))
    assert contents(root) == {"one.safetensors": (tmp_path / "one.safetensors").read_bytes()}
    with pytest.raises(sf.FormatError, match=r"only \.safetensors files"):
        sf.open_checkpoint(put(folder, f"{root}/m") + "/config.json")
    with pytest.raises(FileNotFoundError):
        sf.open_checkpoint(f"{root}/none.safetensors")


def test_what_changed_meanwhile_is_noticed(root: str, folder: Path) -> None:
    source = put(folder, f"{root}/m")
    with sf.open_checkpoint(source) as c:
        fs, key = fsspec.url_to_fs(source)
        fs.pipe_file(f"{key}/model-00001-of-00002.safetensors", b"other")
        with pytest.raises(sf.CheckpointError, match=r"was (changed|replaced)"):
            c.check()


def test_finished_shards_are_kept(root: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = put(folder, f"{root}/m")
    calls = []

    def once(name: str, nbytes: int) -> None:
        calls.append(name)
        if name.startswith("2."):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sf.transform(source, f"{root}/p", pack("nm2:4"), progress=once)
    report = sf.transform(source, f"{root}/p", pack("nm2:4"), overwrite=True)
    assert (report.shards, report.kept) == (2, 1)
    sf.transform(source, f"{root}/q", pack("nm2:4"))
    assert contents(f"{root}/p") == contents(f"{root}/q")


def test_commands(root: str, folder: Path, tmp_path: Path, cli: Cli) -> None:
    source = put(folder, f"{root}/m")
    cli.ok("pack", source, f"{root}/p", "--format", "nm2:4")
    cli.ok("verify", source, f"{root}/p", "--strict")
    cli.ok("convert", f"{root}/p", tmp_path / "csr", "--format", "csr")
    cli.ok("unpack", f"{root}/p", tmp_path / "back")
    cli.ok("verify", folder, tmp_path / "back", "--strict")
    assert "exists; --force replaces it" in cli.fails(2, "unpack", source, f"{root}/p")
    assert "is IN" in cli.fails(2, "unpack", source, source)
    assert "No such file" in cli.fails(4, "unpack", f"{root}/gone", tmp_path / "o")
    assert "Protocol not known" in cli.fails(2, "unpack", "nowhere://x", tmp_path / "o")


def test_bytes_over_the_wire(wire: Counted, tmp_path: Path) -> None:
    """A header, and one tensor of a large file: its own bytes and less than 1 MiB more."""
    w = np.random.default_rng(0).standard_normal((1024, 1024)).astype(np.float32)
    tensors = {f"layer.{i}.weight": w for i in range(12)}
    tensors["packed"] = sf.encode(sf.prune.nm(w), "nm2:4")
    url = "s3://models/wire.safetensors"
    sf.save(tmp_path / "w.safetensors", tensors)
    fsspec.filesystem("s3").put_file(str(tmp_path / "w.safetensors"), "models/wire.safetensors")
    for name in ("layer.7.weight", "packed"):
        before = wire.received
        with sf.open_checkpoint(url) as c:
            assert wire.received - before < MIB
            value = c[name]
        assert value.nbytes <= wire.received - before <= value.nbytes + MIB
    before = wire.received
    with sf.open_checkpoint(url) as c:
        assert c.rows("layer.3.weight", 10, 20).tobytes() == w[10:20].tobytes()
    assert wire.received - before < MIB


def test_what_a_filesystem_raises_is_an_error_of_the_system(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials that are missing ended as an internal error."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    store = fsspec.get_filesystem_class("s3")
    store.clear_instance_cache()
    url = "s3://nowhere/m.safetensors"
    try:
        line = cli.fails(4, "inspect", url)
    finally:
        store.clear_instance_cache()
    assert line.startswith(f"sparsefmt: error: {url}: ")
    assert "credentials" in line


class Refusing:
    """A filesystem that raises."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def info(self, key: str) -> None:
        raise self._error


class OfTheStore(Exception):
    """As packages of stores have them."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OfTheStore("throttled"), OSError),
        (ValueError("a bucket of that name makes no sense"), OSError),
        (PermissionError("Forbidden"), PermissionError),
        (TimeoutError(), TimeoutError),
        (MemoryError("small"), MemoryError),
        (sf.FormatError("of this package"), sf.FormatError),
    ],
    ids=repr,
)
def test_errors_of_filesystems_name_the_url(error: Exception, kind: type[Exception]) -> None:
    asked = _Asked(Refusing(error), "memory://m")
    with pytest.raises(kind) as found:
        asked.info("m")
    if isinstance(found.value, OSError):
        assert (found.value.filename, bool(found.value.errno)) == ("memory://m", True)
        assert str(error) in str(found.value)


def test_a_host_that_does_not_answer_is_no_missing_file() -> None:
    missing = FileNotFoundError("http://a")
    missing.__cause__ = ConnectionRefusedError(111, "refused")
    with pytest.raises(ConnectionRefusedError, match="refused"):
        _Asked(Refusing(missing), "http://a").info("")
    with pytest.raises(FileNotFoundError):
        _Asked(Refusing(FileNotFoundError("http://a")), "http://a").info("")


@pytest.mark.parametrize(
    "command",
    [
        ["diff", "memory://m/a", "b", "c"],
        ["apply", "a", "memory://m/b", "c"],
        ["log", "memory://m/a"],
        ["report", "memory://m/a", "-o", "r.html"],
        ["report", "a", "-o", "memory://m/r.html"],
        ["plan", "memory://m/a", "p.json", "--formats", "csr", "--budget", "40%"],
        ["prune", "memory://m/a", "b", "--format", "nm2:4"],
        ["merge", "--method", "linear", "a", "memory://m/b", "c"],
    ],
    ids=" ".join,
)
def test_commands_that_take_no_url_say_so(cli: Cli, command: list[str]) -> None:
    assert "is a URL, where this command takes files of this machine" in cli.fails(2, *command)


def test_the_doctor_looks_behind_urls(cli: Cli, tmp_path: Path) -> None:
    sf.save(tmp_path / "m.safetensors", {"w": np.ones((2, 2))})
    fsspec.filesystem("memory").pipe("doctor/m.safetensors", (tmp_path / "m.safetensors").read_bytes())
    assert "nothing is wrong" in cli.ok("doctor", "memory://doctor/m.safetensors")
