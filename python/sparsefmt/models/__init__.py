"""Models that the project runs itself, in NumPy, from dense or packed weights."""

from sparsefmt.models.bert import Bert
from sparsefmt.models.registry import Site, open_model, register

__all__ = ["Bert", "Site", "open_model", "register"]
