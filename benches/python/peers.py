"""Libraries that pack 2:4 weights today, where they are installed."""

import importlib.util

from harness import Array, Run


def torch_2_4(w: Array) -> dict[str, Run]:
    """PyTorch's packer for the CPU: values and metadata as CUTLASS wants them."""
    if importlib.util.find_spec("torch") is None:
        return {}
    import torch
    from torch.sparse._semi_structured_conversions import sparse_semi_structured_from_dense_cutlass

    dense = as_torch(torch, w)
    return {"torch": lambda: sparse_semi_structured_from_dense_cutlass(dense)}


def compressed_tensors_2_4(w: Array) -> dict[str, Run]:
    """The 2:4 bitmask packer of compressed-tensors; later versions have dropped it."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("compressed_tensors") is None:
        return {}
    import torch

    try:
        from compressed_tensors.compressors.sparse_compressors.sparse_24_bitmask import sparse24_bitmask_compress
    except ImportError:
        return {}
    dense = as_torch(torch, w)
    return {"compressed-tensors": lambda: sparse24_bitmask_compress(dense)}


def as_torch(torch: object, w: Array) -> object:
    """The same bytes as a tensor; float16 and bfloat16."""
    name = "bfloat16" if w.dtype.name == "bfloat16" else "float16"
    return torch.from_numpy(w.view("int16")).view(getattr(torch, name))  # type: ignore[attr-defined]
