"""One model as it is, or scaled."""

from dataclasses import dataclass

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.merge import PLAIN, Rule
from sparsefmt.merge.method import Facts, Method, Settings
from sparsefmt.merge.mixing import Mixer
from sparsefmt.merge.stack import Merger, Stack


@dataclass(frozen=True, slots=True)
class AsItIs:
    """Writes the model itself, every bit of it, where it has the dtype of the result; else through float32."""

    stack: Stack
    rounded: Mixer
    granule: int = 1

    def write(self, lo: int, hi: int, out: Array) -> None:
        """Writes elements lo to hi."""
        model = self.stack.models[0]
        if model.dtype == out.dtype.name and self.stack.dtype in ("float32", "float64", model.dtype):
            out[...] = model.read(lo, hi)
        else:
            self.rounded.write(lo, hi, out)


def merge(stack: Stack, settings: Settings, facts: Facts) -> Merger:
    """The one model, times `scale` if there is one."""
    scale = settings.each["scale"][0]
    made = Mixer(stack, Rule(basis=PLAIN), (1.0 if scale is None else float(scale),), nan="keep")
    return AsItIs(stack, made) if scale is None else made


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
