"""Registers and spills of our own kernels on every architecture, as the compiler reports them: no GPU is needed.

python benches/gpu/compiled.py          # writes benches/gpu/compiled.json
"""

import json
import re
from pathlib import Path
from typing import Any

from sparsefmt.cuda import module, nvrtc
from sparsefmt.cuda.own import plan

HERE = Path(__file__).parent
SHAPE = (28672, 8192)
SHARED = {"sm_80": 163, "sm_86": 99, "sm_89": 99, "sm_90": 227, "sm_90a": 227, "sm_100": 227, "sm_120": 99}
FORMS = (
    plan.Form("int4", 4, SHAPE, grouped=True),
    plan.Form("int8", 8, SHAPE, grouped=True),
    plan.Form("lut", 4, SHAPE),
    plan.Form("raw16", 16, SHAPE),
    plan.Form("raw8", 8, SHAPE),
)
COLUMNS = (1, 8, 16, 32, 64, 128)


def compiled(arch: str, form: plan.Form, columns: int) -> dict[str, Any]:
    """What the compiler says of one kernel, for 132 processors and bfloat16 activations."""
    size = SHARED[arch]
    gpu = plan.Gpu(int(re.sub(r"\D", "", arch)), 132, size << 10, (size + 1) << 10, 3e12)
    made = plan.plan(form, columns, True, gpu)
    options = ("--ptxas-options=-v", *module.definitions(made.defines))
    log = nvrtc.compile_source(module.source("own/nm24.cu"), arch, options).log
    spilled = sum(int(n) for n in re.findall(r"(\d+) bytes spill (?:stores|loads)", log))
    used = re.search(r"Used (\d+) registers", log)
    assert used is not None
    return {"arch": arch, "kernel": made.text, "registers": int(used[1]), "spill_bytes": spilled}


def main() -> None:
    """Writes the record."""
    kernels = [compiled(arch, form, columns) for arch in SHARED for form in FORMS for columns in COLUMNS]
    record = {"nvrtc": nvrtc.loaded().version, "kernels": kernels}
    lines = ",\n".join("  " + json.dumps(row) for row in kernels)
    text = f'{{"nvrtc": {json.dumps(record["nvrtc"])}, "kernels": [\n{lines}\n]}}\n'
    (HERE / "compiled.json").write_text(text)
    print(f"{len(kernels)} kernels, most registers {max(k['registers'] for k in kernels)}, spilled bytes", end=" ")
    print(sum(k["spill_bytes"] for k in kernels))


if __name__ == "__main__":
    main()
