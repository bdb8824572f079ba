"""Packed tensors on NVIDIA GPUs, through CuPy, which is imported on first use: `pip install 'sparsefmt[cuda13]'`."""

from sparsefmt.cuda.engines import Engine
from sparsefmt.cuda.info import available, explain, info
from sparsefmt.cuda.prepared import forget
from sparsefmt.cuda.products import matmul
from sparsefmt.cuda.search import search
from sparsefmt.cuda.tensors import Cuda

__all__ = ["Cuda", "Engine", "available", "explain", "forget", "info", "matmul", "search"]
