"""What the compiler makes of the kernels: for every architecture, without a GPU."""

import json
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from sparsefmt.cuda import module, nvrtc
from sparsefmt.cuda.own import plan

ROOT = Path(__file__).parents[3]
ARCHES = ("sm_80", "sm_86", "sm_89", "sm_90", "sm_90a", "sm_100", "sm_120")
SMALL = {"sm_86", "sm_89", "sm_120"}
SHAPE = (28672, 8192)
INT4 = plan.Form("int4", 4, SHAPE, grouped=True)
ROWS = {"BITMASK": 0, "LONG": 0, "CODEC": 1, "BITS": 4, "ASYM": 0, "BF16": 1, "NT": 4}

pytestmark = pytest.mark.skipif(nvrtc.available() is not None, reason=f"no NVRTC: {nvrtc.available()}")


def gpu(arch: str) -> plan.Gpu:
    size = 99 if arch in SMALL else 163 if arch == "sm_80" else 227
    return plan.Gpu(int(re.sub(r"\D", "", arch)), 132, size << 10, (size + 1) << 10, 3e12)


def compiled(name: str, arch: str, defines: dict[str, str | int]) -> nvrtc.Compiled:
    options = ["--ptxas-options=-v", *module.definitions(defines)]
    return nvrtc.compile_source(module.source(name), arch, options)


def bounded(made: nvrtc.Compiled, registers: int) -> None:
    """Nothing spills anywhere, so nothing spills in a main loop; as many blocks fit as were planned."""
    used = [int(n) for n in re.findall(r"Used (\d+) registers", made.log)]
    spilled = re.findall(r"(\d+) bytes spill (?:stores|loads)", made.log)
    assert len(used) == 1
    assert used[0] <= registers
    assert spilled == ["0", "0"]


def planned(form: plan.Form, columns: int, arch: str, bf16: bool = True, gemv: bool = False) -> nvrtc.Compiled:
    made = plan.plan(form, columns, bf16, gpu(arch), gemv)
    result = compiled("own/nm24.cu", arch, made.defines)
    bounded(result, min(65536 // (made.tile.threads * made.tile.blocks), 255))
    return result


@pytest.mark.parametrize("arch", ARCHES)
def test_tensor_core_kernels(arch: str) -> None:
    planned(INT4, 1, arch)
    planned(INT4, 64, arch)
    planned(plan.Form("raw16", 16, SHAPE), 16, arch)
    assert b"mma.sp::ordered_metadata" in planned(plan.Form("raw8", 8, SHAPE), 32, arch).ptx


@pytest.mark.parametrize("arch", ARCHES)
def test_other_kernels(arch: str) -> None:
    bounded(compiled("own/rows.cu", arch, ROWS), 128)
    bounded(compiled("own/stage.cu", arch, {"BYTES": 2}), 64)
    planned(INT4, 4, arch, gemv=True)


def disassembler() -> str | None:
    try:
        files = metadata.files("nvidia-cuda-nvdisasm") or []
    except metadata.PackageNotFoundError:
        files = []
    found = [str(f.locate()) for f in files if f.name == "nvdisasm"]
    return found[0] if found else shutil.which("nvdisasm")


@pytest.mark.skipif(disassembler() is None, reason="no nvdisasm (pip install nvidia-cuda-nvdisasm)")
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_machine_code(arch: str, tmp_path: Path) -> None:
    """Sparse tensor cores; 16-byte asynchronous copies past the L1 cache; no local memory."""
    for form, columns, wanted in [
        (INT4, 16, "HMMA.SP.16832.F32.BF16"),
        (plan.Form("raw16", 16, SHAPE), 8, "HMMA.SP.16832.F32.BF16"),
        (plan.Form("raw8", 8, SHAPE), 8, "IMMA.SP.16864.S8.S8"),
    ]:
        (tmp_path / "kernel.cubin").write_bytes(planned(form, columns, arch).cubin)
        run = [str(disassembler()), "-c", str(tmp_path / "kernel.cubin")]
        text = subprocess.run(run, capture_output=True, text=True, check=True).stdout
        assert wanted in text
        assert re.search(r"LDGSTS\.E\.BYPASS\.\S*128", text)
        assert "LDSM.16.M88.4" in text
        assert not re.search(r"\b(LDL|STL)\b", text)


def test_the_record_holds_what_the_compiler_says() -> None:
    """benches/gpu/compiled.json, by benches/gpu/compiled.py."""
    record = json.loads((ROOT / "benches/gpu/compiled.json").read_text())
    assert all(row["spill_bytes"] == 0 and row["registers"] <= 255 for row in record["kernels"])
    assert {row["arch"] for row in record["kernels"]} == set(ARCHES)
    if tuple(record["nvrtc"]) != nvrtc.loaded().version:
        pytest.skip(f"recorded with NVRTC {record['nvrtc']}")
    made = plan.plan(INT4, 16, True, gpu("sm_90"))
    row = next(r for r in record["kernels"] if r["arch"] == "sm_90" and r["kernel"] == made.text)
    assert f"Used {row['registers']} registers" in planned(INT4, 16, "sm_90").log


def test_plain_sparse_instructions_are_not_used() -> None:
    """Without ::ordered_metadata their metadata is emulated on newer GPUs."""
    texts = [module.source(f"own/{name}.cu") for name in ("nm24", "rows", "stage")]
    assert not [t for t in texts if re.search(r'"mma\.sp(?!::ordered_metadata)', t)]


FORMS = [
    plan.Form("raw16", 16, SHAPE),
    plan.Form("raw8", 8, SHAPE),
    *(
        plan.Form(codec, bits, SHAPE, scale32, grouped, asym, sub)
        for codec, bits in (("int8", 8), ("int4", 4))
        for scale32, grouped, asym, sub in [(0, 0, 0, 1), (0, 1, 0, 1), (0, 1, 1, 1), (1, 1, 0, 2), (1, 1, 1, 2)]
    ),
    *(plan.Form("lut", bits, SHAPE) for bits in range(1, 9)),
]


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["sm_80", "sm_89", "sm_90"])
@pytest.mark.parametrize("form", FORMS, ids=lambda f: f"{f.codec}-{f.bits}-{f.grouped}{f.asym}{f.scale32}{f.sub}")
def test_every_plan(arch: str, form: plan.Form) -> None:
    for bf16 in (False, True):
        for columns in (1, 8, 16, 32, 64, 128):
            planned(form, columns, arch, bf16)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_every_row_kernel(arch: str) -> None:
    for mask, codec, nt, bf16, asym in [(a, c, n, b, z) for a in (0, 1) for c in range(4) for n in (1, 2, 4)
                                        for b in (0, 1) for z in (0, 1)]:  # fmt: skip
        if asym and codec in (0, 3):
            continue
        defines = ROWS | {"BITMASK": mask, "CODEC": codec, "NT": nt, "BF16": bf16, "ASYM": asym, "LONG": nt % 2}
        bounded(compiled("own/rows.cu", arch, defines), 128)
