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
STRIDES = (5, 5, 4, 6)
HOP = 600


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


def published_ulm(args: dict, seed: int = 7) -> dict:
    return {"model_args": args, "model_state_dict": recipe_state(transformer_shapes(args, bias=False), seed)}


def published_ellav(k: int, codes: int, args: dict, seed: int = 7) -> dict:
    tokenizer = EllaVTokenizer.for_units(k, codes, 50, 40)
    args = {**args, "vocab_size": tokenizer.vocab_size}
    state = recipe_state(transformer_shapes(args, bias=True), seed)
    state["output.bias"][: tokenizer.first_codec] -= 100  # specials and phones are not sampled ...
    state["output.bias"][2] += 101  # ... but the end of a phone is
    return {"model_args": args, "tokenizer": tokenizer.to_dict(), "model_state": state}


def published_codec(shapes: dict[str, tuple], dimension: int, seed: int = 7) -> dict:
    state = recipe_state(shapes, seed)
    state[CODEBOOK + "embed"] *= dimension**0.5
    return {"state_dict": {**state, "optimizer.step": torch.zeros(1)}}


def contents(seed: int = 7) -> dict[str, dict]:
    """The checkpoint of each file, by its name."""
    args = golden_json("ellav_small")["model_args"]
    return {
        "wavlm.pt": published_checkpoint(seed=seed),
        "codebook.pt": {"codebook": recipe_state({"codebook": ((K, 64), "float32")}, seed)["codebook"] * 8},
        "ulm.pt": published_ulm({**args, "vocab_size": K + 1, "dropout": 0.15}, seed),
        "ellav.pt": published_ellav(K, CODES, args, seed),
        "wavtokenizer.ckpt": published_codec(published_shapes(STRIDES, 4, 16, CODES, 32, 48, 2), 16, seed),
    }


def write(folder: Path, seed: int = 7) -> Path:
    """Write the files and their registry (zoo "tiny", one operating point); the registry's path."""
    for name, content in contents(seed).items():
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
