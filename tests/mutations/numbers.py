"""Changes of bytes, numbers, texts and arrays that readers of files trip over."""

from collections.abc import Callable

import numpy as np

Rng = np.random.Generator
HOSTILE = (
    0, 1, 2, 3, 4, 7, 8, 31, 32, 33, 64, 127, 128, 255, 256, 1000, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1,
    2**32, 2**40, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1, -1, -2, -128, -(2**31), -(2**63),
)  # fmt: skip
FLOATS = (0.0, -0.0, -1.0, 1e-45, 6e-8, 1e-8, 65504.0, 7e4, 1e38, np.inf, -np.inf, np.nan)
DTYPES = ("uint8", "int8", "int16", "int32", "int64", "uint32", "float16", "float32", "float64", "bool", "uint64")


def hostile(rng: Rng) -> int:
    """A number that is a length, a count or a limit somewhere, or one beside it."""
    return int(HOSTILE[rng.integers(len(HOSTILE))]) + int(rng.integers(-1, 2)) * int(rng.integers(0, 2))


def bytes_changed(raw: bytes, rng: Rng, head: int | None = None) -> bytes:
    """One to three changes of a file, three of four in its first `head` bytes."""
    data = bytearray(raw)
    for _ in range(rng.integers(1, 4)):
        room = len(data) if head is None or rng.integers(4) == 0 else min(head, len(data))
        if not room:
            return bytes(data)
        at, kind = int(rng.integers(room)), rng.integers(8)
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at] = int(rng.choice([0, 1, 127, 128, 255, int(rng.integers(256))]))
        elif kind in (2, 3):
            width = int(rng.choice([2, 4, 8]))
            at -= at % int(rng.choice([1, width]))
            data[at : at + width] = (hostile(rng) % 2 ** (8 * width)).to_bytes(width, "little")
        elif kind == 4:
            del data[at : at + int(rng.integers(1, 40))]
        elif kind == 5:
            data[at:at] = data[at : at + int(rng.integers(1, 40))]
        elif kind == 6:
            del data[at:]
        else:
            other, count = int(rng.integers(room)), int(rng.integers(1, 24))
            data[at : at + count] = data[other : other + count]
    return bytes(data)


def number_changed(a: np.ndarray, rng: Rng) -> np.ndarray:
    """An element of an array is hostile."""
    out = np.array(a)
    if not out.size:
        return out
    at = int(rng.integers(out.size))
    with np.errstate(all="ignore"):
        if out.dtype.kind in "iub":
            width = out.dtype.itemsize
            raw = np.frombuffer((hostile(rng) % 2 ** (8 * width)).to_bytes(width, "little"), out.dtype)[0]
            out.reshape(-1)[at] = raw if out.dtype.kind != "b" else bool(raw)
        elif out.dtype.kind in "SU":
            return np.array(("csr", "csc", "coo", "bsr", "dia", "dok", "")[rng.integers(7)])
        else:
            out.reshape(-1)[at] = out.dtype.type(FLOATS[rng.integers(len(FLOATS))])
    return out


def shape_changed(a: np.ndarray, rng: Rng) -> np.ndarray:
    """Another shape: turned, flat, cut, longer, empty, of another rank."""
    kind = rng.integers(9)
    if kind == 0:
        return np.ascontiguousarray(a.T)
    if kind == 1:
        return a.reshape(-1)
    if kind == 2:
        return a.reshape(1, *a.shape)
    if kind == 3:
        return a[..., : max(a.shape[-1] // 2, 0)] if a.ndim else a.reshape(1)
    if kind == 4 and a.ndim:
        return a[: int(rng.integers(len(a) + 1))]
    if kind == 5 and a.ndim:
        return np.concatenate([a, a[: int(rng.integers(len(a) + 1))]])
    if kind == 6 and a.ndim:
        return a[..., :0]
    if kind == 7 and a.size:
        return a.reshape(-1)[0].reshape(())
    return a.reshape(*a.shape, 1)


def dtype_changed(a: np.ndarray, rng: Rng) -> np.ndarray:
    """The bytes as another dtype where they divide, else the values."""
    dtype = np.dtype(DTYPES[rng.integers(len(DTYPES))])
    if a.ndim and a.shape[-1] * a.itemsize % dtype.itemsize == 0 and dtype.kind != "b":
        return np.ascontiguousarray(a).view(dtype)
    if a.dtype.kind in "SUO":
        return np.zeros(a.shape, dtype)
    with np.errstate(all="ignore"):
        return a.astype(np.float32).astype(dtype)


def arrays_changed(arrays: dict[str, np.ndarray], rng: Rng) -> dict[str, np.ndarray]:
    """One or two changes of named arrays: numbers, shapes, dtypes; keys gone, renamed, doubled, exchanged."""
    out = dict(arrays)
    for _ in range(rng.integers(1, 3)):
        if not out:
            break
        keys = list(out)
        key, other = keys[rng.integers(len(keys))], keys[rng.integers(len(keys))]
        kind = rng.integers(10)
        if kind < 4:
            out[key] = number_changed(out[key], rng)
        elif kind < 6:
            out[key] = shape_changed(out[key], rng)
        elif kind == 6:
            out[key] = dtype_changed(out[key], rng)
        elif kind == 7:
            del out[key]
        elif kind == 8:
            out[key], out[other] = out[other], out[key]
        else:
            out[f"{key.rpartition('.')[0]}.{other.rpartition('.')[2]}"] = out[key]
    return out


VALUES: tuple[Callable[[Rng], object], ...] = (
    hostile,
    lambda rng: str(hostile(rng)),
    lambda rng: float(FLOATS[rng.integers(3)]),
    lambda rng: None,
    lambda rng: [],
    lambda rng: {},
    lambda rng: [hostile(rng), hostile(rng)],
    lambda rng: bool(rng.integers(2)),
    lambda rng: "x" * int(rng.integers(0, 99)),
)


def json_changed(value: object, rng: Rng) -> object:
    """A JSON value with one change somewhere in it."""
    if isinstance(value, dict) and value and rng.integers(6):
        out, keys = dict(value), list(value)
        key, kind = keys[rng.integers(len(keys))], rng.integers(10)
        if kind == 0:
            del out[key]
        elif kind == 1:
            out[keys[rng.integers(len(keys))]] = out[key]
        else:
            out[key] = json_changed(out[key], rng)
        return out
    if isinstance(value, list) and value and rng.integers(4):
        out_list, at, kind = list(value), int(rng.integers(len(value))), rng.integers(6)
        if kind == 0:
            del out_list[at]
        elif kind == 1:
            out_list.append(out_list[at])
        else:
            out_list[at] = json_changed(out_list[at], rng)
        return out_list
    return VALUES[rng.integers(len(VALUES))](rng)
