"""Kernels: a NumPy definition each, replaced by name by a faster implementation where there is one."""
