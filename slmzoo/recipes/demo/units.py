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

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from slmcore import audio
from slmcore.clustering.dtw import align
from slmcore.roles import Encoder, Quantizer
from slmzoo import hub
from slmzoo.recipes.demo.common import ZOO
from slmzoo.recipes.speech.natural import REFERENCE
from slmzoo.training.data.acoustics import in_a_room, through_a_channel
from slmzoo.training.data.augment import with_gain_and_noise
from slmzoo.training.data.feature_samples import write_npy

__all__ = ["Units", "aligned_units", "disturbed", "make"]

_AT_ONCE = 16
_EVERY = 3
"""One of this many utterances of the reference voice is disturbed."""
_FASTEST = 1.2
"""Largest factor of speed, pitch and formants, up and down."""
_NOISE, _QUIETEST = 0.4, 0.1


def make(data: Path, runs: Path) -> None:
    """Write int16 units (frames,) of all recordings to `runs/units`, those for the acoustic models to `runs/heard`.

    Folders are those of the corpus. Existing files are kept.
    """
    where = {"zoo": ZOO, "registry": runs / "zoo.json"}
    units = Units(hub.encoder(**where), hub.quantizer(**where))
    units.write(data / "wavs", runs / "units")
    units.write_augmented(data / "wavs" / "train", runs / "units" / "train", runs / "heard")


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
                write_npy(places[file], units)

    def write_augmented(self, wavs: Path, plain: Path, folder: Path) -> None:
        """Write units for the recordings of the reference voice in `wavs`, the training set; `plain`: those by `write`.

        Utterances that another speaker says too have that speaker's units; of the others one in three is disturbed.
        """
        files = audio.find([wavs])
        other_voices = {file.stem: file for file in files if file.parent.name != REFERENCE}
        for file in tqdm([file for file in files if file.parent.name == REFERENCE], desc="heard", mininterval=10):
            name = file.relative_to(wavs).with_suffix(".npy")
            if not (folder / name).exists():
                write_npy(folder / name, self._augmented(file, plain / name, other_voices.get(file.stem)))

    def _augmented(self, file: Path, plain: Path, other: Path | None) -> Tensor:
        if other is not None:
            return aligned_units(self, self._load(file), self._load(other))
        units, seed = torch.from_numpy(np.load(plain, allow_pickle=False)), crc32(file.stem.encode())
        if seed % _EVERY:
            return units
        return disturbed(self, self._load(file), len(units), torch.Generator().manual_seed(seed))

    def _load(self, file: Path) -> Tensor:
        return audio.resample(*audio.load(file), self.encoder.sample_rate)[0]


def aligned_units(units: Units, wav: Tensor, other: Tensor) -> Tensor:
    """Return the units of `other`, the same words by another speaker, on the frames of `wav`: int16 (frames,)."""
    features = units.features([wav, other])
    return units.of(features[1:])[0][align(*features)]


def disturbed(units: Units, wav: Tensor, frames: int, draw: torch.Generator) -> Tensor:
    """Return the units of a higher or lower, noisy copy of `wav` in a room, on the frames of `wav`: int16 (frames,)."""
    rate = units.encoder.sample_rate
    shift = _FASTEST ** (2 * torch.rand((), generator=draw).item() - 1)
    copy = audio.resample(wav[None], round(rate * shift), rate)[0]
    for change in (in_a_room, through_a_channel):
        if torch.rand((), generator=draw) < 0.5:
            copy = change(copy, draw)
    units_of_copy = units.of(units.features([with_gain_and_noise(copy, _NOISE, _QUIETEST, 1.0, draw)]))[0]
    return units_of_copy[(torch.arange(frames) * len(units_of_copy)) // frames]
