"""The entry point, which works far enough without click and rich to say that they are missing."""

import gc
import importlib.util
import signal
import sys
from types import FrameType

import sparsefmt


def main() -> None:
    """Runs the command line; see `sparsefmt --help`."""
    if sys.argv[1:] == ["--version"]:  # asked by scripts, again and again: nothing else is loaded
        print(f"sparsefmt {sparsefmt.__version__}")
        return
    for name in ("click", "rich"):
        if importlib.util.find_spec(name) is None:
            print(f"sparsefmt: error: the command line needs {name}: pip install 'sparsefmt[cli]'", file=sys.stderr)
            sys.exit(4)
    try:
        signal.signal(signal.SIGTERM, terminate)
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup has it ignored
            signal.signal(signal.SIGHUP, terminate)
        from sparsefmt.cli.app import app  # not at the top: click may be missing
    except KeyboardInterrupt:
        print("sparsefmt: interrupted", file=sys.stderr)
        sys.exit(130)
    gc.set_threshold(50_000)  # what a command makes for each of 100,000 tensors lives until it ends
    app(prog_name="sparsefmt")


def terminate(signum: int, frame: FrameType | None) -> None:
    """Ends the process by an exception, so that temporary files are removed."""
    sys.exit(128 + signum)
