"""Base of the commands that write speech, as wavs named after their inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from slmcore import audio
from slmzoo.commands.common import AudioCommand, SynthesisCommand, complain
from slmzoo.commands.options.speech import SpeechOptions
from slmzoo.commands.waiting import waiting
from slmzoo.pipeline import Speech

__all__ = ["SpeechCommand", "free_name", "lengths_of", "written"]


@dataclass(frozen=True, kw_only=True)
class SpeechCommand(SpeechOptions, AudioCommand, SynthesisCommand):
    """Command that writes speech."""

    def each_named(self, work: Callable[[str, Tensor, int], dict[str, Any]]) -> int:
        """Apply `for_each` with a name for the output files of each input instead of its path."""
        self.out.mkdir(parents=True, exist_ok=True)
        taken: set[str] = set()

        def one(path: Path, wav: Tensor, rate: int) -> dict[str, Any]:
            with waiting(f"synthesising {path.name} ({wav.shape[-1] / rate:.0f} s)"):
                return work(free_name(path.stem, taken), wav, rate)

        return self.for_each(one)

    def write(self, stem: str, spoken: list[Speech]) -> dict[str, Any]:
        """Write the wavs; return their names, seconds, and further facts of each."""
        return written(self.out, stem, spoken)


def written(out: Path, stem: str, spoken: list[Speech]) -> dict[str, Any]:
    """Write wavs into a folder, named after `stem`: their names, seconds, and what is to be known of each."""
    names = [f"{stem}.wav"] if len(spoken) == 1 else [f"{stem}-{i + 1}.wav" for i in range(len(spoken))]
    clipped = [audio.write(out / n, s.wav, s.sample_rate) for n, s in zip(names, spoken, strict=True)]
    for name, speech in zip(names, spoken, strict=True):
        _tell_length(out / name, speech)
    return {
        "wavs": [str(out / name) for name in names],
        "wav_seconds": [round(speech.seconds, 3) for speech in spoken],
        "finished": [speech.finished for speech in spoken],
        "clipped_samples": clipped,
    }


def lengths_of(row: Mapping[str, Any]) -> str:
    """Describe the wavs of a result with their durations, and which of them are incomplete."""
    wavs = zip(row["wavs"], row["wav_seconds"], row["finished"], strict=True)
    notes = {True: "", False: ", incomplete"}
    return ", ".join(f"{wav} ({seconds:.1f} s{notes[whole]})" for wav, seconds, whole in wavs)


def _tell_length(path: Path, speech: Speech) -> None:
    """Write a line to standard error about speech whose duration differs from that of its units."""
    if speech.wanted_seconds is not None and not speech.finished:
        lengths = f"lasts {speech.seconds:.1f} s, but its units last {speech.wanted_seconds:.1f} s"
        complain(path, ValueError(f"{lengths}; speech was lost or added. Try --keep-durations."))


def free_name(stem: str, taken: set[str]) -> str:
    """Return a name unique among the inputs of this run: talk, talk-2, ..."""
    names = (stem if n == 1 else f"{stem}-{n}" for n in range(1, len(taken) + 2))
    name = next(n for n in names if n not in taken)
    taken.add(name)
    return name
