"""Deltas as other tools write and read them."""

import json
import shutil
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import zstandard

import sparsefmt as sf
from contract import same
from oracle import delta_folder
from sparsefmt.kernels.blake3 import blake3

Array = np.ndarray[Any, Any]
DATA = Path(__file__).parent.parent / "data" / "delta"
SLIME = DATA / "slime_xor_adler32"


def arrays(path: Path) -> dict[str, Array]:
    with sf.open_checkpoint(path) as c:
        return {name: np.array(c[name]) for name in c}


def same_model(got: Any, want: dict[str, Array]) -> None:  # noqa: ANN401
    assert set(got) == set(want)
    for name, a in want.items():
        same(np.asarray(got[name]), a)


def models(count: int) -> list[dict[str, Array]]:
    rng = np.random.default_rng(0)
    found: list[dict[str, Array]] = [
        {
            "w": rng.standard_normal((60, 50)).astype(ml_dtypes.bfloat16),
            "e": rng.standard_normal((60, 50)).astype(np.float32),
            "i": rng.integers(-9, 9, 70).astype(np.int8),
            "s": np.array(1.5, np.float32),
            "z": np.zeros((0, 4), np.float32),
        }
    ]
    for k in range(count - 1):
        new = {name: np.array(a) for name, a in found[-1].items()}
        new["w"].reshape(-1)[k::37] *= ml_dtypes.bfloat16(1.5)
        new["i"][k] ^= 3
        new["s"] = np.array(2.5 + k, np.float32)
        found.append(new)
    return found


def test_the_reference_chain_leads_to_the_last_version(tmp_path: Path) -> None:
    chain = sf.delta.load(SLIME)
    want = arrays(DATA / "checkpoint_v3")
    same_model(chain.apply(arrays(DATA / "checkpoint_v0")), want)
    chain.apply(DATA / "checkpoint_v0", out=tmp_path / "out")
    same_model(arrays(tmp_path / "out"), want)
    shutil.copytree(DATA / "checkpoint_v0", tmp_path / "mine")
    chain.apply(tmp_path / "mine", in_place=True)
    same_model(arrays(tmp_path / "mine"), want)


def test_the_independent_reader_agrees_on_the_reference() -> None:
    state, at = {n: a.tobytes() for n, a in arrays(DATA / "checkpoint_v0").items()}, "000000"
    for folder in sorted(SLIME.iterdir()):
        state, at = delta_folder.apply_hf(folder, state, at)
    assert state == {n: a.tobytes() for n, a in arrays(DATA / "checkpoint_v3").items()}


def test_versions_out_of_order_or_missing_are_refused(tmp_path: Path) -> None:
    shutil.copytree(SLIME, tmp_path / "d")
    shutil.rmtree(tmp_path / "d" / "weight_v000002")
    with pytest.raises(sf.DeltaError, match="begins at 000002, the chain is at 000001"):
        sf.delta.load(tmp_path / "d")
    with pytest.raises(sf.DeltaError, match="promised"):
        sf.delta.load(SLIME / "weight_v000002").apply(arrays(DATA / "checkpoint_v0"))
    once = sf.delta.load(SLIME / "weight_v000001")
    with pytest.raises(sf.DeltaError, match="applied before"):
        once.apply(once.apply(arrays(DATA / "checkpoint_v0")))


def test_a_full_checkpoint_resets_the_chain(tmp_path: Path) -> None:
    shutil.copytree(SLIME, tmp_path / "d")
    shutil.rmtree(tmp_path / "d" / "weight_v000001")
    shutil.copytree(DATA / "checkpoint_v1", tmp_path / "d" / "weight_v000001")
    chain = sf.delta.load(tmp_path / "d")
    assert [v.full for v in chain.versions] == [True, False, False]
    same_model(chain.apply(arrays(DATA / "checkpoint_v0")), arrays(DATA / "checkpoint_v3"))


@pytest.mark.parametrize("form", ["hf-xor", "hf-overwrite"])
@pytest.mark.parametrize("checksum", ["xxh3-128", "blake3", "adler32"])
def test_folders_written_here_are_read_by_their_rules(tmp_path: Path, form: Any, checksum: str) -> None:  # noqa: ANN401
    found = models(4)
    state, at = {n: a.tobytes() for n, a in found[0].items()}, "000000"
    for k in range(3):
        folder = tmp_path / f"weight_v{k + 1:06d}"
        sf.delta.save(folder, sf.delta.diff(found[k], found[k + 1]), format=form, checksum=checksum)
        state, at = delta_folder.apply_hf(folder, state, at)
        assert state == {n: a.tobytes() for n, a in found[k + 1].items()}
        assert at == f"{k + 1:06d}"
    chain = sf.delta.load(tmp_path)
    same_model(chain.apply(found[0]), found[3])
    assert chain.to_delta(found[0]) == sf.delta.diff(found[0], found[3])


@pytest.mark.parametrize("checksum", ["xxh3-128", "sha256"])
def test_skyrl(tmp_path: Path, checksum: str) -> None:
    found = models(3)
    state, at = {n: a.tobytes() for n, a in found[0].items()}, 0
    for k in range(2):
        folder = tmp_path / f"delta-{k + 1:08d}"
        sf.delta.save(folder, sf.delta.diff(found[k], found[k + 1]), format="skyrl", checksum=checksum)
        state, at = delta_folder.apply_skyrl(folder, state, at)
        assert state == {n: a.tobytes() for n, a in found[k + 1].items()}
    same_model(sf.delta.load(tmp_path).apply(found[0]), found[2])


def test_old_manifests_of_skyrl(tmp_path: Path) -> None:
    a, b = models(2)
    folder = tmp_path / "delta-00000001"
    sf.delta.save(folder, sf.delta.diff(a, b), format="skyrl", checksum="sha256")
    manifest = json.loads((folder / "manifest.json").read_text())
    for record in manifest["tensors"]:
        record["sha256"] = record.pop("checksum")
        del record["checksum_algorithm"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    same_model(sf.delta.load(folder).apply(a), b)


def test_a_patch_of_trl() -> None:
    v0, v1 = arrays(DATA / "checkpoint_v0"), arrays(DATA / "checkpoint_v1")
    got = sf.delta.load(DATA / "trl_patch_v1_raw.safetensors").apply(v0)
    for name, a in v1.items():
        same(np.asarray(got[name]), a if a.dtype.name == "bfloat16" else v0[name])


def trl(path: Path, encoding: str, places: Array, values: Array) -> None:
    texts = {"format": "sparse_weight_patch", "version": "1", "sparse": "True", "encoding": encoding}
    sf.save(path, {"w.idx": places, "w.val": values}, texts)


def test_gaps_of_trl(tmp_path: Path) -> None:
    a = {"w": np.zeros(70_000, ml_dtypes.bfloat16)}
    values = np.array([1, 2, 3], ml_dtypes.bfloat16)
    for gaps in (np.array([0, 4, 65_000], np.uint16), np.array([0, 4, 65_000], np.uint32)):
        trl(tmp_path / "p.safetensors", "gap_delta", gaps, values)
        got = sf.delta.load(tmp_path / "p.safetensors").apply(a)["w"]
        assert np.flatnonzero(got).tolist() == [0, 5, 65_006]
    trl(tmp_path / "p.safetensors", "gap_delta", np.array([0, 4, 70_000], np.uint32), values)
    with pytest.raises(sf.DeltaError, match="3 places for 3 values among 70000"):
        sf.delta.load(tmp_path / "p.safetensors").apply(a)
    trl(tmp_path / "p.safetensors", "nvcomp_cascaded", np.array([0], np.uint32), values)
    with pytest.raises(sf.DeltaError, match="nvcomp_cascaded"):
        sf.delta.load(tmp_path / "p.safetensors")


def test_lengths_that_do_not_fit_the_base(tmp_path: Path) -> None:
    a, b = models(2)
    for form in ("hf-xor", "hf-overwrite", "skyrl"):
        folder = tmp_path / form
        sf.delta.save(folder, sf.delta.diff(a, b), format=form, version=1)  # type: ignore[arg-type]
        with pytest.raises(sf.DeltaError):
            sf.delta.load(folder).apply({**a, "w": a["w"][:-1]})
        with pytest.raises(sf.DeltaError, match="no tensor 'w'"):
            sf.delta.load(folder).apply({n: v for n, v in a.items() if n != "w"})


def test_damaged_frames(tmp_path: Path) -> None:
    a, b = models(2)
    sf.delta.save(tmp_path / "d", sf.delta.diff(a, b), format="hf-overwrite", version=1)
    shard = tmp_path / "d" / "model-00000-of-00001.safetensors"
    found, sums = delta_folder.frames(shard)
    huge = (1 << 30).to_bytes(4, "little") + bytes(8)
    bad = [b"", b"no frame", zstandard.compress(huge), zstandard.compress(b"\2\0\0\0" + b"\5\0\0\0" * 2 + b"ab")]
    for frame in bad:
        changed = {n: np.frombuffer(frame if n == "w" else f, np.uint8) for n, f in found.items()}
        sf.save(shard, changed, sums)
        with pytest.raises(sf.DeltaError):
            sf.delta.load(tmp_path / "d").apply(a)


def test_what_the_formats_of_others_cannot_hold(tmp_path: Path) -> None:
    a, b = models(2)
    for form in ("hf-xor", "skyrl"):
        with pytest.raises(sf.DeltaError, match="full checkpoint"):
            sf.delta.save(tmp_path / "d", sf.delta.diff(a, {**b, "new": b["w"]}), format=form)  # type: ignore[arg-type]
        with pytest.raises(sf.DeltaError, match="checksum"):
            sf.delta.save(tmp_path / "d", sf.delta.diff(a, b), format=form, checksum="crc32")  # type: ignore[arg-type]
        with pytest.raises(sf.DeltaError, match="base="):
            sf.delta.save(tmp_path / "d", sf.delta.diff(a, b).invert(), format=form)  # type: ignore[arg-type]
    assert not (tmp_path / "d").exists()


PATTERN = bytes(i % 251 for i in range(102_400))


@pytest.mark.parametrize(
    ("size", "want"),
    [
        (0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
        (1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"),
        (1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"),
        (1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"),
        (31_744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47"),
        (102_400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"),
    ],
)
def test_blake3_gives_the_published_vectors(size: int, want: str) -> None:
    """https://github.com/BLAKE3-team/BLAKE3/blob/master/test_vectors/test_vectors.json"""
    assert blake3(np.frombuffer(PATTERN[:size], np.uint8)) == want


@pytest.mark.parametrize("form", ["hf-xor", "hf-overwrite", "skyrl"])
def test_the_base_of_what_is_written_is_checked(tmp_path: Path, form: Any) -> None:  # noqa: ANN401
    """From another base, or one that was trained on since, bytes of neither version were written without a word."""
    old = {"w": np.arange(12, dtype=np.float32).reshape(3, 4)}
    delta = sf.delta.diff(old, {"w": old["w"] + 1})
    for base, said in (
        ({"w": old["w"] + 2}, "leads from"),
        ({"w": old["w"].view(np.int32)}, "is int32"),
        ({"w": old["w"].reshape(4, 3)}, "of shape"),
        ({"v": old["w"]}, "the base has no tensor 'w'"),
    ):
        with pytest.raises(sf.DeltaError, match=said):
            sf.delta.save(tmp_path / "out", delta, format=form, base=base)
    old["w"][0, 0] = 9
    with pytest.raises(sf.DeltaError, match="leads from"):
        sf.delta.save(tmp_path / "out", delta, format=form)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["hf-xor", "hf-overwrite", "skyrl"])
def test_a_version_replaces_no_model(tmp_path: Path, form: Any) -> None:  # noqa: ANN401
    """The index of a model was replaced by that of the delta."""
    old = {"w": np.arange(12, dtype=np.float32)}
    delta = sf.delta.diff(old, {"w": old["w"] + 1})
    model = tmp_path / "model"
    model.mkdir()
    sf.save(model / "model-00001-of-00001.safetensors", old)
    (model / "model.safetensors.index.json").write_text(
        '{"metadata": {}, "weight_map": {"w": "model-00001-of-00001.safetensors"}}'
    )
    before = {p: p.read_bytes() for p in model.iterdir()}
    with pytest.raises(sf.DeltaError, match=f"holds no version of {form}"):
        sf.delta.save(model, delta, format=form)
    assert {p: p.read_bytes() for p in model.iterdir()} == before
    with pytest.raises(FileNotFoundError, match=r"the folder does not exist.*missing'"):
        sf.delta.save(tmp_path / "missing" / "weight_v000001", delta, format=form)
    for _ in range(2):  # a version may be written again
        sf.delta.save(tmp_path / "weight_v000001", delta, format=form)
