"""How a product is cut: tiles, stages of shared memory, blocks; by the codec, the number of columns and the GPU."""

import functools
from dataclasses import dataclass

from sparsefmt.cuda.device import cupy
from sparsefmt.cuda.launch import processors
from sparsefmt.cuda.machine import capability, machine

CODECS = {"raw16": 0, "int8": 1, "int4": 2, "lut": 3, "raw8": 4}
META_BYTES = 384
MIN_STAGES, MAX_STAGES = 2, 6
GEMV_COLUMNS = 4


@dataclass(frozen=True, slots=True)
class Gpu:
    """What of a GPU decides."""

    capability: int  # 90 for 9.0
    processors: int
    shared_block: int  # bytes that one block may have
    shared_processor: int
    bandwidth: float  # bytes per second

    @property
    def wide(self) -> bool:
        """Whether it has the large shared memory of A100, H100, B200."""
        return self.shared_block >= 160 << 10


_SHARED = {80: (163, 164), 86: (99, 100), 87: (163, 164), 89: (99, 100), 90: (227, 228), 120: (99, 100)}
"""KiB of shared memory that a block and a processor have, from a capability on (CUDA C++ Programming Guide)."""

_gpus: dict[int, Gpu] = {}


def gpu() -> Gpu:
    """The current device."""
    device = int(cupy().cuda.Device().id)
    if device not in _gpus:
        block, processor = _SHARED[max((c for c in _SHARED if c <= capability()), default=80)]
        _gpus[device] = Gpu(capability(), processors(), block << 10, processor << 10, machine().bandwidth)
    return _gpus[device]


@dataclass(frozen=True, slots=True)
class Tile:
    """Per warp 64 rows, 8 `nt` columns, `bricks` of W a unit; `wm` x `wn` x `wk` warps; `blocks` per multiprocessor."""

    nt: int
    wm: int
    wn: int
    wk: int
    bricks: int
    blocks: int
    single: bool = False  # for one column

    @property
    def rows(self) -> int:
        """Rows of a block."""
        return 64 * self.wm

    @property
    def columns(self) -> int:
        """Columns of a block."""
        return 8 * self.nt * self.wn

    @property
    def depth(self) -> int:
        """Columns of W that a stage holds."""
        return 64 * self.wk * self.bricks

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return 32 * self.wm * self.wn * self.wk


# By columns up to: the more there are, the more rows share the activations that a block reads from the L2 cache.
# "narrow": codes of up to 8 bits, of which a warp takes two bricks at a time, so that fewer of its instructions are
# copies; "heavy": two lines of float32 scales and zero points a brick, which take registers; "small": 100 KiB of shared
# memory (sm_86, sm_89, sm_120).
_TABLE: dict[int, dict[str, Tile]] = {
    1: {"": Tile(1, 1, 1, 4, 1, 4, True), "narrow": Tile(1, 1, 1, 4, 2, 4, True)},
    8: {"": Tile(1, 2, 1, 2, 1, 4), "narrow": Tile(1, 2, 1, 2, 2, 4)},
    16: {"": Tile(2, 2, 1, 2, 1, 3), "narrow": Tile(2, 2, 1, 2, 2, 3), "heavy": Tile(2, 2, 1, 2, 2, 2)},
    32: {"": Tile(4, 2, 1, 2, 1, 2), "narrow": Tile(4, 4, 1, 1, 1, 2), "small": Tile(4, 2, 1, 2, 1, 2)},
    64: {"": Tile(4, 4, 2, 1, 1, 1), "small": Tile(4, 2, 2, 1, 1, 1)},
    128: {"": Tile(4, 2, 4, 1, 1, 1), "small": Tile(4, 1, 4, 1, 1, 1)},
}
_GEMV = {2: Tile(1, 1, 1, 4, 1, 4), 4: Tile(1, 1, 1, 4, 1, 3)}


@dataclass(frozen=True, slots=True)
class Form:
    """What of a laid-out tensor decides: see `layout.Bricks`."""

    codec: str
    bits: int
    shape: tuple[int, int]
    scale32: bool = False
    grouped: bool = False
    asym: bool = False
    sub: int = 1  # lines of scales per brick


@dataclass(frozen=True, slots=True)
class Plan:
    """One launch of `nm24_multiply`."""

    form: Form
    tile: Tile
    stages: int
    gemv: int
    bf16: bool
    columns: int
    grid: int

    @property
    def defines(self) -> dict[str, str | int]:
        """The macros of the source."""
        f, t = self.form, self.tile
        return {
            "CODEC": CODECS[f.codec],
            "BF16": int(self.bf16),
            "BITS": f.bits if f.codec == "lut" else 4,
            "ASYM": int(f.asym),
            "GROUPED": int(f.grouped),
            "SUB": f.sub,
            "SCALE32": int(f.scale32),
            "NT": t.nt,
            "WM": t.wm,
            "WN": t.wn,
            "WK": t.wk,
            "BRICKS": t.bricks,
            "SINGLE": int(t.single),
            "STAGES": self.stages,
            "BLOCKS": t.blocks,
            "GEMV": self.gemv,
        }

    @property
    def shared(self) -> int:
        """Bytes of shared memory."""
        return self.stages * stage_bytes(self.form, self.tile) + fixed_bytes(self.form, self.tile)

    @property
    def tiles(self) -> int:
        """Tiles of the result."""
        return -(-self.form.shape[0] // self.tile.rows) * -(-self.columns // self.tile.columns)

    @property
    def text(self) -> str:
        """For people."""
        t = self.tile
        how = f"gemv, {self.gemv} columns" if self.gemv else "mma.sp"
        columns = 1 if t.single else t.columns
        return (
            f"nm24_multiply ({how}), {self.form.codec}: tile {t.rows}x{columns}, {t.depth} columns of W a stage, "
            f"{self.stages} stages, {t.threads} threads, {self.grid} blocks, {self.shared} bytes shared"
        )


def stage_bytes(f: Form, t: Tile) -> int:
    """Shared memory of a stage: bricks, scales, activations."""
    brick = 256 * f.bits + META_BYTES
    line = (256 if f.scale32 else 128) * f.grouped + 64 * f.asym
    item = 1 if f.codec == "raw8" else 2
    held = 1 if t.single else t.columns
    return t.wm * t.wk * t.bricks * (brick + f.sub * line) + held * (t.depth * item + 16)


def fixed_bytes(f: Form, t: Tile) -> int:
    """Shared memory beside the stages: the table of a codebook, the sums of a tile, a flag."""
    table = 32 << (2 * f.bits if f.bits <= 4 else f.bits) if f.codec == "lut" else 0
    return table + 4 * t.columns * (t.rows + 4) + 16


def tile_for(f: Form, columns: int, gpu: Gpu) -> Tile:
    """The tile by the table."""
    key = next((c for c in _TABLE if columns <= c), max(_TABLE))
    heavy = f.scale32 and f.asym and f.sub == 2
    kinds = ["small"] * (not gpu.wide) + ["heavy"] * heavy + ["narrow"] * (f.bits <= 8) + [""]
    return next(_TABLE[key][kind] for kind in kinds if kind in _TABLE[key])


def stages_for(f: Form, t: Tile, gpu: Gpu) -> int:
    """As many stages as fit, with all the blocks of a multiprocessor if those leave three."""
    found = 0
    for blocks in range(t.blocks, 0, -1):
        room = min(gpu.shared_block, gpu.shared_processor // blocks - 1024)
        found = min((room - fixed_bytes(f, t)) // stage_bytes(f, t), MAX_STAGES)
        if found >= 3:
            break
    return found


@functools.lru_cache(maxsize=4096)
def plan(f: Form, columns: int, bf16: bool, gpu: Gpu, gemv: bool = False) -> Plan:
    """How to multiply with so many columns.

    Args:
        f: the laid-out tensor.
        columns: of the activations, at least 1.
        bf16: whether activations are bfloat16.
        gpu: the device.
        gemv: without tensor cores; up to 4 columns.
    """
    tile = _GEMV[2 if columns <= 2 else 4] if gemv else tile_for(f, columns, gpu)
    stages = stages_for(f, tile, gpu)
    row_tiles, col_tiles = -(-f.shape[0] // tile.rows), -(-columns // tile.columns)
    units = row_tiles * col_tiles * -(-f.shape[1] // tile.depth)
    fixed, stage = fixed_bytes(f, tile), stage_bytes(f, tile)
    resident = min(tile.blocks, max(gpu.shared_processor // (stages * stage + fixed + 1024), 1))
    grid = min(resident * gpu.processors, units)
    return Plan(f, tile, stages, columns if gemv else 0, bf16, columns, grid)


def seconds(nbytes: int, rows: int, cols: int, columns: int, gpu: Gpu) -> float:
    """A guess: bytes at three quarters of the bandwidth, or products at half of what mma.sp can do; and the launch."""
    flops = gpu.processors * (4096 if gpu.wide else 2048) * 1.6e9
    padded = -(-columns // 8) * 8
    moved = nbytes + 2 * columns * (cols + rows)
    return 5e-6 + max(moved / (0.75 * gpu.bandwidth), 2.0 * rows * cols * padded / (0.5 * flops))
