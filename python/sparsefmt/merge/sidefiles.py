"""Files beside the weights of a merge: configuration, tokenizer."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sparsefmt.io.paths import naming_file, put_text
from sparsefmt.merge.disk import Target
from sparsefmt.merge.opened import Opened
from sparsefmt.merge.recipe.config import Config

TOKENIZER = (
    "tokenizer_config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer.model", "added_tokens.json",
    "merges.txt", "vocab.json", "vocab.txt", "spiece.model", "chat_template.jinja", "chat_template.json",
    "generation_config.json", "preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json",
)  # fmt: skip
LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
EMBEDDING = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "tok_embeddings.weight")


def write_side_files(
    config: Config, opened: Mapping[str, Opened], targets: Sequence[Target], out: Path, copy_tokenizer: bool
) -> None:
    """Writes config.json of the base or of the first model, as the result is, and copies tokenizer files."""
    donor = opened[config.models[0]]
    folder = donor.path if donor.path.is_dir() else donor.path.parent
    if donor.config:
        put_text(out / "config.json", json.dumps(config_of(config, donor, targets), indent=2) + "\n")
    if copy_tokenizer and donor.path.is_dir():
        for name in TOKENIZER:
            if (folder / name).is_file():
                with naming_file(out / name):
                    shutil.copyfile(folder / name, out / name)


def config_of(config: Config, donor: Opened, targets: Sequence[Target]) -> dict[str, Any]:
    """The configuration, with the dtype, the number of layers and the vocabulary of the result."""
    found = json.loads(json.dumps(dict(donor.config)))
    dtype = config.out_dtype or config.dtype
    if dtype is not None:
        keys = [key for key in ("dtype", "torch_dtype") if key in found] or ["torch_dtype"]
        found |= dict.fromkeys(keys, dtype)
    lengths = [
        sum(s.parts[0].layers[1] - s.parts[0].layers[0] for s in m.slices if s.parts[0].layers) for m in config.modules
    ]
    if lengths and lengths[0] and len(config.modules) == 1:
        found |= {key: lengths[0] for key in LAYERS if key in found}
    rows = [t.shape[0] for t in targets if t.output.name.endswith(EMBEDDING) and t.shape]
    if rows and any(t.truncate for t in targets) and "vocab_size" in found:
        found["vocab_size"] = min(rows)
    return dict(found)
