"""A page to look at: what a packed model holds, and what packing took."""

from sparsefmt.report.build import html

__all__ = ["html"]
