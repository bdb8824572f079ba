"""A sentence encoder served from packed weights by plain HTTP: the standard library, NumPy and sparsefmt, no torch.

`python examples/edge/serve.py MODEL.safetensors --tokenizer tokenizer.json [--port 8000]` answers

    POST /embed   {"texts": ["a sentence", ...]}  ->  {"embeddings": [[...], ...]}
    GET  /health  {"format": [...], "weight_bytes": ...}

MODEL is what `sparsefmt pack` or `sparsefmt prune` wrote from an encoder of BERT's kind; weights are mapped and never
made dense. It listens on this machine only unless `--host` says otherwise. Needs the extra `examples` (tokenizers).
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any

import numpy as np

import sparsefmt as sf
from sparsefmt.models import Bert

Tokenize = Callable[[Sequence[str]], list[list[int]]]
MOST_BYTES = 1 << 20
MOST_TEXTS = 256
MOST_IGNORED = 1 << 28
"""Bytes of a body that are read and thrown away: one who is still sending does not listen, and would see a reset."""


class Encoder:
    """Weights, their shape, and a tokenizer; one batch at a time, for kernels use all threads."""

    def __init__(self, weights: Mapping[str, Any], tokenize: Tokenize, config: Mapping[str, Any] | None = None) -> None:
        self.weights, self.tokenize = weights, tokenize
        self.bert, self._lock = Bert.from_weights(weights, config), Lock()

    def __call__(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        """The embeddings of texts, (texts, width), each of length 1."""
        tokens = self.tokenize(texts)
        with self._lock:
            return self.bert.encode(tokens, self.weights)

    def about(self) -> dict[str, Any]:
        """What is served."""
        packed = [w for w in self.weights.values() if isinstance(w, sf.SparseTensor)]
        return {
            "format": sorted({t.format for t in packed}),
            "weight_bytes": sum(w.nbytes for w in self.weights.values()),
        }


def is_text(text: str) -> bool:
    """Whether it is made of whole characters: JSON can escape halves of them, which no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def handler(encoder: Encoder) -> type[BaseHTTPRequestHandler]:
    """The answers of a server."""

    class Answers(BaseHTTPRequestHandler):
        """One request."""

        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_GET(self) -> None:
            """`/health`."""
            self.answer(
                *((200, encoder.about()) if self.path == "/health" else (404, {"error": "have /health, /embed"}))
            )

        def do_POST(self) -> None:
            """`/embed`."""
            size = self.headers.get("Content-Length", "")
            known = size.isascii() and size.isdecimal() and len(size) < 20
            if self.path != "/embed" or not known or int(size) > MOST_BYTES:
                self.close_connection = True
                self.answer(400, {"error": f"want POST /embed with at most {MOST_BYTES} bytes"})
                self.ignore(min(int(size), MOST_IGNORED) if known else 0)
                return
            try:
                texts = json.loads(self.rfile.read(int(size)))["texts"]
            except (ValueError, KeyError, TypeError, RecursionError):  # nesting without end fits into a megabyte
                texts = None
            if (
                not isinstance(texts, list)
                or not 0 < len(texts) <= MOST_TEXTS
                or not all(isinstance(t, str) and is_text(t) for t in texts)
            ):
                self.answer(400, {"error": f'want {{"texts": [...]}} with 1 to {MOST_TEXTS} texts'})
                return
            try:
                found = encoder(texts)
            except sf.SparsefmtError as e:  # more tokens than the model has positions for
                self.answer(400, {"error": str(e)})
                return
            self.answer(200, {"embeddings": found.tolist()})

        def ignore(self, left: int) -> None:
            """Reads a body that nobody wants."""
            while left > 0 and (piece := self.rfile.read(min(left, 1 << 16))):
                left -= len(piece)

        def answer(self, code: int, document: Mapping[str, Any]) -> None:
            """Sends JSON."""
            body = json.dumps(document).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Texts of users are not logged."""

    return Answers


class Server(ThreadingHTTPServer):
    """Many may knock at once, and leave before they are answered."""

    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Says what went wrong, but for clients that went away."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def serve(encoder: Encoder, host: str = "127.0.0.1", port: int = 8000) -> ThreadingHTTPServer:
    """A server that listens; `serve_forever` makes it answer."""
    return Server((host, port), handler(encoder))


def tokenizer_of(path: str) -> Tokenize:
    """What a tokenizer.json makes of texts."""
    from tokenizers import Tokenizer  # not at the top: an extra

    try:
        found = Tokenizer.from_file(path)
    except Exception as e:  # the package raises nothing narrower
        msg = f"{path}: no tokenizer: {e}"
        raise sf.FormatError(msg) from e
    found.no_padding()
    return lambda texts: [e.ids for e in found.encode_batch(list(texts))]


def main() -> None:
    """Serves until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    args = parser.parse_args()
    try:
        encoder = Encoder(sf.load(args.model), tokenizer_of(args.tokenizer))
        listening = serve(encoder, args.host, args.port)
    except (OSError, OverflowError, sf.SparsefmtError) as e:
        sys.exit(f"serve.py: error: {e} (model {args.model}, {args.host}:{args.port})")
    with listening as server:
        print(f"{encoder.about()} on http://{args.host}:{server.server_address[1]}/embed", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
