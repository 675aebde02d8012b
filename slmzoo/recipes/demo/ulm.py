"""The demo's unit language model, of all voices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.recipes.demo.common import made_at, run_options
from slmzoo.training.tasks.ulm import UlmSettings, train

__all__ = ["make"]

_SIZES: dict[str, Any] = {
    "dim": 192, "n_layers": 4, "head_dim": 32, "hidden_dim": 512, "n_heads": 6, "n_kv_heads": 6, "dropout": 0.1,
}  # fmt: skip
_RATE: dict[str, Any] = {
    "steps": 14_000, "batch": 10, "accumulate": 1, "lr": 2e-3, "warmup": 60, "betas": (0.9, 0.99), "chunk": 128,
    "precision": "bf16",
}  # fmt: skip


def make(data: Path, runs: Path, **changes: Any) -> None:
    """Train on the units of the training set; `changes` are settings other than the demo's."""
    where = {"train": runs / "units" / "train", "validation": runs / "units" / "dev"}
    train(UlmSettings(**run_options(runs, "ulm"), **where, **made_at(runs), **{**_SIZES, **_RATE, **changes}))
