"""One model as it is, or scaled."""

from sparsefmt.kernels.merge import PLAIN, Rule
from sparsefmt.merge.method import Facts, Method, Settings
from sparsefmt.merge.mixing import Mixer
from sparsefmt.merge.stack import Merger, Stack


def merge(stack: Stack, settings: Settings, facts: Facts) -> Merger:
    """The one model, times `scale` if there is one."""
    scale = settings.each["scale"][0]
    return Mixer(stack, Rule(basis=PLAIN), (1.0 if scale is None else float(scale),), nan="keep")


PASSTHROUGH = Method(
    "passthrough",
    "the one model, times scale",
    "mergekit 0.1.5, method passthrough",
    merge,
    base="none",
    count=(1, 1),
    weighted=False,
    each={"scale": None},
)
