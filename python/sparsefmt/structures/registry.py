"""All structures by kind. A new one is a file and a line here."""

from sparsefmt.structures.base import Structure
from sparsefmt.structures.bitmask import Bitmask
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csc, Csr
from sparsefmt.structures.dense import Dense
from sparsefmt.structures.gap import Gap
from sparsefmt.structures.nm import Nm
from sparsefmt.structures.nm_radix import NmRadix
from sparsefmt.structures.nm_rans import NmRans

STRUCTURES: dict[str, type[Structure]] = {
    s.kind: s for s in (Dense, Coo, Csr, Csc, Bsr, Bitmask, Nm, NmRadix, NmRans, Gap)
}
