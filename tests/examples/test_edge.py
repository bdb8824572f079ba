"""The encoder behind HTTP gives what it gives without, from packed weights, and refuses what it should."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.models.bert import PARTS

ROOT = Path(__file__).parents[2]
WIDTH, WORDS = 64, 50


def serving() -> Any:  # noqa: ANN401
    spec = importlib.util.spec_from_file_location("edge_serve", ROOT / "examples" / "edge" / "serve.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def weights() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    found: dict[str, Any] = {}
    for name, rows in (("word", WORDS), ("position", 32), ("token_type", 2)):
        found[f"embeddings.{name}_embeddings.weight"] = rng.standard_normal((rows, WIDTH)).astype(np.float32)
    norms = ["embeddings"]
    for part in PARTS:
        rows, cols = WIDTH, WIDTH
        if "intermediate" in part:
            rows = 4 * WIDTH
        elif part == "output.dense":
            cols = 4 * WIDTH
        w = rng.standard_normal((rows, cols)).astype(np.float32) / 8
        found[f"encoder.layer.0.{part}.weight"] = sf.encode(w, "nm2:4/int8:g32", prune=True)
        found[f"encoder.layer.0.{part}.bias"] = np.zeros(rows, np.float32)
    norms += ["encoder.layer.0.attention.output", "encoder.layer.0.output"]
    for name in norms:
        found[f"{name}.LayerNorm.weight"] = np.ones(WIDTH, np.float32)
        found[f"{name}.LayerNorm.bias"] = np.zeros(WIDTH, np.float32)
    return found


def tokenize(texts: Sequence[str]) -> list[list[int]]:
    return [[ord(c) % WORDS for c in text] or [0] for text in texts]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Any, HTTPConnection]]:
    module = serving()
    encoder = module.Encoder(weights(), tokenize)
    server = module.serve(encoder, port=0)
    thread = Thread(target=server.serve_forever)
    thread.start()
    connection = HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
    yield encoder, connection
    connection.close()
    server.shutdown()
    thread.join()
    server.server_close()


def asked(connection: HTTPConnection, method: str, path: str, body: object = None) -> tuple[int, Any]:
    connection.request(method, path, body if isinstance(body, bytes | None) else json.dumps(body).encode())
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_embeddings_are_those_of_the_encoder(served: tuple[Any, HTTPConnection]) -> None:
    encoder, connection = served
    texts = ["a sentence", "another one"]
    code, got = asked(connection, "POST", "/embed", {"texts": texts})
    assert code == 200
    assert np.allclose(got["embeddings"], encoder.bert.encode(tokenize(texts), encoder.weights), atol=1e-6)
    assert np.allclose(np.linalg.norm(got["embeddings"], axis=1), 1, atol=1e-5)


def test_what_is_served(served: tuple[Any, HTTPConnection]) -> None:
    encoder, connection = served
    code, got = asked(connection, "GET", "/health")
    assert (code, got["format"]) == (200, ["nm2:4/int8:g32"])
    assert got["weight_bytes"] == sum(w.nbytes for w in encoder.weights.values())


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"3", b"\xff", b"[" * 100_000, {"texts": []}, {"texts": "a"}, {"texts": [1]},
        {"texts": ["a"] * 257}, {"texts": ["half \ud800"]},
    ],
)  # fmt: skip
def test_what_is_refused(served: tuple[Any, HTTPConnection], body: object) -> None:
    code, got = asked(served[1], "POST", "/embed", body)
    assert (code, list(got)) == (400, ["error"])


def test_other_paths_and_large_bodies(served: tuple[Any, HTTPConnection]) -> None:
    assert asked(served[1], "GET", "/etc/passwd")[0] == 404
    served[1].putrequest("POST", "/embed")
    served[1].putheader("Content-Length", str((1 << 20) + 1))
    served[1].endheaders()
    answer = served[1].getresponse()
    assert (answer.status, "error" in json.loads(answer.read())) == (400, True)
    assert asked(served[1], "GET", "/health")[0] == 200


def test_a_body_that_is_too_large_is_refused_while_it_is_sent(served: tuple[Any, HTTPConnection]) -> None:
    """Closed at once, the client would see a reset in place of the answer."""
    code, got = asked(served[1], "POST", "/embed", b"x" * (8 << 20))
    assert (code, list(got)) == (400, ["error"])


def test_a_text_with_more_tokens_than_the_model_takes(served: tuple[Any, HTTPConnection]) -> None:
    code, got = asked(served[1], "POST", "/embed", {"texts": ["a" * 40]})
    assert (code, got["error"]) == (400, "a text has 40 tokens; the model takes 1..32")


def test_many_clients_at_once(served: tuple[Any, HTTPConnection]) -> None:
    address, codes = served[1].host, []
    port = served[1].port

    def ask() -> None:
        connection = HTTPConnection(address, port, timeout=60)
        codes.append(asked(connection, "POST", "/embed", {"texts": ["a sentence"]})[0])
        connection.close()

    threads = [Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 40


@pytest.mark.parametrize("fault", ["model", "tokenizer", "port"])
def test_what_cannot_be_served_is_said_in_one_line(tmp_path: Path, fault: str) -> None:
    pytest.importorskip("tokenizers")
    model, tokens = tmp_path / "m.safetensors", tmp_path / "t.json"
    if fault != "model":
        sf.save(model, weights())
    words = {f"w{i}": i for i in range(WORDS)}
    tokens.write_text(
        "{" if fault == "tokenizer" else json.dumps(
            {"version": "1.0", "added_tokens": [], "model": {"type": "WordLevel", "vocab": words, "unk_token": "w0"}}
        )
    )  # fmt: skip
    command = [sys.executable, str(ROOT / "examples/edge/serve.py"), str(model)]
    command += ["--tokenizer", str(tokens), "--port", "99999"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert {"model": "m.safetensors", "tokenizer": "no tokenizer", "port": "port must be"}[fault] in done.stderr
