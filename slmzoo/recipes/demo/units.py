"""Units of the whole corpus, and those that the acoustic models are trained on.

The same words have other units in another voice. Acoustic models that have only heard the reference voice then mumble:
they are trained on its speech, but a part of its units are those of disturbed copies, and of other speakers who say the
same sentence, on the frames of the reference voice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import torch
from torch import Tensor
from tqdm import tqdm

from slmcore import audio
from slmcore.clustering.dtw import align
from slmcore.files.places import write_bytes
from slmcore.roles import Encoder, Quantizer
from slmzoo import hub
from slmzoo.recipes.demo.common import ZOO
from slmzoo.recipes.speech.natural import REFERENCE
from slmzoo.training.data.acoustics import in_a_room, through_a_channel
from slmzoo.training.data.augment import with_gain_and_noise
from slmzoo.training.data.feature_samples import npy

__all__ = ["Units", "disturbed", "heard_in", "make"]

_AT_ONCE = 16
_EVERY = 3
"""One of this many utterances of the reference voice is disturbed."""
_FASTEST = 1.2
"""Largest factor of speed, pitch and formants, up and down."""
_NOISE, _QUIETEST = 0.4, 0.1


def make(data: Path, runs: Path) -> None:
    """Write units (frames,) of all recordings to `runs/units`, those for the acoustic models to `runs/heard`.

    Folders are those of the corpus. Existing files are kept.
    """
    where = {"zoo": ZOO, "registry": runs / "zoo.json"}
    units = Units(hub.encoder(**where), hub.quantizer(**where))
    units.write(data / "wavs", runs / "units")
    units.write_heard(data / "wavs" / "train", runs / "heard")


@dataclass(frozen=True)
class Units:
    """Encoder and quantiser, applied to many recordings."""

    encoder: Encoder
    quantizer: Quantizer

    def features(self, wavs: Sequence[Tensor]) -> list[Tensor]:
        """Return the features (frames, dim) of speech at the encoder's rate, each (samples,)."""
        layer = self.quantizer.operating_point.layer
        return self.encoder.features_batch([wav[None] for wav in wavs], self.encoder.sample_rate, layer)

    def of(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return the unit of each frame, int16 (frames,)."""
        return [units.framewise().to(torch.int16) for units in self.quantizer.segment(list(features))]

    def write(self, wavs: Path, folder: Path) -> None:
        """Write the units of all recordings in `wavs`."""
        places = {file: (folder / file.relative_to(wavs)).with_suffix(".npy") for file in audio.find([wavs])}
        left = [file for file, place in places.items() if not place.exists()]
        for start in tqdm(range(0, len(left), _AT_ONCE), desc="units", mininterval=10):
            files = left[start : start + _AT_ONCE]
            for file, units in zip(files, self.of(self.features([self._load(file) for file in files])), strict=True):
                _write(places[file], units)

    def write_heard(self, wavs: Path, folder: Path) -> None:
        """Write units for the recordings of the reference voice in `wavs`, the training set.

        Utterances that another speaker says too have that speaker's units; of the others one in three is disturbed.
        """
        said = {file.stem: file for file in audio.find([wavs]) if file.parent.name.startswith("s")}
        for file in tqdm(audio.find([wavs / REFERENCE]), desc="heard", mininterval=10):
            place = (folder / file.relative_to(wavs)).with_suffix(".npy")
            if not place.exists():
                _write(place, self._heard(self._load(file), file.stem, said.get(file.stem)))

    def _heard(self, wav: Tensor, name: str, other: Path | None) -> Tensor:
        draw = torch.Generator().manual_seed(crc32(name.encode()))
        if other is not None:
            return heard_in(self, wav, self._load(other))
        return disturbed(self, wav, draw) if crc32(name.encode()) % _EVERY == 0 else self.of(self.features([wav]))[0]

    def _load(self, file: Path) -> Tensor:
        return audio.resample(*audio.load(file), self.encoder.sample_rate)[0]


def heard_in(units: Units, wav: Tensor, other: Tensor) -> Tensor:
    """Return the units of `other`, the same words by another speaker, on the frames of `wav`: int16 (frames,)."""
    features = units.features([wav, other])
    return units.of(features[1:])[0][align(*features)]


def disturbed(units: Units, wav: Tensor, draw: torch.Generator) -> Tensor:
    """Return the units of a higher or lower, noisy copy of `wav` in a room, on the frames of `wav`: int16 (frames,)."""
    rate, frames = units.encoder.sample_rate, len(units.features([wav])[0])
    shift = _FASTEST ** (2 * torch.rand((), generator=draw).item() - 1)
    copy = audio.resample(wav[None], round(rate * shift), rate)[0]
    for change in (in_a_room, through_a_channel):
        if torch.rand((), generator=draw) < 0.5:
            copy = change(copy, draw)
    found = units.of(units.features([with_gain_and_noise(copy, _NOISE, _QUIETEST, 1.0, draw)]))[0]
    return found[(torch.arange(frames) * len(found)) // frames]


def _write(place: Path, units: Tensor) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(place, npy(units))
