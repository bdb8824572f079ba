"""`@rans`: as small as the masks allow, read and written alike by any number of threads, and refused where damaged."""

from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.base.errors import CorruptFileError
from sparsefmt.kernels.nm import unpack_codes, width
from sparsefmt.kernels.registry import NATIVE
from sparsefmt.structures.nm_rans import NmRans


def by_column(rows: int, cols: int, n: int, m: int, spread: float, seed: int = 0) -> np.ndarray:
    """N:M of random weights by scores that favour some columns, as activations do."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((rows, cols)).astype(np.float32)
    return sf.prune.nm(w, n, m, score=np.abs(w) * np.exp(spread * rng.standard_normal(cols)))


def empirical(t: sf.SparseTensor, n: int, m: int) -> float:
    """Bits per group that masks tell given their column of groups, counted mask by mask."""
    codes = t.convert(f"nm{n}:{m}").structure
    ranks = unpack_codes(codes.codes, width(n, m), codes.groups)
    total = 0.0
    for column in ranks.T:
        share = np.unique(column, return_counts=True)[1] / len(column)
        total -= float((share * np.log2(share)).sum())
    return total / codes.groups


@pytest.mark.parametrize(("n", "m", "spread"), [(2, 4, 1.0), (2, 4, 2.0), (1, 4, 1.0), (4, 8, 0.7), (2, 4, 0.0)])
def test_as_small_as_the_masks_allow(n: int, m: int, spread: float) -> None:
    w = by_column(8192, 16 * m, n, m, spread).astype(np.float16)
    t = sf.encode(w, f"nm{n}:{m}@rans")
    assert np.array_equal(t.to_dense(), w)
    found, wanted = t.storage(), empirical(t, n, m)
    assert found.entropy_bits == pytest.approx(wanted, rel=1e-9)
    assert wanted <= found.metadata_bits <= 1.02 * wanted
    assert found.bound_bits is not None
    assert wanted < found.bound_bits
    assert found.total == t.nbytes


def test_masks_that_say_nothing_take_nothing() -> None:
    w = np.tile(np.array([[1, 0, 2, 0, 0, 3, 0, 4]], np.float32), (4096, 16))
    t = sf.encode(w, "nm2:4@rans")
    assert t.storage().entropy_bits == 0
    assert t.storage().metadata_bits < 0.02
    assert np.array_equal(t.to_dense(), w)


def test_wide_patterns_are_told_position_by_position() -> None:
    w = by_column(4096, 256, 8, 16, 1.0)
    t = sf.encode(w, "nm8:16@rans")
    found = t.storage()
    assert found.entropy_bits is not None
    assert found.entropy_bits <= found.metadata_bits <= 1.02 * found.entropy_bits
    assert t.nbytes < sf.encode(w, "nm8:16@radix").nbytes
    assert np.array_equal(t.to_dense(), w)


def test_threads_change_nothing() -> None:
    w = by_column(700, 1204, 2, 4, 1.0)
    made = []
    for threads in (1, 2, 5):
        sf.set_num_threads(threads)
        t = sf.encode(w, "nm2:4@rans/int4:g128")
        made.append((*(a.tobytes() for a in t.structure.arrays().values()), t.to_dense().tobytes()))
    sf.set_num_threads(None)
    assert made[0] == made[1] == made[2]


def test_rows_are_decoded_by_the_block() -> None:
    w = by_column(900, 1024, 2, 4, 1.0)
    t = sf.encode(w, "nm2:4@rans")
    s = t.structure
    assert isinstance(s, NmRans)
    assert s.row_step == 256
    for low, high in ((0, 900), (256, 512), (512, 900), (3, 7), (255, 257), (900, 900)):
        window = s.window(low, high)
        assert np.array_equal(window.part.to_nm().codes, s.to_nm(low, high).codes)
        part = sf.SparseTensor(window.part, sf.encode(w[low:high], "nm2:4").values, (high - low, 1024))
        assert np.array_equal(part.to_dense(), w[low:high])
    assert np.array_equal(t[3:7].to_dense(), w[3:7])
    x = np.random.default_rng(1).standard_normal((1024, 3)).astype(np.float32)
    assert np.allclose(t @ x, w @ x, rtol=1e-4, atol=1e-4)
    way = "the stream unpacked to codes" if NATIVE else "blocks of decoded rows"
    assert way in sf.explain_matmul(t, x)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    w = by_column(300, 260, 2, 4, 1.0).astype(np.float16)
    path = tmp_path / "t.safetensors"
    sf.save(path, {"t": sf.encode(w, "nm2:4@rans")})
    good = bytearray(path.read_bytes())
    head = int.from_bytes(good[:8], "little") + 8
    text = good[:head].decode(errors="replace")
    start, end = (
        int(x) for x in text.split('"t.structure.stream"')[1].split('"data_offsets":[')[1].split("]")[0].split(",")
    )
    rng = np.random.default_rng(0)
    for at in rng.integers(head + start, head + end, 60):
        bad = good.copy()
        bad[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(bad)
        with pytest.raises(CorruptFileError, match=r"rows 0\.\.299 is damaged"):
            sf.load(path)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"tables": np.full((1, 5), 127, np.uint8)}, "is no frequency"),
        ({"tables": np.zeros((1, 6), np.uint8)}, "tables: want"),
        ({"tables": np.zeros((1, 5), np.float32)}, "tables: want"),
        ({"classes": np.zeros(3, np.uint8)}, "classes: 3"),
        ({"classes": np.zeros(8, np.int32)}, "classes: want"),
        ({"classes": np.full(8, 7, np.uint8)}, "classes: 8 up to 7"),
        ({"stream": np.zeros(7, np.uint8)}, "block_offsets: want"),
        ({"stream": np.zeros((2, 7), np.uint8)}, "stream: want"),
        ({"block_offsets": np.array([0, 5, 8])}, "block_offsets: want"),
    ],
)
def test_arrays_that_contradict_each_other(change: dict[str, np.ndarray], what: str) -> None:
    t = sf.encode(by_column(8, 32, 2, 4, 0.0), "nm2:4@rans")
    s = t.structure
    with pytest.raises(sf.FormatError, match=what):
        NmRans.from_parts({**s.arrays(), **change}, s.params(), s.shape)


def test_patterns_that_decide_nothing() -> None:
    for shape in ((0, 8), (3, 0), (5, 9), (1, 1)):
        w = np.arange(1, 1 + shape[0] * shape[1], dtype=np.int32).reshape(shape)
        t = sf.encode(w, "nm3:3@rans")
        assert np.array_equal(t.to_dense(), w)
        assert sf.equal(t.convert("nm3:3@64").convert("nm3:3@rans"), t)


def test_tables_of_more_classes_than_a_byte_names() -> None:
    """Rows without a column take no byte of a file: their number must not decide what is reserved."""
    s = sf.encode(np.zeros((4, 0), np.float32), "nm4:4@rans").structure
    for classes in (257, 1 << 62):
        with pytest.raises(sf.FormatError, match=rf"below {classes} \(at most 256\)"):
            NmRans.from_parts({**s.arrays(), "tables": np.empty((classes, 0), np.uint8)}, s.params(), s.shape)
