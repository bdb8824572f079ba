"""A tensor is built again from its texts and its arrays."""

import numpy as np
import pytest

import sparsefmt as sf
from contract import same
from support.registered import FEW_FORMATS, VALUES

W = sf.prune.nm(np.random.default_rng(0).standard_normal((8, 40)).astype(np.float32), 1, 4)


@pytest.mark.parametrize("fmt", FEW_FORMATS)
@pytest.mark.parametrize("codec", ["", *VALUES])
def test_texts_and_arrays_are_enough(fmt: str, codec: str) -> None:
    t = sf.encode(W, f"{fmt}/{codec}" if codec else fmt, prune=fmt.startswith("nm"))
    text = t.values.text or "raw"
    arrays = t.structure.arrays(), t.values.arrays()
    made = sf.from_parts((t.structure.text, arrays[0]), (text, arrays[1]), W.shape)
    assert made.format == t.format
    same(made.to_dense(), t.to_dense())


@pytest.mark.parametrize("text", ["int4:g8", "int4:g4:asym", "int4:tensor", "int4:f32:g4", "int8:g4", "kmeans16"])
def test_a_text_that_the_arrays_contradict(text: str) -> None:
    t = sf.encode(W, "csr/int4:g4")
    with pytest.raises((sf.FormatError, sf.CodecError)):
        sf.from_parts((t.structure.text, t.structure.arrays()), (text, t.values.arrays()), W.shape)


def test_a_kind_is_a_text_too() -> None:
    t = sf.encode(W, "csr/int8")
    for params in ({}, {"group": "row"}):
        made = sf.from_parts(t.structure, ("int8", t.values.arrays(), params), W.shape)
        assert made.format == "csr/int8"
    with pytest.raises(sf.CodecError, match="'int9' is unknown"):
        sf.from_parts(t.structure, ("int9", t.values.arrays()), W.shape)
