"""One home for packed sparse weights."""
