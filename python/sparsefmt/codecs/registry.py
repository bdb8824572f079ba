"""All codecs by kind. A new one is a file and a line here."""

from sparsefmt.codecs.base import Codec
from sparsefmt.codecs.raw import Raw

CODECS: dict[str, type[Codec]] = {c.kind: c for c in (Raw,)}
