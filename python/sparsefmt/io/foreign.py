"""What a file is when it is no safetensors file, by its first bytes."""

SNIFFED = 512
"""Bytes to look at."""

_READ = "sf.open_checkpoint and the commands read it, named"  # `sf.load` takes safetensors alone
_STARTS = (
    (b"version https://git-lfs", "a git-lfs pointer, not the file itself; fetch it: git lfs pull"),
    (
        b"PK\x03\x04",
        f"a zip archive (a PyTorch checkpoint, or an .npz); save its tensors as safetensors first, or: {_READ} .npz",
    ),
    (b"GGUF", f"a GGUF file; {_READ} .gguf"),
    (b"\x89HDF", f"an HDF5 file; {_READ} .h5"),
    (b"\x93NUMPY", f"an array of NumPy; {_READ} .npy"),
    (b"%%MatrixMarket", f"Matrix Market text; {_READ} .mtx"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"\xfd7zXZ", "an xz archive; unpack it first"),
    (b"(\xb5/\xfd", "a zstd archive; unpack it first"),
)
_PICKLES = tuple(bytes([0x80, version]) for version in range(2, 6))


def kind_of(start: bytes) -> str | None:
    """What a file with these first bytes is, and the way out; None where they say nothing.

    >>> kind_of(b"version https://git-lfs.github.com/spec/v1")
    'a git-lfs pointer, not the file itself; fetch it: git lfs pull'
    """
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if text.startswith((b"<!doctype", b"<html", b"<head")):
        return "a page of HTML (a download that needs a login, or an error of a server); fetch it again"
    if text.startswith((b"<?xml", b"<error")):
        return "XML (an error of a storage server); fetch it again"
    if start.startswith(_PICKLES):
        return "a pickle (a PyTorch checkpoint), which is never loaded; save its tensors as safetensors first"
    return next((what for magic, what in _STARTS if start.startswith(magic)), None)
