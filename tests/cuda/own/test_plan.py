"""Tiles and stages: they fit every GPU, and agree with the kernels."""

import ctypes

import own_host
import pytest

from sparsefmt.cuda.own import plan, rows

GPUS = {
    "A100": plan.Gpu(80, 108, 163 << 10, 164 << 10, 1.5e12),
    "A10": plan.Gpu(86, 72, 99 << 10, 100 << 10, 0.6e12),
    "L40": plan.Gpu(89, 142, 99 << 10, 100 << 10, 0.86e12),
    "H100": plan.Gpu(90, 132, 227 << 10, 228 << 10, 3.3e12),
    "B200": plan.Gpu(100, 148, 227 << 10, 228 << 10, 8e12),
    "RTX 5090": plan.Gpu(120, 170, 99 << 10, 100 << 10, 1.8e12),
}
SHAPE = (28672, 8192)
FORMS = [
    plan.Form("raw16", 16, SHAPE),
    plan.Form("raw8", 8, SHAPE),
    *(
        plan.Form(codec, bits, SHAPE, scale32, grouped, asym, sub)
        for codec, bits in (("int8", 8), ("int4", 4))
        for scale32, grouped, asym, sub in [(0, 0, 0, 1), (0, 1, 0, 1), (0, 1, 1, 2), (1, 1, 1, 2)]
    ),
    *(plan.Form("lut", bits, SHAPE) for bits in range(1, 9)),
]
COLUMNS = (1, 2, 8, 9, 16, 17, 32, 33, 64, 65, 128, 1000)


@pytest.mark.parametrize("gpu", GPUS)
def test_every_plan_fits(gpu: str) -> None:
    for form in FORMS:
        for columns in COLUMNS:
            made = plan.plan(form, columns, True, GPUS[gpu])
            assert made.stages >= plan.MIN_STAGES, (form, columns)
            assert made.shared <= GPUS[gpu].shared_block
            assert 0 < made.grid <= made.tile.blocks * GPUS[gpu].processors
            assert made.tile.columns >= min(columns, 128)
            assert str(made.tile.rows) in made.text
        assert plan.plan(form, 4, True, GPUS[gpu], gemv=True).gemv == 4


def test_small_matrices_use_no_idle_blocks() -> None:
    made = plan.plan(plan.Form("int4", 4, (64, 64)), 1, False, GPUS["H100"])
    assert made.grid == made.tiles == 1


@pytest.mark.skipif(own_host.COMPILER is None, reason="no g++")
def test_shared_memory_is_what_the_kernels_count() -> None:
    picked = [(f, n) for i, f in enumerate(FORMS) for j, n in enumerate((1, 16, 32, 128)) if (i + 5 * j) % 13 == 0]
    for form, columns in picked:
        made = plan.plan(form, columns, True, GPUS["H100"])
        assert own_host.shared_bytes("own/nm24.cu", "nm24_multiply", made.defines) == made.shared
    for nt in (1, 4):
        defines = {"BITMASK": 0, "LONG": 0, "CODEC": 0, "BITS": 4, "ASYM": 0, "BF16": 0, "NT": nt}
        assert own_host.shared_bytes("own/rows.cu", "rows_multiply", defines) == rows.shared_bytes(nt)


def test_guesses_grow_with_the_work() -> None:
    gpu = GPUS["H100"]
    few = plan.seconds(1 << 26, 8192, 8192, 1, gpu)
    assert 5e-6 < few < plan.seconds(1 << 27, 8192, 8192, 1, gpu) < plan.seconds(1 << 27, 8192, 8192, 4096, gpu)
    assert ctypes.sizeof(ctypes.c_void_p) == 8  # kernels take addresses of 8 bytes
