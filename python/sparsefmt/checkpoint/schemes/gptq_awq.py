"""Checkpoints of GPTQ and AWQ: `qweight`, `qzeros`, `scales`, and for GPTQ `g_idx`."""

from collections.abc import Iterator

from sparsefmt.base.errors import CheckpointError
from sparsefmt.checkpoint.entry import Value
from sparsefmt.checkpoint.schemes.weight import Context, Layer, Parts, Weight, dropped, of_columns, weight_dtype
from sparsefmt.interop.gptq import from_awq, from_gptq

NAME = "gptq or awq"


def weights(context: Context) -> Iterator[Weight]:
    """The weights of GPTQ and AWQ, told apart by their shapes.

    Raises:
        CheckpointError: parts are missing, shapes fit neither, or AWQ in another version than GEMM.
    """
    for layer in context.layers:
        if "qweight" in layer.parts:
            yield _weight(layer, context)


def _weight(layer: Layer, context: Context) -> Weight:
    words, zeros, scales = (layer.key(role, context.entries) for role in ("qweight", "qzeros", "scales"))
    if any(len(e.shape) != 2 for e in (words, zeros, scales)) or not scales.shape[1] or not zeros.shape[1]:
        msg = f"{layer.prefix}: want matrices, got qweight {words.shape}, qzeros {zeros.shape}, scales {scales.shape}"
        raise CheckpointError(msg)
    outputs = scales.shape[1]
    dtype = weight_dtype(context, scales)
    roles = ("qweight", "qzeros", "scales", "g_idx")
    keys: dict[str, str] = {role: layer.parts[role] for role in roles if role in layer.parts}
    name = f"{layer.prefix}.weight"
    if words.shape[1] == outputs:
        bits = 32 * zeros.shape[1] // outputs
        minus_one = context.settings.get("checkpoint_format") != "gptq_v2"

        def build(parts: Parts) -> tuple[Value, str]:
            return from_gptq(
                parts["qweight"],
                parts["qzeros"],
                parts["scales"],
                parts.get("g_idx"),
                bits=bits,
                zeros_minus_one=minus_one,
                group_size=_size(context),
                dtype=dtype,
            )

        shape = (outputs, 32 * words.shape[0] // max(bits, 1))
        _agrees(context, layer.prefix, bits, shape[1], scales.shape[0])

        def cut(parts: Parts, low: int, high: int) -> Parts:
            return of_columns(parts, low, high, qweight=32, qzeros=bits, scales=32)

        fmt = f"dense/int{bits}"
        return Weight(name, keys, shape, dtype.name, fmt, build, dropped(layer), cut, 32, _size(context))
    if words.shape[1] * 8 != outputs or str(context.settings.get("version", "gemm")).lower() != "gemm":
        version = context.settings.get("version", "unknown")
        msg = (
            f"{layer.prefix}: qweight {words.shape} with {outputs} outputs is neither GPTQ nor AWQ of version GEMM "
            f"(version {version!r}); AutoAWQ reads the others"
        )
        raise CheckpointError(msg)

    def unpacked(parts: Parts) -> tuple[Value, str]:
        return from_awq(parts["qweight"], parts["qzeros"], parts["scales"], group_size=_size(context), dtype=dtype)

    def eights(parts: Parts, low: int, high: int) -> Parts:
        return of_columns(parts, low, high, qweight=4, qzeros=4, scales=32)

    shape = (outputs, words.shape[0])
    _agrees(context, layer.prefix, 4, shape[1], scales.shape[0])
    return Weight(name, keys, shape, dtype.name, "dense/int4", unpacked, dropped(layer), eights, 8, _size(context))


def _size(context: Context) -> int | None:
    """Inputs of a group, as the settings say; -1: all."""
    found = context.settings.get("group_size", context.settings.get("q_group_size"))
    return found if type(found) is int else None


def _agrees(context: Context, prefix: str, bits: int, inputs: int, groups: int) -> None:
    """The settings say the same as the shapes; GPTQModel's `dynamic` gives single layers settings of their own.

    Raises:
        CheckpointError: another number of bits, or of groups, than the settings say.
    """
    settings = context.settings
    if settings.get("dynamic"):
        return
    said_bits = settings.get("bits", settings.get("w_bit"))
    size = _size(context)
    if isinstance(said_bits, int) and said_bits != bits:
        msg = f"{prefix}: shapes of {bits} bits, but the settings of the checkpoint say {said_bits}; one is damaged"
        raise CheckpointError(msg)
    want = -(-inputs // size) if size is not None and size > 0 else 1
    if size is not None and groups != want:
        msg = (
            f"{prefix}: {groups} groups of scales over {inputs} inputs, but the settings of the checkpoint say "
            f"group_size {size}, which makes {want}; one is damaged"
        )
        raise CheckpointError(msg)
