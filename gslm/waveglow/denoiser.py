"""Spectral subtraction of WaveGlow's bias, the hum that it synthesises from silence."""

from __future__ import annotations

import torch
from torch import Tensor

from slmcore.layers.streaming import pad

__all__ = ["denoised", "first_magnitudes"]

_WINDOW, _HOP = 1024, 256


def first_magnitudes(audio: Tensor) -> Tensor:
    """Return the magnitudes (513,) of the spectrum around the first sample of audio (samples,)."""
    return _spectrum(audio)[:, 0].abs()


def denoised(audio: Tensor, magnitudes: Tensor, strength: float) -> Tensor:
    """Return audio (samples,) with `strength` times `magnitudes` (513,) taken from its spectra, phases kept."""
    spectrum = _spectrum(audio)
    kept = (spectrum.abs() - strength * magnitudes[:, None]).clamp(min=0)
    changed = torch.polar(kept, spectrum.angle())
    return torch.istft(changed, _WINDOW, _HOP, window=_hann(audio), length=len(audio))


def _spectrum(audio: Tensor) -> Tensor:
    padded = pad(audio[None, None], _WINDOW // 2, _WINDOW // 2, "reflect")[0, 0]
    return torch.stft(padded, _WINDOW, _HOP, window=_hann(audio), center=False, return_complex=True)


def _hann(like: Tensor) -> Tensor:
    return torch.hann_window(_WINDOW, device=like.device, dtype=like.dtype)
