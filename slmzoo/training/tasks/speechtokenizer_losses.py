"""SpeechTokenizer's losses of reconstruction, by its published trainer (arXiv 2308.16692, section 3.3)."""

from __future__ import annotations

import warnings

import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.layers.spectral import LogMel

__all__ = ["MEL_WINDOWS", "ReconstructionLosses"]

MEL_WINDOWS = (1024, 512, 256, 128)
"""Windows of the mel losses, samples."""
_FIRST_HOP, _BANDS = 240, 80
"""Hop of the first window, samples; the others' are proportional."""


class ReconstructionLosses(nn.Module):
    """Mean absolute differences of waveforms and of log-mel spectra at four scales.

    All spectra have 80 bands, as published, 2 and 13 of them empty, hence equal, with the narrowest windows.
    """

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        hops = [_FIRST_HOP * window // MEL_WINDOWS[0] for window in MEL_WINDOWS]
        scales = list(zip(MEL_WINDOWS, hops, strict=True))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="At least one mel filterbank has all zero values")
            self.mels = nn.ModuleList(LogMel(sample_rate, n_fft, hop, _BANDS, scale="htk") for n_fft, hop in scales)

    def forward(self, made: Tensor, real: Tensor) -> dict[str, Tensor]:
        """Waveforms (B, samples) to `waveform` and `mel_1024` ... `mel_128`; the part that both have counts."""
        samples = min(made.shape[1], real.shape[1])
        found = {"waveform": F.l1_loss(made[:, :samples], real[:, :samples])}
        for window, mel in zip(MEL_WINDOWS, self.mels, strict=True):
            a, b = mel(made), mel(real)
            frames = min(a.shape[2], b.shape[2])
            found[f"mel_{window}"] = F.l1_loss(a[..., :frames], b[..., :frames])
        return found
