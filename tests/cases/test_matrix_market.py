"""Matrix Market files as people have them: one reading gives the value, none an error with the line."""

import gzip
import random
import re
import time
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.interop import read_matrix_market, write_matrix_market


def made(tmp_path: Path, text: str | bytes, name: str = "m.mtx") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def value(tmp_path: Path, kind: str, lines: str) -> list[object]:
    path = made(tmp_path, f"%%MatrixMarket matrix {kind}\n{lines}")
    got = read_matrix_market(path)
    dense = got.to_dense() if isinstance(got, sf.SparseTensor) else got
    found: list[object] = dense.tolist()
    return found


REAL = "coordinate real general"
TAKEN = [
    (REAL, "1 1 1\n1 1 4 ", [[4.0]]),
    (REAL, "1 1 1\n1 1 4\r", [[4.0]]),
    (REAL, "1 1 1\r\n1 1 4\r\n", [[4.0]]),
    (REAL, "\t1\t1 1 \n \t1\t1\t4\t", [[4.0]]),
    (REAL, "1 1 1\n% between\n\n  % indented\n1 1 4", [[4.0]]),
    (REAL, "1 1 1\n1 1 1.5D+02", [[150.0]]),
    (REAL, "1 1 1\n1 1 1.5d2", [[150.0]]),
    (REAL, "1 1 1\n1 1 -7.-1", [[-0.7]]),
    (REAL, "1 1 1\n1 1 2.3+2", [[230.0]]),
    (REAL, "1 1 1\n+1 +1 +5", [[5.0]]),
    (REAL, "1 1 1\n1 1 .5", [[0.5]]),
    (REAL, "1 1 1\n1 1 5.", [[5.0]]),
    (REAL, "1 1 1\n1 1 1e400", [[np.inf]]),
    (REAL, "1 1 1\n1 1 -Infinity", [[-np.inf]]),
    (REAL, "1 1 1\n1 1 0.1", [[0.1]]),
    (REAL, "1 1 1\n1 1 2.2250738585072011e-308", [[2.2250738585072011e-308]]),
    (REAL, "1 1 2\n1 1 1\n1 1 2", [[3.0]]),
    (REAL, "2 2 0\n", [[0.0, 0.0], [0.0, 0.0]]),
    ("coordinate float general", "1 1 1\n1 1 2.5", [[2.5]]),
    ("COORDINATE Double GENERAL", "1 1 1\n1 1 2.5", [[2.5]]),
    ("coordinate integer general", "1 1 1\n1 1 1e+16", [[10**16]]),
    ("coordinate integer general", "1 1 1\n1 1 -2.50e1", [[-25]]),
    ("coordinate integer general", "1 1 1\n1 1 9223372036854775807", [[2**63 - 1]]),
    ("coordinate unsigned-integer general", "1 1 1\n1 1 18446744073709551615", [[2**64 - 1]]),
    ("coordinate pattern general", "1 1 1\n1 1 ", [[1.0]]),
    ("coordinate complex general", "1 1 1\n1 1 1.0 2.0D+01", [[1 + 20j]]),
    ("coordinate real symmetric", "2 2 2\n1 1 1\n2 1 3", [[1.0, 3.0], [3.0, 0.0]]),
    ("coordinate real symmetric", "2 2 1\n1 2 3", [[0.0, 3.0], [3.0, 0.0]]),
    ("coordinate integer skew-symmetric", "2 2 1\n2 1 3", [[0, -3], [3, 0]]),
    ("coordinate complex hermitian", "2 2 2\n1 1 5 0\n2 1 1 2", [[5, 1 - 2j], [1 + 2j, 0]]),
    ("array real general", "2 2\n1\n2\n3\n4 ", [[1.0, 3.0], [2.0, 4.0]]),
    ("array real general", "1 1\n1.5D+02", [[150.0]]),
    ("array real symmetric", "2 2\n1\n2\n3", [[1.0, 2.0], [2.0, 3.0]]),
    ("array real skew-symmetric", "2 2\n2", [[0.0, -2.0], [2.0, 0.0]]),
    ("array complex hermitian", "2 2\n1 0\n2 3\n4 0", [[1, 2 - 3j], [2 + 3j, 4]]),
]


@pytest.mark.parametrize(("kind", "lines", "want"), TAKEN)
def test_one_reading(tmp_path: Path, kind: str, lines: str, want: list[object]) -> None:
    assert value(tmp_path, kind, lines) == want


REFUSED = [
    (REAL, "1 1 1\n1 1 2 % end", 3),
    (REAL, "1 1 1\n1 1 4;", 3),
    (REAL, "1 1 1\n1 1 4\0\n", 3),
    (REAL, "1 1 1\n1 1 4\n" + "\0" * 4096, 4),
    (REAL, "1 1 1\n1 1 5,86e-08", 3),
    (REAL, "1 1 1\n1 1 0x10", 3),
    (REAL, "1 1 1\n1 1 1.#INF", 3),
    (REAL, "1 1 1\n1 1 1_0", 3),
    (REAL, "1 1 1\n1 1 1e", 3),
    (REAL, "1 1 1\n1 1 .", 3),
    (REAL, "1 1 1\n1 1 \u0661", 3),
    (REAL, "1 1 1\n1 1 2 3", 3),
    (REAL, "1 1 1\n1 1   ", 3),
    (REAL, "1 1 1\n1 x 1", 3),
    (REAL, "1 1 1\n1.0 1 1", 3),
    (REAL, "1 1 1\n0 1 1", 3),
    (REAL, "1 1 1\n1 2 1", 3),
    (REAL, "1 1 1\n1 99999999999999999999999 1", 3),
    (REAL, "2 2 1\n1 1 1\n\n2 2 1", 5),
    (REAL, "2 2 2\n1 1 1\n% end\n", 4),
    (REAL, "3000000000 3 9999999\n1 1 1\n", 2),
    (REAL, "1 1\n1 1 1", 2),
    (REAL, "1 1 1 1\n1 1 1", 2),
    (REAL, "-1 1 1\n1 1 1", 2),
    ("coordinate integer general", "1 1 1\n1 1 2.75", 3),
    ("coordinate integer general", "1 1 1\n1 1 1e-1", 3),
    ("coordinate integer general", "1 1 1\n1 1 9223372036854775808", 3),
    ("coordinate integer general", "1 1 1\n1 1 1e999999999999999999999", 3),
    ("coordinate integer general", "1 1 1\n1 1 inf", 3),
    ("coordinate unsigned-integer general", "1 1 1\n1 1 -1", 3),
    ("coordinate pattern general", "1 1 1\n1 1 7.5", 3),
    ("coordinate complex general", "1 1 1\n1 1 7.5", 3),
    ("coordinate real symmetric", "2 3 1\n2 1 3", 2),
    ("coordinate real symmetric", "2 2 2\n2 1 3\n1 2 3", 4),
    ("coordinate integer skew-symmetric", "2 2 1\n1 1 4", 3),
    ("coordinate integer skew-symmetric", "2 2 1\n2 1 -9223372036854775808", 3),
    ("coordinate complex hermitian", "1 1 1\n1 1 5 7", 3),
    ("coordinate real hermitian", "1 1 1\n1 1 5", 1),
    ("coordinate pattern skew-symmetric", "2 2 1\n2 1", 1),
    ("array pattern general", "1 1\n1", 1),
    ("array real symmetric", "2 3\n1\n2\n3", 2),
    ("array integer general", "1 1\n2.75", 3),
    ("array real general", "1 1\n1 2", 3),
    ("array real general", "1 1\n1\n2", 4),
    ("array complex hermitian", "2 2\n1 0\n2 3\n\n4 1", 6),
    ("coordinate real", "1 1 1\n1 1 1", 1),
    ("coordinate quaternion general", "1 1 1\n1 1 1", 1),
]


@pytest.mark.parametrize(("kind", "lines", "line"), REFUSED)
def test_no_reading(tmp_path: Path, kind: str, lines: str, line: int) -> None:
    path = made(tmp_path, f"%%MatrixMarket matrix {kind}\n{lines}")
    with pytest.raises(sf.FormatError, match=rf"^{re.escape(str(path))}: line {line}: [^\n]*$"):
        read_matrix_market(path)


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"%%MatrixMarket", b"\x1f\x8b", b"%%MatrixMarket vector array real general\n"]
)
def test_no_matrix(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(sf.FormatError, match=r"m\.mtx: "):
        read_matrix_market(made(tmp_path, text))


def test_faults_far_down_name_their_line(tmp_path: Path) -> None:
    count = 400_000
    lines = [f"{i} {i} 1.25" for i in range(1, count + 1)]
    lines[310_000] = "5 5 x"
    lines[390_000] = "5"
    text = f"%%MatrixMarket matrix {REAL}\n% c\n\n{count} {count} {count}\n" + "\n".join(lines)
    with pytest.raises(sf.FormatError, match=r"line 310005: want a number: '5 5 x'"):
        read_matrix_market(made(tmp_path, text))


def test_triangles_far_apart(tmp_path: Path) -> None:
    count = 3_000_000  # more than is read at once
    body = b"2 1 1.5\n" * (count - 1) + b"1 2 1.5\n"
    head = b"%%%%MatrixMarket matrix coordinate real symmetric\n3 3 %d\n" % count
    with pytest.raises(sf.FormatError, match=rf"line {count + 2}: entries stand on both sides"):
        read_matrix_market(made(tmp_path, head + body))


def test_a_bomb_is_a_size_error(tmp_path: Path) -> None:
    path = made(
        tmp_path, gzip.compress(b"%%MatrixMarket matrix array real general\n" + b"%\n" * (32 << 20)), "m.mtx.gz"
    )
    sf.set_max_bytes(40 << 20)
    try:
        with pytest.raises(sf.SizeError, match=r"m\.mtx\.gz: the text"):
            read_matrix_market(path)
    finally:
        sf.set_max_bytes(None)


def test_a_device_without_end_is_a_size_error(tmp_path: Path) -> None:
    (tmp_path / "m.mtx").symlink_to("/dev/zero")
    sf.set_max_bytes(40 << 20)
    try:
        with pytest.raises(sf.SizeError, match=r"m\.mtx: the text of the file would take"):
            read_matrix_market(tmp_path / "m.mtx")
    finally:
        sf.set_max_bytes(None)


def test_huge_claims_allocate_nothing(tmp_path: Path) -> None:
    for sizes in ("1 1 9223372036854775807", "9223372036854775807 9223372036854775807 1000"):
        path = made(tmp_path, f"%%MatrixMarket matrix {REAL}\n{sizes}\n1 1 1\n")
        start = time.perf_counter()
        with pytest.raises(sf.FormatError, match="line 2: the header claims"):
            read_matrix_market(path)
        assert time.perf_counter() - start < 1
    far = 2**62
    t = read_matrix_market(made(tmp_path, f"%%MatrixMarket matrix {REAL}\n{far} {far} 1\n{far} {far} 2\n"))
    assert isinstance(t, sf.SparseTensor)
    assert (t.shape, t.slots, t.nnz) == ((far, far), 1, 1)


SEEDS = [f"%%MatrixMarket matrix {kind}\n{lines}\n".encode() for kind, lines, _ in TAKEN]


def test_mutants_give_a_value_or_an_error_with_the_file(tmp_path: Path) -> None:
    rng = random.Random(20)
    path = tmp_path / "m.mtx"
    alphabet = b"0123456789 .+-eEdD%\n\r\t\0,#xXinfa;" + bytes([255, 128])
    read = 0
    for _ in range(5000):
        text = bytearray(rng.choice(SEEDS))
        for _ in range(rng.randint(1, 3)):
            at, what = rng.randrange(min(40, len(text)), len(text) + 1), rng.random()
            if what < 0.4 and at < len(text):
                text[at] = rng.choice(alphabet)
            elif what < 0.7:
                text[at:at] = bytes(rng.choices(alphabet, k=rng.randint(1, 3)))
            elif what < 0.9:
                del text[at : at + rng.randint(1, 8)]
            else:
                text[at:at] = text[at : at + rng.randint(0, 30)]
        path.write_bytes(text)
        try:
            got = read_matrix_market(path)
        except sf.SparsefmtError as e:
            assert str(e).startswith(f"{path}: ")  # noqa: PT017
            continue
        read += 1
        if isinstance(got, sf.SparseTensor):
            assert got.slots <= 2 * text.count(b"\n") + 2
    assert 100 < read < 4900


VALUES = np.array([[0.1, 1e300, 5e-324], [-0.0, 1e16, 1 / 3], [np.inf, -np.inf, 123456789.125]])


@pytest.mark.parametrize("name", ["m.mtx", "m.mtx.gz"])
@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int64", "uint64", "float16", "float32", "float64", "complex64", "complex128"]
)
def test_writing_and_reading_give_the_same_values(tmp_path: Path, name: str, dtype: str) -> None:
    with np.errstate(all="ignore"):
        w = (VALUES if dtype[0] in "fc" else np.array([[0, 1, 100], [0, 0, 7]])).astype(dtype)
        if dtype[0] == "c":
            w.imag = VALUES.T
    wide = w.astype({"b": np.int64, "i": np.int64, "u": np.uint64, "f": np.float64, "c": np.complex128}[dtype[0]])
    path = tmp_path / name
    write_matrix_market(path, w)
    got = read_matrix_market(path)
    assert isinstance(got, np.ndarray)
    assert np.ascontiguousarray(got).tobytes() == wide.tobytes()
    t = sf.encode(w, "csr", zero="bits")
    write_matrix_market(path, t)
    back = read_matrix_market(path)
    assert isinstance(back, sf.SparseTensor)
    assert back.slots == t.slots
    assert back.to_dense().tobytes() == wide.tobytes()
    first = path.read_bytes()
    write_matrix_market(path, t)
    assert path.read_bytes() == first


def test_scipy_reads_what_we_write(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    w = np.random.default_rng(0).standard_normal((40, 30)) * (np.random.default_rng(1).random((40, 30)) < 0.2)
    write_matrix_market(tmp_path / "m.mtx", sf.encode(w, "csr"))
    assert np.array_equal(scipy_io.mmread(tmp_path / "m.mtx", spmatrix=False).toarray(), w)
    scipy_io.mmwrite(tmp_path / "s.mtx", w)
    assert np.array_equal(read_matrix_market(tmp_path / "s.mtx"), scipy_io.mmread(tmp_path / "s.mtx"))


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(sf.FormatError, match="rank 2"):
        write_matrix_market(tmp_path / "m.mtx", np.ones(3))
    odd = np.array([[0x7FF8000000000001]], np.uint64).view(np.float64)
    with pytest.raises(sf.FormatError, match="payload"):
        write_matrix_market(tmp_path / "m.mtx", odd)
    assert not list(tmp_path.iterdir())
