"""All codecs by kind. A new one is a file and a line here."""

from sparsefmt.codecs.affine import INTEGER_CODECS
from sparsefmt.codecs.base import Codec
from sparsefmt.codecs.codebook import Codebook
from sparsefmt.codecs.raw import Raw

_ALL: tuple[type[Codec], ...] = (Raw, *INTEGER_CODECS, Codebook)
CODECS: dict[str, type[Codec]] = {c.kind: c for c in _ALL}
