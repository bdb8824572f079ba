"""Kernels of sparsefmt on NVIDIA GPUs, through CuPy."""
