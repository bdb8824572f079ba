"""What the memory gives: the least time to read so many bytes and write so many, by what reads and writes best.

The C library moves them: `memchr` reads, `memset` writes, `memcpy` does both; all of them use the widest registers, and
write past the caches where that pays. As many bytes as are both read and written are copied, the rest is read or
written. Several ways are tried: with one thread and with one per CPU, each in one piece or in pieces that stay in the
caches; the best of them counts.
"""

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

import numpy as np

Run = Callable[[], object]
PIECE = 1 << 20
MARK = 0xA5  # in none of the bytes that are read

LIBC = ctypes.CDLL(None)
for _name, _second in (("memcpy", ctypes.c_void_p), ("memset", ctypes.c_int), ("memchr", ctypes.c_int)):
    getattr(LIBC, _name).argtypes = (ctypes.c_void_p, _second, ctypes.c_size_t)
    getattr(LIBC, _name).restype = ctypes.c_void_p


@cache
def crew(threads: int) -> ThreadPoolExecutor:
    """Threads that wait for work."""
    return ThreadPoolExecutor(threads)


def share(total: int, at: int, of: int) -> tuple[int, int]:
    """Where a share of bytes begins, and its length; borders at multiples of 64."""
    low, high = (total * i // of // 64 * 64 if i < of else total for i in (at, at + 1))
    return low, high - low


def move(source: int, reads: int, target: int, writes: int, pieces: int) -> None:
    """Reads and writes, piece by piece, in each in proportion."""
    for at in range(pieces):
        (read_at, read), (write_at, write) = share(reads, at, pieces), share(writes, at, pieces)
        both = min(read, write)
        if both:
            LIBC.memcpy(target + write_at, source + read_at, both)
        if read > both:
            LIBC.memchr(source + read_at + both, MARK, read - both)
        if write > both:
            LIBC.memset(target + write_at + both, 1, write - both)


def ways(reads: int, writes: int) -> dict[str, Run]:
    """The ways to read and write so many bytes, in memory that was used before."""
    source, target = np.ones(max(reads, 1), np.uint8), np.ones(max(writes, 1), np.uint8)
    most = max(reads, writes, 1)
    made: dict[str, Run] = {}
    for threads in sorted({1, os.cpu_count() or 1}):
        for pieces in sorted({1, -(-most // threads // PIECE)}):
            parts = []
            for at in range(threads):
                (low, read), (first, write) = share(reads, at, threads), share(writes, at, threads)
                parts.append(partial(move, source.ctypes.data + low, read, target.ctypes.data + first, write, pieces))
            made[f"{threads} threads, {pieces} pieces"] = partial(together, parts, (source, target))
    return made


def together(parts: list[Run], held: object) -> None:
    """Runs all parts at once; `held` lives as long."""
    if len(parts) == 1:
        parts[0]()
        return
    waiting = [crew(len(parts)).submit(part) for part in parts]
    for one in waiting:
        one.result()
