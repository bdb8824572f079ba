"""Readers of checkpoint files, one a format: `sniff(path)` and `open(path)`."""
