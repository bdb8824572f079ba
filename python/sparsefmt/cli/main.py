"""The entry point, which works far enough without click and rich to say that they are missing."""

import signal
import sys
from types import FrameType


def main() -> None:
    """Runs the command line; see `sparsefmt --help`."""
    try:
        signal.signal(signal.SIGTERM, terminate)
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup has it ignored
            signal.signal(signal.SIGHUP, terminate)
        from sparsefmt.cli.app import app  # not at the top: click or rich may be missing
    except ModuleNotFoundError as e:
        missing = (e.name or "").partition(".")[0]
        if missing not in ("click", "rich"):
            raise
        print(f"sparsefmt: error: the command line needs {missing}: pip install 'sparsefmt[cli]'", file=sys.stderr)
        sys.exit(4)
    except KeyboardInterrupt:
        print("sparsefmt: interrupted", file=sys.stderr)
        sys.exit(130)
    app(prog_name="sparsefmt")


def terminate(signum: int, frame: FrameType | None) -> None:
    """Ends the process by an exception, so that temporary files are removed."""
    sys.exit(128 + signum)
