"""Atomic writing of 16-bit wavs."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import Tensor

from slmcore.audio.checks import shown
from slmcore.errors import must
from slmcore.files import atomic

__all__ = ["write"]


def write(path: str | Path, wav: Tensor, sr: int) -> int:
    """Write a wav (channels, samples) or (samples,) as 16-bit PCM; the file appears only when complete.

    Returns how many samples were clipped to +-1. A wav of length zero is a valid file. Raises ValueError unless the
    audio is finite floats, OSError if the folder is missing or cannot be written.
    """
    import soundfile

    path = Path(path)
    wav = wav.detach().cpu().float()
    wav = wav[None] if wav.ndim == 1 else wav
    if wav.ndim != 2 or not torch.isfinite(wav).all():
        raise ValueError(must("wav", "finite audio (channels, samples)", shown(wav), f"{path} was not written."))
    samples = (wav.clamp(-1, 1) * 32767).round().to(torch.int16).T.contiguous().numpy()
    content = io.BytesIO()  # a wav's header is written last, and a pipe cannot go back
    soundfile.write(content, samples, int(sr), format="WAV", subtype="PCM_16")
    atomic.write_bytes(path, content.getvalue())
    return int((wav.abs() > 1).sum())
