"""Held-out recordings of a codec's training, and their reconstructions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from slmcore.units import Units
from slmzoo.training.data.segments import SegmentSource
from slmzoo.training.tasks.rvq.settings import RVQSettings
from slmzoo.training.tasks.samples import write_sample

__all__ = ["HeldOut"]

_LONGEST = 10.0
"""Longest excerpt of a recording, seconds."""


class HeldOut:
    """Recordings and their copies."""

    def __init__(self, source: SegmentSource, settings: RVQSettings, codec: Any) -> None:
        self._source, self._settings, self._codec = source, settings, codec

    def __len__(self) -> int:
        return min(self._settings.held_out, len(self._source))

    def wav(self, index: int) -> Tensor:
        """Return (1, samples), at most ten seconds."""
        longest = int(_LONGEST * self._codec.sample_rate)
        return self._source.whole(index)[None, :longest] * self._settings.gain

    @torch.no_grad()
    def copy(self, wav: Tensor, levels: int | None = None) -> tuple[Tensor, Tensor]:
        """Return the codes (levels, frames) of wav (1, samples) and the reconstruction (1, samples), on the CPU."""
        device = next(self._codec.parameters()).device
        filled = F.pad(wav, (0, -wav.shape[1] % self._codec.hop)).to(device)
        with torch.autocast(device.type, enabled=False):
            quantized = self._codec.quantizer(self._codec.analyse(filled), levels)
            made = self._codec.synthesise(quantized.latents)
        return quantized.codes[:, 0].cpu(), made[:, : wav.shape[1]].float().cpu()

    def show(self, step: int, place: Path) -> None:
        """Write some recordings, their copies, and figures of both with the codes of level 1."""
        for index in range(min(self._settings.samples, len(self))):
            wav, name = self.wav(index), f"{index:02d}-{self._source.name(index)}"
            codes, copy = self.copy(wav)
            units = Units.from_framewise(codes[0], self._codec.frame_rate)
            write_sample(place, step, name, wav, copy, self._codec.sample_rate, units)
