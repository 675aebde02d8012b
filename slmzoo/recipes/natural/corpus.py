"""The demo's corpus: many synthetic speakers, and the demo's own voice."""

from __future__ import annotations

from pathlib import Path

from slmzoo.recipes.speech import natural

__all__ = ["make"]

_COUNT, _REFERENCE_COUNT = 7_000, 20_000
_JOBS = 2


def make(data: Path, runs: Path) -> None:
    """Synthesise the missing part of the corpus in `data`; `runs` is not used."""
    natural.make(data, _COUNT, _REFERENCE_COUNT, jobs=_JOBS)
