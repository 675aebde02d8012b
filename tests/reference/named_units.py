"""Units of utterances that are called this or that, as shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from slmcore import shards
from slmcore.shards import Record
from slmcore.units import Units

Called = tuple[str, str | None, str | None]
"""Id, chapter and speaker."""


def names_in(folder: Path) -> list[tuple]:
    found = [(r.id, r.chapter, r.speaker, r.units.framewise().tolist()) for r in shards.read(folder)]
    return sorted(found, key=str)


def of_names(folder: Path, names: Sequence[Called]) -> Path:
    """Shards of utterances that are called (id, chapter, speaker), each of its own units."""
    folder.mkdir()
    units = [Units.from_framewise(torch.tensor([i, i, 9]), 50.0) for i in range(len(names))]
    records = [Record(n, u, 960, 16000, s, c) for (n, c, s), u in zip(names, units, strict=True)]
    shards.write(folder / "a.parquet", records, {})
    shards.write_index(folder)
    return folder
