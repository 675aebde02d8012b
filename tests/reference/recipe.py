"""The recipe by which the golden weights are made: see the goldens' description in tests/golden/README.md."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import torch

GOLDEN = Path(__file__).parent.parent / "golden"


def recipe_tensor(name: str, shape: tuple[int, ...], seed: int = 7) -> torch.Tensor:
    rs = np.random.RandomState(zlib.crc32(f"{seed}:{name}".encode()))
    x = rs.standard_normal(shape).astype(np.float32)
    if len(shape) >= 2:
        x /= np.sqrt(np.prod(shape[1:]))
    elif name.endswith(("weight", "gamma")):
        x = 1 + 0.1 * x
    else:
        x *= 0.1
    return torch.from_numpy(x.astype(np.float32))


def recipe_state(shapes: dict[str, tuple], seed: int = 7) -> dict[str, torch.Tensor]:
    """`shapes` as the golden json's `state_dict`: name -> [shape, dtype]."""
    return {name: recipe_tensor(name, tuple(shape), seed) for name, (shape, _dtype) in shapes.items()}


def golden_json(name: str) -> dict:
    return json.loads((GOLDEN / f"{name}.json").read_text())
