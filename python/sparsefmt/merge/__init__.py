"""Merging of models: every method in use, exact, the same from run to run, in bounded memory."""

from sparsefmt.merge.call import MethodCall
from sparsefmt.merge.connectivity import Curve, barrier, interpolate
from sparsefmt.merge.run import MergeReport, run
from sparsefmt.merge.vectors import task_vector

linear = MethodCall("linear")
task_arithmetic = MethodCall("task_arithmetic")
ties = MethodCall("ties")
dare = dare_linear = MethodCall("dare_linear")
dare_ties = MethodCall("dare_ties")
breadcrumbs = MethodCall("breadcrumbs")
breadcrumbs_ties = MethodCall("breadcrumbs_ties")
della = MethodCall("della")
della_linear = MethodCall("della_linear")
slerp = MethodCall("slerp")
nuslerp = MethodCall("nuslerp")
multislerp = MethodCall("multislerp")
karcher = MethodCall("karcher")
model_stock = MethodCall("model_stock")
sce = MethodCall("sce")
nearswap = MethodCall("nearswap")
ram = MethodCall("ram")
ramplus_tl = MethodCall("ramplus_tl")
arcee_fusion = MethodCall("arcee_fusion")
passthrough = MethodCall("passthrough")

__all__ = [
    "Curve",
    "MergeReport",
    "arcee_fusion",
    "barrier",
    "breadcrumbs",
    "breadcrumbs_ties",
    "dare",
    "dare_linear",
    "dare_ties",
    "della",
    "della_linear",
    "interpolate",
    "karcher",
    "linear",
    "model_stock",
    "multislerp",
    "nearswap",
    "nuslerp",
    "passthrough",
    "ram",
    "ramplus_tl",
    "run",
    "sce",
    "slerp",
    "task_arithmetic",
    "task_vector",
    "ties",
]
