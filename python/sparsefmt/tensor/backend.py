"""What higher layers lend to the methods of tensors."""

from collections.abc import Callable
from typing import Any

EXPORTS: dict[str, Callable[..., Any]] = {}
"""Functions by name."""
