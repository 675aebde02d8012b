"""The demo's codebook and operating point: units are the clusters that the encoder's head predicts.

Clusters of the encoder's features keep far less of the words: they tell half as often which state of the teacher a
frame has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.recipes.demo.common import ZOO, run_options
from slmzoo.recipes.demo.corpus import balanced_by_voice
from slmzoo.training.tasks.codebook import CodebookSettings, train

__all__ = ["make"]

_CODEBOOK: dict[str, Any] = {"layer": 0, "k": (200,), "batch": 16, "save_half": True}
_RATE: dict[str, Any] = {"rate": 20.0, "num_neighbors": 20, "rated_files": 300}


def make(data: Path, runs: Path, **changes: Any) -> None:
    """Take the codes of the encoder's head, and fit lambda on all voices.

    `changes`: settings other than the demo's.
    """
    where = {**run_options(runs, "codebook"), "encoder_zoo": ZOO, "codes": runs / "encoder" / "codes.npy"}
    where["audio"] = [str(file) for file in balanced_by_voice(data)]
    train(CodebookSettings(**{**where, **_CODEBOOK, **_RATE, **changes}))
