"""Resampling between any two rates, exactly and in bounded memory."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from slmcore.audio.checks import whole_rate

__all__ = ["resample"]

_ZEROS, _ROLLOFF = 6, 0.99
"""Zero crossings of the sinc on each side and cutoff relative to the lower Nyquist frequency: torchaudio's defaults."""
_LARGEST_KERNEL = 1 << 22
"""torchaudio holds one filter for each phase. Usual rates have up to 640 phases, coprime ones as many as `to`."""
_WEIGHTS_AT_ONCE = 1 << 20


def resample(wav: Tensor, sr: int, to: int) -> Tensor:
    """Bring a wav (..., samples) from `sr` to `to` Hz with torchaudio's default windowed sinc.

    torchaudio resamples between rates with few phases. For others, such as 44101 and 16000 Hz, the same filter is
    evaluated at each output sample, in blocks: slower, but in no more memory. No rate is approximated.
    """
    sr, to = whole_rate(sr), whole_rate(to)
    if sr == to:
        return wav
    divisor = math.gcd(sr, to)
    taps = 2 * _half_width(sr, to) + sr // divisor
    if to // divisor * taps > _LARGEST_KERNEL:
        return _evaluated(wav, sr, to)
    import torchaudio

    return torchaudio.functional.resample(wav, sr, to)


def _half_width(sr: int, to: int) -> int:
    """Reach of the filter on each side, in input samples."""
    return math.ceil(_ZEROS * sr / (min(sr, to) * _ROLLOFF))


def _evaluated(wav: Tensor, sr: int, to: int) -> Tensor:
    """Hann-windowed sinc interpolation with the weights of each output sample computed where it lies.

    Positions are exact integers (n sr = q to + r), so that there is no drift over hours.
    """
    reach = _half_width(sr, to) + 1
    offsets = torch.arange(-reach, reach + 1, device=wav.device)
    padded = torch.nn.functional.pad(wav, (reach, reach + 1))
    count = -(-wav.shape[-1] * to // sr)
    rows = max(1, _WEIGHTS_AT_ONCE // len(offsets))
    blocks = [wav[..., :0]]
    for first in range(0, count, rows):
        place = torch.arange(first, min(first + rows, count), device=wav.device) * sr
        nearest = place.div(to, rounding_mode="floor")
        phase = (place - nearest * to).double() / to
        weights = _weights(offsets.double() - phase[:, None], sr, to).to(wav.dtype)
        windows = padded[..., nearest[:, None] + offsets + reach]
        blocks.append((windows * weights).sum(-1))
    return torch.cat(blocks, -1)


def _weights(distance: Tensor, sr: int, to: int) -> Tensor:
    """The filter at `distance` in input samples: a sinc below both Nyquist frequencies, under a Hann window."""
    cutoff = min(sr, to) * _ROLLOFF / sr
    t = (distance * cutoff).clamp(-_ZEROS, _ZEROS)
    return torch.sinc(t) * torch.cos(t * (math.pi / 2 / _ZEROS)).square() * cutoff
