"""What starting costs: `import sparsefmt` beyond NumPy's, the first tensor, and `sparsefmt --version`.

`python benches/python/imports.py [--repeat 15] [--record]`: the sums of `-X importtime` for NumPy and for sparsefmt,
and the least wall time of new processes; the exit code is 1 above the bars of 60 and 150 ms. `--record` writes
benches/record/<machine>/<date>-imports.json.
"""

import argparse
import re
import subprocess
import sys
import time

from records import write_named

BARS_MS = {"import beyond numpy": 60.0, "sparsefmt --version": 150.0}
FIRST = "import numpy, ml_dtypes; import sparsefmt as sf; sf.encode([[1.0, 0.0]], 'csr')"


def python(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs a new interpreter."""
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)


def import_ms(code: str, module: str) -> float:
    """The cumulative milliseconds of a module, as `-X importtime` has them."""
    lines = python("-X", "importtime", "-c", code).stderr
    found = re.search(rf"^import time: +\d+ \| +(\d+) \| {re.escape(module)}$", lines, re.MULTILINE)
    if found is None:
        msg = f"-X importtime shows no {module}"
        raise LookupError(msg)
    return int(found[1]) / 1000


def wall_ms(*words: str) -> float:
    """Milliseconds of a process."""
    start = time.perf_counter()
    python(*words)
    return (time.perf_counter() - start) * 1000


def main() -> int:
    """Measures, prints and compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    found = {
        "import numpy": min(import_ms("import numpy", "numpy") for _ in range(options.repeat)),
        "import beyond numpy": min(import_ms("import numpy, sparsefmt", "sparsefmt") for _ in range(options.repeat)),
        "python": min(wall_ms("-c", "") for _ in range(options.repeat)),
        "numpy and ml_dtypes": min(wall_ms("-c", "import numpy, ml_dtypes") for _ in range(options.repeat)),
        "first tensor": min(wall_ms("-c", FIRST) for _ in range(options.repeat)),
        "sparsefmt --version": min(wall_ms("-m", "sparsefmt", "--version") for _ in range(options.repeat)),
        "sparsefmt formats": min(wall_ms("-m", "sparsefmt", "formats") for _ in range(options.repeat)),
    }
    for name, ms in found.items():
        print(f"{name:22} {ms:8.1f} ms" + (f"   bar {BARS_MS[name]:.0f} ms" if name in BARS_MS else ""))
    if options.record:
        write_named("imports", milliseconds=found)
    return int(any(found[name] > bar for name, bar in BARS_MS.items()))


if __name__ == "__main__":
    sys.exit(main())
