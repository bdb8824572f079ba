"""The block types of GGUF: how many values are in how many bytes.

Source: ggml, `ggml-common.h`.
"""

from typing import NamedTuple


class BlockType(NamedTuple):
    """A type of tensors in a file: elements and bytes of a block."""

    name: str
    elements: int
    nbytes: int


_K = 256  # elements of a K-quant

BLOCKS: dict[int, BlockType] = {
    2: BlockType("Q4_0", 32, 18),
    3: BlockType("Q4_1", 32, 20),
    6: BlockType("Q5_0", 32, 22),
    7: BlockType("Q5_1", 32, 24),
    8: BlockType("Q8_0", 32, 34),
    10: BlockType("Q2_K", _K, 84),
    11: BlockType("Q3_K", _K, 110),
    12: BlockType("Q4_K", _K, 144),
    13: BlockType("Q5_K", _K, 176),
    14: BlockType("Q6_K", _K, 210),
}
"""By the number that a file has for the type."""
