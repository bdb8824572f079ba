"""The methods, one line each."""

from sparsefmt.base.errors import MergeError
from sparsefmt.merge.method import Method
from sparsefmt.merge.methods import (
    arcee_fusion,
    breadcrumbs,
    dare,
    della,
    linear,
    means,
    model_stock,
    nearswap,
    passthrough,
    ram,
    sce,
    slerp,
    task_arithmetic,
    ties,
)

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        linear.LINEAR,
        task_arithmetic.TASK_ARITHMETIC,
        ties.TIES,
        dare.DARE_LINEAR,
        dare.DARE_TIES,
        breadcrumbs.BREADCRUMBS,
        breadcrumbs.BREADCRUMBS_TIES,
        della.DELLA,
        della.DELLA_LINEAR,
        slerp.SLERP,
        slerp.NUSLERP,
        means.MULTISLERP,
        means.KARCHER,
        model_stock.MODEL_STOCK,
        sce.SCE,
        nearswap.NEARSWAP,
        ram.RAM,
        ram.RAMPLUS_TL,
        arcee_fusion.ARCEE_FUSION,
        passthrough.PASSTHROUGH,
    )
}


def method_named(name: str) -> Method:
    """The method of that name.

    Raises:
        MergeError: there is none.
    """
    if name not in METHODS:
        msg = f"merge method {name!r} is unknown; have {', '.join(METHODS)}"
        raise MergeError(msg)
    return METHODS[name]
