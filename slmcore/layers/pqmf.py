"""Pseudo quadrature mirror filters: a waveform as critically sampled sub-bands (Nguyen 1994, doi 10.1109/78.258118)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.errors import must

__all__ = ["CUTOFFS", "PQMF"]

CUTOFFS = {2: 0.25, 4: 0.13, 6: 0.10032791, 8: 0.07949452}
"""Cutoff of the prototype filter by number of bands, relative to the Nyquist frequency (UniAudio, SoundStream)."""
_TAPS, _BETA = 62, 9.0


class PQMF(nn.Module):
    """Analysis filterbank of cosine-modulated Kaiser-windowed filters with 63 taps."""

    filters: Tensor

    def __init__(self, bands: int) -> None:
        super().__init__()
        if bands not in CUTOFFS:
            raise ValueError(must("bands", f"one of {', '.join(map(str, CUTOFFS))}", bands))
        self.bands = bands
        self.register_buffer("filters", _filters(bands)[:, None].float(), persistent=False)

    def forward(self, wav: Tensor) -> Tensor:
        """Waveforms (B, samples) to sub-bands (B, bands, samples // bands)."""
        found = F.conv1d(F.pad(wav.unsqueeze(1), (_TAPS // 2, _TAPS // 2)), self.filters, stride=self.bands)
        return found[..., : wav.shape[1] // self.bands]


def _filters(bands: int) -> Tensor:
    """Impulse responses (bands, 63), float64."""
    k = torch.arange(_TAPS + 1, dtype=torch.float64) - _TAPS / 2
    cutoff = CUTOFFS[bands]
    window = torch.kaiser_window(_TAPS + 1, periodic=False, beta=_BETA, dtype=torch.float64)
    prototype = cutoff * torch.sinc(cutoff * k) * window
    band = torch.arange(bands, dtype=torch.float64)[:, None]
    phase = (1 - 2 * (band % 2)) * math.pi / 4
    return 2 * prototype * torch.cos((2 * band + 1) * math.pi / (2 * bands) * k + phase)
