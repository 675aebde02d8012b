"""The demo's corpus: many synthetic speakers, the demo's own voice, and flite's voices."""

from __future__ import annotations

from pathlib import Path

from slmzoo.recipes.speech import natural

__all__ = ["balanced_by_voice", "make"]

_COUNT, _REFERENCE_COUNT, _FLITE_COUNT = 2_000, 8_000, 18_600
_JOBS = 2
_MOST_OF_A_VOICE = 300


def make(data: Path, runs: Path) -> None:
    """Synthesise the missing part of the corpus in `data`; `runs` is not used."""
    natural.make(data, _COUNT, _REFERENCE_COUNT, _FLITE_COUNT, jobs=_JOBS)


def balanced_by_voice(data: Path) -> list[Path]:
    """Return the training recordings, the first 300 of each voice: most are then of the many speakers."""
    voices = sorted((data / "wavs" / "train").iterdir())
    return [file for voice in voices for file in sorted(voice.glob("*.wav"))[:_MOST_OF_A_VOICE]]
