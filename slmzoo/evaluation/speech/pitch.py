"""Pitch by autocorrelation, and pitch correlation of a copy with its original.

The autocorrelation of a windowed frame over that of the window is Boersma's (1993, "Accurate short-term analysis of the
fundamental frequency"); the best candidate of each frame is taken, without path finding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from slmcore import audio

__all__ = ["correlation", "f0"]

_SAMPLE_RATE = 16000
_HOP = 160
_LOWEST, _HIGHEST = 60.0, 400.0
_PERIODS = 3  # periods of the lowest pitch in a frame
_VOICED, _SILENT, _OCTAVE = 0.45, 0.03, 0.01
_FEWEST = 10


def f0(wav: Tensor, sr: int) -> Tensor:
    """Compute the fundamental frequency of mono speech (1, samples), every 10 ms: float64 (frames,), Hz, 0 if unvoiced.

    Frames of 50 ms, Hann window, 60 to 400 Hz. A frame is voiced if its peak is at least 0.03 of the wav's and its
    normalised autocorrelation at least 0.45; among equal candidates the higher pitch is taken (octave cost 0.01).
    """
    audio.check(wav, sr, "wav")
    samples = audio.resample(wav, sr, _SAMPLE_RATE)[0].detach().cpu().double()
    size = round(_PERIODS * _SAMPLE_RATE / _LOWEST)
    frames = torch.nn.functional.pad(samples, (size // 2, size)).unfold(0, size, _HOP)[: len(samples) // _HOP + 1]
    peaks = frames.abs().amax(1)
    window = torch.hann_window(size, dtype=torch.float64)
    correlations = _autocorrelation((frames - frames.mean(1, keepdim=True)) * window) / _autocorrelation(window[None])
    lags = torch.arange(correlations.shape[1], dtype=torch.float64)
    least, most = int(_SAMPLE_RATE / _HIGHEST), int(_SAMPLE_RATE / _LOWEST)
    strength = correlations - _OCTAVE * (_LOWEST * lags.clamp(min=1) / _SAMPLE_RATE).log2()
    best = strength[:, least : most + 1].argmax(1) + least
    height, lag = _vertex(correlations, best)
    inside = (best > least) & (best < most)
    voiced = inside & (height >= _VOICED) & (peaks >= _SILENT * samples.abs().max()) & (peaks > 0)
    return torch.where(voiced, _SAMPLE_RATE / lag, 0.0)


def correlation(original: Tensor, copy: Tensor) -> float:
    """Compute Pearson's correlation of two pitch contours (n,) and (m,), over the frames voiced in both.

    The copy is stretched linearly to the length of the original, by nearest frames. Raises ValueError if fewer than 10
    frames are voiced in both, or a pitch does not change.
    """
    middles = (torch.arange(len(original)) + 0.5) / max(1, len(original))
    copy = copy[(middles * len(copy)).long()] if len(copy) else torch.zeros_like(original)
    voiced = (original > 0) & (copy > 0)
    if int(voiced.sum()) < _FEWEST:
        raise ValueError(f"Fewer than {_FEWEST} frames are voiced in both: their pitch cannot be compared.")
    a, b = (pitch[voiced] - pitch[voiced].mean() for pitch in (original, copy))
    scale = float((a.square().sum() * b.square().sum()).sqrt())
    if scale == 0:
        raise ValueError("A pitch contour is constant: there is no correlation.")
    return float((a * b).sum()) / scale


def _autocorrelation(frames: Tensor) -> Tensor:
    """Return the autocorrelation of each row (n, size) up to half its length, relative to lag 0."""
    size = frames.shape[1]
    power = torch.fft.rfft(frames, n=2 * size).abs().square()
    autocorrelation = torch.fft.irfft(power, n=2 * size)[:, : size // 2]
    return autocorrelation / autocorrelation[:, :1].clamp(min=torch.finfo(autocorrelation.dtype).tiny)


def _vertex(values: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Return height and position of the parabola's peak through the values (n, lags) around `places` (n,)."""
    before, at, after = (values.gather(1, (places + step)[:, None])[:, 0] for step in (-1, 0, 1))
    bend = (before - 2 * at + after).clamp(max=-1e-12)
    shift = (0.5 * (before - after) / bend).clamp(-1, 1)
    return at - 0.25 * (before - after) * shift, places + shift
