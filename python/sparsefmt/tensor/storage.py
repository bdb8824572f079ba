"""Where the bytes of a packed tensor go."""

from dataclasses import dataclass
from math import comb, log2, prod

from sparsefmt.codecs.base import Codec
from sparsefmt.structures.base import Structure
from sparsefmt.structures.nm import Nm
from sparsefmt.structures.nm_packed import PackedNm
from sparsefmt.structures.nm_rans import NmRans


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the bytes of a packed tensor go."""

    values: int
    """Bytes of values or codes, without padding."""
    metadata: int
    """Bytes of the structure, without padding."""
    scales: int
    """Bytes of scales and zero points."""
    codebook: int
    """Bytes of codebooks."""
    padding: int
    """Bytes of padding: aligned rows, the ends of rows of codes and bits, the last byte of a stream."""
    total: int
    """The sum: `t.nbytes`."""
    bits_per_weight: float
    """Stored bits per element of the dense tensor."""
    metadata_bits: float
    """Bits of metadata, padding apart: per group for nm, else per element of the dense tensor."""
    bound_bits: float | None
    """nm only: the least that any code of a group can take, log2 C(M, N) bits; None elsewhere."""
    entropy_bits: float | None = None
    """nm @rans only: bits per group that these masks tell, given their column of groups (with more than 256 masks: and
    how many positions were kept before in the group); tables and what else must be stored are not in it."""


def storage(structure: Structure, values: Codec, shape: tuple[int, ...]) -> Storage:
    """Counts the bytes of a tensor by what they are for."""
    arrays, size = values.arrays(), prod(shape)
    metadata = -(-structure.metadata_bits // 8)
    stored = -(-structure.slots * values.slot_bits // 8)
    scales = sum(arrays[name].nbytes for name in ("scale", "zero_point") if name in arrays)
    codebook = arrays["codebook"].nbytes if "codebook" in arrays else 0
    total = structure.nbytes + values.nbytes
    groups = structure.shape[0] * structure.groups if isinstance(structure, Nm | PackedNm) else size
    return Storage(
        values=stored,
        metadata=metadata,
        scales=scales,
        codebook=codebook,
        padding=total - metadata - stored - scales - codebook,
        total=total,
        bits_per_weight=8 * total / size if size else 0.0,
        metadata_bits=structure.metadata_bits / groups if groups else 0.0,
        bound_bits=log2(comb(structure.m, structure.n)) if isinstance(structure, Nm | PackedNm) else None,
        entropy_bits=structure.entropy_bits() if isinstance(structure, NmRans) else None,
    )
