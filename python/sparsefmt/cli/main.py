"""The entry point, which works far enough without click and rich to say that they are missing."""

import contextlib
import gc
import importlib.util
import sys

import sparsefmt
from sparsefmt.cli.process import allow_files, handle_signals, leave, prepare_streams, say_warnings


def main() -> None:
    """Runs the command line; see `sparsefmt --help`."""
    prepare_streams()
    allow_files()
    if sys.argv[1:] == ["--version"]:  # asked by scripts, again and again: nothing else is loaded
        with contextlib.suppress(OSError):  # which the other way says as all commands do
            print(f"sparsefmt {sparsefmt.__version__}", flush=True)
            return
    for name in ("click", "rich"):
        if importlib.util.find_spec(name) is None:
            print(f"sparsefmt: error: the command line needs {name}: pip install 'sparsefmt[cli]'", file=sys.stderr)
            sys.exit(4)
    try:
        handle_signals()
        from sparsefmt.cli.app import app  # not at the top: click may be missing
    except KeyboardInterrupt:
        print("sparsefmt: interrupted", file=sys.stderr)
        sys.exit(130)
    say_warnings()
    gc.set_threshold(50_000)  # what a command makes for each of 100,000 tensors lives until it ends
    try:
        app(prog_name="sparsefmt")
    finally:
        leave()
