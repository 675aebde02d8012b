"""What a waveform and a sequence of codes must be."""

from __future__ import annotations

import torch
from torch import Tensor

from slmcore.errors import must

__all__ = ["check_codes", "check_wav"]

_SHORTEST = 0.02
"""Seconds: 320 samples at 16 kHz, as everywhere in the zoo."""


def check_wav(wav: Tensor, sr: int) -> None:
    """Raise a ValueError unless `wav` is a finite (1, samples) float tensor of 20 ms or more and `sr` a rate."""
    if isinstance(sr, bool) or not isinstance(sr, int | float) or not sr > 0 or not float(sr).is_integer():
        raise ValueError(must("sr", "a whole number of samples a second > 0", sr))
    if not isinstance(wav, Tensor) or wav.ndim != 2 or wav.shape[0] != 1 or not wav.is_floating_point():
        remedy = "Average the channels of a stereo file, and add an axis to a waveform of one."
        raise ValueError(must("wav", "a float tensor (1, samples)", _described(wav), remedy))
    if wav.shape[1] < _SHORTEST * sr:
        raise ValueError(must("wav", f"at least {_SHORTEST:g} s ({_SHORTEST * sr:g} samples)", _described(wav)))
    if not bool(torch.isfinite(wav).all()):
        raise ValueError("`wav` must be finite, but holds NaN or infinity. Look at how the file was read.")


def check_codes(codes: Tensor, axes: int, size: int) -> None:
    """Raise a ValueError unless `codes` is an integer tensor of 1 axis, or (1, 1, frames) of 3, within 0..size - 1."""
    shape = "(1, 1, frames)" if axes == 3 else "(frames,)"
    if not isinstance(codes, Tensor) or codes.ndim != axes or any(n != 1 for n in codes.shape[:-1]):
        raise ValueError(must("codes", f"an integer tensor {shape}", _described(codes)))
    if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
        raise ValueError(must("codes", f"an integer tensor {shape}", _described(codes), "Use `codes.long()`."))
    if codes.numel() and (int(codes.min()) < 0 or int(codes.max()) >= size):
        remedy = "Were they made by another codec?"
        found = f"a tensor with values from {int(codes.min())} to {int(codes.max())}"
        raise ValueError(must("codes", f"from 0 to {size - 1}", found, remedy))


def _described(value: object) -> object:
    return f"a {value.dtype} tensor of {tuple(value.shape)}" if isinstance(value, Tensor) else value
