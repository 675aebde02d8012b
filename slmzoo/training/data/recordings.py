"""Recordings on disk, with segments read on demand."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from slmcore import audio
from slmcore.errors import must

__all__ = ["Recordings"]

logger = logging.getLogger(__name__)


class Recordings:
    """Audio files at one sample rate, without those shorter than `shortest` samples.

    Raises FileNotFoundError for sources without audio, ValueError for a file that is unreadable or truncated, and if
    none is long enough.
    """

    def __init__(self, sources: Sequence[str], sample_rate: int, shortest: int = 1) -> None:
        found = audio.find(sources)
        if not found:
            raise FileNotFoundError(f"{' '.join(sources)} holds no audio file.")
        lengths, self.sample_rate = [audio.length(file) for file in found], sample_rate
        samples = [-(-frames * sample_rate // rate) for frames, rate in lengths]
        kept = [i for i, count in enumerate(samples) if count >= shortest]
        self.files, self._lengths = [found[i] for i in kept], [lengths[i] for i in kept]
        self.lengths = torch.tensor([samples[i] for i in kept], dtype=torch.int64)
        """Lengths in samples at `sample_rate`."""
        if not self.files:
            needed = f"recordings, one at least as long as {shortest} samples at {sample_rate} Hz"
            raise ValueError(must("audio", needed, f"a list of {len(found)} shorter files"))
        if len(found) > len(self.files):
            short = len(found) - len(self.files)
            logger.warning("%d recordings shorter than %.2f s are left out.", short, shortest / sample_rate)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def hours(self) -> float:
        """Total duration."""
        return float(self.lengths.sum()) / self.sample_rate / 3600

    def whole(self, index: int) -> Tensor:
        """Read a recording: float32 (samples,)."""
        wav, rate = audio.load(self.files[index])
        return audio.resample(wav, rate, self.sample_rate)[0]

    def piece(self, index: int, start: int, samples: int) -> Tensor:
        """Read a segment of a recording, `samples` from `start`: float32 (samples,)."""
        file, (frames, rate) = self.files[index], self._lengths[index]
        first = start * rate // self.sample_rate
        count = min(-(-samples * rate // self.sample_rate), frames - first)
        with file.open("rb") as opened:
            wav, _ = audio.decode(opened, str(file), first / rate, count / rate)
        piece = audio.resample(audio.mono(wav), rate, self.sample_rate)[0, :samples]
        return F.pad(piece, (0, samples - len(piece)))
