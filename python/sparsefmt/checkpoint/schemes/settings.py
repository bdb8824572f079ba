"""Quantisation settings of config.json, in words."""

from collections.abc import Mapping
from typing import Any

_NUMBERS = {"bits": "{} bits", "w_bit": "{} bits", "group_size": "groups of {}", "q_group_size": "groups of {}"}
_LONGEST = 60


def _word(value: object) -> str:
    return " ".join(str(value).split())[:_LONGEST]


def _group_text(weights: Mapping[str, Any]) -> str:
    """One group of compressed-tensors: "4-bit int, groups of 128, symmetric"."""
    words = [f"{_word(weights.get('num_bits', '?'))}-bit {_word(weights.get('type', 'int'))}"]
    size, strategy = weights.get("group_size"), weights.get("strategy")
    if type(size) is int and size > 0:
        words.append(f"groups of {size}")
    elif strategy:
        words.append(f"scales per {_word(strategy)}")
    words.append("symmetric" if weights.get("symmetric", True) else "asymmetric")
    return ", ".join(words)


def settings_text(settings: Mapping[str, Any]) -> str:
    """What quantised a checkpoint and how, as its config.json has it; empty without settings.

    >>> settings_text({"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": True})
    'gptq: 4 bits, groups of 128, act order'
    """
    words = []
    sparsity = settings.get("sparsity_config")
    inner = sparsity.get("format") if isinstance(sparsity, Mapping) else None
    words += [_word(form) for form in (settings.get("format"), inner) if form and form != "dense"]
    words += [text.format(_word(settings[key])) for key, text in _NUMBERS.items() if type(settings.get(key)) is int]
    if settings.get("desc_act") is True:
        words.append("act order")
    if block := settings.get("weight_block_size"):
        words.append(f"blocks of {_word(block)}")
    words += [_word(settings[key]) for key in ("version", "quant_algo", "checkpoint_format") if settings.get(key)]
    groups = settings.get("config_groups")
    for name, group in groups.items() if isinstance(groups, Mapping) else ():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        if isinstance(weights, Mapping):
            words.append(f"{_word(name)}: {_group_text(weights)}")
    method = _word(settings.get("quant_method", ""))
    return f"{method}: {', '.join(words)}".strip(": ") if words else method
