"""Quantised and sparse weights of other projects, which are several arrays each, as tensors of their own."""
