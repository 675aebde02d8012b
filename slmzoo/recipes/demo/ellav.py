"""The demo's acoustic model, of the reference voice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.recipes.demo.common import ZOO, made_at, of_the_reference, run_options
from slmzoo.training.tasks.ellav import EllavSettings, train

__all__ = ["make"]

_SIZES: dict[str, Any] = {"dim": 192, "n_layers": 4, "head_dim": 32, "hidden_dim": 512, "n_heads": 6, "n_kv_heads": 6}
_RATE: dict[str, Any] = {
    "steps": 20_000, "batch": 8, "accumulate": 1, "lr": 1.5e-3, "warmup": 100, "betas": (0.9, 0.99),
    "precision": "bf16", "validate_every": 1000, "workers": 0,
}  # fmt: skip


def make(data: Path, runs: Path, **changes: Any) -> None:
    """Train from units to the codec's tokens; the codec encodes the reference voice first.

    `changes`: settings other than the demo's.
    """
    where = {"codec": ZOO, **of_the_reference(data, runs)}
    options = {**made_at(runs), **_SIZES, **_RATE, "scheduled_sampling": 0.3, **changes}
    train(EllavSettings(**run_options(runs, "ellav"), **where, **options))
