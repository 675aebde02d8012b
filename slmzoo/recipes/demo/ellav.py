"""The demo's acoustic model, of one voice."""

from __future__ import annotations

from pathlib import Path

from slmzoo.recipes.demo.common import DEMO, demo_point, made_at, of_voice, ship
from slmzoo.recipes.demo.corpus import REFERENCE
from slmzoo.training.tasks.ellav import EllavSettings, train

__all__ = ["make"]


def make(data: Path, runs: Path) -> None:
    """Encode the reference voice with the demo's codec, train, and write the demo's weights."""
    point, run = demo_point(), runs / "ellav"
    where = of_voice(REFERENCE, data / "units", data / "wavs", "test")
    size = {"dim": 192, "n_layers": 4, "head_dim": 32, "hidden_dim": 512, "n_heads": 6, "n_kv_heads": 6}
    rate = {"steps": 12_000, "batch": 8, "accumulate": 1, "lr": 1.5e-3, "warmup": 100, "betas": (0.9, 0.99)}
    more = {"workers": 0, "patience": None, "precision": "bf16", "validate_every": 1000, "scheduled_sampling": 0.3}
    more["codec"] = str(DEMO / "wavtokenizer.safetensors")
    train(EllavSettings(run=run, resume=True, **where, **made_at(point), **size, **rate, **more))
    ship(run, "ellav.safetensors", steps=rate["steps"], voice=REFERENCE)
