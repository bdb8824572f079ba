"""What only a real process shows: entry points, signals, pipes, terminals, missing packages."""

import functools
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.cli.process import say_warnings

ENV = {**os.environ, "PYTHONWARNINGS": "error"}
SPARSEFMT = [sys.executable, "-m", "sparsefmt.cli"]


def run(*command: object, **env: str) -> subprocess.CompletedProcess[str]:
    words = [str(c) for c in command]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=ENV | env, stdin=subprocess.DEVNULL)


def test_entry_points(model: Path, tmp_path: Path) -> None:
    script = Path(sys.executable).parent / "sparsefmt"
    for command in ([script], SPARSEFMT):
        done = run(*command, "pack", model, tmp_path / "o.safetensors", "--format", "csr", "--force")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("packed 3 of 7 tensors as csr")
    assert run(*SPARSEFMT, "--version").stdout.startswith("sparsefmt 0.")


def test_errors_are_one_line_and_debug_shows_the_traceback(tmp_path: Path) -> None:
    missing = tmp_path / "no.safetensors"
    line = f"sparsefmt: error: {missing}: No such file or directory\n"
    done = run(*SPARSEFMT, "inspect", missing)
    assert (done.returncode, done.stdout, done.stderr) == (4, "", line)
    for words, env in (
        (["inspect", "--debug", missing], {}),
        (["--debug", "inspect", missing], {}),
        (["inspect", missing], {"SPARSEFMT_DEBUG": "1"}),
    ):
        done = run(*SPARSEFMT, *words, **env)
        assert done.returncode == 4
        assert done.stderr.startswith("Traceback (most recent call last):")
        assert done.stderr.endswith(line)


@pytest.mark.parametrize("words", [[], ["pcak"], ["pack"], ["--no-such-option"], ["inspect", "a", "b"]])
def test_wrong_usage(words: list[str]) -> None:
    done = run(*SPARSEFMT, *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("sparsefmt: error: ")


@pytest.mark.skipif(sys.platform == "win32", reason="limits of Unix")
def test_more_shards_than_files_may_be_open_at_first(tmp_path: Path) -> None:
    """Each keeps one open: models of many shards could not be merged under the usual limit of 1,024."""
    for name in ("one", "two"):
        arrays = {f"w{i}": np.full((64, 64), i, np.float32) for i in range(40)}
        sf.save(tmp_path / f"{name}.safetensors", arrays)
        sf.transform(tmp_path / f"{name}.safetensors", tmp_path / name, sf.checkpoint.unpack(), max_shard_bytes=1)
    for soft, hard, code in ((48, 512, 0), (48, 48, 4)):
        limits = f"ulimit -Sn {soft}; ulimit -Hn {hard}; exec"
        words = [*SPARSEFMT, "merge", "--method", "linear", tmp_path / "one", tmp_path / "two", tmp_path / f"out{code}"]
        done = run("sh", "-c", f'{limits} "$@"', "sh", *words)
        assert done.returncode == code, done.stderr
    assert "Too many open files" in done.stderr
    with sf.open_checkpoint(tmp_path / "out0") as made:
        assert all((made[f"w{i}"] == i).all() for i in range(40))


@pytest.mark.parametrize("name", ["click", "rich"])
def test_missing_package(name: str) -> None:
    code = f"import sys; sys.modules[{name!r}] = None; from sparsefmt.cli.main import main; main()"
    done = run(sys.executable, "-c", code)
    assert done.returncode == 4
    assert done.stderr == f"sparsefmt: error: the command line needs {name}: pip install 'sparsefmt[cli]'\n"


def test_missing_scipy_matters_only_where_it_is_needed(model: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['scipy'] = None; from sparsefmt.cli.main import main; main()"
    done = run(sys.executable, "-c", code, "pack", model, tmp_path / "o.safetensors", "--format", "csr")
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "m.mtx").write_text("%%MatrixMarket matrix array real general\n1 1\n1\n")
    done = run(sys.executable, "-c", code, "pack", tmp_path / "m.mtx", tmp_path / "p.safetensors", "--format", "csr")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("number", "code", "text"), [(2, 130, "sparsefmt: interrupted\n"), (15, 143, "")])
def test_signals(tmp_path: Path, number: int, code: int, text: str) -> None:
    """A pipe as IN keeps the process waiting until the signal comes."""
    pipe = tmp_path / "m.mtx"
    os.mkfifo(pipe)
    command = [*SPARSEFMT, "pack", str(pipe), str(tmp_path / "o.safetensors"), "--format", "csr"]
    # A shell that starts a job in the background has it ignore interrupts, and children inherit that.
    default = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV, preexec_fn=default
    ) as process:
        wchan = Path(f"/proc/{process.pid}/wchan")
        for _ in range(200):  # until it waits for the other end of the pipe
            time.sleep(0.05)
            if not wchan.exists() or "wait_for_partner" in wchan.read_text():
                break
        else:
            time.sleep(1)
        process.send_signal(signal.Signals(number))
        try:
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()  # or leaving the block would wait for ever
    assert (process.returncode, out, err) == (code, "", text)
    assert [p.name for p in tmp_path.iterdir()] == ["m.mtx"]


def test_a_reader_that_stops_early(model: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*SPARSEFMT, "inspect", str(model)], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def shell(line: str, cwd: Path, **env: str) -> tuple[int, str, str]:
    """A command line as a shell runs it; `sparsefmt` stands for the command."""
    text = line.replace("sparsefmt", " ".join(SPARSEFMT), 1)
    done = subprocess.run(
        ["bash", "-c", text], capture_output=True, text=True, cwd=cwd, env={**ENV, **env}, check=False
    )
    return done.returncode, done.stdout, done.stderr


WORDS = [
    "--help",
    "--version",
    "formats",
    "inspect model.safetensors",
    "pack --help",
    "inspect --json model.safetensors",
]


@pytest.mark.parametrize("words", WORDS)
def test_an_output_that_takes_nothing(model: Path, words: str) -> None:
    """A closed stdout is a pipe without a reader; a full disk is one line, for the help of the group too."""
    words = words.replace("model.safetensors", model.name)
    assert shell(f"sparsefmt {words} >&-", model.parent) == (141, "", "")
    full = (4, "", "sparsefmt: error: the output: No space left on device\n")
    assert shell(f"sparsefmt {words} >/dev/full", model.parent) == full


def test_closed_streams_do_not_become_files(model: Path, tmp_path: Path) -> None:
    """The first file that a process opens takes the number of a stream that was closed."""
    command = f"sparsefmt pack {model} {tmp_path / 'o.safetensors'} --format csr --quiet"
    assert shell(f"{command} <&- >&- 2>&-", tmp_path) == (0, "", "")
    assert run(*SPARSEFMT, "verify", model, tmp_path / "o.safetensors").returncode == 0
    assert shell("sparsefmt inspect nothing >&- 2>&-", tmp_path) == (4, "", "")


def test_names_that_the_terminal_has_no_letters_for(tmp_path: Path) -> None:
    sf.save(tmp_path / "m.safetensors", {"emoji\N{GRINNING FACE}.weight": np.ones((4, 4), np.float32)})
    for env in ({"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        code, out, err = shell("sparsefmt inspect m.safetensors", tmp_path, **env)
        assert (code, err) == (0, "")
        assert "emoji\\U0001f600.weight" in out
    odd = os.fsdecode(b"o\xff.safetensors")
    done = run(*SPARSEFMT, "pack", tmp_path / "m.safetensors", tmp_path / odd, "--format", "csr", "--include", "*")
    assert done.returncode == 0
    assert "o\\udcff.safetensors" in done.stdout


@pytest.mark.parametrize(("number", "code"), [(2, 130), (1, 129), (15, 143)])
def test_signals_while_a_module_in_c_is_imported(tmp_path: Path, number: int, code: int) -> None:
    """NumPy's own ImportError took the place of what the signal raised; it is raised when that import has ended."""
    (tmp_path / "hit.py").write_text(
        "import os, sys\n"
        "class Hit:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'numpy._core._exceptions':\n"  # which NumPy's extension imports
        f"            os.kill(os.getpid(), {number})\n"
        "        return None\n"
        "sys.meta_path.insert(0, Hit())\n"
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler), signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "from sparsefmt.cli.main import main\n"
        "main()\n"
    )
    (tmp_path / "m.mtx").write_text("%%MatrixMarket matrix array real general\n1 1\n1\n")
    command = (sys.executable, tmp_path / "hit.py", "pack", tmp_path / "m.mtx", tmp_path / "o", "--format", "csr")
    done = run(*command, PYTHONWARNINGS="ignore::ResourceWarning")  # of the module that is read when the signal comes
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == ("sparsefmt: interrupted\n" if number == 2 else "")


@pytest.mark.parametrize("what", ["Hit()", "cleared()"])
@pytest.mark.parametrize(("number", "code"), [(2, 130), (1, 129), (15, 143)])
def test_signals_that_are_dropped(tmp_path: Path, number: int, code: int, what: str) -> None:
    """In destructors, in callbacks of the locks of imports, by extensions: what they raise is raised once more."""
    (tmp_path / "hit.py").write_text(
        "import os, sys, signal\n"
        "class Hit:\n"
        "    def __del__(self):\n"
        f"        os.kill(os.getpid(), {number})\n"
        "        sum(range(1000))\n"
        "def cleared():\n"
        "    try:\n"
        "        Hit().__del__()\n"
        "    except BaseException:\n"
        "        pass\n"
        "class Hits:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'sparsefmt.checkpoint.transform':\n"
        f"            sys.meta_path.remove(self), {what}\n"
        "sys.meta_path.insert(0, Hits())\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler), signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "from sparsefmt.cli.main import main\n"
        "main()\n"
    )
    os.mkfifo(tmp_path / "m.mtx")  # it waits here, unless the signal comes
    done = run(
        "timeout",
        "60",
        sys.executable,
        tmp_path / "hit.py",
        "pack",
        tmp_path / "m.mtx",
        tmp_path / "o.safetensors",
        "--format",
        "csr",
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == ("sparsefmt: interrupted\n" if number == 2 else "")


def test_progress_only_on_a_terminal(model: Path, tmp_path: Path) -> None:
    """`FORCE_COLOR` makes rich believe in a terminal; stderr decides alone."""
    done = run(*SPARSEFMT, "pack", model, tmp_path / "o.safetensors", "--format", "csr", FORCE_COLOR="1")
    assert (done.returncode, done.stderr) == (0, "")
    primary, secondary = os.openpty()
    command = [*SPARSEFMT, "pack", str(model), str(tmp_path / "p.safetensors"), "--format", "csr"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=secondary, text=True) as process:
        os.close(secondary)
        shown = b""
        while True:
            try:
                part = os.read(primary, 65536)
            except OSError:  # the process has closed its end
                break
            shown += part
        os.close(primary)
    assert process.returncode == 0
    assert b"100%" in shown or "━".encode() in shown


def begun(folder: Path) -> tuple[list[str], "subprocess.Popen[str]", list[int]]:
    """A command with two workers that has finished a shard; the processes that it has started."""
    (folder / "m").mkdir()
    rng = np.random.default_rng(0)
    for i in range(1, 9):
        name = f"model-{i:05}-of-00008.safetensors"
        sf.save(folder / "m" / name, {f"{i}.w": rng.standard_normal((512, 512)).astype(np.float32)})
    words = ["pack", str(folder / "m"), str(folder / "o"), "--format", "dense/kmeans64", "--workers", "2"]
    child = subprocess.Popen(
        [*SPARSEFMT, *words],
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    until = time.monotonic() + 120
    while not list(folder.glob(".o.parts/*/manifests/*.json")) and child.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    kin = Path(f"/proc/{child.pid}/task/{child.pid}/children")
    return words, child, [int(k) for k in kin.read_text().split()] if child.poll() is None else []


needs_proc = pytest.mark.skipif(not Path("/proc").is_dir(), reason="children are found by /proc")


@needs_proc
@pytest.mark.parametrize(
    ("whom", "number", "code"),
    [
        ("worker", signal.SIGKILL, 4),
        ("all", signal.SIGINT, 130),
        ("all", signal.SIGTERM, 143),
        ("all", signal.SIGHUP, 129),
        ("command", signal.SIGINT, 130),
        ("command", signal.SIGTERM, 143),
    ],
)
def test_workers_that_end_early(tmp_path: Path, whom: str, number: int, code: int) -> None:
    """A killed worker is a fault of the machine; what asks for an end is one line, or none. All go on from there."""
    words, child, kin = begun(tmp_path)
    if whom == "all":
        os.killpg(child.pid, number)
    elif whom == "command":
        child.send_signal(number)
    else:
        os.kill(next(k for k in kin if b"spawn_main" in Path(f"/proc/{k}/cmdline").read_bytes()), number)
    out, err = child.communicate(timeout=120)
    if child.returncode == 0:
        pytest.skip("it was done before")
    assert out == ""
    assert err.count("\n") == (number in (signal.SIGINT, signal.SIGKILL)), err
    assert "the same command goes on" in err or not err
    assert child.returncode == code
    done = run(*SPARSEFMT, *words)
    assert done.returncode == 0
    assert "finished by an earlier run" in done.stdout


@needs_proc
def test_workers_do_not_outlive_a_command_that_is_killed(tmp_path: Path) -> None:
    """They would wait for the next shard for ever."""
    words, child, kin = begun(tmp_path)
    child.kill()
    child.communicate(timeout=120)
    until = time.monotonic() + 60
    while (left := [k for k in kin if is_alive(k)]) and time.monotonic() < until:
        time.sleep(0.05)
    assert len(kin) == 3  # with what keeps count of semaphores
    assert left == []
    assert run(*SPARSEFMT, *words).returncode == 0


def is_alive(process: int) -> bool:
    """Whether a process runs; one that nobody waits for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_warnings_are_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(warnings, "showwarning", lambda *given: print("as ever"))
    say_warnings()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("57 tokens are few", sf.prune.CalibrationWarning, stacklevel=1)
        warnings.warn("of others", DeprecationWarning, stacklevel=1)
    said = capsys.readouterr()
    assert said.err == "sparsefmt: warning: 57 tokens are few\n"
    assert said.out == "as ever\n"
