"""Files whose container is sound and whose contents are hostile: a typed error in one line, or a valid tensor."""

import copy
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from property import peak_memory
from sparsefmt.base.dtypes import Array
from sparsefmt.io.schema import VERSION

Arrays = dict[str, Array]
Check = Callable[..., Any]
DTYPES = {
    "uint8": "U8",
    "int32": "I32",
    "int64": "I64",
    "float32": "F32",
    "float16": "F16",
    "uint32": "U32",
    "bool": "BOOL",
}


def with_header(header: bytes, data: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def container(arrays: Arrays, tensors: object) -> bytes:
    """A well-formed container with any arrays and any JSON (text as it is)."""
    text = tensors if isinstance(tensors, str) else json.dumps({"tensors": tensors})
    header: dict[str, object] = {"__metadata__": {"sparsefmt": text}}
    data = b""
    for key, a in arrays.items():
        header[key] = {
            "dtype": DTYPES[a.dtype.name],
            "shape": list(a.shape),
            "data_offsets": [len(data), len(data) + a.nbytes],
        }
        data += a.tobytes()
    return with_header(json.dumps(header).encode(), data)


def entry(fmt: str, shape: tuple[int, ...] = (3, 8)) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and the JSON of a small good tensor "w"."""
    w = np.zeros((3, 8), np.float32)
    w[0, 1], w[0, 2], w[1, 7], w[2, 0] = 1, 2, 3, 4
    t = sf.encode(w.reshape(shape), fmt)
    arrays, parts = {}, {}
    for role, part in (("structure", t.structure), ("values", t.values)):
        arrays |= {f"w.{role}.{n}": a.copy() for n, a in part.arrays().items()}
        dtypes = {n: a.dtype.name for n, a in part.arrays().items()}
        parts[role] = {"kind": part.kind, "params": part.params(), "arrays": dtypes}
    return arrays, {"version": 1, "shape": list(shape), "dtype": "float32", **parts}


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "1", "{}", '{"tensors":[]}', '{"tensors":{},"x":1}', DEEP, '{"tensors":' + DEEP + "}",
     '{"tensors":{"w":' + DEEP + "}}", '{"tensors":{"w":NaN}}', '{"tensors":{"w":Infinity}}', '{"tensors":{"w":1e999}}',
     '{"tensors":{"w":' + "9" * 5000 + "}}", '{"tensors":{"w":{},"w":{}}}', '{"tensors":{"\\ud800":{}}}',
     '{"tensors":{"w":null}}', '{"tensors":{"w":[]}}', '{"tensors":{"w":{}}}'],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_hostile_json(refused: Check, text: str) -> None:
    refused(container({}, text), sf.SizeError if DEEP in text else sf.CorruptFileError)


ODD = [None, True, 2.0, "2", -1, 0, 33, 2**63, 10**30, [], {}, [2], 1e300, "\n", float("nan")]


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize(
    ("fmt", "param"), [("nm2:4", "n"), ("nm2:4", "m"), ("nm2:4", "align"), ("bitmask", "align"), ("bsr2x4", "block")]
)
def test_hostile_params(refused: Check, fmt: str, param: str, value: object) -> None:
    for odd in [value] if param != "block" else [value, [value, 4], [2, value], [2, 4, value]]:
        if odd == [2, 2]:
            continue
        arrays, e = entry(fmt)
        e["structure"]["params"][param] = odd
        refused(container(arrays, {"w": e}))


ODD_SHAPES = [[3, 9], [3, 7], [4, 8], [2, 8], [24], [8, 3], [3, 8, 1], [3, 8, 0], [], [3, 2**62], [2**62, 8], [-3, 8],
              [2**63 - 1, 2**63 - 1], [2**63, 8], [2**32, 2**32, 8], [1] * 65, [3.0, 8], [3, True]]  # fmt: skip


@pytest.mark.parametrize("fmt", ["dense", "coo", "csr", "csc", "bsr2x4", "bitmask", "nm2:4"])
def test_hostile_entries(loads: Check, refused: Check, survives: Check, fmt: str) -> None:
    good_arrays, good = entry(fmt)
    assert loads(container(good_arrays, {"w": good}))["w"].nnz == 4

    def change(path: tuple[str, ...], value: object) -> dict[str, Any]:
        e = copy.deepcopy(good)
        at = e
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
        return e

    for field in ("version", "shape", "dtype", "structure", "values"):
        for odd in ODD:
            if not (field == "version" and odd in (1, -1, 0, 33, 2**63, 10**30)) or odd is True or odd == 1e300:
                refused(container(good_arrays, {"w": change((field,), odd)}))
        refused(container(good_arrays, {"w": {k: v for k, v in good.items() if k != field}}))
    for part in ("structure", "values"):
        for field in ("kind", "params", "arrays"):
            for odd in ODD:
                if not (odd == {} and good[part][field] == {}):
                    refused(container(good_arrays, {"w": change((part, field), odd)}))
        for name in ("check", "shape", "data", "indptr", "x"):
            for odd in (False, 0, [3, 8]):
                refused(container(good_arrays, {"w": change((part, "params", name), odd)}))
            if name not in good[part]["arrays"]:
                extra = {f"w.{part}.{name}": np.zeros(0, np.uint8)}
                refused(container({**good_arrays, **extra}, {"w": good}), text="belongs to none")
                e = change((part, "arrays", name), "uint8")
                refused(container({**good_arrays, **extra}, {"w": e}))
    refused(container(good_arrays, {"w": {**good, "x": 1}}), text="'x' is unknown")
    refused(container({**good_arrays, "w": np.zeros(1, np.uint8)}, {"w": good}), text="shares its name")
    for key in good_arrays:
        refused(container({k: a for k, a in good_arrays.items() if k != key}, {"w": good}), text="missing")
        for odd_array in odd_arrays(good_arrays[key]):
            refused(container({**good_arrays, key: odd_array}, {"w": good}))
    for shape in ODD_SHAPES:
        survives(container(good_arrays, {"w": change(("shape",), shape)}))


def odd_arrays(a: Array) -> list[Array]:
    """Arrays of another dtype, length or rank."""
    other = a.astype(np.uint32 if a.dtype != np.uint32 else np.int32)
    odd = [other, a[:-1], np.concatenate([a, a[:1]]), a[None], a.reshape(-1)[:, None], a.reshape(-1)[:0]]
    return [o for o in odd if (o.dtype, o.shape) != (a.dtype, a.shape)]


@pytest.mark.parametrize("version", [0, VERSION + 1, -1, 10**30])
def test_other_versions(tmp_path: Path, refused: Check, version: int) -> None:
    arrays, _ = entry("csr")
    raw = container({**arrays, "p": np.ones(2, np.float32)}, {"w": {"version": version, "structure": 3}})
    refused(raw, sf.VersionError, rf"tensor 'w'.*reads versions 1 to {VERSION}; upgrade sparsefmt")
    path = tmp_path / "f"
    assert sf.load(path, ["p"])["p"].shape == (2,)


@pytest.mark.parametrize(("part", "what"), [("structure", "structure"), ("values", "codec")])
def test_unknown_kinds(refused: Check, part: str, what: str) -> None:
    arrays, e = entry("csr")
    e[part]["kind"] = "int1"
    refused(container(arrays, {"w": e}), sf.VersionError, f"{what} 'int1' is unknown; this sparsefmt knows ")
    e[part]["kind"] = "csr" if part == "values" else "raw"
    refused(container(arrays, {"w": e}), sf.VersionError)


HUGE = 2**31 - 1


@pytest.mark.parametrize(
    ("fmt", "array", "changes"),
    [
        ("coo", "row", [{0: -1}, {3: 3}, {3: HUGE}, {0: 2}, {0: 1}, {3: -(2**31)}]),
        ("coo", "col", [{0: -1}, {0: 8}, {0: 2}, {1: 1}, {0: HUGE}]),
        ("csr", "indptr", [{0: 1}, {0: -1}, {1: 4}, {1: -1}, {1: HUGE}, {3: 3}, {3: 5}, {3: HUGE}, {2: 1}]),
        ("csr", "indices", [{0: -1}, {0: 8}, {0: 2}, {0: 3}, {3: HUGE}, {3: -(2**31)}]),
        ("csc", "indptr", [{0: 1}, {1: 3}, {8: 3}, {8: 5}]),
        ("csc", "indices", [{0: 3}, {0: -1}]),
        ("bsr2x4", "indptr", [{0: 1}, {1: 5}, {2: 1}, {2: HUGE}]),
        ("bsr2x4", "indices", [{0: 2}, {0: -1}, {0: 1}, {1: 0}]),
        ("bitmask", "row_offsets", [{0: 1}, {1: 1}, {1: HUGE}, {3: 5}, {3: -1}]),
        ("bitmask", "bits", [{(0, 0): 0}, {(0, 0): 255}]),
        ("nm2:4", "codes", [{(0, 0): 6}, {(0, 0): 7}, {(0, 0): 6 << 3}, {(0, 0): 64}, {(0, 0): 128}, {(2, 0): 7 << 3}]),
    ],
)
def test_hostile_indices_and_codes(refused: Check, fmt: str, array: str, changes: list[dict[Any, int]]) -> None:
    for wide in (False, True):
        for change in changes:
            arrays, e = entry(fmt)
            if wide and arrays[f"w.structure.{array}"].dtype == np.int32:
                for name, dtype in e["structure"]["arrays"].items():
                    if dtype == "int32":
                        e["structure"]["arrays"][name] = "int64"
                        arrays[f"w.structure.{name}"] = arrays[f"w.structure.{name}"].astype(np.int64)
            for at, value in change.items():
                big = 2**63 - 1 if value == HUGE else -(2**63)
                arrays[f"w.structure.{array}"][at] = big if wide and abs(value) >= HUGE else value
            refused(container(arrays, {"w": e}), text="tensor 'w'")


def test_offsets_whose_differences_wrap(refused: Check) -> None:
    arrays, e = entry("csr")
    e["structure"]["arrays"] = {"indptr": "int64", "indices": "int64"}
    e["shape"] = [4, 8]
    arrays["w.structure.indptr"] = np.array([0, 2**63 - 1, -(2**63), -1, 4])
    arrays["w.structure.indices"] = np.arange(4)
    refused(container(arrays, {"w": e}), text="indptr falls")


def test_mixed_index_widths(refused: Check) -> None:
    arrays, e = entry("csr")
    e["structure"]["arrays"]["indices"] = "int64"
    arrays["w.structure.indices"] = arrays["w.structure.indices"].astype(np.int64)
    refused(container(arrays, {"w": e}), text="all int32 or all int64")


@pytest.mark.parametrize(("fmt", "array", "at"), [
    ("nm2:4", "structure.codes", (0, 0)),
    ("nm2:4@64", "structure.codes", (2, 63)),
    ("nm2:4@64", "values.data", (2, 15)),
    ("nm2:4@64", "values.data", (0, 4)),
    ("bitmask@64", "structure.bits", (1, 1)),
    ("bitmask@64", "structure.bits", (2, 63)),
    ("bsr2x4", "values.data", (1, 1, 0)),
    ("bsr4x3", "values.data", (0, 3, 0)),
    ("nm2:5", "values.data", (0, 3)),
])  # fmt: skip
def test_dirty_padding(refused: Check, fmt: str, array: str, at: tuple[int, ...]) -> None:
    arrays, e = entry(fmt)
    a = arrays[f"w.{array}"]
    if a.dtype == np.uint8:
        a[at] |= 128
    else:
        if fmt == "nm2:5":  # the last group has 3 columns: let its slots be columns 3 and 4 of 5
            arrays["w.structure.codes"][0, 0] = (arrays["w.structure.codes"][0, 0] & 15) | (9 << 4)
        last = tuple(n - 1 for n in a.shape) if fmt.startswith("bsr") else at
        a[last] = -0.0
    refused(container(arrays, {"w": e}))


def test_odd_bools(refused: Check) -> None:
    odd = np.array([0, 1, 2], np.uint8).view(bool)
    refused(container({"p": odd}, {}), text="bytes other than 0 and 1")
    w = np.ones((1, 3), bool)
    arrays, e = entry("csr")
    t = sf.encode(w, "csr")
    arrays = {f"w.structure.{k}": a for k, a in t.structure.arrays().items()} | {"w.values.data": odd}
    e |= {"shape": [1, 3], "dtype": "bool"}
    e["values"]["arrays"]["data"] = "bool"
    refused(container(arrays, {"w": e}), text="bytes other than 0 and 1")


def test_two_packed_tensors_that_claim_one_array(refused: Check) -> None:
    arrays, e = entry("csr")
    refused(container(arrays, {"w": e, "w.structure": e}))
    inner = {k.replace("w.", "w.values.", 1): a for k, a in arrays.items()}
    refused(container({**arrays, **inner}, {"w": e, "w.values": e}))


def test_plain_complex_entries(refused: Check) -> None:
    pair = np.zeros((3, 2), np.float32)
    for e in (
        {"version": 1, "shape": [3], "dtype": "complex128"},
        {"version": 1, "shape": [3, 2], "dtype": "float32"},
        {"version": 1, "shape": [3], "dtype": "complex64"},
    ):
        refused(container({"z": pair}, {"z": e}))
        refused(container({}, {"z": e}))


CLAIMS = textwrap.dedent(
    """
    import resource, sys
    import numpy as np
    import sparsefmt as sf
    from property.peak_memory import status
    path, script = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
    try:
        t = sf.load(path)["w"]
        if script:
            exec(script)
    except sf.SparsefmtError as e:
        print(type(e).__name__)
    peak = status("VmHWM")  # ru_maxrss begins at what the process that started this one held
    assert peak < 300 << 20, f"{peak} bytes"
    """
)


def claim_tall(fmt: str) -> bytes:
    """A tensor of 2^40 rows in less than a kilobyte."""
    arrays, e = entry("coo")
    e["structure"]["arrays"] = {"row": "int64", "col": "int64"}
    for name in ("row", "col"):
        arrays[f"w.structure.{name}"] = arrays[f"w.structure.{name}"].astype(np.int64)
    e["shape"] = [2**40, 4] if fmt == "tall" else [4, 2**40]
    arrays["w.structure.col"][...] = [0, 1, 2, 3]
    return container(arrays, {"w": e})


def claim_dense() -> bytes:
    """A plain tensor of 4 TiB in 80 bytes."""
    return with_header(json.dumps({"w": {"dtype": "U8", "shape": [4 << 40], "data_offsets": [0, 4 << 40]}}).encode())


@pytest.mark.parametrize(
    ("raw", "script", "want"),
    [
        (claim_dense(), "", "CorruptFileError"),
        (claim_tall("tall"), "", ""),
        (claim_tall("tall"), 't.convert("csr")', "SizeError"),
        (claim_tall("tall"), 't.convert("bitmask")', "SizeError"),
        (claim_tall("tall"), 't.convert("nm2:4")', "SizeError"),
        (claim_tall("tall"), 't.convert("bsr4x4")', "SizeError"),
        (claim_tall("tall"), "t.to_dense()", "SizeError"),
        (claim_tall("tall"), "t @ np.ones(4, np.float32)", "SizeError"),
        (claim_tall("tall"), "sf.inspect(path)", ""),
        (claim_tall("tall"), 'sf.save(path + "2", {"w": t}); assert sf.equal(sf.load(path + "2")["w"], t)', ""),
        (claim_tall("wide"), 't.convert("csc")', "SizeError"),
        (claim_tall("wide"), 't.convert("csr")', ""),
        (claim_tall("wide"), "np.ones(4, np.float32) @ t", "SizeError"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else str(value)[:32],
)
def test_a_kilobyte_that_claims_terabytes(tmp_path: Path, raw: bytes, script: str, want: str) -> None:
    assert len(raw) < 1024
    path = tmp_path / "f"
    path.write_bytes(raw)
    command = [sys.executable, "-c", CLAIMS, str(path), script]
    environment = peak_memory.environment()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == want
