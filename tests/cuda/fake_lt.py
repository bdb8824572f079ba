"""A library with the functions of cuSPARSELt that the binding calls, over the memory of the emulated GPU.

It holds the binding to the rules: structures are aligned, initialised once, used while alive, destroyed once; shapes
and leading dimensions are multiples; pointers are aligned; 8-bit types are row-major times transposed row-major.
"""

import ctypes
from typing import Any

import fake_cupy
import ml_dtypes
import numpy as np

TYPES = {0: np.float32, 2: np.float16, 3: np.int8, 10: np.int32, 14: ml_dtypes.bfloat16, 28: ml_dtypes.float8_e4m3fn}
POSITIONS = np.array([[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]])


def memory(ptr: int, dtype: Any, count: int) -> np.ndarray:
    assert ptr % 16 == 0, "pointers are multiples of 16"
    size = count * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_ubyte * size).from_address(ptr), dtype)


def number(kind: Any, address: int) -> Any:
    return kind.from_address(address).value


class FakeLt:
    """As the loaded library; its functions take the integers that ctypes would pass."""

    def __init__(self, version: tuple[int, int, int] = (0, 10, 0), init: int = 0) -> None:
        self.version, self.init = version, init
        self.live: dict[int, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.streams: list[int] = []
        self.fails: dict[str, int] = {}
        self._functions: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("cusparseLt"):
            raise AttributeError(name)
        short = name.removeprefix("cusparseLt")
        method = getattr(type(self), f"do_{short}", None)
        if method is None or (short == "MatmulAlgSelectionDestroy" and self.version < (0, 8, 0)):
            raise AttributeError(name)
        if short not in self._functions:

            def call(*args: Any) -> int:
                self.calls.append(short)
                if short in self.fails:
                    return self.fails[short]
                return method(self, *args) or 0

            self._functions[short] = call
        return self._functions[short]

    def make(self, address: int, **state: Any) -> None:
        assert address % 64 == 0
        assert not self.live.get(address, {}).get("ends"), "initialised twice"
        self.live[address] = {"ends": True, **state}

    def drop(self, address: int) -> None:
        assert address in self.live, "destroyed twice, or never made"
        del self.live[address]

    do_Destroy = do_MatDescriptorDestroy = do_MatmulPlanDestroy = do_MatmulAlgSelectionDestroy = drop

    def do_Init(self, handle: int) -> int:
        if not self.init:
            self.make(handle, device=fake_cupy.Device.current)
        return self.init

    def do_GetProperty(self, kind: int, where: int) -> None:
        ctypes.c_int.from_address(where).value = self.version[kind]

    def _matrix(
        self, handle: int, at: int, rows: int, cols: int, ld: int, align: int, kind: int, order: int, step: int
    ) -> int:
        assert self.live[handle]["device"] == fake_cupy.Device.current
        assert align == 16
        assert ld == (cols if order == 2 else rows)
        if rows % step or cols % step or ld % step:
            return 10
        self.make(at, rows=rows, cols=cols, kind=kind, order=order)
        return 0

    def do_DenseDescriptorInit(self, handle: int, at: int, *args: int) -> int:
        return self._matrix(handle, at, *args, 128 // 8 // np.dtype(TYPES[args[4]]).itemsize if args[4] != 10 else 4)

    def do_StructuredDescriptorInit(self, handle: int, at: int, *args: int) -> int:
        assert args[6] == 0
        return self._matrix(handle, at, *args[:6], 32 // np.dtype(TYPES[args[4]]).itemsize)

    def do_MatmulDescriptorInit(self, handle: int, at: int, op_a: int, op_b: int, *rest: int) -> int:
        a, b, c, d = (self.live[address] for address in rest[:4])
        assert op_a == 0
        assert c is d
        assert a["order"] == 2
        if np.dtype(TYPES[a["kind"]]).itemsize == 1 and not (b["order"] == 2 and op_b == 1):
            return 10
        k, n = (b["rows"], b["cols"]) if op_b == 0 else (b["cols"], b["rows"])
        assert (a["rows"], a["cols"], n) == (d["rows"], k, d["cols"])
        assert rest[4] == (0 if a["kind"] == 3 else 2)
        self.live[at] = {"a": a, "b": b, "d": d, "op_b": op_b, "attributes": {}}
        return 0

    def do_MatmulDescSetAttribute(self, handle: int, product: int, attribute: int, where: int, size: int) -> None:
        value = number(ctypes.c_void_p if size == 8 else ctypes.c_int, where)
        self.live[product]["attributes"][attribute] = value

    def do_MatmulAlgSelectionInit(self, handle: int, at: int, product: int, kind: int) -> None:
        self.live[at] = {"product": self.live[product], "chosen": {}}

    def do_MatmulAlgSetAttribute(self, handle: int, at: int, attribute: int, where: int, size: int) -> None:
        self.live[at]["chosen"][attribute] = number(ctypes.c_int, where)

    def do_MatmulAlgGetAttribute(self, handle: int, at: int, attribute: int, where: int, size: int) -> None:
        ctypes.c_int.from_address(where).value = self.live[at]["chosen"].get(attribute, 0)

    def do_MatmulPlanInit(self, handle: int, at: int, product: int, algorithm: int) -> None:
        self.make(at, **self.live[product], algorithm=self.live[algorithm])

    def do_MatmulGetWorkspace(self, handle: int, plan: int, where: int) -> None:
        ctypes.c_size_t.from_address(where).value = 4096

    def do_SpMMACompressedSize2(self, handle: int, matrix: int, size: int, scratch: int) -> None:
        m = self.live[matrix]
        items = m["rows"] * m["cols"]
        ctypes.c_size_t.from_address(size).value = items * np.dtype(TYPES[m["kind"]]).itemsize // 2 + items // 4
        ctypes.c_size_t.from_address(scratch).value = 0

    def do_SpMMACompress2(
        self, handle: int, matrix: int, is_a: int, op: int, dense: int, out: int, scratch: int, stream: int
    ) -> None:
        m = self.live[matrix]
        assert (is_a, op) == (1, 0)
        assert stream == fake_cupy.get_current_stream().ptr
        w = memory(dense, TYPES[m["kind"]], m["rows"] * m["cols"]).reshape(-1, 4)
        bits = w.view(f"u{w.itemsize}") != 0
        assert (bits.sum(axis=1) <= 2).all(), "not 2:4"
        code = np.argmax((np.eye(4, dtype=bool)[POSITIONS].any(axis=1) | ~bits[:, None]).all(axis=2), axis=1)
        values = memory(out, w.dtype, len(w) * 2).reshape(-1, 2)
        values[...] = np.take_along_axis(w, POSITIONS[code], axis=1)
        memory(out + values.nbytes, np.uint8, len(w))[...] = code

    def do_Matmul(
        self,
        handle: int,
        plan: int,
        alpha: int,
        a: int,
        b: int,
        beta: int,
        c: int,
        d: int,
        room: int,
        streams: int,
        count: int,
    ) -> None:
        p = self.live[plan]
        assert count == 1
        assert c == d
        assert number(ctypes.c_float, beta) == 0.0
        assert room
        self.streams.append(number(ctypes.c_void_p, streams) or 0)
        left, right, out = p["a"], p["b"], p["d"]
        groups = left["rows"] * left["cols"] // 4
        values = memory(a, TYPES[left["kind"]], groups * 2).reshape(-1, 2)
        code = memory(a + values.nbytes, np.uint8, groups)
        w = np.zeros((groups, 4), np.float64)
        np.put_along_axis(w, POSITIONS[code], values.astype(np.float64), axis=1)
        x = memory(b, TYPES[right["kind"]], right["rows"] * right["cols"]).reshape(right["rows"], -1).astype(np.float64)
        with np.errstate(all="ignore"):
            y = w.reshape(left["rows"], -1) @ (x.T if p["op_b"] else x)
        attributes = p["attributes"]
        if attributes.get(5):
            y = y * memory(alpha, np.float32, left["rows"])[:, None].astype(np.float64)
        else:
            assert number(ctypes.c_float, alpha) == 1.0
        dtype = TYPES[out["kind"]]
        if attributes.get(8):
            y = y + memory(attributes[8], dtype, left["rows"])[:, None].astype(np.float64)
        if attributes.get(0):
            y = np.maximum(y, 0)
        flat = memory(d, dtype, out["rows"] * out["cols"])
        with np.errstate(all="ignore"):
            y = y.astype(dtype)
        flat[...] = (y if out["order"] == 2 else y.T).reshape(-1)

    def do_MatmulSearch(self, *args: int) -> None:
        self.do_Matmul(*args)
        self.live[args[1]]["algorithm"]["chosen"].update({0: 17, 3: 2, 4: 1, 5: 1})
