"""A mergekit YAML, or the mapping that it holds, checked and refused where it asks for what is not here."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparsefmt.base.errors import MergeError
from sparsefmt.delta.formats import sniff
from sparsefmt.io.paths import checked_path
from sparsefmt.merge.method import Method
from sparsefmt.merge.recipe.extent import check_extent, parts_of_nodes, parts_of_values
from sparsefmt.merge.registry import method_named

KEYS = {
    "merge_method", "models", "slices", "modules", "base_model", "parameters", "dtype", "out_dtype",
    "tokenizer_source", "tokenizer", "chat_template", "name",
}  # fmt: skip
DTYPES = ("float32", "bfloat16", "float16", "float64")


@dataclass(frozen=True)
class Part:
    """One model in a slice."""

    model: str
    layers: tuple[int, int] | None
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Slice:
    """Models whose layers become the next layers of the result; `layers` None: the whole models."""

    parts: tuple[Part, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Module:
    """A part of the model by name; "default" is all of it."""

    name: str
    slices: tuple[Slice, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    """A recipe; `warnings`: what it says and nobody heeds."""

    method: Method
    modules: tuple[Module, ...]
    base: str | None
    parameters: Mapping[str, Any]
    dtype: str | None
    out_dtype: str | None
    warnings: tuple[str, ...]

    @property
    def models(self) -> list[str]:
        """All models, each once, the base first."""
        found = [self.base] if self.base else []
        found += [p.model for m in self.modules for s in m.slices for p in s.parts]
        return list(dict.fromkeys(found))


def read_config(config: str | os.PathLike[str] | Mapping[str, Any]) -> Mapping[str, Any]:
    """The mapping of a YAML file.

    Raises:
        MergeError: it is no YAML, or no mapping.
        OSError: it cannot be read.
    """
    if isinstance(config, Mapping):
        return config
    path = Path(checked_path(config))
    found = parsed(path.read_bytes(), str(config))
    if not isinstance(found, Mapping):
        msg = f"{config}: want a mapping with merge_method, got {type(found).__name__}"
        raise MergeError(msg)
    return found


def parsed(text: bytes, where: str) -> Any:  # noqa: ANN401
    """What a YAML document holds; it is looked at before aliases are followed.

    Raises:
        MergeError: it is no YAML, or stands for too much.
    """
    import yaml  # not at the top: an extra

    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            check_extent(node, parts_of_nodes, where)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except MergeError:
        raise
    except RecursionError:
        msg = f"{where} is no YAML: brackets lie too deep in each other"
        raise MergeError(msg) from None
    except (yaml.YAMLError, ValueError) as e:  # as of a date that is none
        msg = f"{where} is no YAML: {' '.join(str(e).split())}"
        raise MergeError(msg) from e


def parse(raw: Mapping[str, Any]) -> Config:
    """Checks a recipe.

    Raises:
        MergeError: it is incomplete, or asks for what is not here; the way out is named.
    """
    check_extent(raw, parts_of_values, "the recipe")
    if raw.get("trust_remote_code"):
        msg = "trust_remote_code: no code of models is run; leave it out"
        raise MergeError(msg)
    warnings = [f"key {key!r} is not known and has no effect" for key in raw if key not in KEYS]
    if not isinstance(raw.get("merge_method"), str):
        msg = "a recipe needs merge_method"
        raise MergeError(msg)
    method = method_named(raw["merge_method"])
    refuse_tokenizers(raw)
    base = None if raw.get("base_model") is None else model_path(raw["base_model"])
    given = [key for key in ("models", "slices", "modules") if raw.get(key)]
    if len(given) != 1:
        msg = f"a recipe has one of models, slices and modules, got {', '.join(given) or 'none'}"
        raise MergeError(msg)
    if given[0] == "modules":
        modules = tuple(module_of(str(name), body, base) for name, body in mapping("modules", raw["modules"]).items())
    else:
        modules = (module_of("default", {given[0]: raw[given[0]]}, base),)
    known = {"weight", *method.each, *method.shared}
    scopes: list[Mapping[str, Any]] = [mapping("parameters", raw.get("parameters"))]
    scopes += [m.parameters for m in modules] + [s.parameters for m in modules for s in m.slices]
    scopes += [p.parameters for m in modules for s in m.slices for p in s.parts]
    stray = dict.fromkeys(key for scope in scopes for key in scope if key not in known)
    warnings += [f"parameter {key!r} is none of {method.name}'s and has no effect" for key in stray]
    return Config(
        method, modules, base, mapping("parameters", raw.get("parameters")),
        dtype_of("dtype", raw.get("dtype")), dtype_of("out_dtype", raw.get("out_dtype")), tuple(warnings),
    )  # fmt: skip


def mapping(name: str, value: Any) -> Mapping[str, Any]:  # noqa: ANN401
    """A mapping, empty where there is none."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        msg = f"{name}: want a mapping, got {type(value).__name__}"
        raise MergeError(msg)
    return value


def entries(name: str, value: Any, allowed: set[str]) -> Iterable[Mapping[str, Any]]:  # noqa: ANN401
    """A list of mappings with known keys."""
    if not isinstance(value, list) or not value:
        msg = f"{name}: want a list, got {value!r:.80}"
        raise MergeError(msg)
    for at, entry in enumerate(value):
        if not isinstance(entry, Mapping):
            msg = f"{name}[{at}]: want a mapping, got {entry!r:.80}"
            raise MergeError(msg)
        for key in entry:
            if key not in allowed:
                msg = f"{name}[{at}] has the key {key!r}; allowed {', '.join(sorted(allowed))}"
                raise MergeError(msg)
        yield entry


def module_of(name: str, body: Any, base: str | None) -> Module:  # noqa: ANN401
    """A module: its slices, or one slice of whole models, which the base joins."""
    body = mapping(f"module {name}", body)
    if bool(body.get("models")) == bool(body.get("slices")):
        msg = f"module {name}: want either models or slices"
        raise MergeError(msg)
    if body.get("models"):
        parts = [
            Part(model_path(need(e, "model")), None, mapping("parameters", e.get("parameters")))
            for e in entries("models", body["models"], {"model", "parameters"})
        ]
        if base is not None and all(p.model != base for p in parts):
            parts.append(Part(base, None, {}))
        slices: tuple[Slice, ...] = (Slice(tuple(parts)),)
    else:
        slices = tuple(
            Slice(
                tuple(
                    Part(model_path(need(e, "model")), layer_range(e), mapping("parameters", e.get("parameters")))
                    for e in entries("sources", s.get("sources"), {"model", "layer_range", "parameters"})
                ),
                mapping("parameters", s.get("parameters")),
            )
            for s in entries("slices", body["slices"], {"sources", "parameters"})
        )
        for at, one in enumerate(slices):
            lengths = [p.layers[1] - p.layers[0] for p in one.parts if p.layers]
            if len(set(lengths)) != 1:
                msg = f"slice {at}: its sources have {', '.join(map(str, lengths))} layers; all must have as many"
                raise MergeError(msg)
    return Module(name, slices, mapping("parameters", body.get("parameters")))


def need(entry: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401
    """A value that must be there."""
    if entry.get(key) is None:
        msg = f"{dict(entry)!r:.80} lacks {key}"
        raise MergeError(msg)
    return entry[key]


def layer_range(entry: Mapping[str, Any]) -> tuple[int, int]:
    """First layer, and one behind the last."""
    found = need(entry, "layer_range")
    if (
        not isinstance(found, list | tuple)
        or len(found) != 2
        or not all(isinstance(n, int) and not isinstance(n, bool) for n in found)
        or not 0 <= found[0] < found[1]
    ):
        msg = f"layer_range = {found!r:.80}: want [first, behind the last], two numbers from 0 that grow"
        raise MergeError(msg)
    return int(found[0]), int(found[1])


def model_path(value: Any) -> str:  # noqa: ANN401
    """The path of a model.

    Raises:
        MergeError: it is a LoRA.
    """
    if isinstance(value, Mapping):
        inner = value.get("model")
        if value.get("lora") is None and not value.get("override_architecture"):
            return model_path(inner.get("path") if isinstance(inner, Mapping) else inner)
        msg = f"model {dict(value)!r:.80}: LoRA adapters are not merged here; merge the adapter into its model first"
        raise MergeError(msg)
    if not isinstance(value, str) or not value:
        msg = f"model {value!r:.80}: want a path"
        raise MergeError(msg)
    if "+" in value and not Path(value).exists():
        msg = f"model {value!r}: LoRA adapters are not merged here; merge the adapter into its model first"
        raise MergeError(msg)
    return value


def dtype_of(name: str, value: Any) -> str | None:  # noqa: ANN401
    """A dtype by its name, with or without "torch."."""
    if value is None:
        return None
    found = str(value).removeprefix("torch.")
    if found not in DTYPES:
        msg = f"{name} = {value!r:.80} is unknown; allowed {', '.join(DTYPES)}"
        raise MergeError(msg)
    return found


def refuse_tokenizers(raw: Mapping[str, Any]) -> None:
    """Raises MergeError where a tokenizer is to be built, or a chat template to be written."""
    if raw.get("tokenizer"):
        msg = "tokenizer: building tokenizers is not done here; leave it out, and the tokenizer of the base is copied"
        raise MergeError(msg)
    if raw.get("tokenizer_source") not in (None, "base", "none"):
        msg = (
            f"tokenizer_source = {raw['tokenizer_source']!r:.80}: building tokenizers is not done here; write base, "
            "and the tokenizer of the base is copied"
        )
        raise MergeError(msg)
    if raw.get("chat_template") not in (None, "none", "auto"):
        got = f"{raw['chat_template']!r:.80}"
        msg = f"chat_template = {got}: allowed none and auto; put the template into the base's files"
        raise MergeError(msg)


def find_model(name: str, beside: Path | None) -> Path:
    """The folder or file of a model, as seen from here or from the recipe's folder.

    Raises:
        MergeError: it is not here.
    """
    for path in (Path(name), *([beside / name] if beside is not None else [])):
        if path.is_dir() and not sniff(path):
            if not any(p.suffix == ".safetensors" for p in path.iterdir()):
                old = sorted(p.name for p in path.iterdir() if p.suffix in (".bin", ".pt", ".pth"))
                what = f"holds {old[0]}, a pickle, which is not read" if old else "holds no .safetensors"
                msg = f"model {name!r} {what}; save it as safetensors first"
                raise MergeError(msg)
            return path
        if path.is_file() or path.is_dir():
            return path
    msg = f"model {name!r} is no local folder; download it first: hf download {name} --local-dir {name}"
    raise MergeError(msg)
