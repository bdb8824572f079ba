"""Instruction counts."""


def counted() -> None:
    """Nothing yet."""
