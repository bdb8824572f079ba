"""A look at an HDF5 file by another process first.

libhdf5 loops without end on some damaged files, and ends the process on others, where no exception reaches it. So a
process of its own, which is started once and waits for the next file, walks through every group, attribute and dataset
before this one opens the file.
"""

import atexit
import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from sparsefmt.base.errors import CorruptFileError

SECONDS = 60.0
"""How long a walk may take, and a second more for every 100 MB of the file."""

_RATE = 100e6

PROGRAM = """
import math, os, signal, sys, warnings
from contextlib import suppress
import h5py
warnings.simplefilter("ignore")
signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the whole group: whoever asked ends this process
alarm = getattr(signal, "alarm", lambda seconds: None)
sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")

def look(node, depth):
    with suppress(Exception):  # one that is damaged does not hide the others
        for name in list(node.attrs):
            with suppress(Exception):
                node.attrs[name]
    if isinstance(node, h5py.Dataset):
        dtype = node.dtype  # in Python's words, which may end the process too
        inside = node.size and not node.is_virtual and not node.external
        if inside and dtype.itemsize * math.prod(node.chunks or ()) <= 1 << 26:
            node[(0,) * node.ndim], node[(-1,) * node.ndim]
    elif depth <= 16 and isinstance(node, h5py.Group):
        for name in list(node):
            with suppress(Exception):
                if isinstance(node.get(name, getlink=True), h5py.HardLink):
                    look(node[name], depth + 1)

for line in sys.stdin:
    with suppress(Exception):  # said by the process that reads the file
        alarm(90 + os.path.getsize(line[:-1]) // 10**8)  # a loop ends when nobody is left to end it
        with h5py.File(line[:-1], "r") as file:
            look(file, 0)
    alarm(0)
    print("done", flush=True)
"""


class Walker:
    """The other process; started when it is first needed, and again behind a file that ended it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None

    def forget(self) -> None:
        """Leaves the process to the one that started it."""
        self._lock, self._child = threading.Lock(), None

    def walk(self, path: Path) -> None:
        """Sends the other process through a file.

        Raises:
            CorruptFileError: it did not come back, or ended.
        """
        name = os.path.realpath(path)
        if "\n" in name:
            msg = "a line break in the name of an HDF5 file"
            raise CorruptFileError(msg)
        with self._lock:
            child = self._started()
            if child is None:
                return
            limit, answer = SECONDS + path.stat().st_size / _RATE, self._answer(child, name)
            try:
                answer.join(limit)
            except BaseException:  # a Ctrl-C: the answer that comes now would be taken for that of the next file
                self.stop()
                raise
            hangs = answer.is_alive()
            if hangs or child.poll() is not None or answer.said != "done\n":
                self.stop()
                what = f"did not come back within {limit:.0f} s" if hangs else "crashed"
                msg = f"libhdf5 {what} on this file; it is damaged, or made to harm"
                raise CorruptFileError(msg)

    def _answer(self, child: "subprocess.Popen[str]", name: str) -> "_Answer":
        answer = _Answer(child, name)
        answer.start()
        return answer

    def _started(self) -> "subprocess.Popen[str] | None":
        """The process; None where none can be started."""
        if self._child is None or self._child.poll() is not None:
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            command = [sys.executable, "-P", "-c", PROGRAM]
            try:  # names of files are no UTF-8 now and then
                self._child = subprocess.Popen(command, encoding="utf-8", errors="surrogateescape", **pipes)
            except OSError:
                return None
        return self._child

    def stop(self) -> None:
        """Ends the process, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


class _Answer(threading.Thread):
    """Asks, and waits for the answer, which a pipe offers no limit of time for on every system."""

    def __init__(self, child: "subprocess.Popen[str]", name: str) -> None:
        super().__init__(daemon=True)
        self.child, self.name_of_file, self.said = child, name, ""

    def run(self) -> None:
        with contextlib.suppress(OSError, ValueError, AssertionError):
            assert self.child.stdin is not None and self.child.stdout is not None  # noqa: PT018
            self.child.stdin.write(self.name_of_file + "\n")
            self.child.stdin.flush()
            self.said = self.child.stdout.readline()


WALKER = Walker()
atexit.register(WALKER.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=WALKER.forget)
