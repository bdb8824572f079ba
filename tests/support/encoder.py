"""A tiny encoder of BERT's kind, for the commands that run one."""

import json
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf

WIDTH, WIDE = 32, 64
WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "while",
    "rain",
    "fell",
    "over",
    "old",
    "town",
    "and",
    "dogs",
    "ran",
    "home",
    "past",
    "mill",
]
TEXT = " ".join(" ".join(np.random.default_rng(i).permutation(WORDS)) + "." for i in range(60))


def write_encoder(folder: Path) -> None:
    """An encoder of two layers and its tokenizer, and TEXT beside the folder."""
    tokenizers = pytest.importorskip("tokenizers")
    rng = np.random.default_rng(1)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(WORDS) + 2, WIDTH),
        "embeddings.position_embeddings.weight": (40, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
    }
    norms = ["embeddings"]
    for at in ("encoder.layer.0", "encoder.layer.1"):
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= {f"{at}.{part}.weight": (WIDTH, WIDTH), f"{at}.{part}.bias": (WIDTH,)}
        shapes |= {f"{at}.intermediate.dense.weight": (WIDE, WIDTH), f"{at}.intermediate.dense.bias": (WIDE,)}
        shapes |= {f"{at}.output.dense.weight": (WIDTH, WIDE), f"{at}.output.dense.bias": (WIDTH,)}
        norms += [f"{at}.attention.output", f"{at}.output"]
    tensors = {name: (0.3 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
    for name in norms:
        tensors |= {
            f"{name}.LayerNorm.weight": np.ones(WIDTH, np.float32),
            f"{name}.LayerNorm.bias": np.zeros(WIDTH, np.float32),
        }
    folder.mkdir()
    sf.save(folder / "model.safetensors", tensors)
    (folder / "config.json").write_text(json.dumps({"num_attention_heads": 4}))
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({w: i for i, w in enumerate(["[UNK]", ".", *WORDS])}, unk_token="[UNK]")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.save(str(folder / "tokenizer.json"))
    (folder.parent / "text.txt").write_text(TEXT)
