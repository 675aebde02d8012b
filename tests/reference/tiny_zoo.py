"""A zoo of random weights by the golden recipe, every file in the published format, small enough for any test."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from ellav import EllaVTokenizer
from tests.reference.recipe import golden_json, recipe_state
from tests.reference.wavlm import published_checkpoint
from tests.reference.wavtokenizer import CODEBOOK, published_shapes

K, LAYER, LMBDA, NEIGHBORS, CODES = 20, 3, 4.0, 6, 64


def transformer_shapes(args: dict, bias: bool) -> dict[str, tuple]:
    """Keys and shapes of a published transformer."""
    d, wide, kv = args["dim"], args["n_heads"] * args["head_dim"], args["n_kv_heads"] * args["head_dim"]
    shapes: dict[str, tuple] = {"tok_embeddings.weight": (args["vocab_size"], d)}
    for i in range(args["n_layers"]):
        for name, shape in {"wq": (wide, d), "wk": (kv, d), "wv": (kv, d), "wo": (d, wide)}.items():
            shapes[f"layers.{i}.attention.{name}.weight"] = shape
        for name, shape in {"w1": (0, 1), "w2": (1, 0), "w3": (0, 1)}.items():
            sizes = (args["hidden_dim"], d)
            shapes[f"layers.{i}.feed_forward.{name}.weight"] = (sizes[shape[0]], sizes[shape[1]])
        shapes[f"layers.{i}.attention_norm.weight"] = shapes[f"layers.{i}.ffn_norm.weight"] = (d,)
    shapes |= {"norm.weight": (d,), "output.weight": (args["vocab_size"], d)}
    shapes |= {"output.bias": (args["vocab_size"],)} if bias else {}
    return {name: (shape, "float32") for name, shape in shapes.items()}


def published_ulm(args: dict) -> dict:
    return {"model_args": args, "model_state_dict": recipe_state(transformer_shapes(args, bias=False))}


def published_ellav(k: int, codes: int, args: dict) -> dict:
    tokenizer = EllaVTokenizer.for_units(k, codes, 50, 40)
    args = {**args, "vocab_size": tokenizer.vocab_size}
    state = recipe_state(transformer_shapes(args, bias=True))
    state["output.bias"][: tokenizer.first_codec] -= 100  # specials and phones are not sampled ...
    state["output.bias"][2] += 101  # ... but the end of a phone is
    return {"model_args": args, "tokenizer": tokenizer.to_dict(), "model_state": state}


def published_codec(shapes: dict[str, tuple], dimension: int) -> dict:
    state = recipe_state(shapes)
    state[CODEBOOK + "embed"] *= dimension**0.5
    return {"state_dict": {**state, "optimizer.step": torch.zeros(1)}}


def write(folder: Path) -> Path:
    """Write the files and their registry (zoo "tiny", one operating point); the registry's path."""
    args = golden_json("ellav_small")["model_args"]
    files = {
        "wavlm.pt": published_checkpoint(),
        "codebook.pt": {"codebook": recipe_state({"codebook": ((K, 64), "float32")})["codebook"] * 8},
        "ulm.pt": published_ulm({**args, "vocab_size": K + 1, "dropout": 0.15}),
        "ellav.pt": published_ellav(K, CODES, args),
        "wavtokenizer.ckpt": published_codec(published_shapes((5, 5, 4, 6), 4, 16, CODES, 32, 48, 2), 16),
    }
    for name, content in files.items():
        torch.save(content, folder / name)
    units = {"k": K, "lmbda": LMBDA, "num_neighbors": NEIGHBORS, "layer": LAYER, "encoder": "tiny"}
    rows = [
        {"kind": "wavlm", "file": "wavlm.pt", "encoder": "tiny"},
        {"kind": "codebook", "file": "codebook.pt", "k": K, "layer": LAYER, "encoder": "tiny"},
        {"kind": "ulm", "file": "ulm.pt", **units},
        {"kind": "ellav", "variant": "units", "file": "ellav.pt", **units},
        {"kind": "wavtokenizer", "file": "wavtokenizer.ckpt"},
    ]
    registry = folder / "zoo.json"
    registry.write_text(json.dumps({"format": "slmzoo-registry", "version": 1, "zoo": "tiny", "rows": rows}))
    return registry
