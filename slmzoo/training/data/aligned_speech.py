"""Recordings with framewise units, from which segments are drawn to train a vocoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from slmcore.errors import must
from slmzoo.training.data.recordings import Recordings
from slmzoo.training.data.unit_files import Spoken, all_checked

__all__ = ["AlignedSpeech", "speaker_of", "speakers_of"]

_PEAK = 0.95
"""Largest magnitude of each recording, as published (speech-resynthesis)."""


@dataclass(frozen=True)
class _Aligned:
    """Recording with its units."""

    name: str
    recording: int
    units: Tensor
    """Units of the frames that the recording covers, int64 (frames,)."""
    speaker: int


class AlignedSpeech:
    """Utterances of speech and framewise units, each scaled to one peak."""

    def __init__(
        self,
        utterances: Sequence[Spoken],
        files: Mapping[str, Path],
        sample_rate: int,
        hop: int,
        speakers: Sequence[str] = (),
        tolerance: float = 0.1,
    ) -> None:
        """`files`: the recording of each utterance by name; `hop`: samples per frame; `speakers`: names, or none.

        Raises ValueError for recordings that cannot be read, that differ in duration from their units by more than
        `tolerance` seconds, or whose speaker is not among those named.
        """
        self.sample_rate, self.hop = sample_rate, hop
        self._recordings = Recordings([str(file) for file in files.values()], sample_rate)
        places = {str(file): place for place, file in enumerate(self._recordings.files)}
        rows = {name: row for row, name in enumerate(speakers)}

        def aligned(spoken: Spoken) -> _Aligned:
            place = places[str(files[spoken.name])]
            units = self._covered(spoken, int(self._recordings.lengths[place]), tolerance)
            return _Aligned(spoken.name, place, units, _row_of(spoken.name, rows) if rows else 0)

        self._utterances = all_checked(utterances, aligned)
        self._peaks: dict[int, float] = {}

    def _covered(self, spoken: Spoken, samples: int, tolerance: float) -> Tensor:
        """Return the units that have a frame of samples each."""
        seconds = samples / self.sample_rate, len(spoken.framewise) * self.hop / self.sample_rate
        if abs(seconds[0] - seconds[1]) > tolerance:
            raise ValueError(
                f"{spoken.name}: the recording lasts {seconds[0]:.2f} s and its units {seconds[1]:.2f} s. "
                f"They must agree within {tolerance} s; make the units from the same recording."
            )
        frames = min(samples // self.hop, len(spoken.framewise))
        if not frames:
            raise ValueError(f"{spoken.name} is shorter than a frame of {self.hop} samples. Leave it out.")
        return spoken.framewise[:frames]

    def __len__(self) -> int:
        return len(self._utterances)

    @property
    def hours(self) -> float:
        """Total duration."""
        return sum(len(each.units) for each in self._utterances) * self.hop / self.sample_rate / 3600

    def name(self, index: int) -> str:
        """Name of an utterance."""
        return self._utterances[index].name

    def speaker(self, index: int) -> int:
        """Row of the speaker of an utterance."""
        return self._utterances[index].speaker

    def segment(self, index: int, frames: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """Units (frames,) and waveform (frames * hop,) from a random frame of an utterance.

        Every first frame is as likely. An utterance that is shorter is repeated, as published.
        """
        utterance = self._utterances[index]
        copies = -(-frames // len(utterance.units))
        units = utterance.units.repeat(copies)
        first = int(torch.randint(len(units) - frames + 1, (), generator=draw))
        if copies == 1:
            wav = self._recordings.piece(utterance.recording, first * self.hop, frames * self.hop)
        else:
            wav = self._whole(utterance).repeat(copies)[first * self.hop : (first + frames) * self.hop]
        return units[first : first + frames], self._scaled(utterance.recording, wav)

    def beginning(self, index: int, seconds: float) -> tuple[Tensor, Tensor]:
        """Units (frames,) and waveform (frames * hop,) of at most the first `seconds` of an utterance."""
        utterance = self._utterances[index]
        units = utterance.units[: max(1, int(seconds * self.sample_rate / self.hop))]
        wav = self._whole(utterance)[: len(units) * self.hop]
        return units, self._scaled(utterance.recording, wav)

    def _whole(self, utterance: _Aligned) -> Tensor:
        return self._recordings.whole(utterance.recording)[: len(utterance.units) * self.hop]

    def _scaled(self, recording: int, wav: Tensor) -> Tensor:
        if recording not in self._peaks:
            self._peaks[recording] = float(self._recordings.whole(recording).abs().max())
        peak = self._peaks[recording]
        return wav / peak * _PEAK if peak else wav


def speaker_of(name: str) -> str:
    """Return the speaker of an utterance: the first folder of its name. A ValueError for a name without a folder."""
    folder, slash, _ = name.partition("/")
    if not slash:
        raise ValueError(must("speakers", "used with a folder for each speaker", f"an utterance {name!r} in none"))
    return folder


def speakers_of(utterances: Sequence[Spoken]) -> tuple[str, ...]:
    """Return the speakers of utterances, sorted. A ValueError for utterances without a folder."""
    return tuple(sorted(set(all_checked(utterances, lambda spoken: speaker_of(spoken.name)))))


def _row_of(name: str, rows: Mapping[str, int]) -> int:
    speaker = speaker_of(name)
    if speaker not in rows:
        known = f"one of the training set, {', '.join(rows)}"
        raise ValueError(f"{name}: {must('speaker', known, speaker)}")
    return rows[speaker]
