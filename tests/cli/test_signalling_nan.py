"""Values that make the processor raise its flag of invalid operations are findings, and no warnings of NumPy."""

from pathlib import Path

import numpy as np

import sparsefmt as sf
from commandline import Cli


def test_commands_are_quiet(cli: Cli, tmp_path: Path) -> None:
    """Warnings are errors in tests: a command that lets one through ends with 70."""
    w = np.ones((64, 64), np.float32)
    w.view(np.uint32)[3, 5] = 0x7F80_0001
    model, packed, page = (tmp_path / name for name in ("m.safetensors", "p.safetensors", "r.html"))
    sf.save(model, {"w": w})
    assert "a value is NaN or infinite" in cli.run("doctor", model).stdout
    cli.ok("report", model, "-o", page)
    for fmt in ("csr", "bitmask"):
        cli.ok("pack", model, packed, "--format", fmt, "--force")
        cli.ok("verify", model, packed)
        cli.ok("inspect", packed, "--against", model)
        cli.ok("report", packed, "-o", page, "--against", model, "--force")
    for codec in ("int8", "int4:g32:asym", "kmeans16"):
        assert "row 3, column 5" in cli.fails(3, "pack", model, packed, "--format", f"dense/{codec}", "--force")
