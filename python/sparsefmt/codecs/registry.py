"""All codecs by kind. A new one is a file and a line here."""

from sparsefmt.codecs.affine import Int4, Int8
from sparsefmt.codecs.base import Codec
from sparsefmt.codecs.codebook import Codebook
from sparsefmt.codecs.raw import Raw

CODECS: dict[str, type[Codec]] = {c.kind: c for c in (Raw, Int8, Int4, Codebook)}
