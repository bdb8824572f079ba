"""What is known of a GPU, coarsely: enough to choose between engines, no measurement."""

from typing import NamedTuple

from sparsefmt.cuda.device import cupy


class Machine(NamedTuple):
    """Orders of magnitude of a kind of GPU, from vendors' data sheets."""

    bandwidth: float  # bytes a second
    dense16: float  # operations a second of dense 16-bit products
    sparse: float  # what 2:4 gains on large products
    launch: float = 4e-6  # seconds to start a kernel


_KNOWN = {
    80: Machine(1.5e12, 250e12, 1.3),
    86: Machine(0.7e12, 70e12, 1.3),
    89: Machine(0.8e12, 150e12, 1.3),
    90: Machine(3.5e12, 700e12, 1.2),
    100: Machine(7e12, 1500e12, 1.2),
    120: Machine(1.5e12, 200e12, 1.3),
}
_machines: dict[int, tuple[int, Machine]] = {}


def capability() -> int:
    """The compute capability of the current device, 90 for 9.0."""
    return _here()[0]


def machine() -> Machine:
    """The kind of the current device: the nearest older one that is known, or the oldest."""
    return _here()[1]


def _here() -> tuple[int, Machine]:
    device = cupy().cuda.Device()
    if device.id not in _machines:
        found = int(device.compute_capability)
        known = max((c for c in _KNOWN if c <= found), default=min(_KNOWN))
        _machines[device.id] = found, _KNOWN[known]
    return _machines[device.id]
