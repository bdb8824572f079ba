"""The command line in this process."""

import numpy as np
from click.testing import CliRunner, Result

from sparsefmt.cli.app import app


class Cli:
    """Runs commands; the method says whether they are to succeed."""

    def run(self, *args: object) -> Result:
        return CliRunner().invoke(app, [str(a) for a in args], prog_name="sparsefmt")

    def ok(self, *args: object) -> str:
        """Runs a command that must succeed silently on stderr; gives stdout."""
        result = self.run(*args)
        assert result.exit_code == 0, result.output
        assert result.stderr == ""
        return result.stdout

    def fails(self, code: int, *args: object) -> str:
        """Runs a command that must fail with one line on stderr and nothing on stdout; gives the line."""
        result = self.run(*args)
        assert result.exit_code == code, result.output
        assert result.stdout == ""
        line, end, rest = result.stderr.partition("\n")
        assert line.startswith("sparsefmt: error: ")
        assert (end, rest) == ("\n", "")
        return line


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal shapes, dtypes and bytes."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
