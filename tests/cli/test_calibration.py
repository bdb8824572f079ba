"""Calibration text that is none, disks that are full: `prune` and `plan`, on a tiny encoder."""

from pathlib import Path

import pytest

from commandline import Cli
from sparsefmt.prune.resume import Kept
from support.encoder import TEXT, WORDS

pytestmark = pytest.mark.filterwarnings("ignore::sparsefmt.prune.CalibrationWarning")


def args(encoder: Path, *more: object) -> tuple[object, ...]:
    return ("prune", encoder, encoder.parent / "out", "--text", encoder.parent / "text.txt", *more)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TEXT.encode("utf-16"), "byte 0 is 0xff, which no text in UTF-8 has there"),
        (
            "the cat sat \N{LATIN SMALL LETTER O WITH DIAERESIS} on a mat.".encode("latin-1"),
            "byte 12 is 0xf6, which no",
        ),
        (b"the cat\0 sat on a mat.", "byte 7 is 0x00, which no"),
        (b"", "of 0 texts none is left; bring"),
        ((TEXT * 3).replace(".", "").encode(), "5 have more than the 40 tokens that the model takes"),
        (b"a" * (1 << 20), "more than 0 MiB; a part is enough: head -c"),
    ],
)
def test_what_is_no_text_is_refused(
    cli: Cli, encoder: Path, monkeypatch: pytest.MonkeyPatch, text: bytes, says: str
) -> None:
    monkeypatch.setattr("sparsefmt.cli.calibrating._LONGEST", (1 << 20) - 1)
    (encoder.parent / "text.txt").write_bytes(text)
    assert says in cli.fails(3, *args(encoder, "--format", "nm2:4", "--dry-run", "--words", "700"))


def test_texts_that_are_too_long_are_left_out(cli: Cli, encoder: Path) -> None:
    """A mark of the byte order is no token, and a letter may be cut at the end."""
    dry = args(encoder, "--format", "nm2:4", "--dry-run", "--words", "60")
    before = cli.ok(*dry)
    text = f"\ufeff{TEXT} {' '.join(WORDS * 3)}.".encode() + "\N{EURO SIGN}".encode()[:2]
    (encoder.parent / "text.txt").write_bytes(text)
    assert cli.ok(*dry).split(":")[:-2] == before.split(":")[:-2]


def test_a_full_disk_says_how_to_go_on(cli: Cli, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, layers = args(encoder, "--format", "nm2:4", "--method", "wanda"), encoder.parent / "out.layers"
    write, room = Kept._write, [0]

    def full(self: Kept, name: str, done: object) -> None:
        if not room:
            raise OSError(28, "No space left on device", "x")
        room.pop()
        write(self, name, done)  # type: ignore[arg-type]

    monkeypatch.setattr(Kept, "_write", full)
    assert "x: No space left on device; 1 of 12 layers are done; the same command goes on" in cli.fails(4, *run)
    (layers / "mine.safetensors").write_bytes(b"a model")
    room[:] = range(20)
    assert "1 of 12 layers were done before" in cli.ok(*run)
    assert [path.name for path in layers.iterdir()] == ["mine.safetensors"]


def test_a_disk_that_takes_nothing_is_said_before_any_work(
    cli: Cli, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> object:
        raise OSError(30, "Read-only file system", str(folder / ".sparsefmt-0.held.tmp"))

    monkeypatch.setattr("sparsefmt.cli.paths.Temporary", refuse)
    monkeypatch.setattr("sparsefmt.cli.plan.measured", lambda *given: pytest.fail("it was measured"))
    monkeypatch.setattr("sparsefmt.cli.prune.fitted", lambda *given: pytest.fail("it was pruned"))
    text = ("--text", encoder.parent / "text.txt")
    plan = ("plan", encoder, encoder.parent / "p.json", *text, "--formats", "nm2:4", "--budget", "60%")
    assert cli.fails(4, *plan).endswith("p.json: Read-only file system")
    assert cli.fails(4, *args(encoder, "--format", "nm2:4")).endswith("out: Read-only file system")
