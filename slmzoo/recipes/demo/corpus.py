"""The demo's corpus: many synthetic speakers, the demo's own voice, flite's voices, and recordings of people."""

from __future__ import annotations

from pathlib import Path

from slmcore import audio
from slmzoo.recipes.speech import natural, people

__all__ = ["balanced_by_voice", "make"]

_COUNT, _REFERENCE_COUNT, _FLITE_COUNT = 2_000, 8_000, 18_600
_JOBS = 2
_MOST_OF_A_VOICE, _MOST_OF_THE_REFERENCE = 300, 1_000


def make(data: Path, runs: Path) -> None:
    """Synthesise and decode the missing part of the corpus in `data`; `runs` is not used."""
    people.make(data)
    natural.make(data, _COUNT, _REFERENCE_COUNT, _FLITE_COUNT, jobs=_JOBS)


def balanced_by_voice(data: Path) -> list[Path]:
    """Return the training recordings: all of people, and the first 300 of each synthetic voice, 1,000 of the demo's."""
    voices = sorted((data / "wavs" / "train").iterdir())
    spoken = [file for voice in voices for file in sorted(voice.glob("*.wav"))[: _most_of(voice.name)]]
    return [*audio.find([data / "people"]), *spoken]


def _most_of(voice: str) -> int:
    return _MOST_OF_THE_REFERENCE if voice == natural.REFERENCE else _MOST_OF_A_VOICE
