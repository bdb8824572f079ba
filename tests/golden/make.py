"""Writes the files in tests/golden/v1: one per structure and class of dtypes (a tensor per dtype), one per codec.

In v2 are the codecs and the structure that version 2 of an entry brought, in v3 tensors that are packed along another
axis, in v4 the structure of version 4. Files of a version are never written again once it is released:
`python tests/golden/make.py FOLDER` writes FOLDER/v1 to FOLDER/v4.
"""

import sys
from pathlib import Path

import ml_dtypes
import numpy as np

import sparsefmt as sf

FORMATS = (
    *("dense", "coo", "csr", "csc", "bsr2x4", "bitmask", "bitmask@64"),
    *("nm2:4", "nm2:4@64", "nm4:8", "nm3:3", "gap"),
)
CLASSES = {
    "bool": ("bool",),
    "integer": ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    "float": ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float32", "float64"),
    "complex": ("complex64", "complex128"),
}
CODECS = ("int8", "int8:asym:f32", "int4:g4", "int4:g3:asym", "int4:tensor", "kmeans5", "kmeans3:row", "kmeans256")
CODECS_2 = ("int2:g4:asym", "int3", "int3:g3:asym", "int5:asym:f32", "int6:tensor", "int7:g8")
RADIX = ("nm2:4@radix", "nm4:8@radix", "nm11:11@radix")
RANS = ("nm2:4@rans", "nm4:8@rans", "nm11:11@rans")
CODED_STRUCTURES = ("dense", "coo", "csr", "csc", "bsr2x4", "bitmask@64", "nm2:4", "nm2:4@64")
CODED_DTYPES = ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float32", "float64", "int8", "int32", "uint16")
SHAPE = (3, 11)


def dtype_of(name: str) -> np.dtype:
    """The dtype of that name."""
    return np.dtype(getattr(ml_dtypes, name, name))


def dense(name: str) -> np.ndarray:
    """Element (r, c) is (5 r + c) mod 7 - 3 where c mod 4 is r or r + 1, else 0; row 2 of floats ends in -0.0."""
    r, c = np.indices(SHAPE)
    value = np.where((c % 4 == r) | (c % 4 == r + 1), (5 * r + c) % 7 - 3, 0)
    if name in CLASSES["complex"]:
        return (value + 2j * value).astype(name)
    w = np.abs(value).astype(name) if name.startswith(("uint", "bool")) else value.astype(dtype_of(name))
    if name in CLASSES["float"]:
        w[2, 10] = -0.0
    return w


def uneven(name: str) -> np.ndarray:
    """The same zeros; elsewhere floats are its values times (64 + 7 r + c) / 64."""
    r, c = np.indices(SHAPE)
    value = np.where((c % 4 == r) | (c % 4 == r + 1), (5 * r + c) % 7 - 3, 0)
    if "float" in name:
        value = np.where(value == 0, 0, value * (64 + 7 * r + c) / 64)
    return (np.abs(value) if name.startswith("uint") else value).astype(dtype_of(name))


def fourth(folder: Path) -> None:
    """Writes the file of version 4."""
    streams = {f"{fmt} {name}": sf.encode(dense(name), fmt, zero="bits") for fmt in RANS for name in CODED_DTYPES}
    streams |= {f"nm2:4@rans/{c}": sf.encode(uneven("float16"), f"nm2:4@rans/{c}") for c in ("int4:g4", "kmeans5")}
    for rows in (1, 110, 1030):
        streams[f"{rows} rows"] = sf.encode(tall(rows), "nm2:4@rans")
        streams[f"{rows} rows, 3:7"] = sf.encode(tall(rows), "nm3:7@rans", prune=True)
    streams["axis"] = sf.encode(tall(110).T, "nm2:4@rans", axis=0)
    sf.save(folder / "nm-rans.safetensors", streams)


def tall(rows: int) -> np.ndarray:
    """Element (r, c) is 1 where c mod 4 is one of two columns that mostly are the same ones, else 0."""
    r, c = np.indices((rows, 260))
    first = np.where((r * 7 + c // 4 * 5) % 11 < 8, 0, (r + c // 4) % 2)
    second = 2 + (r * 3 + c // 4) % 13 // 12
    return ((c % 4 == first) | (c % 4 == second)).astype(np.int8)


def third(folder: Path) -> None:
    """Writes the files of version 3."""
    for axis in range(3):
        tensors = {fmt: sf.encode(cube("float16"), fmt, axis=axis) for fmt in (*CODED_STRUCTURES, "nm2:4/int4:g4")}
        sf.save(folder / f"axis-{axis}.safetensors", tensors)


def cube(name: str) -> np.ndarray:
    """Element (i, j, k) is (i + 3 j + 5 k) mod 7 - 3 where (i + j + k) mod 4 is 0, else 0."""
    i, j, k = np.indices((3, 5, 2))
    return np.where((i + j + k) % 4 == 0, (i + 3 * j + 5 * k) % 7 - 3, 0).astype(name)


def second(folder: Path) -> None:
    """Writes the files of version 2."""
    for codec in CODECS_2:
        coded = {s: sf.encode(uneven("float16"), f"{s}/{codec}") for s in CODED_STRUCTURES}
        coded |= {name: sf.encode(uneven(name), f"nm2:4/{codec}") for name in CODED_DTYPES if "float" in name}
        sf.save(folder / f"values-{codec.replace(':', '-')}.safetensors", coded)
    words = {f"{fmt} {name}": sf.encode(dense(name), fmt, zero="bits") for fmt in RADIX for name in CODED_DTYPES}
    words |= {f"nm2:4@radix/{c}": sf.encode(uneven("float16"), f"nm2:4@radix/{c}") for c in ("int4:g4", "kmeans5")}
    sf.save(folder / "nm-radix.safetensors", words)


def first(folder: Path) -> None:
    """Writes the files of version 1."""
    for codec in CODECS:
        coded = {s: sf.encode(uneven("float16"), f"{s}/{codec}") for s in CODED_STRUCTURES}
        coded |= {name: sf.encode(uneven(name), f"nm2:4/{codec}") for name in CODED_DTYPES}
        sf.save(folder / f"values-{codec.replace(':', '-')}.safetensors", coded)
    for fmt in FORMATS:
        for kind, names in CLASSES.items():
            if kind == "complex" and fmt.startswith("nm"):
                continue
            tensors = {name: sf.encode(dense(name), fmt, zero="bits") for name in names}
            sf.save(folder / f"{file_name(fmt)}-{kind}.safetensors", tensors)
    plain = {name: dense(name) for names in CLASSES.values() for name in names}
    sf.save(folder / "plain.safetensors", plain, metadata={"who": "golden"})


def file_name(fmt: str) -> str:
    """A format text without the colon."""
    return fmt.replace(":", "of").replace("@", "-align")


if __name__ == "__main__":
    for version, write in (("v1", first), ("v2", second), ("v3", third), ("v4", fourth)):
        made = Path(sys.argv[1], version)
        made.mkdir(exist_ok=True)
        write(made)
