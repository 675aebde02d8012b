"""Golden outputs and the weights they were computed with: the one place where golden tests get both.

`SLMZOO_GOLDENS` names another folder of goldens and `SLMZOO_GOLDEN_SEED` the seed of its weights, so that
`pytest -m golden` runs the same tests on other weights; tests/golden/README.md holds the recipe.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.reference.recipe import GOLDEN, recipe_tensor

Rule = Callable[[torch.Tensor], torch.Tensor] | torch.Tensor


def folder() -> Path:
    """The folder of the golden files: `SLMZOO_GOLDENS`, or tests/golden."""
    return Path(os.environ.get("SLMZOO_GOLDENS") or GOLDEN)


def seed() -> int:
    """The seed of the weights and of the inputs that follow it: `SLMZOO_GOLDEN_SEED`, or 7."""
    return int(os.environ.get("SLMZOO_GOLDEN_SEED") or 7)


def path(name: str) -> Path:
    """The golden file `name`; a test module whose file another folder lacks is skipped by name."""
    found = folder() / name
    if folder() != GOLDEN and not found.exists():
        pytest.skip(f"no {name} in {folder()}", allow_module_level=True)
    return found


def load_json(name: str) -> dict:
    return json.loads(path(f"{name}.json").read_text())


def load_npz(name: str) -> dict[str, np.ndarray]:
    with np.load(path(f"{name}.npz")) as file:
        return {key: file[key] for key in file}


def load(name: str) -> tuple[dict, dict[str, np.ndarray]]:
    """`name`.json and the arrays of `name`.npz."""
    return load_json(name), load_npz(name)


def tensor(name: str, shape: tuple[int, ...] | list[int]) -> torch.Tensor:
    """The recipe's float32 tensor of key `name` under the seed."""
    return recipe_tensor(name, tuple(shape), seed())


def weights(
    state_dict: Mapping[str, list | tuple], exceptions: Mapping[str, Rule] | None = None
) -> dict[str, torch.Tensor]:
    """Return the weights of a golden's `state_dict` (name -> [shape, dtype]).

    `exceptions` maps patterns of names (`*.running_var`) to what is done to the recipe's tensor, or to the tensor
    itself; the first pattern that fits holds. What is not a float has no recipe and needs an exception.
    """
    return {
        name: _weight(name, tuple(shape), str(dtype), exceptions or {}) for name, (shape, dtype) in state_dict.items()
    }


def _weight(name: str, shape: tuple[int, ...], dtype: str, exceptions: Mapping[str, Rule]) -> torch.Tensor:
    rule = next((rule for pattern, rule in exceptions.items() if fnmatchcase(name, pattern)), None)
    if isinstance(rule, torch.Tensor):
        return rule
    if "float" not in dtype:
        raise ValueError(f"`exceptions` must hold {name}: it is {dtype}, for which there is no recipe.")
    made = tensor(name, shape)
    return made if rule is None else rule(made)


def noise(samples: int, seed: int, offset: float = 0.0) -> torch.Tensor:
    """0.1 * RandomState(seed).standard_normal(samples) + offset: float32 (1, samples).

    The caller says which seed: some goldens fix it, others follow `seed()`.
    """
    made = 0.1 * np.random.RandomState(seed).standard_normal(samples) + offset
    return torch.from_numpy(made.astype(np.float32))[None]


def speech() -> tuple[torch.Tensor, int]:
    """speech.wav beside the goldens: float32 (1, samples) and its rate in Hz."""
    wav, sr = soundfile.read(path("speech.wav"), dtype="float32")
    return torch.from_numpy(wav)[None], sr
