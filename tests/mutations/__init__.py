"""Files of others, made wrong on purpose: seeds, and what changes them."""
