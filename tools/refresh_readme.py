"""Runs the demo and puts what it prints into README.md; `--tests FILE` does it for the summary in a log of `make test`.

The blocks are the first code blocks behind `<!-- demo -->` and `<!-- tests -->`.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def put(text: str, marker: str, output: str) -> str:
    """The text with the code block behind the marker replaced."""
    block = re.compile(rf"(<!-- {marker} -->.*?\n```\n).*?(```\n)", re.DOTALL)
    if len(block.findall(text)) != 1:
        sys.exit(f"error: want one block behind <!-- {marker} -->")
    return block.sub(lambda m: m[1] + output.rstrip() + "\n" + m[2], text)


def machine() -> str:
    """The CPU and its cores."""
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{found[1].strip() if found else 'an unnamed CPU'} with {os.cpu_count()} cores"


def main() -> None:
    """Rewrites README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=Path, metavar="FILE", help="take the summary from this log instead")
    log = parser.parse_args().tests
    readme = ROOT / "README.md"
    text = readme.read_text()
    if log is not None:
        text = put(text, "tests", log.read_text().rpartition("=== summary\n")[2].partition("\nmake")[0])
    else:
        done = subprocess.run(["make", "-s", "demo"], cwd=ROOT, capture_output=True, text=True, check=True)
        text = put(text, "demo", done.stdout)
        text = re.sub(r"(What `make demo` printed on ).*?(:\n)", lambda m: m[1] + machine() + m[2], text)
    readme.write_text(text)


if __name__ == "__main__":
    main()
