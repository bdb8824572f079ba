"""Files that others read: compressed-tensors, Binsparse and anndata, written whole or not at all."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import BackendError, FormatError
from sparsefmt.interop.anndata import write_anndata
from sparsefmt.interop.binsparse import to_binsparse
from sparsefmt.interop.compressed_tensors import to_pack_quantized, to_sparse24_bitmask, to_sparse_bitmask
from sparsefmt.io.atomic import replacing
from sparsefmt.io.paths import check_ending
from sparsefmt.io.write import save
from sparsefmt.tensor.sparse import SparseTensor

Value = Array | SparseTensor
_HDF5 = (".h5", ".hdf5")
_VERSION = "0.11.0"  # of compressed-tensors, whose files these are


def save_compressed_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Value], metadata: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Writes tensors as compressed-tensors stores them, and returns the settings that config.json needs.

    Args:
        path: of the .safetensors file.
        tensors: by name. nm2:4 with raw values becomes sparse-24-bitmask, bitmask sparse-bitmask, dense with int4 or
            int8 codes pack-quantized; ndarrays stay. One file holds one of the three forms.
        metadata: texts by name; "format" is "pt" unless it says otherwise, "dtype" that of tensors with codes
            where it is not that of 16-bit scales, and they have one: `open_checkpoint` takes it from there.

    Returns:
        What belongs under "quantization_config" in config.json; empty if nothing was packed.

    Raises:
        FormatError: a format that compressed-tensors has no form for, two forms at once, or names that do not end in
            ".weight" where they must.

    Source: compressed-tensors 0.11, `compressors/`.

    >>> import sparsefmt as sf, tempfile, pathlib
    >>> out = pathlib.Path(tempfile.mkdtemp(), "m.safetensors")
    >>> settings = save_compressed_tensors(out, {"a.weight": sf.encode(np.eye(8), "nm2:4")})
    >>> settings["sparsity_config"]["format"], sf.open_checkpoint(out)["a.weight"].format
    ('sparse-24-bitmask', 'nm2:4')
    """
    arrays: dict[str, Array] = {}
    forms: dict[str, str] = {}
    quantised: SparseTensor | None = None
    for name, t in tensors.items():
        if not isinstance(t, SparseTensor):
            arrays[name] = t
            continue
        form = _form(name, t)
        forms.setdefault(form, name)
        base = name.removesuffix(".weight")
        if form == "sparse-24-bitmask":
            parts = dict(zip(("compressed", "bitmask", "shape"), to_sparse24_bitmask(t), strict=True))
            arrays |= {f"{base}.{key}": a for key, a in parts.items()}
        elif form == "sparse-bitmask":
            keys = ("compressed", "bitmask", "row_offsets", "shape")
            arrays |= {f"{name}.{key}": a for key, a in zip(keys, to_sparse_bitmask(t), strict=True)}
        else:
            quantised = t if quantised is None else quantised
            if _scheme(t) != _scheme(quantised):
                msg = f"{name!r} has {t.values.text}, another tensor {quantised.values.text}; one file holds one scheme"
                raise FormatError(msg)
            arrays |= {f"{base}.{key}": a for key, a in to_pack_quantized(t).items()}
    if len(forms) > 1:
        msg = f"one file holds one form, got {', '.join(f'{form} ({name})' for form, name in forms.items())}"
        raise FormatError(msg)
    said = {} if quantised is None else _group_size(quantised)
    save(path, arrays, {"format": "pt", **_dtype_of_codes(tensors), **said, **(metadata or {})})
    if not forms:
        return {}
    form = next(iter(forms))
    settings: dict[str, Any] = {"quant_method": "compressed-tensors", "version": _VERSION}
    if quantised is None:
        ignored = [n for n, t in tensors.items() if not isinstance(t, SparseTensor)]
        return {**settings, "sparsity_config": {"format": form, "ignore": ignored, "targets": ["Linear"]}}
    group = {"targets": ["Linear"], "weights": _scheme(quantised)}
    return {**settings, "format": form, "quantization_status": "compressed", "config_groups": {"group_0": group}}


def _dtype_of_codes(tensors: Mapping[str, Value]) -> dict[str, str]:
    """The dtype of tensors with codes where their scales do not tell it; nothing where there are several."""
    coded = [t.values for t in tensors.values() if isinstance(t, SparseTensor) and t.values.kind in ("int4", "int8")]
    found = {values.dtype for values in coded}
    told = all(values.arrays()["scale"].dtype == values.dtype and values.dtype.itemsize == 2 for values in coded)
    return {"dtype": found.pop().name} if len(found) == 1 and not told else {}


def _group_size(t: SparseTensor) -> dict[str, str]:
    """The columns of a scale: their number does not tell it where the last group is short."""
    size = _scheme(t)["group_size"]
    return {} if size is None else {"group_size": str(size)}


def _form(name: str, t: SparseTensor) -> str:
    if not name.endswith(".weight"):
        msg = f"{name!r}: compressed-tensors packs tensors whose name ends in .weight"
        raise FormatError(msg)
    if t.format == "nm2:4":
        return "sparse-24-bitmask"
    if t.format == "bitmask":
        return "sparse-bitmask"
    if t.structure.kind == "dense" and t.values.kind in ("int4", "int8"):
        return "pack-quantized"
    msg = f"{name!r} is {t.format}; compressed-tensors has forms for nm2:4, bitmask, dense/int4 and dense/int8"
    raise FormatError(msg)


def _scheme(t: SparseTensor) -> dict[str, Any]:
    """The arguments of a quantisation as compressed-tensors names them."""
    group = t.values.params()["group"]
    strategy = {"row": "channel", "tensor": "tensor"}.get(group, "group")
    return {
        "num_bits": t.values.slot_bits,
        "type": "int",
        "symmetric": "zero_point" not in t.values.arrays(),
        "strategy": strategy,
        "group_size": group if strategy == "group" else None,
    }


def save_binsparse(path: str | os.PathLike[str], t: Value) -> None:
    """Writes one array as Binsparse: .npz, or HDF5 for every other ending.

    Args:
        path: of the file; an ending that is that of another kind of file is refused.
        t: as `to_binsparse` takes it.

    Raises:
        FormatError: Binsparse has no form for it, or the ending says another kind.
        BackendError: HDF5 without the package h5py.
        OSError: the file cannot be written.

    >>> import sparsefmt as sf, tempfile, pathlib
    >>> out = pathlib.Path(tempfile.mkdtemp(), "m.bsp.npz")
    >>> save_binsparse(out, sf.encode(np.eye(3), "csr"))
    >>> sorted(np.load(out).files)
    ['binsparse', 'indices_1', 'pointers_to_1', 'values']
    """
    if Path(path).suffix != ".npz":
        check_ending(path, _HDF5, "Binsparse in HDF5")
    descriptor, arrays = to_binsparse(t)
    text = json.dumps({"binsparse": descriptor})
    if Path(path).suffix == ".npz":
        with replacing(path) as out:
            np.savez(out, allow_pickle=False, binsparse=np.array(text), **arrays)
        return
    with _hdf5(path) as file:
        file.attrs["binsparse"] = text
        for name, a in arrays.items():
            file.create_dataset(name, data=a)


def save_anndata(path: str | os.PathLike[str], t: Value) -> None:
    """Writes a matrix as the `X` of an .h5ad file.

    Args:
        path: of the file; an ending that is that of another kind of file is refused.
        t: as `write_anndata` takes it.

    Raises:
        FormatError: another rank, a codec, or the ending says another kind.
        DtypeError: a dtype that no format holds.
        BackendError: the package h5py is not installed.
        OSError: the file cannot be written.
    """
    check_ending(path, (".h5ad", *_HDF5), "anndata in HDF5")
    with _hdf5(path) as file:
        write_anndata(file, t)


@contextmanager
def _hdf5(path: str | os.PathLike[str]) -> Iterator[Any]:
    """A new HDF5 file, which takes the place of `path` when the block ends without an error."""
    try:
        import h5py  # not at the top: an extra
    except ImportError:
        msg = "h5py is not installed; pip install 'sparsefmt[interchange]'"
        raise BackendError(msg) from None
    with replacing(path) as out, h5py.File(out, "w") as file:
        yield file
