"""Which tensors a recipe makes, each of which tensors of which models, with which parameters."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparsefmt.base.errors import MergeError
from sparsefmt.merge.choices import Choices
from sparsefmt.merge.method import REQUIRED, Method, Settings
from sparsefmt.merge.parameters import number, shared_value
from sparsefmt.merge.recipe.config import Config, Module, Part, Slice
from sparsefmt.merge.recipe.values import lookup

LAYER = re.compile(r"\.(\d+)\.")
BEFORE = ("embed", "wte", "wpe", "rotary")
"""What the names of tensors before the layers have in them; the others outside layers come behind."""
BEHIND = ("embed_out", "lm_head")
HEAD = "lm_head.weight"
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "tok_embeddings.weight", "embed_in.weight")


@dataclass(frozen=True, slots=True)
class Piece:
    """A tensor of a model."""

    model: str
    name: str


@dataclass(frozen=True, slots=True)
class Output:
    """A tensor of the result."""

    name: str
    method: str
    base: Piece | None
    models: tuple[Piece, ...]
    settings: Settings

    @property
    def all(self) -> list[Piece]:
        """All tensors that it is made of, the base first."""
        return [*([self.base] if self.base else []), *self.models]


@dataclass(frozen=True)
class Outliner:
    """Makes the outputs of a recipe; `names`: what each model holds."""

    config: Config
    names: Mapping[str, Sequence[str]]
    choices: Choices
    seed: int
    nan: str
    tie: bool

    def outputs(self) -> list[Output]:
        """All tensors of the result, layer by layer."""
        found: dict[str, Output] = {}
        for module in self.config.modules:
            whole = all(p.layers is None for s in module.slices for p in s.parts)
            made = self.of_models(module) if whole else self.of_slices(module)
            for output in made:
                if output.name in found:
                    msg = f"tensor {output.name} is made by two modules"
                    raise MergeError(msg)
                found[output.name] = output
        return list(found.values())

    def held(self, module: Module, model: str) -> list[str]:
        """The names of a module in a model."""
        every = self.names[model]
        if module.name == "default" or len(self.config.modules) == 1:
            return list(every)
        own = [n for n in every if n == module.name or n.startswith((module.name + ".", module.name))]
        if not own:
            roots = sorted({n.partition(".")[0] for n in every})
            msg = f"module {module.name!r}: no tensor of {model} begins with it; there are {', '.join(roots)}"
            raise MergeError(msg)
        return own

    def of_models(self, module: Module) -> list[Output]:
        """Whole models: every tensor under its own name."""
        [one] = module.slices
        names = dict.fromkeys(n for p in one.parts for n in self.held(module, p.model))
        layers = layer_counts(names)
        return [self.output(name, module, one, [(p, name) for p in one.parts], place(name, layers)) for name in names]

    def of_slices(self, module: Module) -> list[Output]:
        """Slices: layers are numbered anew, what is before them comes from the first, what is behind from the last."""
        first, last = module.slices[0], module.slices[-1]
        outputs = self.loose(module, first, before=True)
        at = 0
        for one in module.slices:
            length = one.parts[0].layers[1] - one.parts[0].layers[0] if one.parts[0].layers else 0
            for layer in range(length):
                outputs += self.layer(module, one, layer, at, 1.0 if length == 1 else layer / (length - 1))
                at += 1
        return outputs + self.loose(module, last, before=False)

    def loose(self, module: Module, one: Slice, *, before: bool) -> list[Output]:
        """Tensors outside of layers."""
        names = dict.fromkeys(n for p in one.parts for n in self.held(module, p.model) if not LAYER.search(n))
        return [
            self.output(name, module, one, [(p, name) for p in one.parts], 0.0)
            for name in names
            if before == (any(w in name for w in BEFORE) and not any(w in name for w in BEHIND))
        ]

    def layer(self, module: Module, one: Slice, layer: int, at: int, t: float) -> list[Output]:
        """The tensors of one layer of the result."""
        stems: dict[str, None] = {}
        for part in one.parts:
            number_ = (part.layers or (0, 0))[0] + layer
            own = [n for n in self.held(module, part.model) if (m := LAYER.search(n)) and int(m[1]) == number_]
            if not own:
                msg = f"model {part.model} has no layer {number_}, which a layer_range asks for"
                raise MergeError(msg)
            prefixes = {LAYER.split(n, maxsplit=1)[0] for n in own}
            if len(prefixes) > 1:
                stacks = ", ".join(sorted(prefixes))
                msg = f"model {part.model} has several stacks of layers, {stacks}; name one by modules:"
                raise MergeError(msg)
            stems |= dict.fromkeys(LAYER.sub(".{}.", n, count=1) for n in own)
        outputs = []
        for stem in stems:
            sources = [(p, stem.replace("{}", str((p.layers or (0, 0))[0] + layer), 1)) for p in one.parts]
            outputs.append(self.output(stem.replace("{}", str(at), 1), module, one, sources, t))
        return outputs

    def output(self, name: str, module: Module, one: Slice, sources: list[tuple[Part, str]], t: float) -> Output:
        """One tensor of the result."""
        method, config = self.config.method, self.config
        pieces = [(p, n, Piece(p.model, self.present(p.model, n, sources))) for p, n in sources]
        base = next((piece for p, _, piece in pieces if p.model == config.base), None)
        if config.base is not None and base is None:
            msg = f"tensor {name}: base_model {config.base} is not among the sources of its slice; add it"
            raise MergeError(msg)
        member = method.base in ("member", "none")
        models = [found for found in pieces if member or found[2] is not base]
        if base is not None:
            models.sort(key=lambda found: found[2] is not base)
        outer = [one.parameters, module.parameters, config.parameters]
        settings = self.settings(name, [(p.parameters, n, p.model != config.base) for p, n, _ in models], outer, t)
        check_size(method, len(models), base is not None, name)
        return Output(name, method.name, None if member else base, tuple(piece for *_, piece in models), settings)

    def present(self, model: str, name: str, sources: list[tuple[Part, str]]) -> str:
        """The name under which a model holds a tensor: a tied head is its embedding.

        Raises:
            MergeError: it does not.
        """
        held = self.names[model]
        if name in held:
            return name
        having = next((p.model for p, n in sources if n in self.names[p.model]), "none")
        if name.endswith(HEAD):
            tied = [n for n in held if n.endswith(EMBEDDINGS)]
            if self.tie and len(tied) == 1:
                return tied[0]
            msg = f"tensor {name} is in {having} and not in {model}, where it is tied to the embedding; --tie unties it"
            raise MergeError(msg)
        msg = f"tensor {name} is in {having} and not in {model}"
        raise MergeError(msg)

    def settings(
        self,
        name: str,
        models: list[tuple[Mapping[str, Any], str, bool]],
        outer: list[Mapping[str, Any]],
        t: float,
    ) -> Settings:
        """What a tensor gets; models: their parameters, the name there, and whether they need a weight."""
        method = self.config.method

        def each(key: str, default: Any) -> tuple[Any, ...]:  # noqa: ANN401
            found = []
            for own, source, needed in models:
                value = lookup(key, [own, *outer], source, t)
                if value is None and default is REQUIRED and not needed:
                    value = 1.0
                if value is None and default is REQUIRED:
                    msg = f"{method.name} needs {key} for every model; it is missing for tensor {name}"
                    raise MergeError(msg)
                value = default if value is None else value
                found.append(value if value is None else number(key, value))
            return tuple(found)

        shared = {}
        for key, default in method.shared.items():
            value = lookup(key, outer, name, t)
            if value is None and default is REQUIRED:
                msg = f"{method.name} needs {key}; it is missing for tensor {name}"
                raise MergeError(msg)
            shared[key] = shared_value(key, value, default)
        weights = each("weight", REQUIRED if method.weighted else 1.0)
        return Settings(
            weights, {key: each(key, default) for key, default in method.each.items()}, shared, self.choices,
            self.seed, nan=self.nan,
        )  # fmt: skip


def check_size(method: Method, count: int, based: bool, name: str) -> None:
    """Raises MergeError unless the method takes so many models."""
    least, most = method.count
    if method.base == "needed" and not based:
        msg = f"{method.name} needs base_model"
        raise MergeError(msg)
    if count < least or (most is not None and count > most):
        allowed = f"exactly {least}" if least == most else f"{least} or more"
        msg = f"{method.name} takes {allowed} models, got {count} for tensor {name}"
        raise MergeError(msg)


def layer_counts(names: Mapping[str, Any]) -> dict[str, int]:
    """Number of layers of each stack, by what stands before the number."""
    counts: dict[str, int] = {}
    for name in names:
        if match := LAYER.search(name):
            prefix = name[: match.start()]
            counts[prefix] = max(counts.get(prefix, 0), int(match[1]) + 1)
    return counts


def place(name: str, layers: Mapping[str, int]) -> float:
    """Where a tensor stands among the layers, from 0 to 1; 0 outside of them, 1 for a single layer."""
    match = LAYER.search(name)
    if match is None:
        return 0.0
    count = layers[name[: match.start()]]
    return 1.0 if count == 1 else int(match[1]) / (count - 1)
