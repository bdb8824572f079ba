"""Plans: a pattern for every layer within a budget, with a proof about the table that it rests on."""

from sparsefmt.plan.allocation import InfeasibleError, allocate
from sparsefmt.plan.baselines import alpha, depth, energy_table, output_table, owl, uniform
from sparsefmt.plan.plan import Plan
from sparsefmt.plan.tables import GapWarning, format_bytes, format_table, measure

__all__ = [
    "GapWarning",
    "InfeasibleError",
    "Plan",
    "allocate",
    "alpha",
    "depth",
    "energy_table",
    "format_bytes",
    "format_table",
    "measure",
    "output_table",
    "owl",
    "uniform",
]
