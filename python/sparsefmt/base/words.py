"""Counts with their nouns."""


def many(count: int, noun: str) -> str:
    """The count and the noun, with an s but for one.

    >>> many(1, "tensor"), many(0, "tensor"), many(2000, "file")
    ('1 tensor', '0 tensors', '2000 files')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"
