"""Memory and sentences per second of the served encoder: dense in NumPy, packed, and by onnxruntime where it is there.

`python examples/edge/measure.py [--cache .cache] [--repeat 5] [--record FILE]`: each variant runs in a process of its
own, packs all-MiniLM-L6-v2 beforehand into a file, loads it, and encodes the thirty sentences of the examples, by
batches of eight. Memory is what the process had resident at most beyond an interpreter with NumPy and sparsefmt.
Cosines are those to the embeddings of the dense model. Needs the extra `examples`, and a package registry for the first
run; rows of onnxruntime need the packages onnx and onnxruntime.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent / "benches" / "python")]

import numpy as np  # noqa: E402
import onnx_encoder  # noqa: E402
from minilm_model import download, linear_names  # noqa: E402
from serve import Encoder, tokenizer_of  # noqa: E402

import sparsefmt as sf  # noqa: E402

VARIANTS = {"dense float32": None, "dense/int8": "dense/int8", "nm2:4": "nm2:4", "nm2:4/int4:g128": "nm2:4/int4:g128"}
ONNX = {"onnxruntime float32": False, "onnxruntime int8": True}
BATCH = 8


def peak() -> int:
    """Bytes that were resident at most, of this program alone: ru_maxrss also counts what started it."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def pack(model: Path, fmt: str | None, out: Path) -> None:
    """Writes the model with its linear weights in a format, values pruned by magnitude where it needs that."""
    weights = dict(sf.load(model))
    if fmt is not None:
        for name in linear_names():
            weights[name] = sf.encode(weights[name], fmt, prune=fmt.startswith("nm"))
    sf.save(out, weights)


def measured(model: str, tokenizer: str, repeat: int) -> dict[str, Any]:
    """What one variant takes in this process; its embeddings go beside the model."""
    t = sf.encode(np.eye(8, dtype=np.float32), "csr")
    t @ np.ones((8, 8), np.float32)
    tokenize = tokenizer_of(tokenizer)
    before = peak()
    if model.endswith(".onnx"):
        run = onnx_encoder.encoder(Path(model), sf.get_num_threads())
        nbytes = Path(model).stat().st_size

        def encode(texts: Sequence[str]) -> Any:  # noqa: ANN401
            return run(tokenize(texts))

    else:
        served = Encoder(sf.load(model), tokenize)
        nbytes = served.about()["weight_bytes"]

        def encode(texts: Sequence[str]) -> Any:  # noqa: ANN401
            return served(texts)

    lines = (HERE.parent / "minilm_sentences.txt").read_text().splitlines()
    texts = [line for line in lines if line and not line.startswith("#")]
    best = float("inf")
    vectors: list[Any] = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        vectors = [encode(texts[low : low + BATCH]) for low in range(0, len(texts), BATCH)]
        best = min(best, time.perf_counter() - start)
    np.save(model + ".npy", np.concatenate(vectors))
    return {"weight_bytes": nbytes, "peak_bytes": peak() - before, "sentences_per_second": len(texts) / best}


def variants(weights: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Names and files, one after the other."""
    for name, fmt in VARIANTS.items():
        path = folder / "model.safetensors"
        pack(weights, fmt, path)
        yield name, path
    if not all(importlib.util.find_spec(package) for package in ("onnx", "onnxruntime")):
        print("without onnxruntime: pip install onnx onnxruntime", file=sys.stderr)
        return
    onnx_encoder.write({k: np.asarray(v) for k, v in sf.load(weights).items()}, folder / "model.onnx")
    for name, quantized in ONNX.items():
        path = folder / ("quantized.onnx" if quantized else "model.onnx")
        if quantized:
            onnx_encoder.quantize(folder / "model.onnx", path)
        yield name, path


def table(found: Mapping[str, Mapping[str, float]]) -> str:
    """The rows as Markdown."""
    lines = ["| variant | weights, MB | memory, MB | sentences per second | mean cosine |", "|---|---:|---:|---:|---:|"]
    for name, row in found.items():
        mb = [f"{row[key] / 1e6:.1f}" for key in ("weight_bytes", "peak_bytes")]
        lines.append(f"| {name} | {' | '.join(mb)} | {row['sentences_per_second']:.0f} | {row['cosine']:.4f} |")
    return "\n".join(lines)


def main() -> int:
    """Measures all variants and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--one", nargs=2, metavar=("MODEL", "TOKENIZER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        model, tokenizer = options.one
        print(json.dumps(measured(model, tokenizer, options.repeat)))
        return 0
    files = download(options.cache)
    if files is None:
        print("the model could not be downloaded", file=sys.stderr)
        return 3
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        dense = None
        for name, path in variants(files.weights, Path(folder)):
            command = [sys.executable, __file__, "--repeat", str(options.repeat), "--one", str(path)]
            done = subprocess.run([*command, str(files.tokenizer)], capture_output=True, text=True, check=True)
            found[name] = json.loads(done.stdout)
            vectors = np.load(f"{path}.npy")
            dense = vectors if dense is None else dense
            found[name]["cosine"] = float((vectors * dense).sum(axis=1).mean())
    print(table(found))
    if options.record:
        from machine import describe  # type: ignore[import-not-found]  # of benches/python, for records only

        options.record.write_text(json.dumps({**describe(), "variants": found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
